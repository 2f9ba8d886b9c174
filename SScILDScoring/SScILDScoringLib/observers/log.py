"""Answers on disk: one file a reader and session, JSON lines, only ever appended to.

Every line is one stored step (the answers a reader stored together, with the active seconds before them) or an event.
It is on the disk before :meth:`AnswerLog.append` returns. A later line about the same level replaces what an earlier
one said; nothing is ever deleted but the torn end that a crash or a power failure may leave.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from .errors import ObserverError
from .lock import FileLock

FORMAT = 1


@dataclass(frozen=True)
class LogContent:
    """What a log holds.

    Args:
        records: the lines after the first, oldest first. size: bytes of the complete lines.
        torn: the bytes of an incomplete last line; empty in a healthy log.
    """

    records: tuple[dict, ...] = ()
    size: int = 0
    torn: bytes = b""


@dataclass(frozen=True)
class LogOwner:
    """Whose answers a log holds: the study's identifier, the reader, the session."""

    study_id: str
    reader: str
    session: int

    def to_dict(self) -> dict:
        """The first line of a log."""
        owner = {"study": self.study_id, "reader": self.reader, "session": self.session}
        return {"format": FORMAT, **owner, "software": __version__, "at": now()}


def read_log(path: Path, owner: LogOwner) -> LogContent:
    """What a log holds; nothing when there is none. The file is left as it is, so it may be in use elsewhere.

    Raises:
        ObserverError: it cannot be read, is damaged before its last line, or belongs to another study, reader or
            session.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise ObserverError(f"The answers in {path} cannot be read: {error.strerror or error}.") from error
    lines = content.split(b"\n")
    rows, size = [], 0
    for number, line in enumerate(lines[:-1], start=1):
        row = _parsed(line)
        if row is None:
            if not any(lines[number:]):
                break  # a power failure may leave a last line of zeros: torn as well
            raise ObserverError(
                f"{path.name}, line {number} is damaged, which no crash can do: restore the file from a copy, or ask "
                "the owner of the study to mend that line."
            )
        rows.append(row)
        size += len(line) + 1
    if rows:
        _check_owner(rows[0], owner, path)
    return LogContent(tuple(rows[1:]), size, content[size:])


class AnswerLog:
    """A log opened for writing. Nobody else can open it until :meth:`close`.

    ``records`` has all lines after the first, ``notes`` sentences for the reader about what was found when opening.

    Raises:
        ObserverError: as :func:`read_log`; or somebody else has it open, or it cannot be written.
    """

    def __init__(self, path: str | Path, owner: LogOwner) -> None:
        self.path = Path(path)
        self.notes: tuple[str, ...] = ()
        name = f"Session {owner.session} of {owner.reader}"
        self._lock = FileLock(self.path.with_suffix(".lock"), name)
        try:
            content = read_log(self.path, owner)
            self._records = list(content.records)
            self._size = content.size
            self._open(content)
            if not content.size:
                self._append(owner.to_dict())
            if content.torn:
                self.notes = (
                    "The program ended while something was being stored; that last step is incomplete and was dropped "
                    f"({len(content.torn)} bytes). Everything before it is there.",
                )
                self.append({"event": "dropped", "text": content.torn.decode(errors="replace")})
        except BaseException:
            self.close()
            raise

    @property
    def records(self) -> tuple[dict, ...]:
        """The lines after the first, oldest first."""
        return tuple(self._records)

    def append(self, record: Mapping[str, object]) -> dict:
        """Writes one line with the present time; it is on the disk when this returns.

        Raises:
            ObserverError: it could not be written; then the log is as it was before.
        """
        return self._append({"at": now(), **record}, keep=True)

    def close(self) -> None:
        """Closes file and lock; closing twice is fine."""
        with suppress(AttributeError):  # opening failed before there was a file
            self._file.close()
        self._lock.close()

    def __enter__(self) -> AnswerLog:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _open(self, content: LogContent) -> None:
        try:
            self._file = self.path.open("ab", buffering=0)
            if content.torn:
                self._file.truncate(content.size)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise ObserverError(f"{self.path} cannot be written: {error.strerror or error}.") from error

    def _append(self, row: dict, keep: bool = False) -> dict:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except (OSError, ValueError) as error:  # ValueError: the file is closed
            with suppress(OSError, ValueError):
                self._file.truncate(self._size)
            reason = getattr(error, "strerror", None) or error
            raise ObserverError(
                f"The answer could NOT be stored in {self.path}: {reason}. Mend this, store it again."
            ) from error
        self._size += len(line)
        if keep:
            self._records.append(row)
        return row


def now() -> str:
    """The present time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parsed(line: bytes) -> dict | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _check_owner(first: dict, owner: LogOwner, path: Path) -> None:
    if not isinstance(first.get("format"), int) or first["format"] > FORMAT:
        raise ObserverError(f"{path.name} was written by a newer version of this software; update to use it.")
    for name, wanted in (("study", owner.study_id), ("reader", owner.reader), ("session", owner.session)):
        if first.get(name) != wanted:
            raise ObserverError(
                f"{path.name} holds the answers of {name} {first.get(name)!r}, not of {wanted!r}: the file was renamed "
                "or copied here by mistake; put it back where it belongs."
            )


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name durable too, where the system has that (not on Windows)."""
    with suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
