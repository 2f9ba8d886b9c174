"""Small studies for tests: scans of a few voxels under patients' names, and readers who answer with noise."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np

from SScILDScoringLib.levels import Level
from SScILDScoringLib.observers import LikertAnswer, ReadingSession, ScoreAnswer, StudyCase, create_study
from SScILDScoringLib.phantom.nifti import write_volume
from SScILDScoringLib.scores import PATTERNS, rounded

NAMES = ("Meier_Hans_1950", "Svensson_Eva", "Nakamura_Jun", "OBrien_Sean")
MM = (140.0, 120.0, 100.0, 60.0, 20.0)
BOTTOM_MM = -10.0
"""RAS S of the lowest slice of every scan, and of the levels within it."""
NETWORK = tuple((35.0 + level, 20.0 + level, 25.0 + level) for level in range(5))


def study_cases(folder: Path, names=NAMES, maps: bool = False) -> list[StudyCase]:
    """Cases whose voxels tell them apart: all of case number i have the value 100 i."""
    cases = []
    for number, name in enumerate(names):
        voxels = np.full((33, 6, 6), 100 * number, np.int16)
        affine = np.diag([1.0, 1.0, 5.0, 1.0])
        affine[2, 3] = BOTTOM_MM
        path = write_volume(folder / "clinic" / f"{name}.nii.gz", voxels, affine)
        cases.append(StudyCase(name, path, MM, heat_maps(folder / "maps" / name) if maps else None, NETWORK))
    return cases


def heat_maps(folder: Path) -> Path:
    """Fifteen heat maps whose headers name the patient, as some programs do."""
    import SimpleITK as sitk

    folder.mkdir(parents=True)
    for level in Level:
        for number, pattern in enumerate(PATTERNS):
            image = sitk.GetImageFromArray(np.full((1, 6, 6), -level - number / 10, np.float32))
            image.SetOrigin((0.0, 0.0, MM[level - 1]))
            image.SetMetaData("patient", f"{folder.name} in {folder}")
            sitk.WriteImage(image, str(folder / f"level_{level:d}_{pattern.value}.nrrd"))
    return folder


def make_study(folder: Path, names=NAMES, **options):
    """A study in ``folder/STUDY``, by default of scores on given levels, by A and B, with seed 1."""
    maps = options.get("task") == "likert"
    options = {"readers": ["A", "B"], "seed": 1, "levels": "given", **options}
    return create_study(folder / "STUDY", study_cases(folder, names, maps), **options)


def scores_of(item_id: str, values=(20, 15, 10), **more) -> list[ScoreAnswer]:
    """The same scores for the five levels of an item."""
    return [ScoreAnswer(item_id, level, *values, **more) for level in Level]


def read_all(session: ReadingSession, answer) -> None:
    """Completes a session: ``answer(item)`` gives the answers to each item."""
    while session.current is not None:
        session.store(answer(session.current), knowingly=True)
        session.next()
    session.close()


def noisy_scores(item_id: str, truth, rng: np.random.Generator, sd: float, bias: float = 0.0) -> list[ScoreAnswer]:
    """A reader's scores of an item: ``truth (5, 3)`` with noise on GG and RET, and a TOT that fits them."""
    answers = []
    for level, (tot, gg, ret) in zip(Level, truth, strict=True):
        gg, ret = (int(rounded(v + (v > 0) * rng.normal(bias, sd))) for v in (gg, ret))
        tot = int(np.clip(rounded(tot + (tot > 0) * rng.normal(bias, sd)), max(gg, ret), min(gg + ret, 100)))
        answers.append(ScoreAnswer(item_id, level, tot, gg, ret))
    return answers


def noisy_ratings(item_id: str, rng: np.random.Generator, shares) -> list[LikertAnswer]:
    """A reader's ratings of an item's fifteen maps: how good a map is, all readers see, each with noise of their own.

    ``shares`` are the reader's chances of the ratings 1 to 5.
    """
    quality = np.random.default_rng(list(item_id.encode())).normal(size=(len(Level), len(PATTERNS)))
    seen = 0.8 * quality + 0.6 * rng.normal(size=quality.shape)
    limits = [NormalDist().inv_cdf(share) for share in np.clip(np.cumsum(shares)[:-1], 1e-9, 1 - 1e-9)]
    ratings = 1 + np.searchsorted(limits, seen)
    return [
        LikertAnswer(item_id, level, pattern, int(ratings[level - 1, n]))
        for level in Level
        for n, pattern in enumerate(PATTERNS)
    ]
