"""Makes pictures of the Slicer module without Slicer: ``python Resources/Screenshots/make_slicer_pictures.py``.

slicer_layout.png   the module's layout: coronal and sagittal view with the level lines, five levels with the heat maps
                    of the total extent, the result table
slicer_drag.png     the coronal view and level 3, before and after L3 was dragged with the mouse
slicer_panel.png    the panel (only with the panel's stand-ins, see Testing/Application)

The slice views, level lines, legends and mouse events are Slicer's own (slicer-core, drawn off screen); frame and table
are drawn here. With ``--ct FILE`` the same is made of a CT; such pictures do not belong into the repository.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "SScILDScoring"), str(ROOT / "Testing" / "Application")]

from minimal_application import MinimalApplication, Mouse  # noqa: E402

from SScILDScoringLib.levels import Level  # noqa: E402
from SScILDScoringLib.scene import views  # noqa: E402
from SScILDScoringLib.scene.case import ScoredCase  # noqa: E402
from SScILDScoringLib.scene.logic import ScoringLogic  # noqa: E402
from SScILDScoringLib.scene.volumes import volumeFromScan  # noqa: E402
from SScILDScoringLib.scores import Pattern  # noqa: E402

LARGE, SMALL, GAP = (560, 400), (222, 222), 4
FRAME, INK, PAPER = (58, 62, 68), (30, 34, 40), (250, 250, 250)


def demo_scan():
    """The phantom of ``sscild demo``."""
    from SScILDScoringLib.commands.demo import demo_spec
    from SScILDScoringLib.phantom import make_phantom

    return make_phantom(demo_spec()).scan


def scored_case(scan, progress) -> ScoredCase:
    """The scan in the scene, with levels, scores and heat maps by the bundled networks."""
    volume = volumeFromScan(scan, "CT")
    logic = ScoringLogic()
    logic.score(volume, progress=progress)
    return ScoredCase.ofNode(logic.renderHeatMaps(ScoredCase.ofVolume(volume).node, progress=progress))


def open_views(application, case: ScoredCase) -> dict:
    """The layout's slice views with the case in them."""
    views.registerLayout(application.layoutNode)
    application.layoutNode.SetViewArrangement(views.LAYOUT_ID)
    found = {name: application.sliceView(name, None, LARGE) for name in views.COMPARED_VIEWS}
    found |= {name: application.sliceView(name, None, SMALL) for name in views.LEVEL_VIEWS}
    views.showVolume(application.scene, case.volumeNode, case.scan)
    show_levels(application.scene, case)
    views.fitViews(application.scene, case.scan)
    case.showPattern(Pattern.TOT, 0.7)
    return found


def show_levels(scene, case: ScoredCase) -> None:
    """Puts the level views where the level lines are."""
    for level, k in zip(Level, case.levels.slice_indices(case.scan), strict=True):
        views.showLevel(scene, level, case.scan, k)


def layout_picture(found: dict, case: ScoredCase) -> Image.Image:
    """All views as the layout arranges them, and the table below."""
    top = row([found[name].render() for name in views.COMPARED_VIEWS])
    levels = row([found[name].render() for name in views.LEVEL_VIEWS])
    width = max(top.width, levels.width)
    return column([top, levels, table_picture(case.tableNode, width)])


def drag_picture(found: dict, application, case: ScoredCase) -> Image.Image:
    """The coronal view and level 3 before and after a drag of L3 with the mouse."""
    coronal, axial = found[views.CORONAL_VIEW], found[views.levelView(Level.L3)]
    before = [coronal.render(), enlarged(axial.render(), LARGE[1])]
    plane = case.levelPlanes.nodes[Level.L3 - 1]
    start = arrow_of(coronal, plane)
    Mouse(coronal).drag(start, (25, 45))
    show_levels(application.scene, case)
    case.heatMapNodes.show(None)
    after = [coronal.render(), enlarged(axial.render(), LARGE[1])]
    return column([row(before), row(after)])


def arrow_of(view, plane) -> tuple[float, float]:
    """A pixel on the plane's arrow along S: the handle stands a little above the plane's origin."""
    x, y = view.pixelOf(plane.GetOriginWorld())
    return x, y + 30


def table_picture(table, width: int) -> Image.Image:
    """The result table as text, in the columns' own titles."""
    font = ImageFont.load_default(13)
    names = [table.GetTable().GetColumnName(c) for c in range(table.GetNumberOfColumns())]
    titles = [table.GetColumnTitle(name) or name for name in names]
    rows = [titles] + [[table.GetCellText(r, c) for c in range(len(names))] for r in range(table.GetNumberOfRows())]
    widths = [max(font.getlength(line[c]) for line in rows) for c in range(len(names))]
    spare = (width - sum(widths)) / max(len(names), 1)
    picture = Image.new("RGB", (width, 22 * len(rows) + 6), PAPER)
    draw = ImageDraw.Draw(picture)
    for r, line in enumerate(rows):
        if r == 0:
            draw.rectangle((0, 0, width, 23), fill=(222, 226, 230))
        x = spare / 2
        for c, text in enumerate(line):
            draw.text((x, 22 * r + 5), text, fill=INK, font=font)
            x += widths[c] + spare
    return picture


def enlarged(picture: np.ndarray, height: int) -> np.ndarray:
    """A view's picture at another height."""
    image = Image.fromarray(picture)
    return np.asarray(image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS))


def row(pictures) -> Image.Image:
    """Pictures side by side with a thin frame between them."""
    images = [Image.fromarray(p) if isinstance(p, np.ndarray) else p for p in pictures]
    result = Image.new(
        "RGB", (sum(i.width for i in images) + GAP * (len(images) - 1), max(i.height for i in images)), FRAME
    )
    x = 0
    for image in images:
        result.paste(image, (x, 0))
        x += image.width + GAP
    return result


def column(images) -> Image.Image:
    """Pictures below each other."""
    result = Image.new(
        "RGB", (max(i.width for i in images), sum(i.height for i in images) + GAP * (len(images) - 1)), FRAME
    )
    y = 0
    for image in images:
        result.paste(image, (0, y))
        y += image.height + GAP
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", type=Path, help="a CT instead of the phantom")
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    arguments = parser.parse_args()
    if arguments.ct and arguments.output == HERE:
        parser.error("pictures of a CT do not belong into the repository: give a folder with -o")
    arguments.output.mkdir(parents=True, exist_ok=True)
    from SScILDScoringLib import load_scan

    scan = load_scan(arguments.ct) if arguments.ct else demo_scan()
    with MinimalApplication() as application:
        case = scored_case(scan, lambda stage, fraction, message: print(f"\r{message:60}", end="", flush=True))
        found = open_views(application, case)
        layout_picture(found, case).save(arguments.output / "slicer_layout.png", optimize=True)
        drag_picture(found, application, case).save(arguments.output / "slicer_drag.png", optimize=True)
    print(f"\rpictures written to {arguments.output}{'':40}")


if __name__ == "__main__":
    main()
