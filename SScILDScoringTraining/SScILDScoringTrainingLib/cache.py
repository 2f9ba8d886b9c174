"""The cache of what is costly to make: scans resized once, slices with masks, phantoms.

An entry is a folder ``<key>`` with arrays (``volume.npy`` ...) and ``facts.json``. It is written under a temporary
name and renamed as a whole, so that it is there complete or not at all: two processes may make the same entry (the
second keeps the first one's), and a process that is killed leaves a temporary folder that :meth:`ArrayCache.tidy`
removes. Arrays are read memory-mapped: several loader processes share one copy in the system's file cache.

Keys follow from content, see :func:`content_key` and :mod:`.content`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SScILDScoringLib.errors import SettingsError

TAG = "CACHEDIR.TAG"
_SIGNATURE = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Made by SScILDScoring from the scans; may be deleted at any time. See bford.info/cachedir\n"
)
_KEY = re.compile(r"[0-9a-f]{20}")
_FACTS = "facts.json"
_ABANDONED_S = 24 * 3600
"""A temporary folder that nobody wrote to for so long belongs to a process that is gone."""


def content_key(*parts: object) -> str:
    """A key of 20 hexadecimal digits over plain values; for files pass what :func:`.content.file_content` gives."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class CacheEntry:
    """One entry: its folder, bytes on disk, and when it was last used (seconds since 1970)."""

    folder: Path
    size: int
    used: float


class ArrayCache:
    """Named arrays and plain facts in a folder, written once and then read memory-mapped.

    Args:
        folder: made when the first entry is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __contains__(self, key: str) -> bool:
        return (self.folder / key / _FACTS).is_file()

    def get(self, key: str) -> tuple[dict[str, np.ndarray], dict] | None:
        """The arrays (memory-mapped, read-only) and facts stored under ``key``.

        None when there are none, or when the entry is damaged (a disk that was full, a computer that lost power): it is
        removed then, and will be made again.
        """
        folder = self.folder / key
        try:
            content = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            arrays = {}
            for name, shape in content["arrays"].items():
                arrays[name] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                if list(arrays[name].shape) != shape:
                    raise ValueError(name)
            facts = content["facts"]
        except FileNotFoundError:
            if not (folder / _FACTS).exists():
                return None
            self._remove(folder)
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._remove(folder)
            return None
        with suppress(OSError):
            os.utime(folder / _FACTS)  # when it was used, for shrink
        return arrays, facts

    def put(self, key: str, arrays: Mapping[str, np.ndarray], facts: Mapping) -> None:
        """Stores arrays and facts (plain values) under ``key``; an entry that is there already stays.

        Raises:
            SettingsError: the folder cannot be written, or the disk is full.
        """
        part = self.folder / f".{key}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part"
        try:
            self._make_folder()
            part.mkdir()
            for name, array in arrays.items():
                with (part / f"{name}.npy").open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                    _to_disk(file)
            shapes = {name: list(np.shape(array)) for name, array in arrays.items()}
            with (part / _FACTS).open("w", encoding="utf-8") as file:
                json.dump({"arrays": shapes, "facts": dict(facts)}, file)
                _to_disk(file)
            try:
                part.rename(self.folder / key)
            except OSError:
                if key not in self:  # else another process was faster, with the same content
                    raise
        except OSError as error:
            raise SettingsError(
                f"The cache {self.folder} cannot be written: {error.strerror or error}. Free some space (sscild cohort "
                "cache shows what it takes) or choose another folder with data.cache."
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    # ---- keeping it small ----------------------------------------------------------------------------------------

    def entries(self) -> list[CacheEntry]:
        """All complete entries, the one that was used longest ago first."""
        found = []
        for folder in self._folders(_KEY):
            with suppress(OSError):
                size = sum(p.stat().st_size for p in folder.iterdir())
                found.append(CacheEntry(folder, size, (folder / _FACTS).stat().st_mtime))
        return sorted(found, key=lambda entry: (entry.used, entry.folder.name))

    def remove(self, entry: CacheEntry) -> bool:
        """Removes an entry; False when another process took it or (Windows) has it open."""
        return self._remove(entry.folder)

    def tidy(self) -> None:
        """Removes what killed processes left behind."""
        for part in self._folders(re.compile(r"\..*\.(part|gone)")):
            with suppress(OSError):
                if time.time() - max(p.stat().st_mtime for p in (part, *part.iterdir())) > _ABANDONED_S:
                    shutil.rmtree(part, ignore_errors=True)

    def _folders(self, name: re.Pattern) -> Iterator[Path]:
        if (self.folder / TAG).is_file():
            yield from (p for p in self.folder.iterdir() if name.fullmatch(p.name) and p.is_dir())

    def _make_folder(self) -> None:
        if not (self.folder / TAG).is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / TAG).write_text(_SIGNATURE, encoding="utf-8")

    def _remove(self, folder: Path) -> bool:
        """Removes an entry: renamed first, so that nobody sees half of it."""
        gone = self.folder / f".{folder.name}.{uuid.uuid4().hex[:8]}.gone"
        try:
            folder.rename(gone)
        except OSError:  # another process took it, or (Windows) has it open
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True


def _to_disk(file) -> None:
    """Makes sure that a file's content is on the disk before its folder gets its name."""
    file.flush()
    os.fsync(file.fileno())


def caches_below(folder: str | Path) -> list[ArrayCache]:
    """The caches in a folder and its sub-folders (``levels``, ``slices``, ``checks``), told by their tag."""
    folder = Path(folder)
    rooms = [folder, *sorted(p for p in folder.iterdir() if p.is_dir())] if folder.is_dir() else []
    return [ArrayCache(room) for room in rooms if (room / TAG).is_file()]


def shrink(caches: Iterable[ArrayCache], keep_bytes: int) -> int:
    """Removes what was used longest ago, in whichever cache, until at most ``keep_bytes`` are left in all of them.

    Also removes what killed processes left. Returns the bytes removed.
    """
    caches = list(caches)
    entries = sorted(((e, cache) for cache in caches for e in cache.entries()), key=lambda pair: pair[0].used)
    total, removed = sum(entry.size for entry, _ in entries), 0
    for entry, cache in entries:
        if total - removed > keep_bytes and cache.remove(entry):
            removed += entry.size
    for cache in caches:
        cache.tidy()
    return removed
