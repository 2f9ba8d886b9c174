"""One HTML file from our own Markdown and pictures: it needs nothing else and works offline."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from pathlib import Path

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid #d9d9d9; }
h3 { font-size: 1rem; } .table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.8rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.45rem; text-align: left; white-space: nowrap; border-bottom: 1px solid #e6e6e6; }
th { border-bottom: 2px solid #767676; } .right { text-align: right; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #555; font-size: 0.85rem; }
@media print { body { margin: 0; font-size: 10px; } h2 { break-after: avoid; } tr, figure { break-inside: avoid; } }
"""


def page_html(title: str, markdown: str, pictures: Mapping[str, Path]) -> str:
    """A page: the Markdown's headings, paragraphs, lists and tables, then the pictures with their captions.

    Args:
        markdown: as :mod:`..agreement.markdown` and this room write it; nothing else of Markdown is known.
        pictures: caption -> PNG file.
    """
    figures = [
        f'<figure><img alt="{html.escape(caption, quote=True)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}"><figcaption>{html.escape(caption)}</figcaption></figure>'
        for caption, path in pictures.items()
    ]
    body = "\n".join(_block(block) for block in re.split(r"\n{2,}", markdown.strip()))
    shown = "\n<h2>Figures</h2>\n" + "\n".join(figures) if figures else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}{shown}\n</body>\n</html>\n"
    )


def _block(text: str) -> str:
    heading = re.match(r"(#{1,3}) (.*)", text)
    if heading:
        level = len(heading[1])
        return f"<h{level}>{html.escape(heading[2])}</h{level}>"
    lines = text.splitlines()
    if all(line.startswith("|") for line in lines) and len(lines) > 1:
        return _table(lines)
    if all(line.startswith("- ") for line in lines):
        return "<ul>\n" + "\n".join(f"<li>{html.escape(line[2:])}</li>" for line in lines) + "\n</ul>"
    return f"<p>{html.escape(text)}</p>"


def _table(lines: list[str]) -> str:
    right = [cell.strip().endswith(":") for cell in _cells(lines[1])]

    def row(line: str, tag: str) -> str:
        cells = [
            f"<{tag}{' class=right' if to_right else ''}>{html.escape(cell.strip())}</{tag}>"
            for cell, to_right in zip(_cells(line), right, strict=True)
        ]
        return f"<tr>{''.join(cells)}</tr>"

    rows = "\n".join(row(line, "td") for line in lines[2:])
    return (
        f'<div class="table"><table>\n<thead>{row(lines[0], "th")}</thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'
    )


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [cell.replace("\\|", "|") for cell in cells]
