"""Figures of Jia et al. 2024 (Scientific Reports, doi 10.1038/s41598-024-78393-4) to print beside one's own."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """MAE and SD in percentage points, linearly weighted kappa, ICC."""

    mae: float
    sd: float
    kappa: float
    icc: float


FACTORS = ("ds", "bs", "pt")
"""Data synthesis, balanced sampling, pre-training on ImageNet."""

ABLATION: dict[tuple[bool, bool, bool], dict[str, Published]] = {
    factors: {name: Published(*values) for name, values in zip(("tot", "gg", "ret"), rows, strict=True)}
    for factors, rows in {
        (False, False, False): ((8.87, 12.55, 0.42, 0.59), (6.62, 11.64, 0.31, 0.38), (6.59, 9.30, 0.42, 0.58)),
        (False, False, True): ((7.85, 10.71, 0.53, 0.72), (5.96, 10.03, 0.45, 0.60), (5.81, 8.42, 0.53, 0.72)),
        (False, True, False): ((8.30, 11.35, 0.46, 0.62), (5.89, 10.88, 0.40, 0.48), (5.96, 8.70, 0.48, 0.65)),
        (True, False, False): ((6.74, 9.59, 0.59, 0.77), (5.07, 9.38, 0.54, 0.67), (5.08, 7.76, 0.57, 0.75)),
        (False, True, True): ((6.87, 9.61, 0.59, 0.77), (5.09, 9.50, 0.54, 0.66), (5.11, 7.45, 0.59, 0.78)),
        (True, True, False): ((7.98, 11.31, 0.48, 0.64), (5.43, 9.82, 0.47, 0.60), (5.52, 8.56, 0.52, 0.69)),
        (True, False, True): ((6.26, 8.67, 0.63, 0.82), (4.76, 8.81, 0.58, 0.70), (4.76, 6.70, 0.62, 0.82)),
        (True, True, True): ((5.90, 8.77, 0.66, 0.83), (4.66, 8.83, 0.58, 0.71), (4.49, 6.70, 0.65, 0.84)),
    }.items()
}
"""(DS, BS, PT) -> pattern -> figures, in the order of the published table; four-fold validation, 180 patients."""

CASCADE = {"tot": (5.90, 5.86), "gg": (4.66, 4.56), "ret": (4.49, 4.40)}
"""MAE over all levels of S-Net on levels chosen by hand, and of L&S-Net, whose levels L-Net chose."""
