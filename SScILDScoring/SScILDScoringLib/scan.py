"""The CT as the rest of the software sees it: voxels in one orientation, and every conversion of coordinates.

Three index systems exist and only :class:`CTScan` knows how they belong together:

* **canonical index** ``(i, j, k)``: ``voxels[k, j, i]``; i grows to the patient's left, j to posterior, k to the head
  (the closest such arrangement of the file's own axes: axes are swapped and reversed, voxels are never resampled);
* **file index**: the index in the file as Slicer and SimpleITK number it, which is what results report;
* **millimetres**: LPS (DICOM, SimpleITK) or RAS (Slicer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .errors import ScanError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class FileAxes:
    """How the canonical axes lie in the file.

    ``axis[a]`` is the file axis (0, 1, 2 for the file's i, j, k) along which canonical axis ``a`` runs,
    ``reversed[a]`` tells whether it runs backwards there, ``size[a]`` is the number of voxels along canonical
    axis ``a``.
    """

    axis: tuple[int, int, int]
    reversed: tuple[bool, bool, bool]
    size: tuple[int, int, int]

    def canonical_from_file(self) -> np.ndarray:
        """4x4 matrix that takes a file index ``(i, j, k, 1)`` to the canonical index."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1.0
        for a in range(3):
            matrix[a, self.axis[a]] = -1.0 if self.reversed[a] else 1.0
            matrix[a, 3] = self.size[a] - 1.0 if self.reversed[a] else 0.0
        return matrix


@dataclass(frozen=True, eq=False)
class CTScan:
    """A chest CT in canonical orientation. Not to be modified: ``voxels`` is set read-only.

    Args:
        voxels: int16 Hounsfield units, shape ``(z, y, x)``; x to the patient's left, y to posterior, z to the head.
        origin: LPS millimetres of the centre of voxel (0, 0, 0).
        spacing: millimetres along canonical x, y, z (lengths of the index steps).
        direction: 3x3; column ``a`` is the LPS unit vector of canonical axis ``a``. The columns of a gantry-tilted
            scan are not perpendicular to each other.
        file_axes: where the canonical axes lie in the file; the identity when None.
        identity: file names, UIDs and whatever may identify the patient. Never written to results unless asked.
        acquisition: facts about the acquisition that identify nobody (``modality``, ``kernel``,
            ``slice_thickness_mm``, ``contrast_agent``, ``kvp``, ``manufacturer``, ``missing_slices`` ...), as far
            as the file told them.
    """

    voxels: np.ndarray = field(repr=False)
    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    direction: np.ndarray = field(default_factory=lambda: np.eye(3))
    file_axes: FileAxes | None = None
    identity: Mapping[str, object] = field(default_factory=dict, repr=False)
    acquisition: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        voxels = self.voxels
        if voxels.ndim != 3 or voxels.dtype != np.int16:
            raise ScanError(f"A CT needs three dimensions and int16 values, not {voxels.ndim} and {voxels.dtype}.")
        if 0 in voxels.shape:
            raise ScanError("The scan is empty: one of its dimensions has no voxels.")
        direction = np.asarray(self.direction, dtype=float).reshape(3, 3)
        if not np.isfinite(direction).all() or abs(np.linalg.det(direction)) < 1e-3:
            raise ScanError("The scan's direction matrix is not usable: its axes do not span space.")
        if min(self.spacing) <= 0 or not np.isfinite(self.spacing).all() or not np.isfinite(self.origin).all():
            raise ScanError(f"The scan's spacing {self.spacing} or origin {self.origin} is not usable.")
        view = voxels.view()
        view.flags.writeable = False
        object.__setattr__(self, "voxels", view)
        object.__setattr__(self, "direction", direction)
        object.__setattr__(self, "origin", tuple(float(v) for v in self.origin))
        object.__setattr__(self, "spacing", tuple(float(v) for v in self.spacing))
        if self.file_axes is None:
            z, y, x = voxels.shape
            object.__setattr__(self, "file_axes", FileAxes((0, 1, 2), (False, False, False), (x, y, z)))

    # ---- size ----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along ``(z, y, x)``."""
        return self.voxels.shape

    @property
    def slice_count(self) -> int:
        """Number of axial slices."""
        return self.voxels.shape[0]

    def axial_slice(self, k: int) -> np.ndarray:
        """The axial slice with canonical index ``k``: int16 HU, shape ``(y, x)``, read-only."""
        return self.voxels[self._checked(k)]

    # ---- geometry ------------------------------------------------------------------------------------------

    @property
    def lps_from_index(self) -> np.ndarray:
        """4x4 matrix from canonical index ``(i, j, k, 1)`` to LPS millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def ras_from_index(self) -> np.ndarray:
        """4x4 matrix from canonical index ``(i, j, k, 1)`` to RAS millimetres."""
        return LPS_TO_RAS @ self.lps_from_index

    @property
    def ras_from_file_index(self) -> np.ndarray:
        """4x4 matrix from the file's own index to RAS millimetres: Slicer's IJK-to-RAS matrix."""
        return self.ras_from_index @ self.file_axes.canonical_from_file()

    def ras_at(self, index: Sequence[float]) -> np.ndarray:
        """RAS millimetres of canonical index ``(i, j, k)`` (fractions allowed)."""
        return (self.ras_from_index @ np.append(np.asarray(index, float), 1.0))[:3]

    def index_at(self, ras: Sequence[float]) -> np.ndarray:
        """Canonical index ``(i, j, k)`` (with fractions) of a point in RAS millimetres."""
        return (np.linalg.inv(self.ras_from_index) @ np.append(np.asarray(ras, float), 1.0))[:3]

    # ---- axial slices and their height in the patient ------------------------------------------------------------

    def mm_of_slice(self, k: float) -> float:
        """RAS S in millimetres of the centre of axial slice ``k`` (canonical; fractions and outside allowed)."""
        _, y, x = self.shape
        return float(self.ras_at(((x - 1) / 2, (y - 1) / 2, k))[2])

    @property
    def mm_per_slice(self) -> float:
        """How many millimetres of S one step of the canonical slice index is (always positive)."""
        return float(self.ras_from_index[2, 2])

    def slice_position(self, mm: float) -> float:
        """The canonical slice index, with fraction, whose centre lies at RAS S = ``mm``; may be outside the scan."""
        return (mm - self.mm_of_slice(0)) / self.mm_per_slice

    def slice_at(self, mm: float) -> int:
        """The canonical index of the axial slice nearest to RAS S = ``mm``.

        Raises:
            ScanError: ``mm`` is more than half a slice outside the scan.
        """
        position = self.slice_position(mm)
        if not -0.5 - 1e-6 <= position <= self.slice_count - 0.5 + 1e-6:
            low, high = self.mm_of_slice(0), self.mm_of_slice(self.slice_count - 1)
            raise ScanError(
                f"The position {mm:.1f} mm is outside the scan, which reaches from {low:.1f} to {high:.1f} mm."
            )
        return int(min(max(np.floor(position + 0.5), 0), self.slice_count - 1))

    def file_slice(self, k: int) -> int:
        """The file's own 0-based number of canonical axial slice ``k``, along :attr:`file_slice_axis`."""
        self._checked(k)
        return self.file_axes.size[2] - 1 - k if self.file_axes.reversed[2] else k

    def slice_from_file(self, number: int) -> int:
        """The canonical slice index of the file's own 0-based slice number. Inverse of :meth:`file_slice`."""
        return self.file_slice(number)

    @property
    def file_slice_axis(self) -> int:
        """The file axis (0, 1 or 2 for i, j, k) along which the axial slices are stacked; 2 in most files."""
        return self.file_axes.axis[2]

    @property
    def tilt_degrees(self) -> float:
        """Angle between the axial slices' normal and the patient's long axis (0 for a straight scan)."""
        normal = np.cross(self.direction[:, 0], self.direction[:, 1])
        cosine = abs(normal[2]) / np.linalg.norm(normal)
        return float(np.degrees(np.arccos(min(cosine, 1.0))))

    # ---- arrays in the file's own arrangement --------------------------------------------------------------------

    def to_file_order(self, array: np.ndarray) -> np.ndarray:
        """A canonical array ``(z, y, x)`` (mask, map) as the file holds it: shape ``(k, j, i)``; a view, no copy."""
        self._same_shape(array, self.shape)
        axes = self.file_axes
        flipped = array[tuple(slice(None, None, -1) if axes.reversed[a] else slice(None) for a in (2, 1, 0))]
        return np.transpose(flipped, np.argsort([2 - axes.axis[a] for a in (2, 1, 0)]))

    def from_file_order(self, array: np.ndarray) -> np.ndarray:
        """An array ``(k, j, i)`` on the file's grid in canonical order ``(z, y, x)``; a view. Inverse of the above.

        Raises:
            ScanError: the array does not have the file's size.
        """
        size = [0, 0, 0]
        for a in range(3):
            size[2 - self.file_axes.axis[a]] = self.file_axes.size[a]
        self._same_shape(array, tuple(size))
        return in_canonical_order(array, self.file_axes)

    @staticmethod
    def _same_shape(array: np.ndarray, shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            raise ScanError(f"An array of the scan's size {shape} is needed, not {array.shape}.")

    def _checked(self, k: int) -> int:
        if not 0 <= k < self.slice_count:
            raise ScanError(f"The scan has no slice {k}: it has slices 0 to {self.slice_count - 1}.")
        return k


def canonical_axes(direction: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Which file axis runs closest to each of L, P, S, and whether it runs against it.

    Args:
        direction: 3x3, column ``b`` is the LPS unit vector of the file's axis ``b``.

    Returns:
        ``(axis, reversed)`` as in :class:`FileAxes`. The assignment maximises the summed agreement over all six
        permutations, so that strongly oblique scans are handled as well as straight ones.
    """
    from itertools import permutations

    absolute = np.abs(direction)
    best = max(permutations(range(3)), key=lambda p: sum(absolute[a, p[a]] for a in range(3)))
    return tuple(best), tuple(bool(direction[a, best[a]] < 0) for a in range(3))


def in_canonical_order(array: np.ndarray, axes: FileAxes) -> np.ndarray:
    """``array (k, j, i)`` of the file as ``(z, y, x)`` in canonical orientation; a view, nothing is copied."""
    # numpy axes are (k, j, i) = file axes (2, 1, 0); canonical numpy order is (z, y, x) = canonical axes (2, 1, 0).
    array = np.transpose(array, [2 - axes.axis[a] for a in (2, 1, 0)])
    return array[tuple(slice(None, None, -1) if axes.reversed[a] else slice(None) for a in (2, 1, 0))]


def scan_from_array(
    array: np.ndarray,
    lps_from_file_index: np.ndarray,
    identity: Mapping[str, object] | None = None,
    acquisition: Mapping[str, object] | None = None,
    *,
    copy: bool = True,
) -> CTScan:
    """A :class:`CTScan` from voxels as a file (or a Slicer volume node) holds them.

    Args:
        array: HU, shape ``(k, j, i)`` of the file, an integer or floating type.
        lps_from_file_index: 4x4 matrix from the file index ``(i, j, k, 1)`` to LPS millimetres; need not be
            orthogonal (gantry tilt).
        identity, acquisition: as in :class:`CTScan`.
        copy: False lets the scan take over ``array`` and rearrange it where it stands, to save memory; only for
            callers that own the array and forget it.

    Raises:
        ScanError: not three dimensions, fewer than two slices, values that are not numbers, or a matrix that is
            not usable.
    """
    if array.ndim != 3:
        raise ScanError(f"A CT has three dimensions; this image has {array.ndim}.")
    if 0 in array.shape:
        raise ScanError("The scan is empty: one of its dimensions has no voxels.")
    matrix = np.asarray(lps_from_file_index, float)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or (spacing <= 0).any():
        raise ScanError("The scan's geometry is not usable: its matrix has empty or infinite entries.")
    axis, reverse = canonical_axes(matrix[:3, :3] / spacing)
    file_size = array.shape[::-1]
    size = tuple(file_size[axis[a]] for a in range(3))
    if min(size) < 2:
        raise ScanError("The scan has one slice only; the five levels can be found in a whole volume only.")
    axes = FileAxes(axis, reverse, size)
    if not copy and axis == (0, 1, 2) and array.dtype == np.int16 and array.flags.c_contiguous:
        voxels = _reversed_in_place(array, reverse)
    else:
        voxels = as_hounsfield(in_canonical_order(array, axes))
    if not voxels.flags.c_contiguous or (copy and np.may_share_memory(voxels, array)):
        voxels = voxels.copy(order="C")
    lps_from_index = matrix @ np.linalg.inv(axes.canonical_from_file())
    steps = lps_from_index[:3, :3]
    lengths = np.linalg.norm(steps, axis=0)
    return CTScan(
        voxels,
        origin=tuple(lps_from_index[:3, 3]),
        spacing=tuple(lengths),
        direction=steps / lengths,
        file_axes=axes,
        identity=dict(identity or {}),
        acquisition=dict(acquisition or {}),
    )


def _reversed_in_place(array: np.ndarray, reverse: tuple[bool, bool, bool]) -> np.ndarray:
    """``array (z, y, x)`` itself with the axes x, y, z reversed as told, slice by slice."""
    if reverse[2]:
        for low in range(len(array) // 2):
            high = len(array) - 1 - low
            kept = array[low].copy()
            array[low] = array[high]
            array[high] = kept
    if reverse[0] or reverse[1]:
        rows, columns = (slice(None, None, -1) if reverse[a] else slice(None) for a in (1, 0))
        for plane in array:
            plane[:] = plane[rows, columns].copy()
    return array


def as_hounsfield(array: np.ndarray) -> np.ndarray:
    """``array`` as int16, rounded and limited to what int16 holds, slice by slice so that memory stays low.

    An int16 array is returned as it is, everything else as a new array.

    Raises:
        ScanError: the array holds values that are not numbers (NaN or infinite), or is not numeric.
    """
    if array.dtype == np.int16:
        return array
    if array.dtype.kind not in "iufb":
        raise ScanError(f"The image holds {array.dtype} values, which are no Hounsfield units.")
    result = np.empty(array.shape, np.int16)
    for k, plane in enumerate(array):
        result[k] = hounsfield_plane(plane)
    return result


def hounsfield_plane(plane: np.ndarray) -> np.ndarray:
    """One slice of numbers as int16: rounded half to even, limited to -32768..32767. See :func:`as_hounsfield`."""
    if plane.dtype.kind == "f":
        if not np.isfinite(plane).all():
            raise ScanError("The image holds values that are not numbers (NaN or infinite); export the CT again.")
        plane = np.rint(plane)
    elif plane.dtype.kind == "b" or plane.dtype.itemsize < 2:
        return plane.astype(np.int16)
    low = 0 if plane.dtype.kind == "u" else -32768
    return np.clip(plane, low, 32767).astype(np.int16)


def load_scan(path: str | Path, *, series: str | None = None, progress=None) -> CTScan:
    """Reads a chest CT: a DICOM folder or file, NIfTI, NRRD, MHA or MHD. See :mod:`.reading` for what is accepted.

    Raises:
        ScanError: nothing readable, or nothing that can be scored, with a sentence that says why.
    """
    from .reading import read_scan

    return read_scan(path, series=series, progress=progress)
