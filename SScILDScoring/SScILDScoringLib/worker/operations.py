"""What a worker can do: open a scan, find its lungs and levels, score it. One scan is open at a time."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..heatmaps.maps import HeatMaps
from ..heatmaps.replacement import HeatMapSettings
from ..lungs import LungMask
from ..pipeline import find_model
from ..progress import Progress
from ..results import ScanResult
from ..session import ScoringSession
from ..slice_network import SliceNetwork
from .arrays import file_name, read_array, write_array
from .protocol import ProtocolError, WorkerError
from .values import (
    found_from,
    heat_map_arrays,
    levels_from,
    plain_found,
    plain_heat_maps,
    plain_result,
    result_arrays,
    scan_from,
)

KEPT_FILES = 150
"""Files of slices that are kept: the client has opened older ones long ago, and a disk is not endless."""


@dataclass
class Reply:
    """The answer to a request.

    Args:
        value: plain values.
        arrays: files in the private folder, by name.
        keep: ``params`` and ``arrays`` that the client adds to its ``load`` request when it has to open the scan again
            in a new worker, so that nothing is computed twice.
    """

    value: object = None
    arrays: dict[str, str] = field(default_factory=dict)
    keep: dict = field(default_factory=dict)


def _nobody_looks(_reply: Reply) -> None:
    """For requests whose answer is wanted only when it is complete."""


class Operations:
    """The state of a worker: its networks and the open scan.

    Args:
        folder: the private folder through which arrays are exchanged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._session: ScoringSession | None = None
        self._generation = 0
        self._networks: dict[tuple[str, str], SliceNetwork] = {}
        self._settings: list[HeatMapSettings] = []
        self._written: OrderedDict[str, None] = OrderedDict()
        self._show: Callable[[Reply], None] = _nobody_looks

    def run(
        self,
        op: str,
        params: Mapping,
        arrays: Mapping[str, str],
        progress: Progress,
        show: Callable[[Reply], None] = _nobody_looks,
    ) -> Reply:
        """Does what a request asks for.

        Args:
            op, params, arrays: of the request.
            progress: told how far it is.
            show: given what there is of the answer so far, where the request asks for that.

        Raises:
            ProtocolError: there is no such operation, or it has no such parameters or arrays.
            SScILDError: as the steps of :class:`~SScILDScoringLib.session.ScoringSession`.
        """
        operation: Callable[..., Reply] | None = {
            "load": self._load,
            "close": self._close,
            "warm": self._warm,
            "lungs": self._lungs,
            "find_levels": self._find_levels,
            "score": self._score,
            "heat_maps": self._heat_maps,
        }.get(op)
        if operation is None:
            raise ProtocolError(f"there is no operation {op!r}")
        try:
            bound = inspect.signature(operation).bind(progress, arrays, **params)
        except TypeError as error:
            raise ProtocolError(f"{op}: {error}") from error
        self._show = show
        return operation(*bound.args, **bound.kwargs)

    # ---- operations ------------------------------------------------------------------------------------------------

    def _load(
        self,
        progress: Progress,
        arrays: Mapping[str, str],
        *,
        generation: int,
        geometry: dict,
        l_net: str | bool | None = None,
        s_net: str | bool | None = None,
        lung_method: str = "3d",
        lungs_found_by: str = "given",
        device: str = "auto",
        found: dict | None = None,
    ) -> Reply:
        self._session = None  # its memory goes before the next scan's comes
        scan = scan_from(geometry, read_array(self._folder, arrays["voxels"]))
        lungs = None
        if "lungs" in arrays:
            labels = read_array(self._folder, arrays["lungs"])
            if labels.shape != scan.shape or labels.dtype != np.uint8:
                raise WorkerError("The lung mask does not have the scan's size; make it on the grid of this CT.")
            lungs = LungMask(labels, lungs_found_by)
        network = self._network(s_net, device)
        self._session = ScoringSession(
            scan,
            l_net=l_net,
            s_net=network if network is not None else False,
            lungs=lungs,
            lung_method=lung_method,
            device=device,
            found=found_from(found),
        )
        self._generation = generation
        self._settings.clear()
        self._written.clear()
        models = [dict(vars(m)) for m in self._session.models]
        return Reply({"device": self._session.device, "models": models})

    def _close(self, progress: Progress, arrays: Mapping[str, str]) -> Reply:
        self._session = None
        return Reply()

    def _warm(self, progress: Progress, arrays: Mapping[str, str]) -> Reply:
        self._open.warm(progress)
        return Reply()

    def _lungs(self, progress: Progress, arrays: Mapping[str, str]) -> Reply:
        lungs = self._open.find_lungs(progress)
        return Reply({"method": lungs.method}, {"lungs": self._lungs_file()}, self._keep())

    def _find_levels(self, progress: Progress, arrays: Mapping[str, str]) -> Reply:
        found = self._open.find_levels(progress)
        return Reply(plain_found(found), {}, self._keep())

    def _score(
        self,
        progress: Progress,
        arrays: Mapping[str, str],
        *,
        levels: dict,
        case: str | None = None,
        fvc_percent: float | None = None,
        heat_maps: bool = False,
        heat_map_settings: dict | None = None,
        every_slice: bool = False,
    ) -> Reply:
        result = self._open.score(
            levels_from(levels),
            case=case,
            fvc_percent=fvc_percent,
            heat_maps=heat_maps,
            heat_map_settings=HeatMapSettings(**heat_map_settings) if heat_map_settings is not None else None,
            every_slice=every_slice,
            progress=progress,
        )
        files = {"lungs": self._lungs_file(), **self._slice_files(result)}
        return Reply({**plain_result(result), "lungs": result.lungs.method}, files, self._keep())

    def _heat_maps(
        self,
        progress: Progress,
        arrays: Mapping[str, str],
        *,
        slice_index: int,
        settings: dict | None = None,
        partial: bool = False,
    ) -> Reply:
        chosen = HeatMapSettings(**settings) if settings is not None else None
        maps = self._open.heat_maps(slice_index, chosen, progress, self._show_part if partial else None)
        files = {
            name: self._slice_file(f"{name}-{slice_index}-{self._number_of(maps.settings)}", array)
            for name, array in heat_map_arrays(maps).items()
        }
        return Reply(plain_heat_maps(maps), files, self._keep())

    def _show_part(self, maps: HeatMaps) -> None:
        """Maps that are not finished: always in the same two files. They can be missed, but not stop the work."""
        with suppress(OSError):
            files = {
                name: write_array(self._folder, file_name(self._generation, f"part-{name}"), array)
                for name, array in heat_map_arrays(maps).items()
            }
            self._show(Reply(plain_heat_maps(maps), files))

    # ---- state -----------------------------------------------------------------------------------------------------

    @property
    def _open(self) -> ScoringSession:
        if self._session is None:
            raise WorkerError("No scan is open in the worker; load one first.")
        return self._session

    def _network(self, s_net: str | bool | None, device: str) -> SliceNetwork | None:
        """S-Net, loaded once for all scans; None when there is none."""
        bundle = find_model(s_net, "s_net", optional=True)
        if bundle is None:
            return None
        key = (bundle.sha256, device)
        if key not in self._networks:
            self._networks[key] = SliceNetwork(bundle, device)
        return self._networks[key]

    def _keep(self) -> dict:
        session = self._session
        keep: dict = {"params": {}, "arrays": {}}
        if session.found is not None:
            keep["params"]["found"] = plain_found(session.found)
        if session.has_lungs:
            keep["params"]["lungs_found_by"] = session.lungs.method
            keep["arrays"]["lungs"] = self._lungs_file()
        return keep

    def _lungs_file(self) -> str:
        name = file_name(self._generation, "lungs")
        if name not in self._written:
            write_array(self._folder, name, self._open.lungs.labels)
            self._written[name] = None
        return name

    def _slice_files(self, result: ScanResult) -> dict[str, str]:
        """Files with the arrays of the five slices; those that are there already are not written again."""
        files = {}
        for i, k in enumerate(result.slice_indices):
            for name, array in result_arrays(result, i).items():
                label = (
                    f"{name}-{k}" if name == "own" else f"{name}-{k}-{self._number_of(result.heat_maps[i].settings)}"
                )
                files[f"{name}-{i}"] = self._slice_file(label, array)
        lungs = file_name(self._generation, "lungs")
        for file in [f for f in self._written if f != lungs][:-KEPT_FILES]:
            del self._written[file]
            with suppress(OSError):
                (self._folder / file).unlink()
        return files

    def _slice_file(self, label: str, array: np.ndarray) -> str:
        """The file of a slice's array, written unless it is there; the latest ones are kept longest."""
        file = file_name(self._generation, label)
        if file not in self._written:
            write_array(self._folder, file, array)
        self._written[file] = None
        self._written.move_to_end(file)
        return file

    def _number_of(self, settings: HeatMapSettings) -> int:
        """A short name for heat-map settings, the same for the same settings."""
        if settings not in self._settings:
            self._settings.append(settings)
        return self._settings.index(settings)
