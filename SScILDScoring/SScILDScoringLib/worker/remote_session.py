"""A :class:`~SScILDScoringLib.session.ScoringSession` in a worker: the same steps, asked for and heard of later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingsError
from ..levels import Levels
from ..scan import CTScan
from .client import WorkerClient
from .protocol import Event

if TYPE_CHECKING:
    from ..heatmaps import HeatMaps
    from ..heatmaps.replacement import HeatMapSettings
    from ..lungs import LungMask
    from ..results import ScanResult
    from ..session import FoundLevels

NetworkChoice = "ModelBundle | str | Path | bool | None"


class RemoteSession:
    """One opened scan in the worker of ``client``. Every step returns the id of its request.

    >>> number = session.find_levels()                                         # doctest: +SKIP
    >>> for event in client.poll():                                            # doctest: +SKIP
    ...     if event.kind == "result" and event.id == number:
    ...         found = session.value_of(event)

    Args:
        client: the worker's client; one session for one client.
    """

    def __init__(self, client: WorkerClient) -> None:
        self.client = client
        self.scan: CTScan | None = None
        self._requests: dict[int, tuple[str, CTScan | None]] = {}
        self._lungs: tuple[CTScan, LungMask] | None = None

    # ---- steps -----------------------------------------------------------------------------------------------------

    def load(
        self,
        scan: CTScan,
        lungs: LungMask | None = None,
        l_net: NetworkChoice = None,
        s_net: NetworkChoice = None,
        device: str = "auto",
        *,
        lung_method: str = "3d",
        found: FoundLevels | None = None,
    ) -> int:
        """Opens a scan in the worker; the one that was open is closed. Its value: ``device`` and ``models``.

        Args:
            scan: the CT; only voxels and geometry go to the worker, nothing that may identify the patient.
            lungs, l_net, s_net, device, lung_method, found: as in
                :class:`~SScILDScoringLib.session.ScoringSession`.

        Raises:
            WorkerError: the worker cannot be started, or the scan not be handed over.
        """
        from .values import plain_found, plain_geometry

        params = {
            "geometry": plain_geometry(scan),
            "l_net": _choice(l_net),
            "s_net": _choice(s_net),
            "device": device,
            "lung_method": lung_method,
            "found": plain_found(found),
        }
        arrays = {"voxels": scan.voxels}
        if lungs is not None:
            if lungs.labels.shape != scan.shape:
                raise SettingsError("The lung mask does not have the scan's size; make it on the grid of this CT.")
            arrays["lungs"] = lungs.labels
            params["lungs_found_by"] = lungs.method
        number = self.client.request("load", params, arrays)
        self.scan = scan
        self._lungs = (scan, lungs) if lungs is not None else None
        return self._noted(number, "load")

    def warm(self) -> int:
        """Loads the networks and runs each once. Its value: None."""
        return self._noted(self.client.request("warm"), "warm")

    def find_lungs(self) -> int:
        """Segments the lungs. Its value: a LungMask."""
        return self._noted(self.client.request("lungs"), "lungs")

    def find_levels(self) -> int:
        """Finds the five levels. Its value: FoundLevels."""
        return self._noted(self.client.request("find_levels"), "find_levels")

    def score(
        self,
        levels: Levels,
        *,
        case: str | None = None,
        fvc_percent: float | None = None,
        heat_maps: bool = False,
        heat_map_settings: HeatMapSettings | None = None,
        every_slice: bool = False,
    ) -> int:
        """Scores five levels; arguments as in :meth:`ScoringSession.score`. Its value: ScanResult with its arrays."""
        from .values import plain_levels

        name = self.scan.identity.get("name") if self.scan is not None else None
        params = {
            "levels": plain_levels(levels),
            "case": case or (str(name) if name else None),
            "fvc_percent": fvc_percent,
            "heat_maps": heat_maps,
            "heat_map_settings": heat_map_settings.to_dict() if heat_map_settings is not None else None,
            "every_slice": every_slice,
        }
        return self._noted(self.client.request("score", params), "score")

    def heat_maps(self, slice_index: int, settings: HeatMapSettings | None = None, partial: bool = False) -> int:
        """Computes the heat maps of one slice (canonical index), kept for :meth:`score`. Its value: HeatMaps.

        With ``partial``, events of that kind bring what there is so far, several times a second: maps that grow, and
        a preview (see :meth:`ScoringSession.heat_maps`).
        """
        params = {
            "slice_index": int(slice_index),
            "settings": settings.to_dict() if settings is not None else None,
            "partial": bool(partial),
        }
        return self._noted(self.client.request("heat_maps", params), "heat_maps")

    def close(self) -> int:
        """Closes the scan; the worker stays warm. Its value: None."""
        self.scan = self._lungs = None
        return self._noted(self.client.request("close"), "close")

    # ---- answers ---------------------------------------------------------------------------------------------------

    def value_of(self, event: Event) -> dict | LungMask | FoundLevels | HeatMaps | ScanResult | None:
        """What a ``result`` or ``partial`` event of this session brought, with scan and arrays attached.

        To be called once for each result.

        Raises:
            KeyError: the event is no result of a request of this session.
        """
        if event.kind not in ("result", "partial"):
            raise KeyError(f"a {event.kind} event has no value")
        op, scan = self._requests[event.id]
        if event.kind == "result":
            self._requests = {number: request for number, request in self._requests.items() if number > event.id}
        if op == "lungs":
            return self._lungs_of(event, scan)
        if op == "find_levels":
            from .values import found_from

            return found_from(event.value)
        if op == "heat_maps":
            from .values import heat_maps_from

            return heat_maps_from(event.value, event.arrays["heat"], event.arrays["cover"])
        if op == "score":
            from .values import result_from

            result = result_from(event.value, event.arrays)
            return replace(result, scan=scan, lungs=self._lungs_of(event, scan))
        return event.value

    def _lungs_of(self, event: Event, scan: CTScan) -> LungMask:
        """The lungs of an answer; the same object for one scan."""
        from ..lungs import LungMask

        if self._lungs is None or self._lungs[0] is not scan:
            method = event.value["lungs"] if "lungs" in event.value else event.value["method"]
            self._lungs = (scan, LungMask(event.arrays["lungs"], method))
        return self._lungs[1]

    def _noted(self, number: int, op: str) -> int:
        self._requests[number] = (op, self.scan)
        return number


def _choice(choice: NetworkChoice) -> str | bool | None:
    """A network as the worker can find it: a name or folder, False for none, None for the default one."""
    if choice is None or isinstance(choice, bool):
        return choice
    return str(choice if isinstance(choice, str | Path) else choice.folder)
