"""Heat maps by recomputing, in every layer, only the window that a patch changes; exact, and several times faster.

A convolution network's feature maps change only near the patch. The untouched slice's maps are kept; for a patch,
every step gets the changed window with as much of the kept map around it as it looks at, and the window grows from
step to step. Nothing is left out, so that the answer is the network's own, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..networks.layout import Step
from ..slice_network import SliceNetwork
from .replacement import patch_windows
from .reporting import Outcome
from .slice_input import LocalInput


@dataclass(frozen=True)
class Span:
    """A stretch of one length along an axis for every patch: ``size`` cells from ``starts[patch]``."""

    starts: np.ndarray
    size: int


@dataclass(frozen=True)
class Route:
    """What a change meets on its way through the network, along one axis.

    Args:
        windows: of the input and of every step's output, the cells that may change.
        crops: of every step's input, the cells that are read to compute the next window.
    """

    windows: tuple[Span, ...]
    crops: tuple[Span, ...]


def route_along(steps: Sequence[Step], sizes: Sequence[int], first: np.ndarray, last: np.ndarray) -> Route:
    """The way of all patches along one axis.

    Windows of all patches get one length, so that patches are computed together; at the border of the image a window
    is shifted inwards and holds some cells that do not change. A crop ends at the border of the image, where the
    zeros that a convolution adds belong, or reaches so far that what is wrong at its end stays outside the window.

    Args:
        steps: from input to feature map.
        sizes: cells along the axis of the input and of every step's output.
        first, last: for every patch the first changed input cell, and the one behind the last.
    """
    windows = [_span(first, last, sizes[0])]
    crops = []
    for step, size, size_out in zip(steps, sizes, sizes[1:], strict=False):
        kernel, stride, padding = step.kernel, step.stride, step.padding
        first = np.clip(-((kernel - 1 - padding - first) // stride), 0, size_out)
        last = np.clip((last - 1 + padding) // stride + 1, first, size_out)
        window = _span(first, last, size_out)
        length = (window.size - 1) * stride + kernel + stride - 1
        # Both ends of the map can be reached by whole strides.
        length = size - max((size - length) // stride, 0) * stride
        starts = np.clip((window.starts * stride - padding) // stride * stride, 0, size - length)
        windows.append(window)
        crops.append(Span(starts, length))
    return Route(tuple(windows), tuple(crops))


def _span(first: np.ndarray, last: np.ndarray, size: int) -> Span:
    length = max(int((last - first).max(initial=1)), 1)
    return Span(np.clip(first, 0, size - length), length)


class WindowedNetwork:
    """A network whose kept maps of one slice answer what changed windows do to its scores.

    Args:
        network: the S-Net; it describes itself as ``steps()`` and ``head(features)``.
        untouched: the prepared slice, float32 ``(size, size)``.
        places: rows and columns of the window of the input that each patch changes.
    """

    def __init__(self, network: SliceNetwork, untouched: np.ndarray, places: Sequence[tuple[slice, slice]]) -> None:
        self._device = network.device
        self._head = network.network.head
        self._steps = merged(network.network.steps())
        self._places = places
        with torch.inference_mode():
            features = torch.as_tensor(untouched, dtype=torch.float32)[None, None].to(self._device)
            self._maps = [features[0]]
            for step in self._steps:
                features = step.module(features.clone())  # a module may work in place
                self._maps.append(features[0])
        self._rows = self._route([rows for rows, _ in places], 1)
        self._columns = self._route([columns for _, columns in places], 2)

    def _route(self, slices: Sequence[slice], axis: int) -> Route:
        first = np.array([s.start for s in slices], int)
        last = np.array([s.stop for s in slices], int)
        return route_along(self._steps, [m.shape[axis] for m in self._maps], first, last)

    def run(self, patches: Sequence[int], values: Sequence[np.ndarray]) -> np.ndarray:
        """Scores, float64 ``(n, 3)``, each with one patch in the slice.

        Args:
            patches: numbers of the patches in ``places``.
            values: for each the new values of its window, float32.
        """
        with torch.inference_mode():
            changed = torch.from_numpy(self._input_windows(patches, values)).to(self._device)
            for n, step in enumerate(self._steps):
                changed = self._through(step, n, changed, patches)
            y, x = self._rows.windows[-1], self._columns.windows[-1]
            features = self._maps[-1].expand(len(patches), *self._maps[-1].shape).clone()
            for i, patch in enumerate(patches):
                top, left = y.starts[patch], x.starts[patch]
                features[i, :, top : top + y.size, left : left + x.size] = changed[i]
            return self._head(features).float().cpu().numpy().astype(float)

    def _input_windows(self, patches: Sequence[int], values: Sequence[np.ndarray]) -> np.ndarray:
        """The windows of the input with the patches in them: float32 ``(n, 1, h, w)``."""
        image = self._maps[0][0].cpu().numpy()
        y, x = self._rows.windows[0], self._columns.windows[0]
        windows = np.empty((len(patches), 1, y.size, x.size), np.float32)
        for window, patch, new in zip(windows[:, 0], patches, values, strict=True):
            top, left = y.starts[patch], x.starts[patch]
            window[:] = image[top : top + y.size, left : left + x.size]
            rows, columns = self._places[patch]
            window[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = new
        return windows

    def _through(self, step: Step, n: int, changed: torch.Tensor, patches: Sequence[int]) -> torch.Tensor:
        """Windows of the output of step number ``n`` from the windows of its input, ``(patches, channels, h, w)``."""
        kept = self._maps[n]
        crops = (self._rows.crops[n], self._columns.crops[n])
        before = (self._rows.windows[n], self._columns.windows[n])
        after = (self._rows.windows[n + 1], self._columns.windows[n + 1])
        read = torch.empty((len(patches), kept.shape[0], crops[0].size, crops[1].size), device=kept.device)
        for i, patch in enumerate(patches):
            top, left = (crop.starts[patch] for crop in crops)
            read[i] = kept[:, top : top + crops[0].size, left : left + crops[1].size]
            to_y, from_y = _overlap(crops[0], before[0], patch)
            to_x, from_x = _overlap(crops[1], before[1], patch)
            read[i, :, to_y, to_x] = changed[i, :, from_y, from_x]
        answer = step.module(read)
        height, width = after[0].size, after[1].size
        windows = torch.empty((len(patches), answer.shape[1], height, width), device=kept.device)
        for i, patch in enumerate(patches):
            skip_y = after[0].starts[patch] - crops[0].starts[patch] // step.stride
            skip_x = after[1].starts[patch] - crops[1].starts[patch] // step.stride
            windows[i] = answer[i, :, skip_y : skip_y + height, skip_x : skip_x + width]
        return windows


def _overlap(crop: Span, window: Span, patch: int) -> tuple[slice, slice]:
    """Where a crop and a window of the same map overlap, counted in the crop and in the window."""
    start = max(crop.starts[patch], window.starts[patch])
    stop = max(min(crop.starts[patch] + crop.size, window.starts[patch] + window.size), start)
    in_crop, in_window = start - crop.starts[patch], start - window.starts[patch]
    return slice(in_crop, in_crop + stop - start), slice(in_window, in_window + stop - start)


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


def windowed_heat_maps(work) -> Outcome:
    """An engine as :mod:`.engines` describes them, for networks that describe themselves."""
    slice_input = LocalInput(work.hu, work.network)
    outcome = Outcome(work.network.run(slice_input.untouched[None])[0])
    windows = list(patch_windows(work.sums.lung, work.settings, work.texture))
    if not windows:
        return outcome
    changes = [slice_input.changed(window) for window in windows]
    windowed = WindowedNetwork(work.network, slice_input.untouched, [(rows, columns) for rows, columns, _ in changes])
    batch_size = work.batch_size or (8 if work.network.device.type == "cpu" else 64)
    for start in range(0, len(windows), batch_size):
        work.report.batch(start, len(windows), outcome)
        batch = range(start, min(start + batch_size, len(windows)))
        answers = windowed.run(batch, [changes[n][2] for n in batch])
        for n, answer in zip(batch, answers, strict=True):
            work.sums.add(windows[n].rows, windows[n].columns, windows[n].covers, answer - outcome.baseline)
    work.report.batch(len(windows), len(windows), outcome)
    return outcome
