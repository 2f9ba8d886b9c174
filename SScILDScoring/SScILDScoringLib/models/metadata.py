"""What stands in a model bundle's ``configs/metadata.json``: MONAI's keys, and our section ``sscild``.

Reading is strict, because these values decide what a network is fed with and what its answer is called.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ModelError
from ..preprocessing import SliceInput, VolumeInput

FORMAT = 1
"""Version of the section ``sscild`` that this software writes; it reads this one and older ones."""

METADATA = "configs/metadata.json"
WEIGHTS = "models/model.safetensors"
HEALTHY_PATCH = "models/healthy_patch.npy"
CARD = "docs/README.md"
LICENCE = "LICENSE"

KIND_TITLES = {"l_net": "L-Net (finds the five levels)", "s_net": "S-Net (scores a slice)"}
INPUTS = {"l_net": VolumeInput, "s_net": SliceInput}
NOT_VALIDATED = "Not clinically validated."

_LARGEST_METADATA = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATTERNS = ("tot", "gg", "ret")


@dataclass(frozen=True)
class BundleMetadata:
    """The checked content of a bundle's metadata.

    Args:
        name, version, description: of the bundle. The name is also its folder's name where it is installed.
        kind: ``l_net`` or ``s_net``.
        network: name of the network, see :mod:`.networks`. ``options``: what it is built with.
        input: how the network is fed.
        files: SHA-256 (hexadecimal) of every file of the bundle by its path inside the bundle, metadata excepted.
        validated: whether the weights were validated on patients; ``notice`` is the sentence to be shown with every
            result (never empty while ``validated`` is false).
        heat_maps: settings for heat maps: ``patch_size`` and ``step`` in pixels, ``thresholds`` (percentage points for
            ``tot``, ``gg``, ``ret``); whatever else stands there is kept.
        training_data: ``name``, ``licence`` and ``citation`` of every source.
        accuracy: measured figures in nested tables, outermost by the data they were measured on.
        raw: the whole file, with MONAI's keys.
    """

    name: str
    version: str
    description: str
    kind: str
    network: str
    options: Mapping[str, Any]
    input: SliceInput | VolumeInput
    files: Mapping[str, str]
    validated: bool
    notice: str
    heat_maps: Mapping[str, Any] = field(default_factory=dict)
    training_data: tuple[Mapping[str, str], ...] = ()
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def thresholds(self) -> dict[str, float] | None:
        """Heat-map threshold of each pattern in percentage points, or None when the bundle has none."""
        values = self.heat_maps.get("thresholds")
        return {pattern: float(values[pattern]) for pattern in _PATTERNS} if values else None


def read_metadata(folder: Path) -> BundleMetadata:
    """The metadata of the bundle in ``folder``. Raises ModelError when it is missing or says something unusable."""
    path = folder / METADATA
    if not folder.is_dir():
        raise ModelError(f"There is no model bundle at {folder}: that folder does not exist.")
    if not path.is_file():
        raise ModelError(f"{folder} is no model bundle: it has no {METADATA}.")
    try:
        if path.stat().st_size > _LARGEST_METADATA:
            raise ModelError(f"The model bundle {folder.name} has metadata of more than 1 MiB; it is not one of ours.")
        raw = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{METADATA} of the model bundle {folder.name} cannot be read: {error}") from error
    return parse_metadata(raw, folder.name)


def parse_metadata(raw: Any, bundle: str) -> BundleMetadata:
    """Checks metadata as they stand in the file; ``bundle`` is how errors call the bundle.

    Raises:
        ModelError: an entry is missing, of the wrong type, or from a newer version of this software.
    """
    top = _Table(raw, bundle, "")
    if "sscild" not in top.values:
        raise ModelError(f"{bundle} is not a model bundle of SScILDScoring: its metadata have no section sscild.")
    ours = _Table(top.values["sscild"], bundle, "sscild.")
    number = ours.take("format", int)
    if number > FORMAT:
        raise ModelError(
            f"The model bundle {bundle} was made for a newer version of this software (bundle format {number}, this "
            f"version reads {FORMAT}). Update SScILDScoring."
        )
    if number < 1:
        raise ours.error("format", "is 1 or more")
    name = top.take("name", str)
    if not valid_name(name):
        raise top.error("name", "has letters, digits, dot, dash and underscore only, at most 64")
    kind = ours.take("kind", str)
    if kind not in INPUTS:
        raise ours.error("kind", f"is one of {', '.join(INPUTS)}")
    network = _Table(ours.take("network", dict), bundle, "sscild.network.")
    validated, notice = ours.take("validated", bool), ours.take("notice", str)
    if not validated and not notice.strip():
        raise ours.error("notice", "must not be empty while validated is false")
    return BundleMetadata(
        name=name,
        version=top.take("version", str),
        description=top.take("description", str),
        kind=kind,
        network=network.take("name", str),
        options=network.take("options", dict),
        input=_input(ours, kind),
        files=_files(ours),
        validated=validated,
        notice=notice,
        heat_maps=_heat_maps(ours),
        training_data=_training_data(ours),
        accuracy=_accuracy(ours),
        raw=raw,
    )


def valid_name(name: str) -> bool:
    """Whether a bundle may be called so; such a name is also a safe folder name."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(".")


