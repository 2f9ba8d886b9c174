"""How others compute occlusion maps of a slice: the published loop, MONAI's and Captum's classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext, suppress

import numpy as np
import torch

STEP = 16
MASK = 64


class Enough(Exception):
    """Ends a library's run after a sample of it."""


class Counted(torch.nn.Module):
    """A network that counts the images it is given, and ends the run when it has seen enough.

    Args:
        network: what it passes images on to.
        limit: raises :class:`Enough` when so many images have been answered; None goes on for ever.
        flat: answers of one image as a flat row, which is how Captum explains several outputs at once.
    """

    def __init__(self, network: torch.nn.Module, limit: int | None = None, flat: bool = False) -> None:
        super().__init__()
        self.network, self.limit, self.flat, self.seen = network, limit, flat, 0
        self.eval()  # libraries put a network back into the mode of what they were given

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = self.network(x)
        self.seen += len(x)
        if self.limit is not None and self.seen >= self.limit:
            raise Enough
        return answer.flatten() if self.flat else answer


def published_corners(side: int) -> list[tuple[int, int]]:
    """Top-left corners of all patches of the published loop: 1024 of them in a slice of 512 pixels."""
    return [(y, x) for y in range(0, side, STEP) for x in range(0, side, STEP)]


def library_positions(side: int) -> int:
    """Positions of MONAI's and Captum's windows, which stay inside the slice: 841 in one of 512 pixels.

    Captum looks at the untouched slice as well, MONAI takes it along for nothing.
    """
    return ((side - MASK) // STEP + 1) ** 2


def evenly(corners: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """``count`` corners, evenly spread over all."""
    return [corners[n] for n in np.linspace(0, len(corners) - 1, min(count, len(corners))).round().astype(int)]


def published_loop(
    network: torch.nn.Module,
    hu: np.ndarray,
    lung: np.ndarray,
    texture: np.ndarray,
    corners: Sequence[tuple[int, int]],
    gradients: bool = True,
) -> np.ndarray:
    """The loop of the publication: one network run for every position, whether its patch touches lung or not.

    The patch's mask, cropped by the lung, is blurred with a 5x5 box over the whole slice; the network runs in
    float32 with a batch of one, and as published nobody switches the gradients off: with a network whose parameters
    want gradients every run records its graph.

    Raises:
        ValueError: ``gradients`` of a network whose parameters want none.

    Returns:
        The map, float32 ``(3, y, x)``.
    """
    from scipy.ndimage import uniform_filter

    device = next(network.parameters()).device
    if gradients and not all(p.requires_grad for p in network.parameters()):
        raise ValueError("The published loop's network wants gradients; this one has them switched off.")

    def run(image: np.ndarray) -> torch.Tensor:
        scaled = (np.clip(image, -1500, 1500) + 1500) / 3000
        return network(torch.from_numpy(scaled.astype(np.float32))[None, None].to(device))[0]

    sums, counts = np.zeros((3, *hu.shape)), np.zeros(hu.shape)
    with nullcontext() if gradients else torch.no_grad():
        baseline = run(hu)
        for y, x in corners:
            square = np.zeros(hu.shape, np.float32)
            square[y : y + MASK, x : x + MASK] = 1
            mask = square * lung
            soft = uniform_filter(mask, 5)
            filling = np.zeros((hu.shape[0] + 2 * MASK, hu.shape[1] + 2 * MASK), np.float32)
            margin = (texture.shape[0] - MASK) // 2
            top, left = y + MASK - margin, x + MASK - margin
            filling[top : top + texture.shape[0], left : left + texture.shape[1]] = texture
            filling = filling[MASK:-MASK, MASK:-MASK]
            change = (run(hu * (1 - soft) + filling * soft) - baseline).detach().cpu().numpy()
            sums += change[:, None, None] * mask
            counts += mask
    return (sums / np.maximum(counts, 1)).astype(np.float32)


def monai_occlusion(network: torch.nn.Module, prepared: torch.Tensor, limit: int | None = None, n_batch: int = 16):
    """MONAI's OcclusionSensitivity on ``(1, 1, y, x)``; returns how many images the network saw."""
    from monai.visualize import OcclusionSensitivity

    counted = Counted(network, limit)
    occlusion = OcclusionSensitivity(counted, mask_size=MASK, n_batch=n_batch, overlap=1 - STEP / MASK, verbose=False)
    with suppress(Enough), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own indexing
        occlusion(prepared)
    return counted.seen


def captum_occlusion(network: torch.nn.Module, prepared: torch.Tensor, limit: int | None = None) -> int:
    """Captum's Occlusion on ``(1, 1, y, x)``, all outputs at once; returns how many images the network saw."""
    from captum.attr import Occlusion

    counted = Counted(network, limit, flat=True)
    with suppress(Enough):
        Occlusion(counted).attribute(prepared, (1, MASK, MASK), strides=(1, STEP, STEP), baselines=0.0)
    return counted.seen
