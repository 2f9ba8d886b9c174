"""Which scans a batch consists of, what their cases are called, and whether a scan is still the same."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import SettingsError, TableError
from .files import IMAGE_ENDINGS
from .results import case_name, safe_name
from .scores import goh_stage

_ENDINGS = tuple(e for e in IMAGE_ENDINGS if e not in (".dcm", ".zip"))
_HEADERS = (".mhd", ".nhdr", ".hdr")  # their voxels are in a file of the same name beside them


@dataclass(frozen=True)
class BatchCase:
    """One scan of a batch.

    Args:
        name: of the case, usable as a folder's name, unique in the batch.
        path: the file or DICOM folder.
        fvc_percent: forced vital capacity in percent of the predicted value, when known.
    """

    name: str
    path: Path
    fvc_percent: float | None = None


def find_cases(source: str | Path | Sequence[str | Path], leave_out: Path | None = None) -> list[BatchCase]:
    """The cases of a folder, of a table, or of a list of scans; in the order of the table or list, else by name.

    Args:
        source: a folder of scans (each image file, each sub-folder is one; a folder that holds DICOM files itself is
            a single scan), a CSV with the column ``path`` (relative to the table) and, if wanted, ``case`` and
            ``fvc_percent``, or the scans' paths.
        leave_out: a folder inside that holds no scans: the results.

    Raises:
        SettingsError: there is nothing to score, or two cases would have the same name.
        TableError: a table that cannot be used.
    """
    if not isinstance(source, str | Path):
        cases = _named([Path(p) for p in source])
    elif Path(source).suffix.lower() == ".csv":
        cases = _of_table(Path(source))
    elif Path(source).is_dir():
        cases = _named(_scans_in(Path(source), leave_out))
    else:
        cases = _named([Path(source)])
    if not cases:
        raise SettingsError(f"{source} holds no scans: no image files and no folders with DICOM files.")
    return cases


def input_state(path: Path) -> str:
    """What tells whether a scan is still the same: a digest of its files' names, sizes and times. Names no patient.

    Raises:
        OSError: the scan is not there or cannot be read.
    """
    digest = hashlib.sha256()
    for file in _files_of(path):
        state = file.stat()
        name = file.relative_to(path).as_posix() if path.is_dir() else file.suffix
        digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return digest.hexdigest()


# ---- finding -------------------------------------------------------------------------------------------------------


def _scans_in(folder: Path, leave_out: Path | None) -> list[Path]:
    try:
        entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    except OSError as error:
        raise SettingsError(f"The folder {folder} cannot be read: {error.strerror or error}.") from error
    files = [e for e in entries if e.is_file()]
    images = [f for f in files if f.name.lower().endswith(_ENDINGS)]
    if _any_dicom(f for f in files if f not in images):
        return [folder]
    outside = leave_out.resolve() if leave_out is not None else None
    scans = [e for e in entries if e in images or (e.is_dir() and e.resolve() != outside)]
    return [part for scan in scans for part in (_images_of(scan) or [scan])]


def _images_of(folder: Path) -> list[Path]:
    """The image files of a sub-folder that holds no DICOM but such files, as one folder a patient is often kept."""
    if not folder.is_dir():
        return []
    files = sorted(e for e in folder.iterdir() if e.is_file() and not e.name.startswith("."))
    images = [f for f in files if f.name.lower().endswith(_ENDINGS)]
    return [] if _any_dicom(f for f in files if f not in images) else images


def _any_dicom(files: Iterable[Path]) -> bool:
    from .reading.dicom_series import looks_like_dicom

    for file in files:
        try:
            if looks_like_dicom(file):
                return True
        except OSError:
            continue
    return False


def _files_of(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(p for p in path.rglob("*") if p.is_file())
        return
    yield path
    if path.suffix.lower() in _HEADERS:
        yield from sorted(p for p in path.parent.glob(path.stem + ".*") if p != path and p.is_file())


# ---- naming --------------------------------------------------------------------------------------------------------


def _named(paths: list[Path]) -> list[BatchCase]:
    """Cases named after their files; where two are called the same, with folder, or folder and ending."""
    paths = list(dict.fromkeys(paths))
    names = [case_name(p) for p in paths]
    for longer in (
        lambda p: safe_name(f"{p.resolve().parent.name}_{case_name(p)}"),
        lambda p: safe_name(f"{p.resolve().parent.name}_{p.name.replace('.', '_')}"),
    ):
        count = Counter(n.casefold() for n in names)
        names = [longer(p) if count[n.casefold()] > 1 else n for p, n in zip(paths, names, strict=True)]
    return _unique([BatchCase(n, p) for p, n in zip(paths, names, strict=True)])


def _unique(cases: list[BatchCase]) -> list[BatchCase]:
    seen: dict[str, BatchCase] = {}
    for case in cases:
        other = seen.setdefault(case.name.casefold(), case)
        if other is not case:
            raise SettingsError(
                f"Two scans would be the case {case.name!r}: {other.path} and {case.path}. "
                "Rename one, or list them in a CSV with the columns case and path."
            )
    return cases


def _of_table(table: Path) -> list[BatchCase]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(line for line in stream if not line.startswith("#"))
            columns = rows.fieldnames or []
            lines = list(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"The table {table} cannot be read: {error}.") from error
    if "path" not in columns:
        raise TableError(f"{table.name} has no column path; a list of scans has the columns path, case, fvc_percent.")
    cases = []
    for number, line in enumerate(lines, start=1):
        given = (line["path"] or "").strip()
        if not given:
            raise TableError(f"Row {number} of {table.name} has no path.")
        path = table.parent / given  # an absolute path stays as it is
        name = (line.get("case") or "").strip()
        cases.append(BatchCase(safe_name(name) if name else case_name(path), path, _fvc(line, number, table)))
    return _unique(cases)


def _fvc(line: dict, number: int, table: Path) -> float | None:
    text = (line.get("fvc_percent") or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise TableError(f"Row {number} of {table.name}: fvc_percent is a number, not {text!r}.") from error
    try:
        goh_stage(0.0, value)
    except SettingsError as error:
        raise TableError(f"Row {number} of {table.name}: {error}") from error
    return value
