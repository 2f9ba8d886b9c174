"""The settings of the panel, kept in the scene."""

from typing import Annotated

from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

RECIPES = ("levels", "scores")
"""What a network is trained for: an L-Net finds the five levels, an S-Net scores a slice."""


@parameterNodeWrapper
class TrainingParameters:
    """Everything a user sets in the panel. Runs are not settings: their folders hold them, a list of folders is kept
    by :class:`~SScILDScoringTrainingLib.runs.RunRegistry`, and they are the same whatever scene is open.

    table: path of the cohort table. exactScores: scores between the steps of 5 % are right. showPictures: those of
    the score distribution and of the levels are shown.
    recipe, preset: what is trained, and how; the preset ``own`` takes the file configFile. weights: file of ImageNet
    weights for presets that start from them; empty: downloaded once.
    runsFolder, runName: the run folder is made there, under that name; empty: see ``run_place.py``.
    device: where it is trained. limitTime, minutes: the longest time.
    currentRun: folder of the run that is looked at; empty: the one at work, else the newest.
    """

    table: str = ""
    exactScores: bool = False
    showPictures: bool = True

    recipe: Annotated[str, Choice(list(RECIPES))] = "scores"
    preset: str = ""
    configFile: str = ""
    weights: str = ""
    runsFolder: str = ""
    runName: str = ""
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    limitTime: bool = False
    minutes: Annotated[int, WithinRange(1, 100000)] = 60

    currentRun: str = ""
