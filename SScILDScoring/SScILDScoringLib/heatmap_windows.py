"""Heat maps by recomputing, in every layer, only the window that a patch changes; exact, and several times faster.

A convolution network's feature maps change only near the patch. The untouched slice's maps are kept; for a patch,
every step gets the changed window with as much of the kept map around it as it looks at, and the window grows from
step to step. Nothing is left out, so that the answer is the network's own, up to rounding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .heatmap_input import LocalInput
from .heatmap_sums import MapSums
from .networks.layout import Step
from .progress import Progress, silent
from .replacement import HeatMapSettings, PatchWindow, patch_windows
from .slice_network import SliceNetwork


@dataclass(frozen=True)
class Crop:
    """One step along one axis: which cells it reads, where the changed ones lie there, and what it changes.

    Args:
        start, stop: the cells read from the step's input map.
        paste: where the changed cells begin among those read.
        skip: cells of the answer in front of the first changed one; they lack what lies outside of the crop.
        keep: changed cells of the step's output map.
    """

    start: int
    stop: int
    paste: int
    skip: int
    keep: int


def crops_along(steps: Sequence[Step], sizes: Sequence[int], first: int, last: int) -> tuple[list[Crop], int]:
    """The crops of all steps along one axis when the input cells ``first`` (included) to ``last`` (not) change.

    Args:
        steps: from input to feature map.
        sizes: cells along the axis of the input and of every step's output.

    Returns:
        One crop a step, and the first changed cell of the feature map. Fewer crops than steps when the change ends
        in a step (a pooling that drops the last row).
    """
    crops = []
    for step, size, size_out in zip(steps, sizes, sizes[1:], strict=False):
        kernel, stride, padding = step.kernel, step.stride, step.padding
        out_first = max(-((kernel - 1 - padding - first) // stride), 0)
        out_last = min((last - 1 + padding) // stride + 1, size_out)
        if out_first >= out_last:
            return crops, first
        start = max((out_first * stride - padding) // stride, 0) * stride
        stop = min((out_last - 1) * stride - padding + kernel, size)
        # A stride larger than the kernel may leave changed cells unread, and an edge may be read beyond them.
        start, stop = min(start, first // stride * stride), max(stop, last)
        crops.append(Crop(start, stop, first - start, out_first - start // stride, out_last - out_first))
        first, last = out_first, out_last
    return crops, first


class WindowedNetwork:
    """A network whose kept maps of one slice answer what a changed window does to its scores.

    Args:
        network: the S-Net; it describes itself as ``steps()`` and ``head(features)``.
        untouched: the prepared slice, float32 ``(size, size)``.
    """

    def __init__(self, network: SliceNetwork, untouched: np.ndarray) -> None:
        self._device = network.device
        self._head = network.network.head
        self._steps = merged(network.network.steps())
        with torch.inference_mode():
            features = torch.as_tensor(untouched, dtype=torch.float32)[None, None].to(self._device)
            self._maps = []
            for step in self._steps:
                self._maps.append(features[0])
                features = step.module(features.clone())
            self._features = features[0]
        self._rows = [m.shape[1] for m in (*self._maps, self._features)]
        self._columns = [m.shape[2] for m in (*self._maps, self._features)]
        self._plans = {}

    def plan(self, rows: slice, columns: slice) -> tuple[list[Crop], int, list[Crop], int]:
        """The crops along y and along x of a changed window of the input."""
        key = (rows.start, rows.stop, columns.start, columns.stop)
        if key not in self._plans:
            along_y = crops_along(self._steps, self._rows, rows.start, rows.stop)
            along_x = crops_along(self._steps, self._columns, columns.start, columns.stop)
            self._plans[key] = (*along_y, *along_x)
        return self._plans[key]

    def shape_of(self, rows: slice, columns: slice) -> tuple:
        """Windows of the same shape can be computed together: only their place differs."""
        along_y, _, along_x, _ = self.plan(rows, columns)
        return (*tuple((c.stop - c.start, c.paste, c.skip, c.keep) for c in (*along_y, *along_x)), len(along_y))

    def run(self, places: Sequence[tuple[slice, slice]], windows: np.ndarray) -> np.ndarray:
        """Scores, float64 ``(n, 3)``, with windows of one shape changed, each alone.

        Args:
            places: rows and columns of each window in the network's input.
            windows: float32 ``(n, h, w)``, the windows' new values.
        """
        plans = [self.plan(*place) for place in places]
        with torch.inference_mode():
            changed = torch.as_tensor(windows, dtype=torch.float32)[:, None].to(self._device)
            features = self._features.expand(len(places), *self._features.shape).clone()
            if len(plans[0][0]) == len(plans[0][2]) == len(self._steps):
                for n, (step, kept) in enumerate(zip(self._steps, self._maps, strict=True)):
                    changed = self._changed_by(step, kept, changed, [(p[0][n], p[2][n]) for p in plans])
                height, width = changed.shape[2:]
                for n, (_, y, _, x) in enumerate(plans):
                    features[n, :, y : y + height, x : x + width] = changed[n]
            return self._head(features).float().cpu().numpy().astype(float)

    @staticmethod
    def _changed_by(
        step: Step, kept: torch.Tensor, changed: torch.Tensor, crops: Sequence[tuple[Crop, Crop]]
    ) -> torch.Tensor:
        y, x = crops[0]
        read = torch.stack([kept[:, a.start : a.stop, b.start : b.stop] for a, b in crops])
        read[:, :, y.paste : y.paste + changed.shape[2], x.paste : x.paste + changed.shape[3]] = changed
        return step.module(read)[:, :, y.skip : y.skip + y.keep, x.skip : x.skip + x.keep]


def merged(steps: Iterable[Step]) -> list[Step]:
    """The steps with norms and activations taken into the step in front of them."""
    result: list[Step] = []
    for step in steps:
        pointwise = (step.kernel, step.stride, step.padding) == (1, 1, 0)
        if pointwise and result:
            before = result.pop()
            step = Step(before.name, nn.Sequential(before.module, step.module), *reach_of(before))
        result.append(step)
    return result


def reach_of(step: Step) -> tuple[int, int, int]:
    """Kernel, stride and padding of a step."""
    return step.kernel, step.stride, step.padding


def can_be_windowed(network: SliceNetwork) -> bool:
    """Whether the network describes itself as steps that see a bounded neighbourhood, and a head."""
    return hasattr(network.network, "steps") and hasattr(network.network, "head")


def windowed_heat_maps(
    hu: np.ndarray,
    network: SliceNetwork,
    settings: HeatMapSettings,
    texture: np.ndarray,
    sums: MapSums,
    progress: Progress = silent,
    batch_size: int | None = None,
) -> np.ndarray:
    """An engine as :mod:`.heatmap_engines` describes them, for networks that describe themselves."""
    slice_input = LocalInput(hu, network)
    baseline = network.run(slice_input.untouched[None])[0]
    windowed = WindowedNetwork(network, slice_input.untouched)
    batch_size = batch_size or (8 if network.device.type == "cpu" else 64)
    groups: dict[tuple, list[tuple[PatchWindow, tuple[slice, slice], np.ndarray]]] = defaultdict(list)
    for window in patch_windows(sums.lung, settings, texture):
        rows, columns, values = slice_input.changed(window)
        groups[windowed.shape_of(rows, columns)].append((window, (rows, columns), values))
    count = sum(map(len, groups.values()))
    for group in groups.values():
        for start in range(0, len(group), batch_size):
            progress("heat_maps", sums.patches / count, f"Heat map: position {sums.patches + 1} of {count}")
            members = group[start : start + batch_size]
            answers = windowed.run([place for _, place, _ in members], np.stack([values for _, _, values in members]))
            for (window, _, _), answer in zip(members, answers, strict=True):
                sums.add(window.rows, window.columns, window.covers, answer - baseline)
    progress("heat_maps", 1.0, "Heat map done")
    return baseline
