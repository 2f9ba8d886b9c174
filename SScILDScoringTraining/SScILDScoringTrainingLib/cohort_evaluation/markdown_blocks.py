"""The little Markdown that our own tables are written in, as blocks that a page can show.

Tables of a report and those in its Markdown files are the same text, so that a number is never set twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A part of a document.

    Args:
        kind: ``heading``, ``table``, ``list``, ``quote`` or ``text``.
        text: of headings, quotes and texts. level: of a heading, from 1.
        header, rows: cells of a table. left: for each column, whether it stands to the left.
        items: of a list.
    """

    kind: str
    text: str = ""
    level: int = 0
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left: tuple[bool, ...] = ()
    items: tuple[str, ...] = ()


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks of a document: paragraphs separated by empty lines."""
    for paragraph in re.split(r"\n\s*\n", markdown.strip()):
        lines = paragraph.strip("\n").splitlines()
        heading = re.fullmatch(r"(#+) (.*)", paragraph.strip())
        if heading:
            yield Block("heading", heading[2], len(heading[1]))
        elif len(lines) > 1 and lines[0].startswith("|") and re.fullmatch(r"[|:\s-]+", lines[1]):
            yield _table(lines)
        elif lines and all(line.startswith("- ") for line in lines):
            yield Block("list", items=tuple(line[2:] for line in lines))
        elif paragraph.startswith("> "):
            yield Block("quote", " ".join(line.removeprefix("> ") for line in lines))
        elif paragraph.strip():
            yield Block("text", " ".join(lines))


def section(markdown: str, *left_out: str) -> list[Block]:
    """The blocks of a document without its title and without the sections of these headings."""
    found, leaving = [], False
    for block in blocks(markdown):
        if block.kind == "heading":
            leaving = block.text in left_out or block.level == 1
            if leaving:
                leaving = block.level > 1
                continue
        if not leaving:
            found.append(block)
    return found


def _table(lines: list[str]) -> Block:
    rule = _cells(lines[1])
    rows = tuple(_cells(line) for line in lines[2:])
    return Block("table", header=_cells(lines[0]), rows=rows, left=tuple(not cell.endswith(":") for cell in rule))


def _cells(line: str) -> tuple[str, ...]:
    inner = re.split(r"(?<!\\)\|", line.strip().strip("|") if not line.rstrip().endswith("\\|") else line.strip()[1:])
    return tuple(cell.strip().replace("\\|", "|") for cell in inner)
