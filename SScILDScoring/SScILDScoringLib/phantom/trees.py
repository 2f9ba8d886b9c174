"""Branching trees that fill the lungs: pulmonary arteries, pulmonary veins and bronchi.

A tree is grown from its root towards target points spread through the lung: the targets are split in two, again and
again, across their widest direction, and each half gets a branch whose radius follows from the number of targets it
serves (Murray's law with the exponent 2.7 found for pulmonary vessels).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MURRAY = 2.7


@dataclass(frozen=True)
class Segments:
    """Straight pieces of a tree: ends ``start`` and ``stop`` ``(n, 3)`` and radii there ``(n,)``, millimetres."""

    start: np.ndarray
    stop: np.ndarray
    start_radius: np.ndarray
    stop_radius: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def joined(cls, parts: list[Segments]) -> Segments:
        """All pieces of several trees."""
        return cls(
            *(
                np.concatenate([getattr(s, name) for s in parts])
                for name in ("start", "stop", "start_radius", "stop_radius")
            )
        )

    def thicker_than(self, radius: float) -> Segments:
        """The pieces that start thicker than ``radius``."""
        keep = self.start_radius > radius
        return Segments(self.start[keep], self.stop[keep], self.start_radius[keep], self.stop_radius[keep])


def grow(
    root: np.ndarray, targets: np.ndarray, leaf_radius: float, largest: float, rng: np.random.Generator
) -> Segments:
    """A tree from ``root (3,)`` to all ``targets (n, 3)``.

    Args:
        leaf_radius: radius of the last twigs. largest: limit of the radius near the root.
    """
    label = np.zeros(len(targets), int)
    nodes = np.asarray(root, float)[None]
    radius = np.array([min(largest, leaf_radius * len(targets) ** (1 / MURRAY))])
    pieces = []
    while len(nodes):
        group = len(nodes)
        size = np.bincount(label, minlength=group)
        centre = np.stack([np.bincount(label, targets[:, a], group) for a in range(3)], 1) / size[:, None]
        delta = targets - centre[label]
        moments = np.stack(
            [np.bincount(label, delta[:, a] * delta[:, b], group) for a in range(3) for b in range(3)], 1
        ).reshape(-1, 3, 3)
        widest = np.linalg.eigh(moments)[1][:, :, 2]
        # A cut through a point near the middle; twins of very unequal size look unlike lungs, equal ones like a fan.
        cut = rng.normal(0, 0.22, group) * np.sqrt(np.maximum(np.einsum("gii->g", moments) / size, 0))
        upper = np.einsum("na,na->n", delta, widest[label]) > cut[label]
        child = 2 * label + upper
        count = np.bincount(child, minlength=2 * group)
        middle = (
            np.stack([np.bincount(child, targets[:, a], 2 * group) for a in range(3)], 1)
            / np.maximum(count, 1)[:, None]
        )
        start = np.repeat(nodes, 2, 0)
        # A branch covers a good third of the way to what it serves; a last twig goes all the way.
        share = np.where(count > 1, rng.uniform(0.30, 0.48, 2 * group), 0.9)[:, None]
        stop = start + share * (middle - start)
        stop += rng.normal(0, 0.06, stop.shape) * np.linalg.norm(stop - start, axis=1, keepdims=True)
        thick = np.minimum(leaf_radius * np.maximum(count, 1) ** (1 / MURRAY), np.repeat(radius, 2))
        used = count > 0
        pieces.append(
            Segments(start[used], stop[used], np.minimum(np.repeat(radius, 2), thick * 1.25)[used], thick[used])
        )
        going = count > 1
        # A group that did not split (all targets on one side) ends here as a twig if it cannot get smaller.
        going &= count < np.repeat(size, 2) + (np.repeat(size, 2) > 2)
        number = np.cumsum(going) - 1
        keep = going[child]
        label, targets = number[child][keep], targets[keep]
        nodes, radius = stop[going], thick[going]
    return Segments.joined(pieces)


def paint(
    volume: np.ndarray,
    index_from_patient: np.ndarray,
    patient_from_index: np.ndarray,
    tree: Segments,
    blur_mm: float,
    grow_mm: float = 0.0,
    slice_mm: float = 0.0,
) -> None:
    """Draws ``tree`` into ``volume`` (uint8 ``(z, y, x)``, 255 = voxel filled), keeping the larger value.

    A piece thinner than a voxel is drawn wider and fainter, so that its mass is right at every voxel size.

    Args:
        blur_mm: width of the edges in plane (about a voxel). grow_mm: added to every radius.
        slice_mm: thickness of the slices. A piece that lies within a thick slice fills only a part of it, yet stays
            sharp in plane; one that runs through the slice fills it.
    """
    along_z = np.abs(tree.stop[:, 2] - tree.start[:, 2]) / (np.linalg.norm(tree.stop - tree.start, axis=1) + 1e-9)
    squeeze = min(1.0, blur_mm / max(0.7 * slice_mm, 1e-6))
    if squeeze < 1:
        # Distances along z count less, as the slice averages over them.
        scale = np.array([1, 1, squeeze])
        tree = Segments(tree.start * scale, tree.stop * scale, tree.start_radius, tree.stop_radius)
        stretch = np.diag([1, 1, squeeze, 1.0])
        patient_from_index, index_from_patient = (
            stretch @ patient_from_index,
            index_from_patient @ np.linalg.inv(stretch),
        )
    size = np.array(volume.shape[::-1])
    radius = np.stack([tree.start_radius, tree.stop_radius], 1) + grow_mm
    seen = np.maximum(radius, 0.62 * blur_mm)
    strength = ((radius / seen) ** 2).mean(1)
    share = np.minimum(1, 2 * radius.mean(1) / max(0.8 * slice_mm, 1e-6))
    strength *= share + (1 - share) * along_z if squeeze < 1 else 1
    reach = seen.max(1) + 0.5 * blur_mm
    extent = reach[:, None] * np.abs(index_from_patient[:3, :3]).sum(1)
    a, b = (x @ index_from_patient[:3, :3].T + index_from_patient[:3, 3] for x in (tree.start, tree.stop))
    first = np.maximum(np.ceil(np.minimum(a, b) - extent), 0).astype(int)
    last = np.minimum(np.floor(np.maximum(a, b) + extent), size - 1).astype(int) + 1
    shape = last - first
    # Pieces whose boxes have (about) the same shape are drawn together.
    shape = np.minimum(np.where(shape > 6, -(-shape // 4) * 4, shape), size)
    first = np.minimum(first, size - shape)
    visible = np.flatnonzero((last > np.maximum(first, 0)).all(1) & (first >= 0).all(1))
    shapes, kind = np.unique(shape[visible], axis=0, return_inverse=True)
    affine = patient_from_index[:3, :3].astype(np.float32), patient_from_index[:3, 3]
    for number, box in enumerate(shapes):
        group = visible[kind == number]
        for chunk in np.array_split(group, -(-len(group) * int(box.prod()) // _CHUNK)):
            pieces = Segments(*(getattr(tree, name)[chunk] for name in _FIELDS))
            fill = _fill(pieces, seen[chunk], strength[chunk], first[chunk], box, affine, blur_mm)
            for values, (i, j, k) in zip(fill, first[chunk], strict=True):
                part = volume[k : k + box[2], j : j + box[1], i : i + box[0]]
                np.maximum(part, values, out=part)


_CHUNK = 200_000
_FIELDS = ("start", "stop", "start_radius", "stop_radius")


def _fill(pieces: Segments, seen, strength, first, box, affine, blur_mm: float) -> np.ndarray:
    """How far each piece fills the voxels of its box: uint8 ``(pieces, z, y, x)``."""
    matrix, shift = affine
    steps = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in box[::-1]), indexing="ij")[::-1]
    relative = np.stack([sum(matrix[c, a] * steps[a].ravel() for a in range(3)) for c in range(3)])
    corner = (first @ matrix.T.astype(float) + shift - pieces.start).astype(np.float32)
    axis = (pieces.stop - pieces.start).astype(np.float32)
    delta = [relative[c] + corner[:, c, None] for c in range(3)]
    along = sum(delta[c] * axis[:, c, None] for c in range(3))
    along *= (1 / ((axis**2).sum(1) + 1e-6)).astype(np.float32)[:, None]
    np.clip(along, 0, 1, out=along)
    square = np.float32(0)
    for c in range(3):
        delta[c] -= along * axis[:, c, None]
        square = square + delta[c] * delta[c]
    r0, r1 = seen[:, :1].astype(np.float32), seen[:, 1:].astype(np.float32)
    along *= r1 - r0
    along += r0 - np.sqrt(square)
    along *= np.float32(1 / blur_mm)
    along += np.float32(0.5)
    np.clip(along, 0, 1, out=along)
    along *= (255 * strength).astype(np.float32)[:, None]
    return along.astype(np.uint8).reshape(len(first), *box[::-1])
