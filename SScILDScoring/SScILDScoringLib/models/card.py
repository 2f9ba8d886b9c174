"""The model card of a bundle: its metadata as a page for people (``docs/README.md``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .metadata import KIND_TITLES, BundleMetadata

_ANSWERS = {
    "l_net": "Five slice numbers in the patch, L1 to L5, counted from its bottom slice; the software turns them into "
    "millimetres along the patient's long axis.",
    "s_net": "Three numbers in percent of the slice's lung area: TOT (total extent), GG (ground glass), RET "
    "(reticulation). Reported limited to 0..100 and rounded to the nearest 5.",
}
_LIMITS = {
    "l_net": (
        "It always gives five positions, also for a scan that does not show the whole chest. The software compares "
        "them with landmarks and says so where they disagree; look at the levels before you use the scores.",
    ),
    "s_net": (
        "It gives a score for every image, also for one that shows something it was never trained on (consolidation, "
        "masses, effusion, surgery). Look at the slice and at the heat maps.",
        "The split between ground glass and reticulation is less certain than the total extent.",
    ),
}


def model_card(metadata: BundleMetadata, parameters: int) -> str:
    """The model card in Markdown.

    Args:
        metadata: of the bundle.
        parameters: how many the network has.
    """
    raw = metadata.raw
    option = "--l-net" if metadata.kind == "l_net" else "--s-net"
    options = ", ".join(f"{key} {_shown(value)}" for key, value in metadata.options.items()) or "none"
    parts = [
        f"# {metadata.name} {metadata.version}",
        f"> **{metadata.notice}**" if metadata.notice else "",
        metadata.description,
        "## What it is",
        _table(
            ("", ""),
            [
                ("Kind", KIND_TITLES[metadata.kind]),
                ("Network", f"{metadata.network}, {parameters:,} parameters ({options})"),
                ("Input", _input(metadata)),
                ("Answer", _ANSWERS[metadata.kind]),
                ("Validated on patients", "yes" if metadata.validated else "**no**"),
                ("Intended use", raw.get("intended_use", "")),
                ("Authors", raw.get("authors", "")),
                ("Licence", f"{raw['sscild'].get('licence', '')} (file LICENSE)"),
            ],
        ),
        "## Accuracy",
        _accuracy(metadata.accuracy),
        "## Training data",
        _training_data(metadata),
        "## How to use",
        "A bundle that came with the software is there already. Any other one is installed from its folder, or from a "
        "zip file of it:\n\n"
        f"```\nsscild models install {metadata.name}\nsscild score CT -o OUT {option} {metadata.name}\n```",
        "## Limits",
        _limits(metadata),
    ]
    if metadata.heat_maps:
        parts += ["## Heat maps", _heat_maps(metadata.heat_maps)]
    changes = raw.get("changelog", {})
    if changes:
        parts += ["## Changes", "\n".join(f"- {version}: {text}" for version, text in changes.items())]
    return "\n\n".join(part for part in parts if part) + "\n"


def _input(metadata: BundleMetadata) -> str:
    settings = metadata.input
    low, high = settings.hu_window
    window = f"HU clipped to {low:g}..{high:g}"
    if metadata.kind == "s_net":
        cleared = ", everything outside the body set to air" if settings.clear_outside_body else ""
        return f"an axial slice of {settings.size}x{settings.size} pixels, {window} and scaled to 0..1{cleared}"
    depth, height, width = settings.size
    return (
        f"the CT resized to {width}x{height}x{depth} (x, y, z), {window}, in patches of {settings.depth} slices, each "
        "z-scored"
    )


def _limits(metadata: BundleMetadata) -> str:
    lines = list(_LIMITS[metadata.kind])
    if not metadata.validated:
        lines.insert(0, "Nobody has shown that its answers are right on patients. Do not base a decision on them.")
    lines.append("Figures above hold for the data they name and for nothing else.")
    return "\n".join(f"- {line}" for line in lines)


def _training_data(metadata: BundleMetadata) -> str:
    if not metadata.training_data:
        return "None is stated."
    rows = [(entry["name"], entry["licence"], entry["citation"]) for entry in metadata.training_data]
    return _table(("data", "licence", "citation"), rows)


def _heat_maps(settings: Mapping[str, Any]) -> str:
    rows = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            rows += [(f"{key.replace('_', ' ')}: {inner}", _shown(v)) for inner, v in value.items()]
        else:
            rows.append((key.replace("_", " "), _shown(value)))
    return _table(("setting", "value"), rows)


def _accuracy(accuracy: Mapping[str, Any]) -> str:
    """One table for every data set; rows and columns where the figures are nested two deep."""
    if not accuracy:
        return "No figures are stated."
    parts = []
    for data, figures in accuracy.items():
        parts.append(f"### {data}")
        if not isinstance(figures, Mapping):
            parts.append(_shown(figures))
            continue
        inner = {key: value for key, value in figures.items() if isinstance(value, Mapping)}
        plain = [(key, value) for key, value in figures.items() if key not in inner]
        if inner:
            columns = list(dict.fromkeys(column for value in inner.values() for column in value))
            rows = [(key, *(_shown(value.get(column, "")) for column in columns)) for key, value in inner.items()]
            parts.append(_table(("", *columns), rows))
        if plain:
            parts.append("\n".join(f"- {key}: {_shown(value)}" for key, value in plain))
    return "\n\n".join(parts)


def _table(header: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "-".join(_shown(v) for v in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
