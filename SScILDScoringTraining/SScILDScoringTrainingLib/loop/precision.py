"""The device of a run and the number formats it computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from SScILDScoringLib.errors import SettingsError


def chosen_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of a configuration; process ``local_rank`` of a computer takes the CUDA device of that number.

    Raises:
        SettingsError: CUDA is asked for and absent, or there are more processes than devices.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise SettingsError("The configuration asks for a CUDA device, and there is none. Set training.device=cpu.")
    if name == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise SettingsError(
                f"There are {torch.cuda.device_count()} CUDA devices and more processes than that on this computer: "
                "start fewer (torchrun --nproc-per-node)."
            )
        return torch.device("cuda", local_rank)
    return torch.device(name)


def low_precision_helps(device: torch.device) -> bool:
    """Whether bf16 is faster here: on CUDA devices and CPUs that multiply it (AMX, AVX512-BF16)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "amx_tile", "avx512_bf16"))


class Precision:
    """Mixed precision of a run.

    Weights and the optimiser stay float32; convolutions and matrix products are computed in ``name``. float16 has a
    small range, so its loss is scaled up and the gradients down again (``torch.amp.GradScaler``); bf16 needs no such
    thing, which is why it comes first.

    Args:
        name: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        device: where it is computed.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        if name == "auto":
            if low_precision_helps(device):
                name = "bf16"
            else:
                name = "fp16" if device.type == "cuda" else "fp32"
        self.name = name
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def autocast(self) -> AbstractContextManager:
        """The context for forward passes."""
        kind = torch.float16 if self.name == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, kind, enabled=self.name != "fp32")
