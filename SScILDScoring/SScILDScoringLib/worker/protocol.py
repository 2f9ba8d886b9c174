"""What a worker and its client say to each other: one JSON object a line, checked on both sides.

Client to worker, on its standard input: ``hello`` once, then ``request``. Worker to client, on its standard output:
``ready`` (or ``refused``) once, then ``progress``, ``partial``, ``result`` and ``failed``. Arrays travel as files
(:mod:`.arrays`); a message holds their names. The end of its input ends the worker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import SScILDError

PROTOCOL = 2
"""Changes whenever a message changes its meaning. Client and worker of different numbers refuse each other."""

LONGEST_LINE = 64 * 1024 * 1024

_NUMBER = (int, float)
FIELDS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "hello": {"protocol": int, "software": str, "own_group": bool},
    "request": {"id": int, "op": str, "params": dict, "arrays": dict},
    "ready": {"protocol": int, "software": str, "process": int},
    "refused": {"message": str},
    "progress": {"id": int, "stage": str, "fraction": _NUMBER, "message": str},
    "partial": {"id": int, "value": object, "arrays": dict},
    "result": {"id": int, "value": object, "arrays": dict, "keep": dict},
    "failed": {"id": int, "message": str, "user_error": bool},
}
"""The fields of every kind of message, and their types."""


class WorkerError(SScILDError):
    """The worker process cannot be started, is of another version, ended, or did what it should not."""


class ProtocolError(ValueError):
    """A line that is no message."""


@dataclass(frozen=True)
class Event:
    """Something that happened in the worker.

    Args:
        kind: ``progress``, ``partial``, ``result``, ``failed`` or ``died``.
        id: the request it belongs to; 0 for ``died``.
        stage, fraction, message: of ``progress``; ``message`` is the sentence for people of ``failed`` and ``died``.
        value: of ``result`` and ``partial`` (what there is of the result so far): plain values.
        arrays: of ``result`` and ``partial``: arrays by name, read-only, backed by files.
        user_error: of ``failed``: a person can mend it; else it is a defect, whose traceback is in the log.
        cancelled: of ``failed``: because :meth:`~.client.WorkerClient.cancel` was called.
        log: of ``died``: the last lines the worker wrote.
    """

    kind: str
    id: int = 0
    stage: str = ""
    fraction: float = 0.0
    message: str = ""
    value: object = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    user_error: bool = False
    cancelled: bool = False
    log: str = ""


def encode(kind: str, **fields) -> bytes:
    """One line of bytes.

    Raises:
        ProtocolError: a field is missing, too many, of a wrong type, or no JSON (NaN, an object).
    """
    message = {"kind": kind, **fields}
    check(message)
    try:
        return json.dumps(message, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"a {kind} message cannot be written as JSON: {error}") from error


def decode(line: bytes) -> dict:
    """The message in one line.

    Raises:
        ProtocolError: the line is no message of this protocol.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {line[:80]!r}") from error
    check(message)
    return message


def check(message: object) -> None:
    """Refuses what is not exactly one of the messages in :data:`FIELDS`.

    Raises:
        ProtocolError: with what is wrong.
    """
    if not isinstance(message, dict) or message.get("kind") not in FIELDS:
        raise ProtocolError(f"no message: {str(message)[:80]}")
    kind = message["kind"]
    expected = FIELDS[kind]
    given = set(message) - {"kind"}
    if given != set(expected):
        raise ProtocolError(f"a {kind} message has the fields {sorted(expected)}, not {sorted(given)}")
    for name, wanted in expected.items():
        value = message[name]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted in (int, _NUMBER)):
            raise ProtocolError(f"{name} of a {kind} message is a {type(value).__name__}")
    for name, file in message.get("arrays", {}).items():
        if not isinstance(name, str) or not isinstance(file, str):
            raise ProtocolError("arrays are names of files by their names")


def version_conflict(protocol: int, software: str, own_software: str) -> str | None:
    """What is wrong when the other side speaks ``protocol`` and is of version ``software``; None when all is well."""
    if protocol == PROTOCOL and software == own_software:
        return None
    return (
        f"The worker and the program that started it are of different versions ({software}, protocol {protocol}, "
        f"and {own_software}, protocol {PROTOCOL}). Restart the application; if that does not help, install again."
    )


class Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that ``data`` completes, without their ends. A line beyond all limits is dropped."""
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest if len(rest) <= LONGEST_LINE else bytearray()
        for line in lines:
            if line.strip():
                yield bytes(line)
