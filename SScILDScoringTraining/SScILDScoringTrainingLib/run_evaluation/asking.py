"""Which cases the network of a run is asked about, and what it answers.

A run with a cohort is asked about the cases that it held out, through the packed network and the functions that score a
CT: what a user of the software gets. One without a cohort has only its own validation slices or volumes.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.levels import Level
from SScILDScoringLib.progress import Progress, part_of
from SScILDScoringLib.scores import PATTERNS, SliceScores

from ..agreement.tables import LevelTable, ScoreTable, Table
from ..cohort import Cohort, CohortRow, read_cohort
from ..recipes import recipe_of
from ..runfolder import RunFolder
from ..runs.places import absolute, place_of_paths
from ..training import trained_network

REFERENCE = "reference"


@dataclass(frozen=True)
class Answers:
    """A network's answers beside the reference.

    Args:
        kind: ``scores`` or ``levels``. reference, answers: tables with the same rows.
        data: what the cases are, a sentence. cases: how many. by_level: the rows are of the five levels; slices that
            were only validated on have none, and all of them stand under level 1.
        step: of the weights. remarks: what to know about the figures, sentences.
    """

    kind: str
    reference: Table
    answers: Table
    data: str
    cases: int
    by_level: bool
    step: int
    remarks: tuple[str, ...] = ()


def ask(
    run: Path,
    *,
    last: bool = False,
    table: str | Path | None = None,
    split: str | None = None,
    temporary: Path | None = None,
    progress: Progress,
) -> Answers:
    """Asks the network of ``run``; see :func:`.evaluation.evaluate_run`.

    Args:
        temporary: folder for what is needed meanwhile; the system's when None.

    Raises:
        SettingsError: no such run or checkpoint, or nothing to ask about. TableError: the table is not usable.
    """
    run = absolute(run)
    recipe = recipe_of(RunFolder(run).config())
    network, figures = trained_network(recipe, run, last)
    step = int(figures["step"])
    given = Path(table).absolute() if table is not None else None
    with chdir(place_of_paths(run)):
        rows, data, remarks = _cases(recipe, given, split)
        if not rows:
            return _own_validation(recipe, network, last, step, progress)
        with tempfile.TemporaryDirectory(dir=temporary) as place:
            return _of_cases(recipe, run, rows, data, remarks, (last, step), Path(place), progress)


# ---- which cases -----------------------------------------------------------------------------------------------------


def _cases(recipe, given: Path | None, split: str | None) -> tuple[Sequence[CohortRow], str, tuple[str, ...]]:
    """The rows to ask about, what they are, and remarks; no rows where the run has no cohort."""
    data = recipe.config.data
    own = Path(data.cohort).absolute() if data.cohort else None
    if given is None and own is None:
        return (), "", ()
    path = given or own
    scores = recipe.config.recipe == "scores"
    same = own is not None and own.exists() and path.exists() and path.samefile(own)
    if same:  # divided as for the training, whatever the table itself says
        cohort = read_cohort(path, scores=scores, split_seed=recipe.seed, fold=data.fold, partial=True)
    else:
        cohort = read_cohort(path, scores=scores, partial=True)
    rows, which, remarks = _part(cohort, split, same, last_word=given is not None)
    if scores:
        rows = [row for row in rows if row.scores is not None]
        if not rows and given is not None:
            raise SettingsError(f"None of these cases of {path.name} has scores.")
    if data.fold is not None and same and which == "validation":
        which = f"fold {data.fold}"
    return rows, f"{len(rows)} cases of {path.name}, {which}.", remarks


def _part(
    cohort: Cohort, split: str | None, same: bool, last_word: bool
) -> tuple[Sequence[CohortRow], str, tuple[str, ...]]:
    name = cohort.path.name
    if split is not None:
        rows = cohort.of_split(split)
        if not rows:
            raise SettingsError(f"{name} has no case of the split {split}.")
        trained = ("The network was trained on these cases: the figures say nothing about others.",)
        return rows, f"split {split}", trained if same and split == "train" else ()
    for one in ("test", "validation"):
        if cohort.of_split(one):
            remark = "The weights were chosen on these cases, which flatters the figures a little."
            return cohort.of_split(one), one, (remark,) if same and one == "validation" else ()
    if same or not last_word:
        return (), "", ()
    remark = f"{name} names no cases for testing: all of them were asked about. Figures count only where none of them"
    return cohort.rows, "all of them", (f"{remark} was trained on.",)


# ---- answers on cases ------------------------------------------------------------------------------------------------


def _of_cases(recipe, run: Path, rows, data: str, remarks, weights, place: Path, progress: Progress) -> Answers:
    from ..crossvalidation.answers import answers_of
    from ..crossvalidation.pooled import reference_rows, table_of
    from ..packing import pack_run

    last, step = weights
    kind, name = recipe.config.recipe, recipe.config.bundle.name
    progress("evaluate", 0.0, "Packing the weights")
    bundle = pack_run(run, place / "bundle", last=last, progress=part_of(progress, 0.0, 0.05))
    found = answers_of(rows, bundle, recipe.loop.device, part_of(progress, 0.05, 0.8))
    cohort = Cohort(tuple(rows), Path(data))
    reference = reference_rows(cohort, kind)
    if kind == "scores":
        asked = {(row["case"], row["level"]) for row in found}
        reference = [row for row in reference if (row["case"], row["level"]) in asked]
    observers = {row.observer for row in rows}
    by = observers.pop() if len(observers) == 1 and "" not in observers else REFERENCE
    by = by if by != name else REFERENCE
    return Answers(
        kind,
        table_of(kind, by, reference),
        table_of(kind, name, found),
        data,
        len(rows),
        True,
        step,
        tuple(remarks),
    )


# ---- answers on what the run validated on ----------------------------------------------------------------------------


def _own_validation(recipe, network, last: bool, step: int, progress: Progress) -> Answers:
    """The run's own validation slices or volumes, for runs without a cohort."""
    import torch

    from SScILDScoringLib.devices import choose_device

    progress("evaluate", 0.0, "Preparing what the run validated on")
    recipe.prepare(part_of(progress, 0.0, 0.6))
    progress("evaluate", 0.6, "Asking the network")
    device = choose_device(recipe.loop.device)
    with torch.inference_mode():
        _, rows = recipe.validate(network.to(device).eval(), device)
    progress("evaluate", 0.8, f"{len(rows)} answers")
    name = recipe.config.bundle.name
    chosen = () if last else ("The weights were chosen on these, which flatters the figures.",)
    if recipe.config.recipe == "scores":
        kinds = Counter(row["kind"] for row in rows)
        reference, answers = _slice_tables(rows, name)
        listed = ", ".join(f"{count} {_WORDS[kind]}" for kind, count in sorted(kinds.items()))
        remarks = (*chosen, *(_SYNTHETIC if set(kinds) - {"cohort"} else ()))
        data = f"The slices that the run validated on: {listed}."
        return Answers("scores", reference, answers, data, len(rows), False, step, remarks)
    reference, answers = _volume_tables(recipe.validation, rows, name)
    data = f"The {len(rows)} volumes that the run validated on."
    remarks = (*chosen, *(_SYNTHETIC if recipe.phantoms else ()))
    return Answers("levels", reference, answers, data, len(rows), True, step, remarks)


