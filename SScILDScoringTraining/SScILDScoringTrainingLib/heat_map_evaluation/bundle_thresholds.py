"""Thresholds written into a model bundle: new metadata, a new model card, and the checksums that follow from them."""

from __future__ import annotations

import copy
import json
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SScILDScoringLib.errors import ModelError, SettingsError
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings

if TYPE_CHECKING:
    from SScILDScoringLib.models import ModelBundle

    from .thresholds import ThresholdEvaluation


def metadata_of(
    thresholds: ThresholdEvaluation, settings: HeatMapSettings | None = None, data: str = ""
) -> dict[str, Any]:
    """What a bundle's metadata say about its heat maps: patch, step, thresholds, and what these rest on.

    Args:
        settings: the maps' (the published ones when None). data: what the slices were, in words.
    """
    settings = settings or HeatMapSettings()
    chosen = list(thresholds.chosen.values())
    values = {
        "patch_size": settings.patch,
        "step": settings.step,
        "thresholds": thresholds.values,
        "threshold_slices": chosen[0].slices,
        "threshold_error": {t.pattern.value: round(t.error, 2) for t in chosen},
    }
    return values | ({"threshold_data": data} if data else {})


def check_target(bundle: ModelBundle, target: str | Path | None) -> Path:
    """Where a bundle with new thresholds will be written; to be asked before the long work.

    Args:
        target: a folder for a copy; None: the bundle itself.

    Raises:
        SettingsError: the bundle came with this software and stays as it is, or the target is taken.
    """
    from SScILDScoringLib.models.store import bundled_folders

    if target is None:
        folder = bundle.folder.resolve()
        if any(folder.is_relative_to(place.resolve()) for place in bundled_folders()):
            raise SettingsError(
                f"{bundle.name} came with this software and stays as it is; give a folder for a copy with the new "
                "thresholds: --write-to FOLDER."
            )
        return folder
    target = Path(target).absolute()
    if target.exists() and target.resolve() != bundle.folder.resolve():
        raise SettingsError(f"There is already something at {target}; choose another folder for the bundle's copy.")
    return target


def write_thresholds(
    bundle: ModelBundle, heat_maps: Mapping[str, Any], target: str | Path | None = None
) -> ModelBundle:
    """The bundle with other heat-map settings, read back and verified: in its place, or as a copy in ``target``.

    Weights and healthy patch stay what they are, to the byte. The version's last number grows by one, the change is
    listed, the model card is made anew, and with the metadata the SHA-256 that identifies the bundle changes. All of it
    is written to a hidden folder first and takes its place when it is complete and verified.

    Args:
        heat_maps: as :func:`metadata_of` gives it; other entries of the bundle's own stay.

    Raises:
        SettingsError: see :func:`check_target`. ModelError: the folder cannot be written, or a value is not usable.
    """
    from SScILDScoringLib.models.bundle import ModelBundle, file_sha256
    from SScILDScoringLib.models.card import model_card
    from SScILDScoringLib.models.metadata import CARD, METADATA, parse_metadata
    from SScILDScoringLib.models.writing import put_in_place

    folder = check_target(bundle, target)
    raw = copy.deepcopy(dict(bundle.metadata.raw))
    former = raw["version"]
    raw["version"] = _next_version(former)
    raw["changelog"] = {raw["version"]: f"Heat-map thresholds of {former} replaced.", **raw.get("changelog", {})}
    raw["sscild"]["heat_maps"] = {**bundle.heat_maps, **heat_maps}
    metadata = parse_metadata(raw, raw["name"])
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    try:
        for path in bundle.metadata.files:
            (part / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.folder / path, part / path)
        parameters = sum(p.numel() for p in bundle.network().parameters())
        (part / CARD).write_text(model_card(metadata, parameters), encoding="utf-8", newline="\n")
        raw["sscild"]["files"][CARD] = file_sha256(part / CARD)
        (part / METADATA).parent.mkdir(exist_ok=True)
        text = json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (part / METADATA).write_text(text, encoding="utf-8", newline="\n")
        ModelBundle.load(part, bundle.kind).network()
        put_in_place(part, folder)
    except OSError as error:
        raise ModelError(f"The model bundle cannot be written to {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return ModelBundle.load(folder, bundle.kind)


def _next_version(version: str) -> str:
    """``1.0.0`` -> ``1.0.1``; another kind of version gets ``.1``."""
    found = re.fullmatch(r"(.*?)(\d+)", version)
    return f"{found[1]}{int(found[2]) + 1}" if found else f"{version}.1"
