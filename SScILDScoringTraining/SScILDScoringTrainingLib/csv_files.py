"""Reading CSV files as people make them; whatever is off is one sentence with file, row and column.

Commas, semicolons or tabs (then also decimal commas), UTF-8, one header row; lines that start with # are remarks.
Column names may be in any case and order. Rows are numbered as a spreadsheet numbers them: the file's lines.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from SScILDScoringLib.errors import TableError


class CsvContent(NamedTuple):
    """A CSV file.

    Args:
        header: column names in lower case. header_row: its row in the file.
        rows: the other rows, ``(row number, {column: cell})``; cells as they stand there.
        decimal_comma: numbers may be written 12,5.
        remarks: the lines that start with #.
    """

    header: tuple[str, ...]
    header_row: int
    rows: tuple[tuple[int, dict[str, str]], ...]
    decimal_comma: bool
    remarks: tuple[str, ...]


def read_csv(path: str | Path, kind: str) -> CsvContent:
    """The rows of a CSV file.

    Args:
        kind: what messages call the file (``cohort table``).

    Raises:
        TableError: no such file, not text, not CSV, empty, a column name twice, a row with too many cells.
    """
    path = Path(path)
    lines = list(io.StringIO(_text(path, kind), newline=None))  # only line feeds end a row, whatever the system
    remarks = tuple(line.rstrip("\n") for line in lines if line.startswith("#"))
    # Remarks become empty lines, so that the numbers of the rows stay those of the file.
    lines = ["\n" if line.startswith("#") else line for line in lines]
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise TableError(f"{path.name} is empty; a {kind} begins with a row of column names.")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: tuple[str, ...] = ()
    header_row = 0
    rows = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header, header_row = tuple(one_line(cell).lower() for cell in cells), reader.line_num
                _check_header(path, header, header_row)
                continue
            if len(cells) > len(header):
                raise TableError(
                    f"{path.name}, row {reader.line_num}, column {len(header) + 1}: {len(cells)} cells, but the "
                    f"header has {len(header)}; put quotes around text with a {delimiter!r} in it."
                )
            rows.append((reader.line_num, dict(zip(header, cells + [""] * len(header), strict=False))))
    except csv.Error as error:
        raise TableError(f"{path.name}, row {reader.line_num}: not readable as CSV ({error}).") from error
    return CsvContent(header, header_row, tuple(rows), delimiter != ",", remarks)


def one_line(text: str) -> str:
    """Without line breaks and repeated blanks, which quotes allow within a cell."""
    return " ".join(text.split())


def _check_header(path: Path, header: tuple[str, ...], row: int) -> None:
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice:
        raise TableError(f"{path.name}, row {row}, column {twice}: the name stands in the header twice.")


def _text(path: Path, kind: str) -> str:
    if not path.is_file():
        raise TableError(f"There is no {kind} {path}.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}.") from error
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise TableError(f"{path.name} is a spreadsheet; save it as CSV (UTF-8).")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise TableError(f"{path.name}, row {row}: not UTF-8 text; save the table as CSV (UTF-8).") from error
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise TableError(f"{path.name}, row {row}: not a text file; a {kind} is CSV (UTF-8).")
    return text