_WORDS = {"cohort": "of patients", "synthetic": "with drawn disease", "phantom": "of phantoms"}
_SYNTHETIC = ("Phantoms and drawn disease say nothing about patients.",)


def _slice_tables(rows: Sequence[dict], name: str) -> tuple[ScoreTable, ScoreTable]:
    case = [f"{row['kind']} {n}" for n, row in enumerate(rows)]
    level = [1] * len(rows)
    truth = [[row[p.value] for p in PATTERNS] for row in rows]
    said = [SliceScores(tuple(row[f"{p.value}_raw"] for p in PATTERNS)).reported for row in rows]
    return ScoreTable(REFERENCE, "", case, level, truth), ScoreTable(name, "", case, level, said)


def _volume_tables(volumes: Sequence, rows: Sequence[dict], name: str) -> tuple[LevelTable, LevelTable]:
    """Positions in millimetres above each volume's lowest slice."""
    case = [f"{row['case']} {n}" if _twice(rows, row) else row["case"] for n, row in enumerate(rows) for _ in Level]
    level = [int(one) for _ in rows for one in Level]
    truth = np.concatenate([np.asarray(v.levels, float) * v.mm_per_slice for v in volumes])
    errors = np.array([row[f"error_{int(one)}_mm"] for row in rows for one in Level])
    bottoms = dict.fromkeys(case, 0.0)
    return (
        LevelTable(REFERENCE, "", case, level, truth, bottoms=bottoms),
        LevelTable(name, "", case, level, truth + errors, bottoms=bottoms),
    )


def _twice(rows: Sequence[dict], row: dict) -> bool:
    return sum(other["case"] == row["case"] for other in rows) > 1
