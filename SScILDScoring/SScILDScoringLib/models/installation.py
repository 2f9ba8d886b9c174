"""Takes model bundles into the user's folder, from a folder or a zip file, and out of it again."""

from __future__ import annotations

import shutil
import stat
import uuid
import zipfile
import zlib
from pathlib import Path

from ..errors import ModelError
from .bundle import ModelBundle
from .metadata import METADATA, safe_path, valid_name
from .store import ENVIRONMENT, choose_default, chosen_defaults, list_bundles, user_folder
from .writing import discard, put_in_place

MOST_FILES = 1000
MOST_BYTES = 4 << 30
MOST_RATIO = 100
"""An archive that grows more than this when unpacked is not one of weights, which hardly shrink at all."""

_BLOCK = 1 << 20


def install(path_or_zip: str | Path, overwrite: bool = False) -> ModelBundle:
    """Installs the bundle in a folder or zip file for this user, and returns it from its new place.

    It is unpacked or copied to a hidden folder, verified there to the last file, its network built with its weights,
    and only then renamed to ``user_folder() / name``. Only files that the metadata list are taken along.

    Args:
        path_or_zip: a bundle's folder, a folder with one bundle in it, or a zip file of either.
        overwrite: replace an installed bundle of the same name.

    Raises:
        ModelError: nothing there, not exactly one bundle, an unsafe or damaged archive, a broken bundle, or one of
            that name is installed already. What was installed before is unchanged then.
    """
    source = Path(path_or_zip).expanduser()
    if not source.exists():
        raise ModelError(f"There is nothing to install at {source}.")
    home = user_folder()
    token = uuid.uuid4().hex
    unpacked, part = home / f".unpacked.{token}.part", home / f".bundle.{token}.part"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            found = ModelBundle.load(_only_bundle(source))
        else:
            _unpack(source, unpacked)
            found = ModelBundle.load(unpacked)
        target = home / found.name
        if target.exists() and not overwrite:
            raise ModelError(
                f"A model bundle called {found.name} is installed already; remove it first or overwrite it."
            )
        for path in (METADATA, *found.metadata.files):
            (part / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found.folder / path, part / path)
        ModelBundle.load(part).network()
        put_in_place(part, target)
    except OSError as error:
        raise ModelError(f"The model bundle cannot be installed in {home}: {error}") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        shutil.rmtree(part, ignore_errors=True)
    return ModelBundle.load(target)


def remove(name: str) -> None:
    """Removes an installed bundle from the user's folder; a default that named it goes back to the starter.

    Raises:
        ModelError: none of that name is installed there. Bundles elsewhere are never touched.
    """
    folder = user_folder() / name
    if not valid_name(name) or not (folder / METADATA).is_file():
        elsewhere = [entry for entry in list_bundles(verify=False) if entry.name == name and entry.place != "user"]
        if elsewhere:
            why = "came with this software" if elsewhere[0].place == "bundled" else f"is named by {ENVIRONMENT}"
            raise ModelError(f"The model bundle {name} {why} and is not removed; it is at {elsewhere[0].folder}.")
        raise ModelError(f"No model bundle called {name!r} is installed in {user_folder()}.")
    doomed = folder.with_name(f".{name}.{uuid.uuid4().hex}.part")
    try:
        folder.rename(doomed)
        discard(doomed)
    except OSError as error:
        raise ModelError(f"The model bundle {name} cannot be removed: {error}") from error
    for kind, chosen in chosen_defaults().items():
        if chosen == name:
            choose_default(kind, None)


def _only_bundle(folder: Path) -> Path:
    if (folder / METADATA).is_file():
        return folder
    inside = sorted(path for path in folder.iterdir() if (path / METADATA).is_file())
    if len(inside) != 1:
        raise ModelError(f"{folder} holds {_count(len(inside))}; give the folder of the one to install.")
    return inside[0]


def _unpack(source: Path, target: Path) -> None:
    """Unpacks the one bundle of a zip file into ``target``, after a look at everything the archive claims."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = _checked_entries(archive, source)
            root = _root(entries, source)
            for entry in entries:
                if entry.filename.startswith(root):
                    _extract(archive, entry, target / entry.filename[len(root) :])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{source.name} is not a zip file that can be read: {error}") from error


def _checked_entries(archive: zipfile.ZipFile, source: Path) -> list[zipfile.ZipInfo]:
    """The archive's files. Raises ModelError for whatever a bundle would never contain."""
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise ModelError(f"{source.name} is not accepted: it has {len(entries)} files, more than {MOST_FILES}.")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES or total > MOST_RATIO * source.stat().st_size:
        raise ModelError(f"{source.name} is not accepted: it would grow to {total / 2**20:.0f} MiB when unpacked.")
    files = []
    for entry in entries:
        # orig_filename: ZipInfo cuts names at a zero byte and, on Windows, turns backslashes.
        name = entry.orig_filename.removesuffix("/") if entry.is_dir() else entry.orig_filename
        if not safe_path(name):
            raise ModelError(f"{source.name} is not accepted: its entry {name!r} could lead outside the bundle.")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ModelError(f"{source.name} is not accepted: its entry {name} is a link or a device.")
        if entry.flag_bits & 1:
            raise ModelError(f"{source.name} is not accepted: it is protected by a password.")
        if not entry.is_dir():
            files.append(entry)
    names = [entry.filename.casefold() for entry in files]
    if len(set(names)) != len(names):
        raise ModelError(f"{source.name} is not accepted: a file is in it twice.")
    return files


def _root(entries: list[zipfile.ZipInfo], source: Path) -> str:
    """The folder of the one bundle in the archive, with a slash at its end, or an empty text."""
    found = [e.filename for e in entries if e.filename == METADATA or e.filename.endswith("/" + METADATA)]
    if len(found) != 1:
        raise ModelError(f"{source.name} holds {_count(len(found))}; one zip file installs one.")
    return found[0].removesuffix(METADATA)


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as stream, path.open("xb") as file:
        while block := stream.read(_BLOCK):
            written += len(block)
            if written > entry.file_size:
                raise zipfile.BadZipFile(f"{entry.filename} is larger than the archive says")
            file.write(block)


def _count(number: int) -> str:
    return "no model bundle" if number == 0 else f"{number} model bundles"
