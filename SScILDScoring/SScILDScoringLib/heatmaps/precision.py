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
        asked: ``auto`` takes bf16 where a matrix unit multiplies it (AMX, CUDA from Ampere on), fp16 on older CUDA
            devices and fp32 elsewhere, because bf16 without a matrix unit is slower than fp32.

    Raises:
        SettingsError: no such precision, or one that the device does not have.
    """
    if asked not in PRECISIONS:
        raise SettingsError(f"The heat maps' precision is one of {', '.join(PRECISIONS)}, not {asked!r}.")
    if asked == "fp16" and device.type == "cpu":
        raise SettingsError("Heat maps in fp16 need a GPU; choose auto, fp32 or bf16.")
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and multiplies_bf16() else "fp32"


def multiplies_bf16() -> bool:
    """Whether this processor has a matrix unit for bf16 (AMX) that oneDNN is allowed to use."""
    if not torch.backends.mkldnn.is_available() or not torch.backends.mkldnn.enabled:
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    if not capabilities.get("amx_bf16", capabilities.get("amx_tile", False)):
        return False
    limits = [os.environ[name].upper() for name in ISA_VARIABLES if os.environ.get(name)]
    return all("AMX" in limit or limit in ("ALL", "DEFAULT") for limit in limits)
