"""What a scan's files hold, as a digest that moving, copying or touching them does not change.

A digest over all bytes is what a cache key has to follow from: size and time say that a file is new when it was only
copied, and that it is the same when somebody restored an older time over another content. Reading every byte of a
cohort at every start would take minutes, so the digest of a file is remembered beside its size, times and inode, as
version control systems do: a file whose state is unchanged is not read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from SScILDScoringLib.errors import ScanError

from .cache import ArrayCache

MEMORY = "digests.json"
_RECENT_NS = 2_000_000_000
"""A file changed less than this ago may change again within its clock's resolution, and is not remembered."""


class ContentDigests:
    """Digests of files and folders, remembered in a folder.

    Args:
        folder: where ``digests.json`` lies; None remembers nothing.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._path = Path(folder) / MEMORY if folder is not None else None
        self._known: dict[str, list] = self._read()
        self._new = False

    def of(self, path: str | Path) -> str:
        """SHA-256 of a file's bytes; of a folder: over the digests of its files, whatever they are called.

        Raises:
            ScanError: it is not there, or cannot be read.
        """
        path = Path(path)
        try:
            if not path.is_dir():
                return self._file(path)
            digests = sorted(self._file(p) for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        except OSError as error:
            raise ScanError(f"{path.name} cannot be read: {error.strerror or error}.") from error
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def _file(self, path: Path) -> str:
        stat = path.stat()
        # Not the path: tables of a hospital's folders stay out of the cache. Device and inode name the file.
        name = f"{stat.st_dev}:{stat.st_ino}"
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        if self._known.get(name, [None])[:-1] == state:
            return self._known[name][-1]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if stat.st_ino and time.time_ns() - max(state[1:]) > _RECENT_NS:
            self._known[name] = [*state, digest]
            self._new = True
        return digest

    def save(self) -> None:
        """Writes what is new. A digest lost to another process that writes at the same time is only made again."""
        if not self._new or self._path is None:
            return
        part = self._path.with_name(f".{MEMORY}.{os.getpid()}.part")
        with suppress(OSError):  # without memory everything is as right, and slower
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({**self._read(), **self._known}), encoding="utf-8")
            part.replace(self._path)
            self._new = False

    def _read(self) -> dict[str, list]:
        if self._path is None:
            return {}
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
            return {k: v for k, v in known.items() if isinstance(v, list) and len(v) == 4}
        except (OSError, ValueError, AttributeError):
            return {}


def digests_beside(cache: ArrayCache) -> ContentDigests:
    """The digests remembered in the folder that holds a cache, shared by the caches there."""
    return ContentDigests(cache.folder.parent)
