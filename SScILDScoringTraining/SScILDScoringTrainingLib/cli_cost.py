"""``sscild train cost``."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.terminal import console, say, shown_progress


class Card(StrEnum):
    """Graphics cards of :data:`.loop.cohort_cost.GPUS`."""

    h200 = "h200"
    h100 = "h100"
    a100 = "a100"
    rtx4090 = "rtx4090"


def add_to(train: typer.Typer) -> None:
    """Adds the command to ``sscild train``."""
    train.command("cost")(cost)


def cost(
    configs: Annotated[
        list[str] | None, typer.Argument(metavar="CONFIG...", help="Configurations; l_net_gpu and s_net_gpu if none.")
    ] = None,
    patients: Annotated[int, typer.Option(min=2, help="Of the cohort, with five scored levels each.")] = 230,
    folds: Annotated[int, typer.Option(min=2, help="Of the cross-validation; one fold validates.")] = 4,
    gpu: Annotated[Card, typer.Option(help="The graphics card that is computed.")] = Card.h100,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replaces a value.")] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """What training on a cohort takes, in hours, memory and disk: this computer measured, a graphics card computed.

    One sample is run; no data is read and none is needed. Validation comes on top, and loading where it is slower than
    the card: Testing/Benchmarks/bench_loaders.py measures it.

    Example: sscild train cost l_net_gpu s_net_gpu --patients 230 --gpu h100
    """
    from rich.table import Table

    from .config import read_yaml
    from .loop.cohort_cost import GPUS, SHARE_OF_BANDWIDTH, SHARE_OF_PEAK, cohort_cost
    from .recipes import recipe_of

    for name in ("COHORT", "IMAGENET", "CT"):
        os.environ.setdefault(name, "none")  # a preset's places: nothing is read
    card = GPUS[gpu.value]
    names = [Path(config).stem for config in configs or ["l_net_gpu", "s_net_gpu"]]
    found = []
    with shown_progress(quiet) as progress:
        for config in configs or names:
            values = read_yaml(config, set_ or [])
            values["network"].pop("weights", None)
            found.append(cohort_cost(recipe_of(values), patients, card, folds, progress).rows(card, folds))
    table = Table("", *names, box=None, pad_edge=False)
    for lines in zip(*found, strict=True):
        table.add_row(lines[0][0], *(text for _, text in lines))
    console().print(table)
    say(
        f"{patients} patients, {folds} folds. Computed: {SHARE_OF_PEAK:.0%} of the card's bf16 peak "
        f"({card.tflops:g} TFLOP/s) and {SHARE_OF_BANDWIDTH:.0%} of its memory's bandwidth ({card.terabytes:g} TB/s)."
    )
