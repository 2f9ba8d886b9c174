"""Comparison of network architectures: one row a network, one panel a pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern

from . import style
from .forest import Estimate, draw_estimate, numbers_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Architecture:
    """One network.

    Args:
        name: as printed. estimates: by pattern or title: value with its interval; NaN where not known.
        parameters: how many weights, in millions; None when not stated.
        p_values: by the same keys: against the first network of the list; those below 0.05 are marked.
    """

    name: str
    estimates: Mapping[Pattern | str, Estimate]
    parameters: float | None = None
    p_values: Mapping[Pattern | str, float] | None = None


@style.styled
def architectures(
    networks: Sequence[Architecture],
    *,
    measure: str = "MAE (percentage points)",
    n: int | None = None,
    what: str = "slices",
) -> Figure:
    """Points with 95 % confidence intervals; the dotted line is the first network, to which the others are compared.

    Args:
        networks: from top to bottom, the reference first.
        measure: with its unit. n, what: on how many of what it was measured.

    Returns:
        Two columns wide, as high as the rows need.

    Raises:
        ValueError: no networks.
    """
    if not networks:
        raise ValueError("no networks to draw")
    keys = list(dict.fromkeys(key for network in networks for key in network.estimates))
    figure = style.new_figure(style.DOUBLE_MM, 20 + 4.6 * len(networks))
    axes = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    known = np.array([v for network in networks for e in network.estimates.values() for v in e if np.isfinite(v)])
    starred = False
    for ax, key in zip(axes, keys, strict=True):
        ax.set_title(style.name_of(key))
        numbers_title(ax)
        ax.set_xlabel(measure)
        ax.set_xlim(min(0.0, known.min(initial=0)), 1.05 * known.max(initial=1e-6))
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        first = networks[0].estimates.get(key, (np.nan,))[0]
        if np.isfinite(first):
            ax.axvline(first, color=style.GREY, linewidth=0.6, ls=style.IDENTITY_LINE, zorder=1)
        for place, network in enumerate(networks):
            estimate = network.estimates.get(key, (np.nan,) * 3)
            draw_estimate(ax, place, estimate, style.colour_of(key), "o", digits=2)
            p = (network.p_values or {}).get(key, np.nan)
            if np.isfinite(estimate[0]) and p < 0.05:
                starred = True
                ax.annotate(
                    "*", (estimate[0], place), (0, 1), textcoords="offset points", ha="center", gid="significant"
                )
    axes[0].set_ylim(len(networks) - 0.4, -0.6)
    axes[0].set_yticks(range(len(networks)), [_label(network) for network in networks])
    remarks = ([f"n = {n} {what}"] if n is not None else []) + (
        [f"* p < 0.05 against {networks[0].name}"] if starred else []
    )
    if remarks:
        figure.supxlabel("; ".join(remarks), fontsize=style.SMALL_PT, x=0.99, ha="right")
    return figure


def _label(network: Architecture) -> str:
    return network.name + ("" if network.parameters is None else f" ({network.parameters:.1f} M)")
