"""The folds of a cross-validation as one model bundle, which scoring uses like any other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SScILDScoringLib.errors import ModelError, SettingsError
from SScILDScoringLib.progress import Progress, silent

from ..config import to_plain
from .jobs import BUNDLE, JobFolder
from .plan import ONLY
from .study import Study

if TYPE_CHECKING:
    from SScILDScoringLib.models import ModelBundle


def ensemble_of_folds(
    study: str | Path,
    folder: str | Path,
    *,
    name: str | None = None,
    threshold_cases: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ModelBundle:
    """Writes the mean of all folds' networks as a bundle.

    The model card states the errors of the cross-validation. They are those of the single networks on cases that they
    had not seen; nobody has measured the mean itself, for which no case of the cohort is unseen.

    Args:
        study: folder of a finished cross-validation. folder: of the bundle. name: its name; by default the
            configuration's bundle name and ``-ensemble``.
        threshold_cases: S-Net: heat-map thresholds are chosen on the levels of so many cases of all folds (0: not).
        overwrite: replace a bundle that is there.

    Raises:
        SettingsError: a fold is not finished, or the study compares configurations. ModelError: see :func:`combine`.
    """
    found = Study.open(study)
    if found.plan.is_comparison:
        raise SettingsError(f"{study} compares configurations; an ensemble is made of the folds of one.")
    jobs = found.of(ONLY, found.plan.seeds[0])
    missing = [job.job.name for job in jobs if job.done is None]
    if missing:
        raise SettingsError(f"{', '.join(missing)} of {study} is not finished. Go on with --resume first.")
    from SScILDScoringLib.models import ModelBundle

    said = found.plan.config.get("bundle", {})
    members = [ModelBundle.load(job.path / BUNDLE) for job in jobs]
    text = {
        "name": name or f"{said.get('name', Path(folder).name)}-ensemble"[:64],
        "description": f"The mean of {len(jobs)} networks, one for every fold of a cross-validation. Each: "
        + said.get("description", ""),
        "accuracy": _accuracy(found, jobs),
    }
    bundle = combine(members, folder, overwrite=overwrite, **text)
    if threshold_cases and bundle.kind == "s_net":
        heat_maps = _heat_maps(jobs, bundle, threshold_cases, progress)
        bundle = combine(members, folder, overwrite=True, heat_maps=heat_maps, **text)
    return bundle


def combine(
    members: Sequence[ModelBundle],
    folder: str | Path,
    *,
    name: str,
    description: str,
    accuracy: Mapping[str, Any] | None = None,
    heat_maps: Mapping[str, Any] | None = None,
    version: str = "1.0.0",
    overwrite: bool = False,
) -> ModelBundle:
    """Writes bundles of one architecture and one input as one bundle whose network is their mean.

    What the members say about training data, licence and validation is taken over; the SHA-256 of each member's
    weights stands in the changes.

    Raises:
        ModelError: bundles that do not fit each other, or something is at ``folder`` already.
    """
    from SScILDScoringLib.models import write_bundle
    from SScILDScoringLib.networks.ensemble import Ensemble

    first = members[0]
    for member in members:
        if (member.kind, member.input.to_metadata()) != (first.kind, first.input.to_metadata()):
            raise ModelError(f"{first.name} and {member.name} cannot answer together: they are fed differently.")
    try:
        network = Ensemble(member.network() for member in members).eval()
    except SettingsError as error:
        raise ModelError(str(error)) from error
    ours = first.metadata.raw["sscild"]
    patch = first.healthy_patch
    alike = patch is None or all(m.healthy_patch is not None and (m.healthy_patch == patch).all() for m in members)
    listed = ", ".join(f"{m.name} {m.version} ({m.weights_sha256[:16]})" for m in members)
    sources = {str(entry): entry for m in members for entry in m.metadata.training_data}
    return write_bundle(
        folder,
        network,
        first.kind,
        first.input,
        name=name,
        version=version,
        description=description.strip(),
        changelog={version: f"Mean of {len(members)} networks; SHA-256 of their weights: {listed}."},
        licence=ours.get("licence", "Apache-2.0"),
        licence_text=(first.folder / "LICENSE").read_text(encoding="utf-8"),
        training_data=[to_plain(entry) for entry in sources.values()],
        validated=all(m.validated for m in members),
        notice=first.notice,
        accuracy=accuracy,
        healthy_patch=patch if alike else None,
        heat_maps=heat_maps or _geometry(first.heat_maps),
        overwrite=overwrite,
    )


def _geometry(heat_maps: Mapping[str, Any]) -> dict[str, Any]:
    """Patch size and step of a member; its thresholds are its own."""
    return {key: heat_maps[key] for key in ("patch_size", "step") if key in heat_maps}


def _accuracy(study: Study, jobs: Sequence[JobFolder]) -> dict[str, Any]:
    from ..agreement.rows import estimates
    from ..agreement.tables import align
    from .fold_table import UNITS
    from .pooled import REFERENCE, pooled_answers, reference_rows, table_of

    kind = study.plan.kind
    answers = pooled_answers(jobs)
    reference = reference_rows(study.cohort, kind, {str(row["case"]) for row in answers})
    aligned = align(table_of(kind, REFERENCE, reference), table_of(kind, "folds", answers))
    title = (
        f"{len(jobs)}-fold cross-validation, {len(study.cohort.patients)} patients: the single networks on cases that "
        f"they had not seen (errors in {UNITS[kind]})"
    )
    figures = {}
    for n, column in enumerate(aligned.columns):
        values = estimates(aligned.x[:, n], aligned.y[:, n], kappa=kind == "scores")
        named = {name: values[name] for name in ("mae", "sd", "bias", "kappa", "icc")}
        figures[column] = {k: round(v, 3) for k, v in named.items() if v == v}  # NaN where it is not defined
    return {title: figures}


def _heat_maps(jobs: Sequence[JobFolder], bundle: ModelBundle, count: int, progress: Progress) -> dict[str, Any]:
    """Thresholds for the ensemble's maps (method.md section 5), chosen on the levels of cases of all folds."""
    from SScILDScoringLib.heatmaps.replacement import HeatMapSettings

    from ..heat_map_evaluation import evaluate_heat_maps
    from ..heat_map_evaluation.bundle_thresholds import metadata_of
    from ..heat_map_evaluation.run import Settings

    by_fold = [job.asked() for job in jobs]
    rows = [row for group in itertools.zip_longest(*by_fold) for row in group if row is not None][:count]
    found = evaluate_heat_maps(bundle, rows, settings=Settings(samples=0), progress=progress)
    data = f"{len(rows)} cases of the cross-validation's cohort"
    return metadata_of(found.thresholds, HeatMapSettings.of_bundle(bundle), data)
