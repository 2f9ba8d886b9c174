"""From cases to an evaluation of heat maps: reading, lungs, maps (kept by slice), records, figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib.errors import Cancelled, SettingsError, SScILDError
from SScILDScoringLib.progress import Progress, part_of, silent
from SScILDScoringLib.scan import load_scan

from ..cohort import CohortRow
from .localisation import evaluate_localisation
from .map_cache import HeatMapCache
from .records import SliceRecord, record_of
from .report import HeatMapEvaluation
from .slices import MapSlice, map_slices
from .thresholds import evaluate_thresholds

if TYPE_CHECKING:
    from SScILDScoringLib.models import ModelBundle
    from SScILDScoringLib.slice_network import SliceNetwork


@dataclass(frozen=True)
class Settings:
    """How heat maps are evaluated.

    Args:
        samples: bootstrap samples by patient; 0: no intervals. seed: of the bootstrap.
        data: what the cases are, in words, for tables and the methods.
    """

    samples: int = 2000
    seed: int = 0
    data: str = ""


def evaluate_heat_maps(
    bundle: ModelBundle,
    rows: Sequence[CohortRow],
    *,
    cache: str | Path | None = None,
    settings: Settings | None = None,
    failures: Iterable[tuple[str, str]] = (),
    device: str = "cpu",
    progress: Progress = silent,
) -> HeatMapEvaluation:
    """Heat maps of the five levels of every case, and everything that is measured on them.

    A case that cannot be used is listed with its reason and left out.

    Args:
        bundle: an S-Net bundle. rows: cases with levels; where masks of the disease lie beside a scan (see
            :mod:`.slices`), maps are compared with them.
        cache: folder in which heat maps are kept; None: nowhere.
        failures: cases that failed before this, with their sentences.
        progress: stage ``heat_maps`` over all cases; may cancel.

    Raises:
        ModelError: no S-Net. SettingsError: no case could be used. Cancelled: by ``progress``.
    """
    from SScILDScoringLib.slice_network import SliceNetwork

    settings = settings or Settings()
    network = SliceNetwork(bundle, device)
    maps = HeatMapCache(cache)
    records: list[SliceRecord] = []
    failed = list(failures)
    for number, row in enumerate(rows):
        part = part_of(progress, number / len(rows), (number + 1) / len(rows))
        part("heat_maps", 0.0, f"Case {number + 1} of {len(rows)}: {row.case}")
        try:
            records += records_of(_slices(row, network), network, maps, part)
        except Cancelled:
            raise
        except SScILDError as error:
            failed.append((row.case, str(error)))
    progress("heat_maps", 1.0, f"{len(records)} slices")
    return evaluation_of(bundle, records, settings, failed)


def evaluation_of(
    bundle: ModelBundle,
    records: Sequence[SliceRecord],
    settings: Settings,
    failures: Iterable[tuple[str, str]] = (),
) -> HeatMapEvaluation:
    """Everything that follows from records of slices.

    Raises:
        SettingsError: there are none.
    """
    failed = tuple(failures)
    if not records:
        reasons = f" {failed[0][0]}: {failed[0][1]}" if failed else ""
        raise SettingsError(f"No slice could be used to evaluate heat maps.{reasons}")
    thresholds = evaluate_thresholds(records, bundle.thresholds, settings.samples, settings.seed)
    sets = {"chosen": {p: t.value for p, t in thresholds.chosen.items()}}
    if thresholds.bundle:
        sets["bundle"] = thresholds.bundle
    found = evaluate_localisation(records, sets, settings.samples, settings.seed)
    return HeatMapEvaluation(bundle, settings, tuple(records), thresholds, found, failed)


def records_of(
    slices: Iterable[MapSlice],
    network: SliceNetwork,
    maps: HeatMapCache,
    progress: Progress = silent,
    expected: int = 5,
    seen: Callable[[MapSlice, object], None] | None = None,
) -> list[SliceRecord]:
    """The records of slices; ``seen`` is shown every slice with its maps."""
    found = []
    for n, one in enumerate(slices):
        part = part_of(progress, min(n / expected, 1), min((n + 1) / expected, 1))
        rendered = maps.maps(one.hu, one.lung, network, progress=part)
        found.append(record_of(one, rendered))
        if seen is not None:
            seen(one, rendered)
    return found


def _slices(row: CohortRow, network: SliceNetwork) -> Iterable[MapSlice]:
    """The case's slices with the lungs of its ``lung_path``, or as found."""
    from SScILDScoringLib.pipeline import find_lungs

    scan = load_scan(row.path)
    return map_slices(row, scan, find_lungs(scan, row.lung_path), network)
