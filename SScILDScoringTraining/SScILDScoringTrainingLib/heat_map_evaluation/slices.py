"""The slices that heat maps are evaluated on: the five levels of every case, with the truth where it is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.errors import ScanError
from SScILDScoringLib.files import name_without_ending
from SScILDScoringLib.levels import Level
from SScILDScoringLib.scan import CTScan, load_scan

from ..cohort import CohortRow

if TYPE_CHECKING:
    from SScILDScoringLib.lungs import LungMask

LESIONS = ("gg", "ret")
"""A case whose scan is ``NAME.nii.gz`` may have ``NAME_gg.nii.gz`` and ``NAME_ret.nii.gz`` beside it: masks of its
disease on the scan's grid, as phantoms have them."""


@dataclass(frozen=True, eq=False)
class MapSlice:
    """One slice.

    Args:
        case, patient: whose it is. level: which of the five; None for a slice that is none of them.
        hu: int16 ``(y, x)``. lung: bool ``(y, x)``.
        lesions: bool ``(3, y, x)``: where TOT, GG and RET truly are; None where nobody knows.
        own: float32 ``(3, y, x)``, 0..1: the maps of a ratio head (share of diseased lung), or None.
    """

    case: str
    patient: str
    level: Level | None
    hu: np.ndarray
    lung: np.ndarray
    lesions: np.ndarray | None = None
    own: np.ndarray | None = None


def lesion_paths(scan: Path) -> tuple[Path, Path] | None:
    """The files with ground glass and reticulation beside a scan, when both are there."""
    stem = scan.with_name(name_without_ending(scan))
    paths = tuple(stem.with_name(f"{stem.name}_{name}.nii.gz") for name in LESIONS)
    return paths if all(p.is_file() for p in paths) else None


def has_truth(rows: Sequence[CohortRow]) -> bool:
    """Whether the place of the disease is known for at least one case."""
    return any(lesion_paths(row.path) for row in rows)


def lesions_of(row: CohortRow, scan: CTScan, indices: Sequence[int]) -> list[np.ndarray | None]:
    """Bool ``(3, y, x)`` for each canonical slice index: TOT (the union), GG, RET; None without masks.

    Raises:
        ScanError: a mask that cannot be read or lies on another grid than the scan.
    """
    paths = lesion_paths(row.path)
    if paths is None:
        return [None] * len(indices)
    planes = []
    for path in paths:
        mask = load_scan(path)
        if mask.shape != scan.shape or not np.allclose(mask.lps_from_index, scan.lps_from_index, atol=1e-2):
            raise ScanError(f"The mask {path.name} does not lie on the grid of its scan; save it on the scan's voxels.")
        planes.append([mask.axial_slice(k) > 0 for k in indices])
    return [np.stack([gg | ret, gg, ret]) for gg, ret in zip(*planes, strict=True)]


def map_slices(row: CohortRow, scan: CTScan, lungs: LungMask, network) -> Iterator[MapSlice]:
    """The five slices of one case at its own levels; a level without lung is left out.

    Args:
        network: the :class:`~SScILDScoringLib.slice_network.SliceNetwork`, for the maps of a ratio head.

    Raises:
        ScanError: a level outside of the scan, or an unusable mask.
    """
    from SScILDScoringLib.slice_scoring import explain_slices

    indices = [scan.slice_at(mm) for mm in row.mm]
    lesions = lesions_of(row, scan, indices)
    known = lesions[0] is not None  # only then are the network's own maps compared with anything
    explanations = explain_slices(scan, indices, network) if known and network.has_maps else []
    for n, (level, k) in enumerate(zip(Level, indices, strict=True)):
        lung = np.asarray(lungs.mask(k), bool)
        if lung.any():
            own = explanations[n].lung * explanations[n].patterns if explanations else None
            yield MapSlice(row.case, row.patient, level, scan.axial_slice(k), lung, lesions[n], own)
