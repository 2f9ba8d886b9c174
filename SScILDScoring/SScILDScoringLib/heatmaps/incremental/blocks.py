"""Wide blocks on windows: only rows whose change the arithmetic can see go through the products.

Far from a patch the normed values of a cell change by less than rounding may move them. Multiplying such a row again
gives the noise of two roundings and little else; its branch stays what it was.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from .kernels import WideBlockKernel
from .reading import KeptMap
from .route import Span

UNSEEN = 2.0**-8
"""Change of a normed row, as a share of the row (root mean squares over the channels), up to which it counts as
unchanged in bf16: the largest share by which rounding to bf16 moves a number."""

MOST = 0.95
"""Share of the rows from which picking them is not worth the trouble."""


class KeptBlock:
    """What a wide block made of the untouched slice.

    Args:
        kernel: the block.
        crop: its input with the padding around it, ``(side + k - 1, side + k - 1, c)``.
        hidden: whether the wide rows are kept, and not the branch: for the last block in front of a mean.
    """

    def __init__(self, kernel: WideBlockKernel, crop: torch.Tensor, hidden: bool) -> None:
        normed = kernel.normed(crop[None])[0]
        rows = normed.reshape(-1, normed.shape[-1])
        made = (kernel.hidden if hidden else kernel.branch)(rows).view(*normed.shape[:2], -1)
        self.normed = KeptMap(normed, 0)
        self.branch = self.hidden = KeptMap(made, 0)

    def add_branch(
        self,
        kernel: WideBlockKernel,
        values: torch.Tensor,
        normed: torch.Tensor,
        rows: Span,
        columns: Span,
        unseen: float | None,
    ) -> torch.Tensor | None:
        """Adds the block's branch to the windows ``values (n, h, w, c)`` of its input, in place.

        Args:
            kernel: the block.
            values: the input.
            normed: of the same cells.
            rows, columns: where they lie.
            unseen: rows that change by so much at most keep their branch; None computes all.

        Returns:
            Boolean ``(n, h, w)``: the cells whose branch changed; None for all.
        """
        flat = normed.view(-1, normed.shape[-1])
        seen = None
        if unseen is not None:
            changes = self._changes(normed, rows, columns, unseen)
            seen = changes.flatten().nonzero().flatten()
        if seen is None or len(seen) > MOST * len(flat):
            branch = kernel.branch(flat)
        else:
            kept = self.branch.parts(rows, columns, False)
            branch = kept.reshape(flat.shape) if len(kept) > 1 else kept.clone().view(flat.shape)
            if len(seen):
                branch.index_copy_(0, seen, kernel.branch(flat.index_select(0, seen)))
        values.view(flat.shape).add_(branch)
        return None if seen is None else changes

    def change_of_hidden(
        self, kernel: WideBlockKernel, normed: torch.Tensor, rows: Span, columns: Span, unseen: float | None
    ) -> torch.Tensor:
        """What the wide rows of windows change, summed over the cells: float32 ``(n, 4 c)``."""
        n, cells = len(normed), rows.size * columns.size
        flat = normed.view(n * cells, -1)
        kept = self.hidden.parts(rows, columns, n > 1 and flat.device.type != "cpu")
        if unseen is None:
            wide = kernel.hidden(flat).view(n, cells, -1)
            return wide.sum(1, dtype=torch.float32) - kept.sum((1, 2), dtype=torch.float32)
        seen = self._changes(normed, rows, columns, unseen).flatten().nonzero().flatten()
        if not len(seen):
            return flat.new_zeros((n, kept.shape[-1]), dtype=torch.float32)
        wide = kernel.hidden(flat.index_select(0, seen))
        change = wide.new_zeros((n, wide.shape[-1]), dtype=torch.float32)
        ends = torch.searchsorted(seen, torch.arange(n + 1) * cells).tolist()
        for position, (start, stop) in enumerate(pairwise(ends)):
            old = kept[position].reshape(cells, -1).index_select(0, seen[start:stop] - position * cells)
            change[position] = (wide[start:stop] - old).sum(0, dtype=torch.float32)
        return change

    def _changes(self, normed: torch.Tensor, rows: Span, columns: Span, unseen: float) -> torch.Tensor:
        """Boolean ``(n, h, w)``: cells that change by more than ``unseen``."""
        found = [
            torch.linalg.vector_norm(window - self.normed.part(rows, columns, n), dim=-1)
            for n, window in enumerate(normed)
        ]
        return torch.stack(found) > unseen * normed.shape[-1] ** 0.5


def ends_of(seen: torch.Tensor, place: Span, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """First cell of a map and the one behind the last that ``seen (n, h, w)`` marks in windows, along an axis.

    Args:
        seen: in windows.
        place: where the windows lie along the axis.
        dim: the other axis of ``seen``, 2 for rows and 1 for columns.
    """
    marked = seen.any(dim).cpu().numpy()
    first, last = marked.argmax(1), marked.shape[1] - marked[:, ::-1].argmax(1)
    nothing = ~marked.any(1)
    # Where nothing is marked, ends that no smallest and no largest value takes notice of.
    first, last = np.where(nothing, 1 << 30, first), np.where(nothing, -(1 << 30), last)
    return place.starts + first, place.starts + last
