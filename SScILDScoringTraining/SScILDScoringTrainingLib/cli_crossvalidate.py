"""``sscild crossvalidate``: folds, ensembles, ablations and comparisons of networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.terminal import STAGES, say, shown_progress
from SScILDScoringLib.errors import SettingsError

from .cli_resume import resume as resume_study

STAGES |= {"crossvalidate": "Training", "answers": "Asking the networks", "pack": "Packing"}

app = typer.Typer(no_args_is_help=True, help="Cross-validation, ensembles, ablations and comparisons of networks.")

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="A configuration (YAML) or the name of a preset.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of all its runs and tables.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what is there; finished runs are kept.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replaces a value: training.minutes=5.")
]
Parallel = Annotated[
    int | None,
    typer.Option("--parallel", min=1, metavar="N", help="Runs at once; one for each CUDA device, or one on the CPU."),
]
Bootstrap = Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples; 0: no intervals.")]
Folds = Annotated[int | None, typer.Option(min=2, help="How many; those of the table, else 4.")]
Test = Annotated[bool, typer.Option("--test", help="No folds: train once, ask about the split test.")]
Last = Annotated[bool, typer.Option("--last", help="Take the weights at the end of each run, not the best ones.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, and no tables on the terminal.")]


@app.command("run")
def run(
    config: Config,
    output: Output,
    folds: Folds = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of folds that are drawn.")] = None,
    last: Last = False,
    parallel: Parallel = None,
    resume: Resume = False,
    set_: Set = None,
    bootstrap: Bootstrap = 2000,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the agreement's figures.")] = True,
    quiet: Quiet = False,
) -> None:
    """Trains a recipe once for every fold of its cohort and compares what each run says of its fold with the reference.

    Folds come from the table's column fold, or are drawn: by patient, every fold with its share of mild and severe
    disease. Writes scores.csv (or levels.csv), the reference beside it, folds.csv, agreement/ and crossvalidation.md.
    Whatever stops it, --resume goes on: finished folds are kept, a half one goes on from its checkpoint.

    Example: COHORT=cohort.csv sscild crossvalidate run s_net_gpu -o runs/cv --folds 4
    """
    from .config import read_yaml
    from .crossvalidation import cross_validate

    with shown_progress(quiet) as progress:
        result = cross_validate(
            read_yaml(config, set_ or []),
            output,
            folds=folds,
            seed=seed,
            weights="last" if last else "best",
            parallel=parallel,
            resume=resume,
            bootstrap=bootstrap,
            figures=figures,
            progress=progress,
        )
    if not quiet:
        typer.echo((output / "crossvalidation.md").read_text(encoding="utf-8"), nl=False)
    names = f"crossvalidation.md, folds.csv, {result.answers.name}, {result.reference.name}, agreement/"
    say(f"Written to {output}: {names}")
    if result.failed:
        raise SettingsError(result.failed)


app.command("resume")(resume_study)


@app.command("report")
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a cross-validation or comparison.")],
    bootstrap: Bootstrap = 2000,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the agreement's figures.")] = True,
    quiet: Quiet = False,
) -> None:
    """Writes the tables of what is finished so far, of a cross-validation or a comparison; trains nothing.

    Example: sscild crossvalidate report runs/cv
    """
    from .crossvalidation import Study, evaluate
    from .crossvalidation.compare import evaluate_comparison
    from .crossvalidation.comparison_report import REPORT as COMPARISON
    from .crossvalidation.validation import REPORT as VALIDATION

    study = Study.open(folder)
    with shown_progress(quiet) as progress:
        if study.plan.is_comparison:
            evaluate_comparison(study, bootstrap=bootstrap)
        else:
            evaluate(study, bootstrap=bootstrap, figures=figures, progress=progress)
    name = COMPARISON if study.plan.is_comparison else VALIDATION
    if not quiet:
        typer.echo((folder / name).read_text(encoding="utf-8"), nl=False)
    say(f"Written to {folder}: {name} and its tables")


@app.command("ensemble")
def ensemble(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished cross-validation.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="BUNDLE", help="Folder of the model bundle.")],
    name: Annotated[str | None, typer.Option(help="Of the bundle.")] = None,
    thresholds: Annotated[
        int, typer.Option("--thresholds", min=0, help="S-Net: choose heat-map thresholds on so many cases.")
    ] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Makes one model bundle of all folds: the mean of their answers. Scoring uses it like any other.

    Example: sscild crossvalidate ensemble runs/cv -o my_ensemble --thresholds 20
    """
    from .crossvalidation.ensemble_bundle import ensemble_of_folds

    with shown_progress(quiet) as progress:
        bundle = ensemble_of_folds(
            folder, output, name=name, threshold_cases=thresholds, overwrite=overwrite, progress=progress
        )
    say(f"{bundle.name} {bundle.version}, {bundle.metadata.options['members']} networks, is in {output}.")


