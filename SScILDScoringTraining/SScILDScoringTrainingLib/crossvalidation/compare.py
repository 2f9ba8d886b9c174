"""Comparisons of configurations as commands ask for them: a study file, an ablation, several networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress, silent

from ..cohort import Cohort, read_cohort
from ..config import build, one_of, read_yaml
from .comparison import VariantResult, compared
from .comparison_report import write_comparison
from .complexity import Complexity, complexity
from .phantom_cohort import PhantomCohort, phantom_cohort
from .plan import Plan, Variant, seeds_of, with_changes
from .study import Study, failures, with_folds
from .variants import KINDS, ablation_variants, architecture_variants, own_variants

PHANTOMS = "phantoms"
_TITLES = {"variants": "Configurations compared", "factors": "Ablation", "networks": "Networks compared"}
_WHAT = tuple(_TITLES)


@dataclass(frozen=True)
class StudyFile:
    """What a study file says (YAML); :data:`..config.PRESETS` has examples.

    Args:
        configuration: of a recipe, complete, or its file's or preset's name.
        title: of the report; empty: a word for what is compared.
        variants: ``{name, set}`` each; or factors: of an ablation; or networks: to compare. One of the three.
        seeds: how many, or a list. weights: ``best`` or ``last``.
        folds: how many; None: those of the table, or four. test: no folds, ask about the split ``test``.
        phantoms: a cohort of phantoms in place of ``data.cohort``.
        pretrained: what the factor ``pt`` starts from.
    """

    configuration: str | dict
    title: str = ""
    variants: tuple[dict, ...] = ()
    factors: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    seeds: int | tuple[int, ...] = 1
    weights: str = "best"
    folds: int | None = None
    test: bool = False
    phantoms: PhantomCohort | None = None
    pretrained: str | None = None

    def __post_init__(self) -> None:
        one_of("weights", self.weights, ("best", "last"))
        if sum(map(bool, (self.variants, self.factors, self.networks))) != 1:
            raise SettingsError("A study has variants, or factors of an ablation, or networks to compare: one of them.")


@dataclass(frozen=True)
class Comparison:
    """What a comparison left: its study, the results, the files, and a sentence about runs that failed, or nothing."""

    study: Study
    results: list[VariantResult]
    files: list[Path] = field(default_factory=list)
    failed: str = ""


def study_file(
    config: str, overrides: Sequence[str] = (), fallback: Sequence[str] = (), **given: Any
) -> tuple[StudyFile, str]:
    """A study from a study file, or from a training configuration and what was ``given`` beside it.

    Args:
        config: file or preset. overrides: ``key=value`` of that file.
        fallback: factors of an ablation when neither the file nor ``given`` says what to compare.
        given: fields of :class:`StudyFile`; what is None stays as the file has it.

    Returns:
        The study, and why the configuration's own pre-trained weights cannot be had (empty when they can).

    Raises:
        SettingsError: no such file, or something in it is not usable.
    """
    given = {key: value for key, value in given.items() if value is not None}
    why_not = ""
    try:
        values = read_yaml(config, overrides)
    except SettingsError as error:
        # Weights behind a variable that is not set are no reason not to run the other rows.
        if "pt" not in given.get("factors", fallback):
            raise
        values, why_not = read_yaml(config, [*overrides, "network.weights=null"]), str(error)
    if "configuration" not in values:
        values = {"configuration": values}
    if any(given.get(key) for key in _WHAT):  # what is asked for beside the file takes the file's place
        values = {key: value for key, value in values.items() if key not in _WHAT}
    elif not any(values.get(key) for key in _WHAT):
        values["factors"] = list(fallback)
    return build(StudyFile, values | given), why_not


def run_comparison(
    asked: StudyFile,
    folder: str | Path,
    *,
    parallel: int | None = None,
    resume: bool = False,
    bootstrap: int = 2000,
    why_not: str = "",
    progress: Progress = silent,
) -> Comparison:
    """Trains every configuration with every seed and compares them.

    Args:
        folder: of the study. resume: go on with the one that is there. parallel: runs at once.
        bootstrap: samples of the intervals. why_not: see :func:`study_file`.

    Raises:
        SettingsError: something about the study is not usable, or no run was trained to its end.
        Cancelled: asked to stop; go on with ``resume``.
    """
    from ..recipes import recipe_of

    folder = Path(folder)
    config = asked.configuration if isinstance(asked.configuration, dict) else read_yaml(asked.configuration)
    data = config.get("data") or {}
    table = data.get("cohort")
    if not table and asked.phantoms is None:
        raise SettingsError("The study needs a cohort table (data.cohort), or phantoms.")
    complete = recipe_of({**config, "data": {**data, "cohort": None}}).plain_config()
    complete["data"] |= {"cohort": None, "fold": None}
    variants = _variants(asked, complete, why_not)
    for variant in variants:
        if not variant.missing:
            recipe_of(with_changes(complete, variant.changes))  # what is wrong with one is said before any is trained
    if asked.phantoms is not None:
        cohort = phantom_cohort(asked.phantoms, folder / PHANTOMS, progress)
    else:
        cohort = read_cohort(table, scores=complete["recipe"] == "scores", partial=True)
    cohort = _divided(cohort, asked, complete["seed"])
    title = asked.title or _TITLES[next(what for what in _WHAT if getattr(asked, what))]
    plan = Plan(complete, cohort, variants, seeds_of(asked.seeds), asked.test, asked.weights, title)
    study = Study.begin(folder, plan, resume)
    report = study.run(parallel, progress)
    if not report.done:
        raise SettingsError(failures(report) or "None of the configurations can be trained here.")
    return evaluate_comparison(study, report.failed, failures(report), bootstrap)


def evaluate_comparison(
    study: Study, failed: Mapping[str, str] | None = None, sentence: str = "", bootstrap: int = 2000
) -> Comparison:
    """Tables and figure of what is done so far.

    Args:
        failed: job name -> what went wrong. sentence: the same in one. bootstrap: samples of the intervals.
    """
    results = compared(study, failed, bootstrap)
    sizes = network_sizes(study) if study.plan.compares_networks else None
    files = write_comparison(study, results, samples=bootstrap, sizes=sizes)
    return Comparison(study, results, files, sentence)


def network_sizes(study: Study) -> dict[str, Complexity]:
    """Parameters and floating-point operations of every configuration's network."""
    from ..recipes import recipe_of

    found = {}
    for variant in study.plan.variants:
        config = recipe_of(with_changes(study.plan.config, variant.changes)).config
        network = config.network
        found[variant.name] = complexity(KINDS[study.plan.kind], network.name, network.options, config.input)
    return found


def _variants(asked: StudyFile, complete: Mapping[str, Any], why_not: str) -> tuple[Variant, ...]:
    if asked.networks:
        return architecture_variants(complete, asked.networks)
    if asked.factors:
        return ablation_variants(complete, asked.factors, asked.pretrained, why_not)
    return own_variants(asked.variants)


def _divided(cohort: Cohort, asked: StudyFile, seed: int) -> Cohort:
    if not asked.test:
        return with_folds(cohort, asked.folds, seed)
    if not cohort.of_split("validation"):
        cohort = cohort.with_drawn_validation(seed)
        cohort = replace(cohort, columns=(*cohort.columns, "split"))
    return cohort
