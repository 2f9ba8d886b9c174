"""From a finished run to a model bundle that scoring can use."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress, silent

from .config import to_plain
from .recipes import recipe_of
from .runfolder import RunFolder
from .slice_data import GROUND_GLASS, LUNG, RETICULATION
from .training import trained_network

if TYPE_CHECKING:
    import torch

    from SScILDScoringLib.models import ModelBundle

    from .recipes.scores import ScoresRecipe

LICENCE_FILE = "LICENSE.txt"
MOST_DIFFERENCE = 0.5
"""Percentage points or slices by which float16 weights may change an answer to an image of noise."""
HALO_SLICES = 4
"""Slices on which the halo of previews is measured."""


def pack_run(
    run: str | Path,
    folder: str | Path,
    *,
    name: str | None = None,
    accuracy: Mapping[str, Any] | None = None,
    threshold_slices: int = 0,
    last: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ModelBundle:
    """Writes the best checkpoint of ``run`` as a model bundle.

    Args:
        run: the folder of a training run.
        folder: the bundle's folder. name: the bundle's; that of the configuration when None.
        accuracy: figures of :mod:`.evaluation` for the model card; the validation of the run is always listed.
        threshold_slices: S-Net only: heat-map thresholds are chosen on this many validation slices (0: not).
        last: take the weights at the end of the run (their moving average) instead of the best ones, for runs whose
            few validation slices do not tell the two apart.
        overwrite: replace a bundle that is there.

    Raises:
        SettingsError: the run has no best checkpoint. ModelError: the bundle cannot be written.
    """
    from SScILDScoringLib.models import write_bundle

    recipe = recipe_of(RunFolder(run).config())
    config = recipe.config
    network, figures = trained_network(recipe, run, last)
    note = f"validation while training, {config.bundle.name}, seed {config.seed}, step {figures.pop('step')}"
    unit = "mm" if config.recipe == "levels" else "percentage points"
    listed = {f"{note} (MAE, {unit})": {k: round(float(v), 3) for k, v in figures.items()}} if figures else {}
    is_scores = config.recipe == "scores"
    said = config.bundle
    stated = {
        "name": name or said.name,
        "description": said.description,
        "version": said.version,
        "licence": said.licence,
        "licence_text": licence_text(),
        "training_data": [to_plain(entry) for entry in said.training_data],
        "validated": said.validated,
        "notice": said.notice,
        "accuracy": {**(accuracy or {}), **listed},
        "healthy_patch": phantom_patch() if is_scores else None,
    }
    kind = "s_net" if is_scores else "l_net"
    if is_scores and threshold_slices:
        with tempfile.TemporaryDirectory() as temporary:
            draft = write_bundle(Path(temporary) / stated["name"], network, kind, config.input, **stated)
            stated["heat_maps"] = heat_map_settings(recipe, draft, threshold_slices, progress)
    bundle = write_bundle(folder, network, kind, config.input, overwrite=overwrite, **stated)
    _compare(bundle, network, recipe.example(2)["image"])
    return bundle


def _compare(bundle: ModelBundle, network: torch.nn.Module, images: torch.Tensor) -> None:
    """Raises ModelError unless the bundle, whose weights are float16, answers as the trained network does."""
    import torch

    from SScILDScoringLib.errors import ModelError

    with torch.inference_mode():
        difference = float((bundle.network()(images) - network.eval()(images)).abs().max())
    if not difference <= MOST_DIFFERENCE:
        raise ModelError(
            f"The bundle {bundle.folder} was written, but its answers differ from the trained network's by "
            f"{difference:.2g} (at most {MOST_DIFFERENCE} is accepted): its weights do not fit into float16."
        )


def heat_map_settings(recipe: ScoresRecipe, bundle: ModelBundle, slices: int, progress: Progress) -> dict[str, Any]:
    """Heat-map thresholds chosen on ``slices`` validation slices of the run (method.md section 5), and how far previews
    have to look (``preview_halo``), measured on the first few of them with disease.

    Raises:
        SettingsError: the run's validation slices have no lung masks.
    """
    from SScILDScoringLib.heatmaps.calibration import calibrated_halo
    from SScILDScoringLib.heatmaps.incremental import describes_itself
    from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
    from SScILDScoringLib.slice_network import SliceNetwork

    from .heat_map_evaluation.bundle_thresholds import metadata_of
    from .heat_map_evaluation.map_cache import HeatMapCache
    from .heat_map_evaluation.run import records_of
    from .heat_map_evaluation.slices import MapSlice
    from .heat_map_evaluation.thresholds import evaluate_thresholds

    recipe.prepare(progress)
    usable = [truth for _, truth in recipe.checks if (truth.flags & LUNG).any()]
    if not usable:
        raise SettingsError("Thresholds need validation slices with lung masks, and this run has none.")
    chosen = [usable[int(i)] for i in np.linspace(0, len(usable) - 1, min(slices, len(usable)))]
    given = (MapSlice(str(n), "", None, truth.hu, (truth.flags & LUNG) > 0) for n, truth in enumerate(chosen))
    records = records_of(given, SliceNetwork(bundle), HeatMapCache(None), progress, expected=len(chosen))
    stated = metadata_of(evaluate_thresholds(records, samples=0), HeatMapSettings.of_bundle(bundle))
    network = SliceNetwork(bundle)
    if describes_itself(network.network):
        diseased = [truth for truth in chosen if (truth.flags & (GROUND_GLASS | RETICULATION)).any()] or chosen
        slices_seen = [(truth.hu, (truth.flags & LUNG) > 0) for truth in diseased[:HALO_SLICES]]
        stated["preview_halo"] = calibrated_halo(network, slices_seen, progress=progress)
    return stated


def phantom_patch() -> np.ndarray:
    """The healthy patch of heat maps, int16 ``(64, 64)``: the phantom's lung texture, which belongs to no patient."""
    from SScILDScoringLib.phantom.textures import healthy_patch

    return healthy_patch()


def licence_text() -> str:
    """The text of the software's licence, from the source tree or from the installed package.

    Raises:
        SettingsError: it is in neither.
    """
    beside = Path(__file__).resolve().parents[2] / LICENCE_FILE
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        files = metadata.files("sscildscoring") or []
        return next(f for f in files if f.name == LICENCE_FILE).read_text(encoding="utf-8")
    except (metadata.PackageNotFoundError, StopIteration):
        raise SettingsError(f"{LICENCE_FILE}, which a bundle carries, is missing; reinstall the software.") from None
