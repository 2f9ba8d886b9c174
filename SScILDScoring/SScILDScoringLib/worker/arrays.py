"""Arrays between two processes: ``.npy`` files in the client's private folder, mapped into memory, never pickled."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np

from .protocol import ProtocolError

MAPPED = sys.platform != "win32"
"""Whether arrays are mapped. Windows cannot remove a file that is: there small copies are the better manners."""

_NAME = re.compile(r"\d{1,9}-[a-z0-9][a-z0-9_-]{0,60}\.npy")


def file_name(generation: int, name: str) -> str:
    """The name of an array's file. Files of one opened scan have one ``generation``, so that they go together."""
    return f"{generation}-{name}.npy"


def generation_of(file: str) -> int:
    """The generation of a file made by :func:`file_name`.

    Raises:
        ProtocolError: not such a name.
    """
    if not _NAME.fullmatch(file):
        raise ProtocolError(f"no name of an array's file: {file[:80]!r}")
    return int(file.split("-", 1)[0])


def write_array(folder: Path, file: str, array: np.ndarray) -> str:
    """Writes ``array`` to ``folder``; the file appears complete or not at all. A mapped older one stays as it is.

    Raises:
        ProtocolError: the name leads out of the folder, or the array holds Python objects.
        OSError: the disk is full, or the folder is gone.
    """
    path = _inside(folder, file)
    array = np.asarray(array)
    if array.dtype.hasobject:
        raise ProtocolError("arrays of Python objects are not exchanged")
    temporary = path.with_name(f".{os.getpid()}.{file}")
    try:
        with temporary.open("wb") as stream:
            np.lib.format.write_array(stream, array, allow_pickle=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return file


def read_array(folder: Path, file: str, mapped: bool = MAPPED) -> np.ndarray:
    """The array of a file in ``folder``, read-only.

    Raises:
        ProtocolError: the name leads out of the folder, or there is no such file, or it is no array.
    """
    path = _inside(folder, file)
    if path.is_symlink() or not path.is_file():
        raise ProtocolError(f"there is no array {file}")
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ProtocolError(f"{file} is not an array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise ProtocolError(f"{file} is not an array")
    array.flags.writeable = False
    return array


def _inside(folder: Path, file: str) -> Path:
    generation_of(file)
    return folder / file
