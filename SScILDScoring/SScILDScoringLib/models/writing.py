"""Makes a model bundle of a trained network."""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from importlib import metadata as distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from ..preprocessing import SliceInput, VolumeInput
from .bundle import PATCH_SHAPE, ModelBundle, file_sha256
from .metadata import (
    CARD,
    FORMAT,
    HEALTHY_PATCH,
    INPUTS,
    LICENCE,
    METADATA,
    NOT_VALIDATED,
    WEIGHTS,
    parse_metadata,
)

if TYPE_CHECKING:
    import torch

_HALF_FROM = 4096
"""Tensors with fewer numbers keep float32: norms and layer scales need the precision and weigh nothing."""

_TASKS = {
    "l_net": "Finds the five axial levels of the Goh score in a chest CT",
    "s_net": "Scores an axial chest CT slice: extent of interstitial lung disease, ground glass and reticulation",
}
_INTENDED_USE = "Research on interstitial lung disease in systemic sclerosis. Not a medical device."


def write_bundle(
    folder: str | Path,
    network: torch.nn.Module,
    kind: str,
    input: SliceInput | VolumeInput,
    *,
    description: str,
    licence_text: str,
    training_data: Sequence[Mapping[str, str]],
    name: str | None = None,
    version: str = "1.0.0",
    changelog: Mapping[str, str] | None = None,
    authors: str = "The SScILDScoring authors",
    copyright: str = "",
    licence: str = "Apache-2.0",
    intended_use: str = _INTENDED_USE,
    validated: bool = False,
    notice: str = NOT_VALIDATED,
    accuracy: Mapping[str, Any] | None = None,
    healthy_patch: np.ndarray | None = None,
    heat_maps: Mapping[str, Any] | None = None,
    half: bool = True,
    overwrite: bool = False,
) -> ModelBundle:
    """Writes a network as a model bundle and returns it, read back and verified.

    Everything is written to a hidden folder beside ``folder`` and renamed when it is complete.

    Args:
        folder: the bundle's folder, made here; ``name`` defaults to its name.
        network: from ``build_l_net`` or ``build_s_net`` (its ``name`` and ``options`` are stored).
        kind: ``l_net`` or ``s_net``. ``input``: how it was fed in training.
        description: one paragraph for the model card. ``licence_text`` becomes the file LICENSE, ``licence`` is its
            short name.
        training_data: a table with ``name``, ``licence`` and ``citation`` for every source.
        accuracy: measured figures, outermost by the data, such as
            ``{"phantoms, 40 unseen": {"L1": {"mae_mm": 2.1}}}``.
        healthy_patch: int16 HU ``(64, 64)`` for the heat maps. ``heat_maps``: their settings, ``patch_size``,
            ``step``, ``thresholds`` (for ``tot``, ``gg`` and ``ret``, percentage points of at most 0).
        half: store the weights as float16 where that is exact enough (they are used as float32).
        overwrite: replace a bundle that is already there.

    Raises:
        ModelError: something is there already, or an entry is not usable; nothing was written then.
    """
    folder = Path(folder).absolute()
    if folder.exists() and not overwrite:
        raise ModelError(f"There is already something at {folder}; choose another folder or ask to overwrite it.")
    if folder.exists() and not (folder / METADATA).is_file():
        raise ModelError(f"{folder} is no model bundle, so it is not overwritten.")
    if not isinstance(input, INPUTS[kind]):
        raise ModelError(f"An {kind} is fed by {INPUTS[kind].__name__}, not {type(input).__name__}.")
    if not licence_text.strip():
        raise ModelError("A bundle needs the text of its licence.")
    version_notes = dict(changelog or {version: "First version."})
    ours = {
        "format": FORMAT,
        "kind": kind,
        "network": {"name": network.name, "options": dict(network.options)},
        "input": input.to_metadata(),
        "files": {WEIGHTS: "0" * 64},
        "heat_maps": dict(heat_maps or {}),
        "validated": validated,
        "notice": notice,
        "licence": licence,
        "training_data": [dict(entry) for entry in training_data],
        "accuracy": dict(accuracy or {}),
    }
    raw = {
        "version": version,
        "changelog": version_notes,
        "monai_version": _version_of("monai"),
        "pytorch_version": _version_of("torch").split("+")[0],
        "numpy_version": _version_of("numpy"),
        "required_packages_version": {"safetensors": _version_of("safetensors")},
        "name": name or folder.name,
        "task": _TASKS[kind],
        "description": description,
        "authors": authors,
        "copyright": copyright or f"Copyright (c) {authors}",
        "data_source": "; ".join(entry.get("name", "") for entry in training_data),
        "data_type": "int16 Hounsfield units",
        "intended_use": intended_use,
        "eval_metrics": ours["accuracy"],
        "network_data_format": _data_format(kind, input),
        "sscild": ours,
    }
    raw = _plain(raw)
    parse_metadata(raw, raw["name"])  # everything but the files is checked before the first byte is written
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    try:
        _write_files(part, network, raw, licence_text, healthy_patch, half)
        ModelBundle.load(part, kind).network()
        put_in_place(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return ModelBundle.load(folder, kind)


def put_in_place(part: Path, folder: Path) -> None:
    """Renames the complete folder ``part`` to ``folder``; what is there gives way, or comes back when that fails."""
    former = None
    if folder.exists() or folder.is_symlink():
        former = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.former.part")
        folder.rename(former)
    try:
        part.rename(folder)
    except OSError:
        if former is not None:
            former.rename(folder)
        raise
    if former is not None:
        discard(former)


def discard(folder: Path) -> None:
    """Deletes a folder, or only the link when it is one."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)


def _write_files(
    part: Path, network: torch.nn.Module, raw: dict, licence_text: str, healthy_patch: np.ndarray | None, half: bool
) -> None:
    from safetensors.torch import save_file

    from .card import model_card

    for sub in ("configs", "models", "docs"):
        (part / sub).mkdir(parents=True)
    save_file(_stored(network, half), part / WEIGHTS, metadata={"format": "pt"})
    (part / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone; bundles are shared and installed
    if healthy_patch is not None:
        patch = np.asarray(healthy_patch)
        if patch.dtype != np.int16 or patch.shape != PATCH_SHAPE:
            raise ModelError(f"The healthy patch is a 64x64 array of int16, not {patch.shape} of {patch.dtype}.")
        np.save(part / HEALTHY_PATCH, patch, allow_pickle=False)
    (part / LICENCE).write_text(licence_text, encoding="utf-8", newline="\n")
    metadata = parse_metadata(raw, raw["name"])
    (part / CARD).write_text(model_card(metadata, _parameter_count(network)), encoding="utf-8", newline="\n")
    names = [WEIGHTS, *([HEALTHY_PATCH] if healthy_patch is not None else []), CARD, LICENCE]
    raw["sscild"]["files"] = {path: file_sha256(part / path) for path in names}
    text = json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (part / METADATA).write_text(text, encoding="utf-8", newline="\n")


def _stored(network: torch.nn.Module, half: bool) -> dict[str, torch.Tensor]:
    """The state to be saved; large tensors as float16 unless one of their numbers does not fit."""
    import torch

    state = {}
    for key, value in network.state_dict().items():
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.float()
            if not torch.isfinite(value).all():
                raise ModelError(f"The network's parameter {key} holds values that are not numbers; train it again.")
            if half and value.numel() >= _HALF_FROM and value.abs().max() < torch.finfo(torch.float16).max:
                value = value.half()
        state[key] = value.contiguous().clone()
    return state


def _parameter_count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _plain(values: dict) -> dict:
    """The values as JSON will give them back (tuples become lists), or ModelError."""
    try:
        return json.loads(json.dumps(values, allow_nan=False, default=_plain_number))
    except (TypeError, ValueError) as error:
        raise ModelError(f"The bundle's metadata cannot be written: {error}") from error


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in metadata")


def _version_of(package: str) -> str:
    try:
        return distributions.version(package)
    except distributions.PackageNotFoundError:
        module = sys.modules.get(package)
        return str(getattr(module, "__version__", "not installed"))


def _data_format(kind: str, settings: SliceInput | VolumeInput) -> dict:
    """MONAI's description of what goes in and comes out."""
    if kind == "s_net":
        shape, values, channel = [settings.size, settings.size], [0, 1], "axial slice, HU window scaled to 0..1"
        outputs = {"0": "TOT", "1": "GG", "2": "RET"}
        spread, what = [0, 100], "percent of the slice's lung area"
    else:
        shape, values, channel = [settings.depth, *settings.size[1:]], [], "patch of the resized CT, z-scored"
        outputs = {str(i): f"L{i + 1}" for i in range(5)}
        spread, what = [0, settings.depth - 1], "slice number from the patch's bottom slice"
    image = {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": 1,
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": values,
        "is_patch_data": kind == "l_net",
        "channel_def": {"0": channel},
    }
    answer = {
        "type": "scores" if kind == "s_net" else "positions",
        "format": what,
        "num_channels": len(outputs),
        "spatial_shape": [],
        "dtype": "float32",
        "value_range": spread,
        "is_patch_data": False,
        "channel_def": outputs,
    }
    return {"inputs": {"image": image}, "outputs": {"pred": answer}}
