"""BatchNorm over the batch of all processes, on every device.

torch's SyncBatchNorm does the same between CUDA devices and refuses to between CPU processes, so there it is ours.
"""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


class _JointNormalization(torch.autograd.Function):
    """``(x - mean) / sqrt(var + eps)`` with mean and variance over all processes; also gives mean, variance, count.

    Sums are added in float64, so that the variance survives a mean far from zero.
    """

    @staticmethod
    def forward(context, x: torch.Tensor, eps: float):
        axes = [0, *range(2, x.dim())]
        count = torch.tensor([float(x.numel() // x.shape[1])], dtype=torch.float64)
        wide = x.double()
        sums = torch.cat([wide.sum(axes), wide.square().sum(axes), count])
        distributed.all_reduce(sums)
        channels = x.shape[1]
        total = sums[-1]
        mean = sums[:channels] / total
        variance = (sums[channels : 2 * channels] / total - mean.square()).clamp_min(0)
        shape = [1, channels] + [1] * (x.dim() - 2)
        scale = (variance + eps).rsqrt()
        normal = ((wide - mean.view(shape)) * scale.view(shape)).float()
        context.save_for_backward(normal, scale)
        context.total = total
        mean, variance = mean.float(), variance.float()
        context.mark_non_differentiable(mean, variance, total)
        return normal, mean, variance, total

    @staticmethod
    def backward(context, gradient: torch.Tensor, *_: torch.Tensor):
        normal, scale = context.saved_tensors
        axes = [0, *range(2, normal.dim())]
        wide, away = gradient.double(), normal.double()
        sums = torch.stack([wide.sum(axes), (wide * away).sum(axes)])
        distributed.all_reduce(sums)
        shape = [1, normal.shape[1]] + [1] * (normal.dim() - 2)
        means = sums / context.total
        answer = (wide - means[0].view(shape) - away * means[1].view(shape)) * scale.view(shape)
        return answer.float(), None


class JointBatchNorm(_BatchNorm):
    """BatchNorm (1D, 2D, 3D) whose training statistics are those of all processes' samples together.

    Needs an initialised ``torch.distributed`` while training; in evaluation it is a plain BatchNorm. Parameters and
    buffers have BatchNorm's names.
    """

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D)")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._check_input_dim(x)
        if not self.training:
            weight, bias = self.weight, self.bias
            averages = self.running_mean, self.running_var
            return functional.batch_norm(x, *averages, weight, bias, self.running_mean is None, 0.0, self.eps)
        normal, mean, variance, total = _JointNormalization.apply(x.float(), self.eps)
        if self.track_running_stats:
            with torch.no_grad():
                self.num_batches_tracked += 1
                share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean, share)
                self.running_var.lerp_(variance * (total / (total - 1).clamp_min(1)).float(), share)
        if self.affine:
            shape = [1, -1] + [1] * (x.dim() - 2)
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(x.dtype)


def with_joint_statistics(network: nn.Module, device: torch.device) -> nn.Module:
    """``network`` with every BatchNorm replaced by one over all processes; same parameters, same names."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return _converted(network)


def _converted(module: nn.Module) -> nn.Module:
    if isinstance(module, _BatchNorm):
        joint = JointBatchNorm(
            module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
        )
        joint.weight, joint.bias = module.weight, module.bias
        joint.running_mean, joint.running_var = module.running_mean, module.running_var
        joint.num_batches_tracked = module.num_batches_tracked
        joint.training = module.training
        return joint
    for name, child in module.named_children():
        changed = _converted(child)
        if changed is not child:
            module.add_module(name, changed)
    return module
