"""Which arithmetic the heat maps' network runs in: what the device computes fast, checked against float32."""

from __future__ import annotations

import os

import torch

from ..errors import SettingsError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

ISA_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""With these, users keep oneDNN from using instructions that the processor has."""


def choose_precision(asked: str, device: torch.device) -> str:
    """The arithmetic for a device: ``fp32``, ``bf16`` or ``fp16``.

    Args:
        asked: ``auto`` takes bf16 where the processor multiplies it (AMX, AVX512-BF16, CUDA from Ampere on), fp16 on
            older CUDA devices and fp32 elsewhere, because bf16 that has to be emulated is slower than fp32.

    Raises:
        SettingsError: no such precision, or one that the device does not have.
    """
    if asked not in PRECISIONS:
        raise SettingsError(f"The heat maps' precision is one of {', '.join(PRECISIONS)}, not {asked!r}.")
    if asked == "fp16" and device.type == "cpu":
        raise SettingsError("Heat maps in fp16 need a GPU; choose auto, fp32 or bf16.")
    if asked == "bf16" and device.type == "cpu" and not computes_bf16():
        raise SettingsError("This processor cannot compute heat maps in bf16; choose auto or fp32.")
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and multiplies_bf16() else "fp32"


def computes_bf16() -> bool:
    """Whether bf16 can be computed on this processor at all, be it by emulation: oneDNN refuses it below AVX-512."""
    if not torch.backends.mkldnn.is_available() or not torch.backends.mkldnn.enabled:
        return True  # PyTorch's own operators take it everywhere
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is None or bool(supported())


def multiplies_bf16() -> bool:
    """Whether this processor multiplies bf16 by itself, and oneDNN is allowed to use that.

    A matrix unit is not needed: on an AMD EPYC with AVX512-BF16 alone bf16 took 0.65 of the processor time of fp32
    with the starter and 0.37 with ConvNeXt-Tiny.
    """
    return has_bf16_matrix_unit() or _allowed(("avx512_bf16",), ("BF16", "FP16", "AMX", "AVX10"))


def has_bf16_matrix_unit() -> bool:
    """Whether this processor has a matrix unit for bf16 (AMX) that oneDNN is allowed to use."""
    return _allowed(("amx_bf16", "amx_tile"), ("AMX",))


def _allowed(names: tuple[str, ...], limits: tuple[str, ...]) -> bool:
    """Whether the processor has one of the capabilities and no variable keeps oneDNN below the limits that have it."""
    if not torch.backends.mkldnn.is_available() or not torch.backends.mkldnn.enabled:
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    if not any(capabilities.get(name, False) for name in names):
        return False
    set_ones = [os.environ[name].upper() for name in ISA_VARIABLES if os.environ.get(name)]
    return all(one in ("ALL", "DEFAULT") or any(limit in one for limit in limits) for one in set_ones)
