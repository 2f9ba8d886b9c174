"""What layers are made of, ready to run: weights packed for the device.

Operators work on rows ``(m, c)`` or on maps ``(n, h, w, c)``. On a CPU with oneDNN weights are packed once and GELU is
fused into the product; elsewhere, and where PyTorch lacks these operators, the same is said with ordinary ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

ROWS = 32
"""Products get a multiple of so many rows: every new number of rows costs oneDNN milliseconds of preparation."""

PACKED_ROWS = 4096
"""For how many rows weights are packed; any number works with them."""


def precisely(parameter: torch.Tensor) -> torch.Tensor:
    """A parameter in double precision, to be folded: on the CPU, because not every device has that."""
    return parameter.detach().cpu().double()


def can_pack(device: torch.device) -> bool:
    """Whether oneDNN's packed and fused operators are there."""
    return (
        device.type == "cpu" and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class Linear:
    """``x @ weight.T + bias`` on rows ``(m, c)``, with GELU where wanted; the bias may be None."""

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._weight = weight.to(dtype).to(device).contiguous()
        self._bias = None if bias is None else bias.to(dtype).to(device).contiguous()
        self._packed = can_pack(device)
        if self._packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight, PACKED_ROWS)

    def __call__(self, x: torch.Tensor, gelu: bool = False) -> torch.Tensor:
        if not self._packed:
            y = F.linear(x, self._weight, self._bias)
            return F.gelu(y) if gelu else y
        activation = ("gelu", [], "none") if gelu else ("none", [], "")
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, *activation)


class ChannelNorm:
    """LayerNorm over the channels in float32, with its affine part or without."""

    def __init__(self, norm: torch.nn.LayerNorm, affine: bool, device: torch.device) -> None:
        # Ones and zeros instead of nothing: without them PyTorch's kernel for float32 takes twice as long.
        weight, bias = norm.weight.detach(), norm.bias.detach()
        self._weight = (weight if affine else torch.ones_like(weight)).to(device, torch.float32)
        self._bias = (bias if affine else torch.zeros_like(bias)).to(device, torch.float32)
        self.epsilon = norm.eps

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], self._weight, self._bias, self.epsilon)


class Convolve:
    """A convolution on ``(n, h, w, c)``; the bias may be None."""

    def __init__(
        self,
        convolution: torch.nn.Conv2d,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._stride, self._groups = list(convolution.stride), convolution.groups
        self._weight = weight.to(dtype).to(device).contiguous(memory_format=torch.channels_last)
        self._bias = None if bias is None else bias.to(dtype).to(device).contiguous()
        self._packed = can_pack(device)
        if self._packed:
            example = [1, convolution.in_channels, *(32 + k for k in convolution.kernel_size)]
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight, [0, 0], self._stride, [1, 1], self._groups, example
            )

    def __call__(self, x: torch.Tensor, padding: int = 0) -> torch.Tensor:
        x = x.permute(0, 3, 1, 2)
        if self._packed:
            shape = ([padding, padding], self._stride, [1, 1], self._groups)
            y = torch.ops.mkldnn._convolution_pointwise(x, self._weight, self._bias, *shape, "none", [], "")
        else:
            y = F.conv2d(x, self._weight, self._bias, self._stride, padding, groups=self._groups)
        return y.permute(0, 2, 3, 1).contiguous()
