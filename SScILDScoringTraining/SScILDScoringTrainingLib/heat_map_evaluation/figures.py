"""The figure of localisation: Dice and pointing accuracy of each map and pattern, with what chance would reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..agreement.figures import legends, style
from ..agreement.figures.forest import draw_estimate
from .localisation import Localisation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    ("replacement", "chosen"): "heat map, threshold chosen here",
    ("replacement", "bundle"): "heat map, the bundle's threshold",
    ("own", "fixed"): "network's own map",
}


@style.styled
def localisation(rows: Sequence[Localisation]) -> Figure:
    """Points with 95 % intervals, one row for each map, under the headline of its pattern; bars mark the chance.

    Returns:
        Two columns wide, as high as the rows need.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("no rows to draw")
    patterns = list(dict.fromkeys(row.pattern for row in rows))
    labels, places, place = [], [], 0.0
    for pattern in patterns:
        own = [row for row in rows if row.pattern is pattern]
        patients = f"{own[0].patients} patient{'' if own[0].patients == 1 else 's'}"
        labels.append((place, f"{pattern.name}  (n = {own[0].n} slices of {patients})", True))
        for row in own:
            place += 1
            # Pointing does not depend on a threshold: it is drawn once for each kind of map.
            first = row is next(r for r in own if r.maps == row.maps)
            places.append((place, row, first))
            labels.append((place, LABELS.get((row.maps, row.how), row.how), False))
        place += 1.4
    figure = style.new_figure(style.DOUBLE_MM, 22 + 4.6 * place)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, title in zip(axes, ("Dice", "Pointing accuracy"), strict=True):
        ax.set_xlim(0, 1)
        ax.set_xlabel(title)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0, pad=5)
        ax.grid(axis="x", color=style.PALE, linewidth=0.4)
    for at, row, first in places:
        colour = style.colour_of(row.pattern)
        for ax, value, interval, chance, wanted in (
            (axes[0], row.dice, row.dice_interval, row.dice_chance, True),
            (axes[1], row.pointing, row.pointing_interval, row.pointing_chance, first),
        ):
            if wanted:
                draw_estimate(ax, at, (value, *interval), colour, "o")
                ax.plot(
                    [chance, chance], [at - 0.33, at + 0.33], color=style.INK, linewidth=1.4, zorder=3, gid="chance"
                )
    axes[0].set_ylim(place - 0.9, -0.6)
    axes[0].set_yticks([at for at, _, _ in labels], [text for _, text, _ in labels])
    for text, (_, _, bold) in zip(axes[0].get_yticklabels(), labels, strict=True):
        text.set_fontweight("bold" if bold else "normal")
    legends.outside_legend(
        figure, [legends.line_entry("what chance would reach (see the table's definitions)", style.INK, "-", 1.4)]
    )
    return figure
