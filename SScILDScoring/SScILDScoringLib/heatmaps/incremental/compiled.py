"""The steps between products in compiled passes; see :mod:`.ways` for what each does.

Importing this needs numba. A pass reads and writes every window once; PyTorch's operators do so five to ten times.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch

from . import passes
from .operators import ROWS, ChannelNorm
from .rows import NOWHERE, Ends, Rows
from .windows import KeptMap, Place, Window

log = logging.getLogger(__name__)


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """A tensor's memory for passes: float32, or the bits of bfloat16."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def moved(change: torch.Tensor, own: Place, place: Place, dtype: torch.dtype) -> torch.Tensor:
    """Windows ``(n, h, w, c)`` at another place, zero outside the old ones."""
    result = torch.empty((*place.shape, change.shape[-1]), dtype=dtype)
    passes.moved(array_of(change.contiguous()), *_corners(own), *_corners(place), array_of(result))
    return result


def rectified(change: torch.Tensor, before: KeptMap, place: Place) -> torch.Tensor:
    """What a ReLU makes of a change."""
    result = torch.empty(change.shape)
    passes.rectified(array_of(change), *_corners(place), before.side, array_of(before.rows), array_of(result))
    return result


def normed_patches(
    kept: KeptMap,
    kept_normed: KeptMap,
    window: Window,
    around: Place,
    norm: ChannelNorm,
    size: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """What a norm makes of a change, in patches for a product. The norm has no affine part."""
    n, height, width = around.shape
    result = torch.empty((n, height // size, width // size, size * size * window.change.shape[-1]), dtype=dtype)
    passes.normed_patches(
        array_of(window.change),
        *_corners(window.place),
        array_of(kept.rows),
        array_of(kept_normed.rows),
        kept.side,
        norm.epsilon,
        *_corners(around),
        size,
        array_of(result),
    )
    return result


class CompiledRows(Rows):
    """Such rows found, normed and written for the products in one pass, and added in another."""

    def changed(self) -> tuple[torch.Tensor, Ends | None]:
        flat = array_of(self._change.view(-1, self._change.shape[-1]))
        kept = array_of(self._kept.made.rows)
        ends = np.tile(np.array([NOWHERE, -NOWHERE, NOWHERE, -NOWHERE]), (self._place.shape[0], 1))
        for numbers, cells, made in self._chunks(ends, hidden=False):
            passes.add_rows(array_of(made), kept, numbers, cells, flat)
        top, left = _corners(self._place)
        return self._change, Ends(top + ends[:, 0], top + ends[:, 1], left + ends[:, 2], left + ends[:, 3])

    def hidden(self) -> torch.Tensor:
        n, height, width = self._place.shape
        kept = array_of(self._kept.made.rows)
        sums = torch.zeros((n, kept.shape[1]))
        for numbers, cells, made in self._chunks(np.zeros((n, 4), np.int64), hidden=True):
            passes.sum_rows(array_of(made), kept, numbers, cells, height * width, array_of(sums))
        return sums

    def _chunks(self, ends: np.ndarray, hidden: bool) -> Iterator[tuple[np.ndarray, np.ndarray, torch.Tensor]]:
        """Numbers of rows, their cells of the map and what the block makes of them, chunk by chunk."""
        kernel, kept = self._kernel, self._kept
        mixed = kernel.mixed_change(self._change)
        change, all_rows = array_of(mixed), mixed[..., 0].numel()
        unseen = -1.0 if self._unseen is None else self._unseen
        most = min(kernel.chunk, -(-all_rows // ROWS) * ROWS)
        numbers, cells = np.empty((2, most), np.int64)
        rows = torch.zeros((most, mixed.shape[-1]), dtype=kernel.dtype)  # what no row is written to stays a number
        place = (*_corners(self._place), kept.mixed.side)
        values = array_of(kept.mixed.rows), array_of(kept.spread)
        limits, targets = (unseen, kernel.epsilon), (numbers, cells, ends, array_of(rows))
        first = 0
        while first < all_rows:
            count, first = passes.seen_rows(change, *place, *values, *limits, first, *targets)
            if count:
                made = kernel.made(rows[: -(-count // ROWS) * ROWS], hidden)
                yield numbers[:count], cells[:count], made


def _corners(place: Place) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(place.rows.starts, np.int64), np.ascontiguousarray(place.columns.starts, np.int64)


def is_right() -> bool:
    """Whether the processor's passes give what they should: numba compiles them now, unless it has kept them."""
    generator = np.random.default_rng(0)
    change = torch.from_numpy(generator.standard_normal((2, 4, 5, 24)).astype(np.float32))
    change[0, 1] = 0
    mixed = torch.from_numpy(generator.standard_normal((100, 24)).astype(np.float32))
    tops, lefts = np.array([[0, 6], [5, 1]])
    spread = np.full(100, np.sqrt(24), np.float32)
    for dtype, error in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        numbers, cells = np.zeros((2, 64), np.int64)
        ends, rows = np.tile([9, 0, 9, 0], (2, 1)), torch.zeros((64, 24), dtype=dtype)
        given = (array_of(change.to(dtype)), tops, lefts, 10, array_of(mixed), spread, 0.01, 1e-6, 0)
        try:
            count, _ = passes.seen_rows(*given, numbers, cells, ends, array_of(rows))
        except passes.NumbaError as problem:
            log.warning("numba: %s", problem)
            return False
        wanted = torch.nn.functional.layer_norm(
            mixed[cells[:count]] + change.view(-1, 24)[numbers[:count]], (24,), eps=1e-6
        )
        if count != 35 or (rows[:count].float() - wanted).abs().max() > error * wanted.abs().max():
            return False
    return True
