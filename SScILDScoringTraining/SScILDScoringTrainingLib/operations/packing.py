"""From a run to a model that the scoring module offers."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

from SScILDScoringLib.errors import ModelError, SettingsError
from SScILDScoringLib.progress import Progress

from ..runs.places import absolute, place_of_paths


def pack(
    private: Path,
    progress: Progress,
    *,
    run: str,
    last: bool = False,
    name: str | None = None,
    output: str | None = None,
    install: bool = True,
    replace: bool = False,
    default: bool = False,
    thresholds: int | None = None,
) -> dict[str, object]:
    """Packs a run's weights as a verified model bundle and installs it for the scoring module.

    Args:
        run: the run folder. last: the weights at its end instead of the best ones.
        name: of the bundle; that of the run's configuration when None. output: the bundle's folder; ``RUN/bundle``,
            which is replaced, when None.
        install: also into the user's folder of models. replace: one that is there already.
        default: and make it the one that scoring uses when nobody says.
        thresholds: validation slices for the heat maps' thresholds; when None 24, where they have lung masks.

    Returns:
        ``name``, ``kind`` (``s_net`` or ``l_net``), ``version``, ``sha256``, ``folder`` (of the bundle), ``card`` (its
        model card, a Markdown file), ``installed`` (folder, or None) and ``remarks`` (sentences).

    Raises:
        SettingsError: the run has no checkpoint. ModelError: the bundle cannot be written, or one of that name is
            there already (and not ``replace``).
    """
    from SScILDScoringLib.models import install as installed_bundle
    from SScILDScoringLib.models.metadata import CARD
    from SScILDScoringLib.models.store import choose_default, user_folder

    from ..cli_pack import THRESHOLD_SLICES
    from ..packing import pack_run
    from ..runfolder import RunFolder

    folder = absolute(run)
    config = RunFolder(folder).config()
    called = name or str(config["bundle"]["name"])
    if install and not replace and (user_folder() / called).exists():
        raise ModelError(f"A model called {called} is installed already; choose another name, or replace it.")
    wanted = THRESHOLD_SLICES if thresholds is None else thresholds
    wanted = wanted if config["recipe"] == "scores" else 0
    settings = {
        "last": last,
        "name": name,
        "overwrite": replace or output is None,
        "accuracy": _accuracy(folder, last),
        "progress": progress,
    }
    target, remarks = Path(output) if output else folder / "bundle", []
    with chdir(place_of_paths(folder)):
        progress("pack", 0.0, "Packing the weights")
        try:
            bundle = pack_run(folder, target, threshold_slices=wanted, **settings)
        except SettingsError as error:
            if thresholds is not None or "lung masks" not in str(error):
                raise
            remarks.append(f"Without thresholds for the heat maps: {error}")
            bundle = pack_run(folder, target, **settings)
    place = None
    if install:
        progress("pack", 0.95, "Checking and installing it")
        place = installed_bundle(bundle.folder, overwrite=replace).folder
        if default:
            choose_default(bundle.kind, bundle.name)
    return {
        "name": bundle.name,
        "kind": bundle.kind,
        "version": bundle.version,
        "sha256": bundle.sha256,
        "folder": bundle.folder,
        "card": (place or bundle.folder) / CARD,
        "installed": place,
        "remarks": remarks,
    }


def _accuracy(run: Path, last: bool) -> dict[str, object]:
    """The errors of the run's evaluation for the model card, where it was of the same weights."""
    from ..runs import read_evaluation

    found = read_evaluation(run)
    if found is None or found["last"] != last or found["step"] != _step(run, last):
        return {}
    unit = "mm" if found["kind"] == "levels" else "percentage points"
    errors = {name: round(value, 3) for name, value in found["mae"].items() if value is not None}
    return {f"{found['data']} (MAE, {unit})": errors}


def _step(run: Path, last: bool) -> int:
    from ..checkpoints import load_checkpoint, newest_checkpoint
    from ..runfolder import RunFolder

    folder = RunFolder(run)
    state = newest_checkpoint(folder.last, folder.previous)[0] if last else load_checkpoint(folder.best)
    return int(state["step"])
