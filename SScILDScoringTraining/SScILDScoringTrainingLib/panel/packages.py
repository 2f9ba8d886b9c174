"""Which Python packages training needs beside those of scoring. Looks without importing them."""

from __future__ import annotations

from SScILDScoringLib.panel import packages as scoring
from SScILDScoringLib.panel.packages import Package

TRAINING_PACKAGES = (
    Package("monai", "monai", "1.4", 3),
    Package("pytorch-ignite", "ignite", "0.5", 1),
    Package("PyYAML", "yaml", "6.0", 1),
    Package("tensorboard", "tensorboard", "2.16", 6),
    Package("scikit-learn", "sklearn", "1.5", 10),
    Package("scipy", "scipy", "1.13", 35),
    Package("pandas", "pandas", "2.2", 12),
    Package("pingouin", "pingouin", "0.5.5", 10),
    Package("matplotlib", "matplotlib", "3.9", 9),
)
"""What ``pip install sscildscoring[training]`` would bring on top; a test compares the two lists."""


def packages() -> tuple[Package, ...]:
    """All packages that training needs, those of scoring first."""
    return (*scoring.PACKAGES, *TRAINING_PACKAGES)


def missing() -> list[Package]:
    """The packages that are missing or too old."""
    return scoring.missing(packages())