@app.command("compare")
def compare(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file (YAML) or the name of a preset.")],
    output: Output,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many; as the file says when not given.")] = None,
    parallel: Parallel = None,
    resume: Resume = False,
    set_: Set = None,
    bootstrap: Bootstrap = 2000,
    quiet: Quiet = False,
) -> None:
    """Trains the configurations that a study file lists, with several seeds, and compares them.

    Writes comparison.md, comparison.csv, seeds.csv and a figure: errors with intervals by patient and seed, and
    every configuration against the first one.

    Example: sscild crossvalidate compare synthesis_on_phantoms -o runs/synthesis
    """
    _compare(study, output, parallel, resume, set_ or [], bootstrap, quiet, seeds=seeds)


@app.command("ablation")
def ablation(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A configuration of scores, a study file, a preset.")],
    output: Output,
    factors: Annotated[
        str | None, typer.Option(help="Any of ds,bs,pt: synthesis, balanced sampling, pre-training.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many trainings of every row.")] = None,
    folds: Folds = None,
    test: Test = False,
    pretrained: Annotated[
        str | None, typer.Option(metavar="WEIGHTS", help="For pt: an ImageNet file, imagenet, or a bundle.")
    ] = None,
    last: Last = False,
    parallel: Parallel = None,
    resume: Resume = False,
    set_: Set = None,
    bootstrap: Bootstrap = 2000,
    quiet: Quiet = False,
) -> None:
    """Trains with and without synthesis, balancing and pre-training: the eight rows of the published table, or some.

    Rows that cannot be trained here (no weights to start from) are listed as not run. Published figures stand beside.

    Example: COHORT=cohort.csv sscild crossvalidate ablation s_net_gpu --factors ds,bs,pt --seeds 3 -o runs/ablation
    """
    from .crossvalidation.published import FACTORS

    chosen = [f.strip().lower() for f in factors.split(",") if f.strip()] if factors is not None else None
    given = {"seeds": seeds, "folds": folds, "test": test or None, "pretrained": pretrained}
    given |= {"weights": "last" if last else None, "factors": chosen}
    _compare(config, output, parallel, resume, set_ or [], bootstrap, quiet, fallback=FACTORS, **given)


@app.command("architectures")
def architectures(
    config: Config,
    output: Output,
    networks: Annotated[
        str, typer.Option(help="Names, options after a colon: resnet18,compact_pool:stem_stride=4;hidden=64")
    ],
    seeds: Annotated[int | None, typer.Option(min=1, help="How many trainings of every network.")] = None,
    folds: Folds = None,
    test: Test = False,
    last: Last = False,
    parallel: Parallel = None,
    resume: Resume = False,
    set_: Set = None,
    bootstrap: Bootstrap = 2000,
    quiet: Quiet = False,
) -> None:
    """Trains other networks as the configuration trains its own, and compares errors, parameters and operations.

    The configuration's network is the one that the others are tested against. All start from random weights.

    Example: COHORT=cohort.csv sscild crossvalidate architectures s_net_gpu --networks resnet18,vgg11_bn -o runs/nets
    """
    given = {"seeds": seeds, "folds": folds, "test": test or None, "weights": "last" if last else None}
    names = [n.strip() for n in networks.split(",") if n.strip()]
    _compare(config, output, parallel, resume, set_ or [], bootstrap, quiet, networks=names, **given)


@app.command("cascade")
def cascade(
    levels: Annotated[Path, typer.Argument(metavar="LEVELS", help="Folder of a cross-validation of levels.")],
    scores: Annotated[Path, typer.Argument(metavar="SCORES", help="Folder of a cross-validation of scores.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Folder for tables and report.")],
    correct: Annotated[
        str | None, typer.Option(help="Correct p-values over the patterns: bonferroni, holm, fdr.")
    ] = None,
    bootstrap: Bootstrap = 2000,
    quiet: Quiet = False,
) -> None:
    """Compares L&S-Net (levels found by L-Net) with S-Net on the reference's levels, by paired tests on every level.

    Every case is answered by the networks of the folds that had not seen it.

    Example: sscild crossvalidate cascade runs/cv_levels runs/cv_scores -o cascade --correct holm
    """
    from .crossvalidation.cascade import REPORT, compare_cascade

    with shown_progress(quiet) as progress:
        compare_cascade(levels, scores, output, bootstrap=bootstrap, correction=correct, progress=progress)
    if not quiet:
        typer.echo((output / REPORT).read_text(encoding="utf-8"), nl=False)
    say(f"Written to {output}: {REPORT}, the three score tables, agreement/")


def _compare(config, output, parallel, resume, overrides, bootstrap, quiet, fallback=(), **given) -> None:
    from .crossvalidation.compare import run_comparison, study_file
    from .crossvalidation.comparison_report import REPORT

    asked, why_not = study_file(config, overrides, fallback, **given)
    with shown_progress(quiet) as progress:
        result = run_comparison(
            asked, output, parallel=parallel, resume=resume, bootstrap=bootstrap, why_not=why_not, progress=progress
        )
    if not quiet:
        typer.echo((output / REPORT).read_text(encoding="utf-8"), nl=False)
    say(f"Written to {output}: {', '.join(path.name for path in result.files)}")
    if result.failed:
        raise SettingsError(result.failed)
