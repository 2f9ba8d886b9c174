"""A network's layers ready to run on windows: affine parts folded into weights, weights packed for the device.

Kernels work on ``(n, h, w, c)``. They pad nothing unless told to: whoever calls them with a window reads what lies
around it along; only a whole map comes without its surroundings, with ``padding`` zeros to be thought around it. On a
CPU with oneDNN weights are packed once and GELU is fused into the product; elsewhere, and where PyTorch lacks these
operators, the same is said with ordinary ones.

In bf16 the maps between layers stay float32: rounding ConvNeXt's in every block would cost ten times the accuracy that
all products in bf16 cost together. Convolutions are made of the change alone, for the same reason: what did not change
is not rounded, and of a change that is small beside the map only its own last digits are lost. Kernels that work so
have ``by_change`` set: ``before`` is their output in float32 up to the activation, ``activated`` the activation,
``change_of`` the change they multiply, and ``changed`` the output for it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ...networks.layout import Convolution, Layer, NormedConvolution, Pooling, WideBlock

ROWS = 64
"""Products get a multiple of so many rows: every new number of rows costs oneDNN milliseconds of preparation."""

PACKED_ROWS = 4096
"""For how many rows weights are packed; any number works with them."""


def kernel_of(layer: Layer, dtype: torch.dtype, device: torch.device):
    """The kernel of a layer, in the arithmetic of ``dtype``."""
    kinds = {
        Convolution: ConvolutionKernel,
        Pooling: PoolingKernel,
        NormedConvolution: NormedConvolutionKernel,
        WideBlock: WideBlockKernel,
    }
    return kinds[type(layer)](layer, dtype, device)


def can_pack(device: torch.device) -> bool:
    """Whether oneDNN's packed and fused operators are there."""
    return (
        device.type == "cpu" and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class Linear:
    """``activation(x @ weight.T + bias)`` or ``x @ weight.T + bias + other`` on rows ``(m, c)``."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype, device: torch.device) -> None:
        self._weight = weight.to(device, dtype).contiguous()
        self._bias = bias.to(device, dtype).contiguous()
        self._packed = can_pack(device)
        if self._packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight, PACKED_ROWS)

    def __call__(self, x: torch.Tensor, gelu: bool = False, other: torch.Tensor | None = None) -> torch.Tensor:
        if not self._packed:
            y = F.linear(x, self._weight, self._bias)
            return F.gelu(y) if gelu else y if other is None else y + other
        product = torch.ops.mkldnn._linear_pointwise
        if other is not None:
            return product.binary(x, other, self._weight, self._bias, "add")
        return product(x, self._weight, self._bias, *(("gelu", [], "none") if gelu else ("none", [], "")))


class ChannelNorm:
    """LayerNorm over the channels, with its affine part or without."""

    def __init__(self, norm: torch.nn.LayerNorm, affine: bool, dtype: torch.dtype, device: torch.device) -> None:
        # Ones and zeros instead of nothing: without them PyTorch's kernel for float32 takes twice as long.
        weight, bias = norm.weight.detach(), norm.bias.detach()
        self._weight = (weight if affine else torch.ones_like(weight)).to(device, dtype)
        self._bias = (bias if affine else torch.zeros_like(bias)).to(device, dtype)
        self._epsilon = norm.eps

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], self._weight, self._bias, self._epsilon)


class Convolve:
    """A convolution on ``(n, h, w, c)``, with the sum with another map where wanted."""

    def __init__(
        self,
        convolution: torch.nn.Conv2d,
        weight: torch.Tensor,
        bias: torch.Tensor,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._stride, self._groups = list(convolution.stride), convolution.groups
        self._weight = weight.to(device, dtype).contiguous(memory_format=torch.channels_last)
        self._bias = bias.to(device, dtype).contiguous()
        self._packed = can_pack(device)
        if self._packed:
            example = [1, convolution.in_channels, *(32 + k for k in convolution.kernel_size)]
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight, [0, 0], self._stride, [1, 1], self._groups, example
            )

    def __call__(self, x: torch.Tensor, other: torch.Tensor | None = None, padding: int = 0) -> torch.Tensor:
        x = x.permute(0, 3, 1, 2)
        other = None if other is None else other.permute(0, 3, 1, 2)
        shape = ([padding, padding], self._stride, [1, 1], self._groups)
        if not self._packed:
            y = F.conv2d(x, self._weight, self._bias, self._stride, padding, groups=self._groups)
            y = y if other is None else y.add_(other)
        elif other is None:
            y = torch.ops.mkldnn._convolution_pointwise(x, self._weight, self._bias, *shape, "none", [], "")
        else:
            y = torch.ops.mkldnn._convolution_pointwise.binary(
                x, other, self._weight, self._bias, *shape, "add", 1.0, None, [], ""
            )
        return y.permute(0, 2, 3, 1).contiguous()


class ConvolutionKernel:
    """A convolution with BatchNorm folded into it, in every precision made of the change alone."""

    by_change = True

    def __init__(self, layer: Convolution, dtype: torch.dtype, device: torch.device) -> None:
        convolution, norm = layer.convolution, layer.norm
        weight = convolution.weight.detach().double()
        bias = torch.zeros(len(weight)) if convolution.bias is None else convolution.bias.detach()
        bias = bias.to(weight)
        if norm is not None:
            factor = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
            weight = weight * factor[:, None, None, None]
            bias = (bias - norm.running_mean.double()) * factor + norm.bias.detach().double()
        self._dtype, self._relu = dtype, layer.relu
        self._whole = Convolve(convolution, weight, bias, torch.float32, device)
        self._change = Convolve(convolution, weight, torch.zeros_like(bias), dtype, device)

    def before(self, x: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        """The output of a whole map, padded already, in front of the activation."""
        return self._whole(x, other)

    def activated(self, before: torch.Tensor) -> torch.Tensor:
        """The output, of what stands in front of the activation."""
        return before.relu() if self._relu else before

    def change_of(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """What :meth:`changed` is given, for a window ``x`` of the input that was ``kept``."""
        return (x - kept).to(self._dtype)

    def changed(
        self, change: torch.Tensor, kept_before: torch.Tensor, other: torch.Tensor | None, padding: int
    ) -> torch.Tensor:
        """The output for a change of the input, and one of the other map; ``kept_before`` belongs to the old ones."""
        y = kept_before + self._change(change, None, padding)
        y = y if other is None else y.add_(other)
        return y.relu_() if self._relu else y


class PoolingKernel:
    """Max pooling."""

    by_change = False

    def __init__(self, layer: Pooling, dtype: torch.dtype, device: torch.device) -> None:
        self._kernel, self._stride, _ = layer.reach

    def __call__(self, x: torch.Tensor, other: None = None, padding: int = 0) -> torch.Tensor:
        y = F.max_pool2d(x.permute(0, 3, 1, 2), self._kernel, self._stride, padding)
        return y.permute(0, 2, 3, 1).contiguous()


class NormedConvolutionKernel:
    """A convolution whose patches do not overlap, as a product; the norm in front of it folded into its weights.

    Made of the change alone only with the norm in front; the other is the small one at the network's entry.
    """

    def __init__(self, layer: NormedConvolution, dtype: torch.dtype, device: torch.device) -> None:
        convolution, norm = layer.convolution, layer.norm
        self._side, self._norm_first, self._dtype = convolution.stride[0], layer.norm_first, dtype
        self.by_change = layer.norm_first and dtype != torch.float32
        weight = convolution.weight.detach().double().permute(0, 2, 3, 1)
        bias = convolution.bias.detach().double()
        if layer.norm_first:
            bias = bias + (weight * norm.bias.detach().double()).sum((1, 2, 3))
            weight = weight * norm.weight.detach().double()
        weight = weight.flatten(1)
        self._linear = Linear(weight, bias, torch.float32, device)
        self._change = Linear(weight, torch.zeros_like(bias), dtype, device) if self.by_change else None
        self._norm = ChannelNorm(norm, not layer.norm_first, torch.float32, device)

    def __call__(self, x: torch.Tensor, other: None = None, padding: int = 0) -> torch.Tensor:
        if self._norm_first:
            return self._product(self._linear, self._norm(x))
        return self._norm(self._product(self._linear, x))

    before = __call__

    def activated(self, before: torch.Tensor) -> torch.Tensor:
        """The output itself: there is no activation."""
        return before

    def change_of(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """What :meth:`changed` is given, for a window ``x`` of the input that was ``kept``."""
        return (self._norm(x) - self._norm(kept)).to(self._dtype)

    def changed(self, change: torch.Tensor, kept_before: torch.Tensor, other: None, padding: int) -> torch.Tensor:
        """The output for a change of the input; ``kept_before`` belongs to the old one."""
        return kept_before + self._product(self._change, change)

    def _product(self, linear: Linear, x: torch.Tensor) -> torch.Tensor:
        n, height, width, channels = x.shape
        s = self._side
        patches = x.reshape(n, height // s, s, width // s, s, channels).transpose(2, 3)
        rows = _padded_rows(patches.reshape(-1, s * s * channels))
        count = n * (height // s) * (width // s)
        return linear(rows)[:count].view(n, height // s, width // s, -1)


class WideBlockKernel:
    """The block of ConvNeXt; the norm's affine part folded into the first linear layer, the scale into the second."""

    by_change = False

    def __init__(self, layer: WideBlock, dtype: torch.dtype, device: torch.device) -> None:
        depthwise, norm = layer.depthwise, layer.norm
        self._dtype = dtype
        self._depthwise = Convolve(depthwise, depthwise.weight.detach(), depthwise.bias.detach(), dtype, device)
        self._norm = ChannelNorm(norm, False, dtype, device)
        weight, bias = layer.widen.weight.detach().double(), layer.widen.bias.detach().double()
        self._widen = Linear(
            weight * norm.weight.detach().double(), bias + weight @ norm.bias.detach().double(), dtype, device
        )
        scale = layer.scale.detach().double().flatten()
        self.narrow_weight = layer.narrow.weight.detach().double() * scale[:, None]
        self.narrow_bias = layer.narrow.bias.detach().double() * scale
        self._narrow = Linear(self.narrow_weight, self.narrow_bias, dtype, device)
        self.narrow_weight = self.narrow_weight.to(device, torch.float32)

    def normed(self, crop: torch.Tensor, padding: int = 0) -> torch.Tensor:
        """The normed cells ``(n, h, w, c)`` of a crop: all that the products read."""
        return self._norm(self._depthwise(crop.to(self._dtype), padding=padding))

    def hidden(self, normed: torch.Tensor) -> torch.Tensor:
        """The wide rows ``(m, 4 c)`` of normed rows ``(m, c)``."""
        return self._widen(_padded_rows(normed), gelu=True)[: len(normed)]

    def branch(self, normed: torch.Tensor) -> torch.Tensor:
        """What the block adds to its input, rows ``(m, c)`` of normed rows ``(m, c)``."""
        return self._narrow(self._widen(_padded_rows(normed), gelu=True))[: len(normed)]


def _padded_rows(rows: torch.Tensor) -> torch.Tensor:
    """``rows (m, c)`` with so many more that their number is a multiple of :data:`ROWS`."""
    missing = -len(rows) % ROWS
    return F.pad(rows, (0, 0, 0, missing)) if missing else rows.contiguous()
