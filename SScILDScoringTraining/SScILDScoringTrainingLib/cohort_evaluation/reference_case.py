"""What S-Net says at the reference levels of one case, kept in the case's folder of results.

Beside the pipeline's own answer (L-Net's levels, S-Net's scores: the cascade) an evaluation needs S-Net's scores and
heat maps at the levels of the reference. They are computed while the scan and its lungs are in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from SScILDScoringLib import __version__
from SScILDScoringLib.files import write_text
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.results import plain
from SScILDScoringLib.scores import SliceScores

from ..cohort import CohortRow
from ..heat_map_evaluation.map_cache import HeatMapCache
from ..heat_map_evaluation.records import SliceRecord, Truth
from ..heat_map_evaluation.slices import lesion_paths, map_slices

if TYPE_CHECKING:
    from SScILDScoringLib.lungs import LungMask
    from SScILDScoringLib.scan import CTScan
    from SScILDScoringLib.slice_network import SliceNetwork

FILE = "reference_levels.json"
_FORMAT = 1
_DIGITS = 5


@dataclass(frozen=True, eq=False)
class ReferenceCase:
    """S-Net at the reference levels.

    Args:
        scores: its answers, L1 first.
        records: of the heat maps; empty when they were not asked for.
    """

    scores: tuple[SliceScores, ...]
    records: tuple[SliceRecord, ...] = ()


def compute(
    row: CohortRow,
    scan: CTScan,
    lungs: LungMask,
    network: SliceNetwork,
    maps: HeatMapCache | None,
    progress: Progress = silent,
) -> ReferenceCase:
    """Scores and, with ``maps``, heat-map records of the case's slices at the levels of its row.

    Args:
        lungs: as found; heat maps use the lung mask of the row where it names one.

    Raises:
        ScanError: a level outside of the scan, or an unusable mask of lungs or disease.
    """
    from SScILDScoringLib.pipeline import find_lungs
    from SScILDScoringLib.slice_scoring import score_slices

    from ..heat_map_evaluation.run import records_of

    indices = [scan.slice_at(mm) for mm in row.mm]
    scores = tuple(score_slices(scan, indices, network))
    if maps and row.lung_path is not None:
        lungs = find_lungs(scan, row.lung_path)
    records = records_of(map_slices(row, scan, lungs, network), network, maps, progress) if maps else []
    return ReferenceCase(scores, tuple(records))


def write(case: ReferenceCase, row: CohortRow, network: SliceNetwork, folder: Path, heat_maps: bool) -> None:
    """Writes :data:`FILE` into the case's folder, with whether heat maps were asked for.

    Raises:
        SettingsError: it cannot be written.
    """
    values = {
        **_made_from(row, network, heat_maps),
        "scores": [list(s.raw) for s in case.scores],
        "records": [_record(record) for record in case.records],
    }
    write_text(folder / FILE, json.dumps(plain(values), allow_nan=False) + "\n")


def read(row: CohortRow, network: SliceNetwork, folder: Path, heat_maps: bool) -> ReferenceCase | None:
    """What :func:`write` wrote; None when it is missing, or made from other levels, masks, networks or software."""
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        wanted = plain(_made_from(row, network, heat_maps))
        if any(values[name] != value for name, value in wanted.items()):
            return None
        scores = tuple(SliceScores(tuple(raw)) for raw in values["scores"])
        return ReferenceCase(scores, tuple(_record_from(record, row) for record in values["records"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _made_from(row: CohortRow, network: SliceNetwork, heat_maps: bool) -> dict[str, Any]:
    files = [*(lesion_paths(row.path) or ()), *([row.lung_path] if row.lung_path else [])]
    masks = [[path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return {
        "format": _FORMAT,
        "software": __version__,
        "s_net": network.bundle.weights_sha256,
        "levels_mm": list(row.mm),
        "masks": masks if heat_maps else [],
        "heat_maps": heat_maps,
    }


def _record(record: SliceRecord) -> dict[str, Any]:
    truth = record.truth
    return {
        "level": record.level,
        "lung": record.lung,
        "network": np.round(record.network, _DIGITS),
        "derived": np.round(record.derived, _DIGITS),
        "truth": None if truth is None else {f.name: getattr(truth, f.name) for f in fields(Truth)},
    }


def _record_from(values: Mapping[str, Any], row: CohortRow) -> SliceRecord:
    truth = values["truth"]
    if truth is not None:
        truth = Truth(**{k: None if v is None else np.asarray(v) for k, v in truth.items()})
    return SliceRecord(
        row.case,
        row.patient,
        int(values["level"]),
        int(values["lung"]),
        np.asarray(values["network"], float),
        np.asarray(values["derived"], float),
        truth,
    )
