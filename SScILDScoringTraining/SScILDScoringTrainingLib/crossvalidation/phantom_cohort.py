"""A cohort of phantoms for a study that needs no patient: some to train on, some to choose by, some to ask about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress, part_of, silent

from ..cohort import Cohort, CohortRow
from ..cohort.creating import cohort_of_phantoms


@dataclass(frozen=True)
class PhantomCohort:
    """How many phantoms of what kind.

    Args:
        train, validation, test: how many of each.
        healthy: those to train on are all free of disease.
        seed: of the phantoms; the next number is used, too.
        fixed: fields of ``PhantomSpec`` that are not left to chance (``matrix``, ``slices`` ...).
    """

    train: int
    test: int = 0
    validation: int = 0
    healthy: bool = False
    seed: int = 1
    fixed: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.train < 1 or min(self.test, self.validation) < 0:
            raise SettingsError("A cohort of phantoms has at least one to train on: phantoms.train.")


def phantom_cohort(settings: PhantomCohort, folder: str | Path, progress: Progress = silent) -> Cohort:
    """Writes the phantoms below ``folder`` (those that are there stay) and gives their cohort.

    Phantoms to train on and to choose by have scores as a reader gives them, to the nearest 5 %; those of the split
    ``test`` have the exact ones.

    Args:
        progress: stage ``phantom``; may cancel.

    Raises:
        SettingsError: the folder cannot be written, or a phantom does not show all five levels.
    """
    from SScILDScoringLib.phantom import DiseaseSpec

    folder = Path(folder)
    free = {"disease": DiseaseSpec()} if settings.healthy else {}
    share = settings.train / (settings.train + settings.validation + settings.test)
    rows = _written(folder / "train", settings.train, settings.seed, settings.fixed | free, False,
                    part_of(progress, 0, share))  # fmt: skip
    others = settings.validation + settings.test
    if others:
        seed, rest = settings.seed + 1, part_of(progress, share, 1)
        read, exact = (_written(folder / "test", others, seed, settings.fixed, e, rest) for e in (False, True))
        rows += [replace(row, split="validation") for row in read[: settings.validation]]
        rows += [replace(row, split="test") for row in exact[settings.validation :]]
    return Cohort(tuple(rows), folder / "cohort.csv", ("case", "path", "split"))


def _written(folder: Path, count: int, seed: int, fixed: dict, exact: bool, progress: Progress) -> list[CohortRow]:
    from SScILDScoringLib.phantom.writing import write_cohort

    values = {k: tuple(v) if isinstance(v, list) else v for k, v in fixed.items()}
    made = cohort_of_phantoms(write_cohort(folder, count, seed, progress=progress, **values), exact=exact)
    if made.left_out:
        raise SettingsError(f"The phantom {made.left_out[0][0]} cannot be used: {made.left_out[0][1]}")
    return sorted(made.rows, key=lambda row: row.case)[:count]
