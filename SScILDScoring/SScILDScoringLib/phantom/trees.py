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
) -> None:
    """Draws ``tree`` into ``volume`` (uint8 ``(z, y, x)``, 255 = voxel filled), keeping the larger value.

    A piece thinner than a voxel is drawn wider and fainter, so that its mass is right at every voxel size.

    Args:
        blur_mm: width of the edges (about a voxel). grow_mm: added to every radius.
    """
    affine = patient_from_index[:3, :3].astype(np.float32)
    shift = patient_from_index[:3, 3]
    absolute = np.abs(index_from_patient[:3, :3])
    size = np.array(volume.shape[::-1])
    radius = np.stack([tree.start_radius, tree.stop_radius], 1) + grow_mm
    seen = np.maximum(radius, 0.62 * blur_mm)
    strength = (radius / seen) ** 2
    reach = seen.max(1) + 0.5 * blur_mm
    to_index = index_from_patient[:3, :3].T
    a, b = (x @ to_index + index_from_patient[:3, 3] for x in (tree.start, tree.stop))
    extent = reach[:, None] * absolute.sum(1)
    first = np.maximum(np.ceil(np.minimum(a, b) - extent), 0).astype(int)
    last = np.minimum(np.floor(np.maximum(a, b) + extent), size - 1).astype(int) + 1
    axis = (tree.stop - tree.start).astype(np.float32)
    length2 = (axis**2).sum(1) + np.float32(1e-6)
    inverse = np.float32(1 / blur_mm)
    for s in np.flatnonzero((last > first).all(1)):
        (i0, j0, k0), (i1, j1, k1) = first[s], last[s]
        i = np.arange(i0, i1, dtype=np.float32)[None, None, :]
        j = np.arange(j0, j1, dtype=np.float32)[None, :, None]
        k = np.arange(k0, k1, dtype=np.float32)[:, None, None]
        origin = (shift - tree.start[s]).astype(np.float32)
        dx, dy, dz = (affine[c, 0] * i + affine[c, 1] * j + (affine[c, 2] * k + origin[c]) for c in range(3))
        ux, uy, uz = axis[s]
        along = np.clip((dx * ux + dy * uy + dz * uz) * (1 / length2[s]), 0, 1)
        dx = dx - along * ux
        dy = dy - along * uy
        dz = dz - along * uz
        distance = np.sqrt(dx * dx + dy * dy + dz * dz)
        r0, r1 = seen[s]
        fill = np.clip((np.float32(r0) + along * np.float32(r1 - r0) - distance) * inverse + np.float32(0.5), 0, 1)
        fill *= np.float32(255 * strength[s].mean())
        part = volume[k0:k1, j0:j1, i0:i1]
        np.maximum(part, fill.astype(np.uint8), out=part)
