"""The learning rate over the training."""

from __future__ import annotations

import math

from ..config import LoopConfig


def learning_rate_factor(config: LoopConfig, step: int, progress: float) -> float:
    """What the learning rate is multiplied by at ``step`` when the share ``progress`` of the training is over."""
    progress = min(max(progress, 0.0), 1.0)
    if config.schedule == "one_cycle":
        if progress < 0.3:
            return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / 0.3))
        return 1e-4 + (1 - 1e-4) * 0.5 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7))
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule == "cosine":
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
    return warm