def safe_path(path: str) -> bool:
    """Whether a path in a file list or an archive stays inside: relative, no ``..``, no drive, no backslash."""
    if not path or "\\" in path or ":" in path or "\0" in path or path.startswith("/"):
        return False
    return all(part not in ("", ".", "..") for part in path.split("/")) and str(PurePosixPath(path)) == path


class _Table:
    """A JSON object whose entries are taken with their type, or refused with their full name."""

    def __init__(self, values: Any, bundle: str, prefix: str) -> None:
        self.bundle, self.prefix, self.values = bundle, prefix, values
        if not isinstance(values, dict):
            raise ModelError(
                f"The metadata of the model bundle {bundle} are not usable: {prefix.rstrip('.') or 'the file'} is no "
                "table of names and values."
            )

    def error(self, key: str, rule: str) -> ModelError:
        return ModelError(f"The metadata of the model bundle {self.bundle} are not usable: {self.prefix}{key} {rule}.")

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        if key not in self.values:
            if default is not None:
                return default
            raise self.error(key, "is missing")
        value = self.values[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            titles = {str: "a text", dict: "a table", list: "a list", bool: "true or false", int: "a whole number"}
            raise self.error(key, f"is {titles[kind]}")
        return value


def _input(ours: _Table, kind: str) -> SliceInput | VolumeInput:
    try:
        settings = INPUTS[kind].from_metadata(ours.take("input", dict))
    except (ModelError, ValueError, TypeError) as error:
        raise ours.error("input", f"is not usable ({error})") from error
    sizes = (settings.size,) if kind == "s_net" else settings.size
    if not all(type(v) is int and v > 0 for v in sizes) or (kind == "l_net" and len(sizes) != 3):
        raise ours.error("input", f"has the size {settings.size}, which is not one of {KIND_TITLES[kind]}")
    return settings


def _files(ours: _Table) -> dict[str, str]:
    files = ours.take("files", dict)
    for path, digest in files.items():
        if not safe_path(path):
            raise ours.error("files", f"lists {path!r}, which could lead outside the bundle")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ours.error("files", f"has no SHA-256 for {path}")
    if WEIGHTS not in files:
        raise ours.error("files", f"does not list {WEIGHTS}")
    if METADATA in files:
        raise ours.error("files", f"lists {METADATA}, which cannot hold its own checksum")
    return files


def _heat_maps(ours: _Table) -> dict[str, Any]:
    values = ours.take("heat_maps", dict, default={})
    for key in ("patch_size", "step"):
        if key in values and (type(values[key]) is not int or values[key] < 1):
            raise ours.error(f"heat_maps.{key}", "is a whole number of pixels above 0")
    thresholds = values.get("thresholds")
    if thresholds is not None:
        ok = isinstance(thresholds, dict) and set(thresholds) == set(_PATTERNS)
        if not ok or not all(_number(v) and v <= 0 for v in thresholds.values()):
            raise ours.error("heat_maps.thresholds", "gives a number of at most 0 for each of tot, gg and ret")
    return values


def _training_data(ours: _Table) -> tuple[dict[str, str], ...]:
    entries = ours.take("training_data", list)
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ours.error(f"training_data[{position}]", "is a table with name, licence and citation")
        for key in ("name", "licence", "citation"):
            _Table(entry, ours.bundle, f"sscild.training_data[{position}].").take(key, str)
    return tuple(entries)


def _accuracy(ours: _Table) -> dict[str, Any]:
    def check(value: Any, where: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                check(inner, f"{where}.{key}")
        elif not _number(value) and not isinstance(value, str):
            raise ours.error(where, "is a number, a text or a table of those")

    values = ours.take("accuracy", dict, default={})
    check(values, "accuracy")
    return values


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number")
