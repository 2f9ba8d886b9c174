"""Where model bundles are kept on a computer, and which one is used when nobody says.

Places, in the order in which a name is looked up:

1. ``environment``: every folder named in SSCILD_MODELS (separated as in PATH); not written to.
2. ``user``: the user's own data folder, where :func:`~.installation.install` puts bundles.
3. ``bundled``: the starter bundles that come with this software.

Every folder with a ``configs/metadata.json`` in such a place is a bundle.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import ModelError
from .bundle import ModelBundle
from .metadata import KIND_TITLES, METADATA, BundleMetadata, read_metadata, valid_name

ENVIRONMENT = "SSCILD_MODELS"
_DEFAULTS = "default_models.json"


@dataclass(frozen=True)
class BundleListing:
    """One line of the list of bundles.

    Args:
        name: from the metadata, or the folder's name when they cannot be read.
        kind, version, network_name, notice: empty when the metadata cannot be read.
        validated: whether it was validated on patients.
        folder: where it is. ``place``: ``environment``, ``user`` or ``bundled``.
        error: why it cannot be used, or None.
    """

    name: str
    folder: Path
    place: str
    kind: str = ""
    version: str = ""
    network_name: str = ""
    validated: bool = False
    notice: str = ""
    error: str | None = None

    def load(self) -> ModelBundle:
        """The bundle itself. Raises ModelError when it is broken."""
        return ModelBundle.load(self.folder)


def user_folder() -> Path:
    """Where the user's own bundles are; need not exist yet.

    Windows: ``%APPDATA%/SScILDScoring/models``. macOS: ``~/Library/Application Support/SScILDScoring/models``. Else:
    ``$XDG_DATA_HOME`` or ``~/.local/share``, followed by ``SScILDScoring/models``.
    """
    home = Path.home()
    if sys.platform == "win32":
        base = os.environ.get("APPDATA") or home / "AppData" / "Roaming"
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    return Path(base) / "SScILDScoring" / "models"


def bundled_folders() -> list[Path]:
    """The folders with the starter bundles; empty where they were not installed.

    - Source checkout and editable install: ``Resources/Models`` at the top of the checkout.
    - Installed wheel: ``Models`` in the package SScILDScoringResources.
    - Slicer: ``Resources/Models`` beside this library's folder, in ``qt-scripted-modules``, where CMake installs it.
    """
    library = Path(__file__).resolve().parents[1]
    candidates = [library.parents[1] / "Resources" / "Models", library.parent / "Resources" / "Models"]
    spec = find_spec("SScILDScoringResources")
    if spec is not None and spec.submodule_search_locations:
        candidates += [Path(place) / "Models" for place in spec.submodule_search_locations]
    return list(dict.fromkeys(path.resolve() for path in candidates if path.is_dir()))


def places() -> list[tuple[str, Path]]:
    """The folders that are searched, each with the name of its place, in the order of search."""
    given = [Path(part).expanduser() for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part.strip()]
    found = [*(("environment", path) for path in given), ("user", user_folder())]
    return found + [("bundled", path) for path in bundled_folders()]


def list_bundles(kind: str | None = None, verify: bool = True) -> list[BundleListing]:
    """All bundles on this computer, in the order of search; broken ones too, with the reason in ``error``.

    Args:
        kind: ``l_net`` or ``s_net`` for that kind only (and for those whose kind cannot be read).
        verify: compare every file with its checksum; else the metadata are read only.
    """
    return [entry for entry in map(_listing(verify), _folders()) if kind is None or entry.kind in (kind, "")]


def _folders(place: str | None = None) -> Iterator[tuple[str, Path]]:
    for where, root in places():
        if (place is None or where == place) and root.is_dir():
            for folder in sorted(root.iterdir()):
                if not folder.name.startswith(".") and (folder / METADATA).is_file():
                    yield where, folder


def _listing(verify: bool):
    def listing(found: tuple[str, Path]) -> BundleListing:
        place, folder = found
        try:
            metadata = read_metadata(folder)
        except ModelError as error:
            return BundleListing(folder.name, folder, place, error=str(error))
        reason = None
        if verify:
            try:
                ModelBundle.load(folder)
            except (ModelError, OSError) as error:
                reason = str(error)
        return BundleListing(
            metadata.name,
            folder,
            place,
            metadata.kind,
            metadata.version,
            metadata.network,
            metadata.validated,
            metadata.notice,
            reason,
        )

    return listing


def find_bundle(name_or_path: str | Path | None, kind: str | None) -> ModelBundle | None:
    """The bundle a user means: a name, the path of a bundle's folder, or None for :func:`default_bundle`.

    A text that could be a name is looked up as one first, and then taken for a folder in the current directory.

    Args:
        name_or_path: what the user gave; a Path is never taken for a name.
        kind: ``l_net`` or ``s_net``; None, where a name or path is given, for a bundle of either kind.

    Raises:
        ModelError: there is none of that name or at that path, it is of the other kind, or it is broken.
    """
    if name_or_path is None:
        return default_bundle(kind)
    text = str(name_or_path)
    path = Path(text).expanduser()
    if isinstance(name_or_path, Path) or not valid_name(text):
        return ModelBundle.load(path, kind)
    other_kind = None
    for _, folder in _folders():
        metadata = _metadata_or_none(folder)
        if metadata is None and folder.name == text:
            return ModelBundle.load(folder, kind)  # raises, with what is wrong
        if metadata is not None and metadata.name == text:
            if kind in (metadata.kind, None):
                return ModelBundle.load(folder, kind)
            other_kind = other_kind or folder
    if other_kind is not None:
        return ModelBundle.load(other_kind, kind)  # raises: wrong kind
    if (path / METADATA).is_file():
        return ModelBundle.load(path, kind)
    known = ", ".join(dict.fromkeys(entry.name for entry in list_bundles(kind, verify=False))) or "none"
    title = KIND_TITLES[kind] if kind else "model bundle"
    raise ModelError(f"There is no {title} called {text!r} on this computer. There are: {known}.")


def default_bundle(kind: str) -> ModelBundle | None:
    """The bundle that is used when nobody names one: the user's choice, else the bundled starter.

    None when there is neither. Among several bundled ones of a kind the first by name is the starter.

    Raises:
        ModelError: the chosen bundle is no longer there or is broken. Another one is never taken in its place.
    """
    chosen = chosen_defaults().get(kind)
    if chosen is not None:
        try:
            return find_bundle(chosen, kind)
        except ModelError as error:
            raise ModelError(f"The chosen default cannot be used. {error} Choose another default.") from error
    for _, folder in _folders("bundled"):
        metadata = _metadata_or_none(folder)
        if metadata is None or metadata.kind == kind:
            return ModelBundle.load(folder, kind)  # a broken starter is an error, not a reason to go on silently
    return None


def chosen_defaults() -> dict[str, str]:
    """The user's choice of default bundles: name by kind; empty when nothing was chosen."""
    path = _defaults_file()
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or not all(k in KIND_TITLES and isinstance(v, str) for k, v in values.items()):
            raise ValueError("it is no table of kinds and names")
    except (OSError, ValueError) as error:
        raise ModelError(f"The file with the default models, {path}, cannot be read: {error}. Delete it.") from error
    return values


def choose_default(kind: str, name: str | None) -> None:
    """Makes the bundle ``name`` the default of its kind; None goes back to the bundled starter.

    Raises:
        ModelError: there is no usable bundle of that name and kind, or the choice cannot be written.
    """
    values = {key: value for key, value in chosen_defaults().items() if key != kind}
    if name is not None:
        values[kind] = find_bundle(name, kind).name
    path = _defaults_file()
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise ModelError(f"The choice of models cannot be kept in {path}: {error}") from error


def _defaults_file() -> Path:
    """Beside the folder with the bundles, not in it, where a bundle could be called the same."""
    return user_folder().parent / _DEFAULTS


def _metadata_or_none(folder: Path) -> BundleMetadata | None:
    try:
        return read_metadata(folder)
    except ModelError:
        return None
