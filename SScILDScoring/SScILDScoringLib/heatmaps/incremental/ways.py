"""How the steps between products are done: by PyTorch's operators, on any device, or in compiled passes on a CPU.

All ways give the same answers, up to rounding.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .crew import in_crew
from .operators import ChannelNorm
from .rows import Rows
from .windows import KeptMap, Place, Window, by_index, one_by_one

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ways:
    """What layers on windows are made of besides products and convolutions.

    Args:
        moved: windows at other places, see :func:`.windows.one_by_one`.
        rows: the rows of wide blocks, see :class:`.rows.Rows`.
        rectified: see :func:`rectified`.
        normed_patches: see :func:`normed_patches`.
    """

    moved: Callable[..., torch.Tensor]
    rows: type[Rows]
    rectified: Callable[..., torch.Tensor]
    normed_patches: Callable[..., torch.Tensor]


def rectified(change: torch.Tensor, before: KeptMap, place: Place) -> torch.Tensor:
    """What a ReLU makes of a change, float32 ``(n, h, w, c)``, ``before`` being the map in front of it."""
    values = before.at(place)
    untouched = values.relu()
    return values.add_(change).relu_().sub_(untouched)


def normed_patches(
    kept: KeptMap,
    kept_normed: KeptMap,
    window: Window,
    around: Place,
    norm: ChannelNorm,
    size: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """What a norm makes of a change, in patches for a product.

    Args:
        kept, kept_normed: the map, without and with the norm.
        window: its change.
        around: what is read of it: whole patches.
        norm: the norm.
        size: cells of a patch along an axis.
        dtype: of the product.

    Returns:
        ``(n, patches along y, patches along x, size * size * c)``.
    """
    normed = norm(kept.at(window.place).add_(window.change)).sub_(kept_normed.at(window.place))
    return patches_of(Window(normed, window.place, window.moved).at(around, dtype), size)


def patches_of(x: torch.Tensor, size: int) -> torch.Tensor:
    """Maps ``(n, h, w, c)`` in patches: ``(n, h / size, w / size, size * size * c)``."""
    n, height, width, channels = x.shape
    patches = x.reshape(n, height // size, size, width // size, size, channels).transpose(2, 3)
    return patches.reshape(n, height // size, width // size, size * size * channels)


ONE_BY_ONE = Ways(one_by_one, Rows, rectified, normed_patches)
BY_INDEX = Ways(by_index, Rows, rectified, normed_patches)


@functools.cache
def compiled_ways() -> Ways | None:
    """Compiled passes, where numba is installed and does what it should."""
    try:
        from . import compiled
    except (ImportError, OSError) as error:
        log.info("Heat maps without compiled passes: %s", error)
        return None
    if not compiled.is_right():
        log.warning("Heat maps without compiled passes: numba does not give what it should on this computer.")
        return None
    return Ways(compiled.moved, compiled.CompiledRows, compiled.rectified, compiled.normed_patches)


def ways_for(device: torch.device, tick: Callable[[], None]) -> Ways:
    """The fastest ways on a device. ``tick`` is called while they are made ready, and may cancel by raising."""
    if device.type != "cpu":
        return BY_INDEX
    ((_, ways),) = in_crew([None], lambda task, check: compiled_ways(), 1, tick)
    return ways or ONE_BY_ONE
