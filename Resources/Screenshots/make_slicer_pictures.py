"""Makes pictures of the Slicer module without Slicer: ``python Resources/Screenshots/make_slicer_pictures.py``.

slicer_layout.png   the panel beside the layout: coronal and sagittal view with the level lines, five levels with
                    the heat maps of the total extent, the result table
slicer_drag.png     the coronal view and level 3, before and after L3 was dragged with the mouse

Slice views, level lines, legends and mouse events are Slicer's own (slicer-core, drawn off screen); the panel is the
module's own on stand-ins for Slicer's widgets (Testing/Application), and works with the real worker process. Frame and
table are drawn here. With ``--ct FILE`` the same is made of a CT; such pictures do not belong into the repository.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "SScILDScoring"), str(ROOT / "Testing" / "Application")]

from minimal_application import MinimalApplication, Mouse  # noqa: E402
from standins.install import install  # noqa: E402
from standins.module_opening import openModule  # noqa: E402

from SScILDScoringLib.levels import Level  # noqa: E402
from SScILDScoringLib.scene import views  # noqa: E402
from SScILDScoringLib.scene.case import ScoredCase  # noqa: E402
from SScILDScoringLib.scene.volumes import volumeFromScan  # noqa: E402

LARGE, SMALL, GAP = (600, 440), (238, 238), 4
PATIENCE_S = 900
FRAME, INK, PAPER = (58, 62, 68), (30, 34, 40), (250, 250, 250)


def demo_scan():
    """The phantom of ``sscild demo``."""
    from SScILDScoringLib.commands.demo import demo_spec
    from SScILDScoringLib.phantom import make_phantom

    return make_phantom(demo_spec()).scan


class Module:
    """The module opened in the stand-ins, driven as a person does."""

    def __init__(self, application) -> None:
        self.application = application
        self.opened = openModule(ROOT / "SScILDScoring" / "SScILDScoring.py")
        self.opened.enter()
        self.panel = self.opened.widget.panel
        self.ui, self.desk = self.panel.ui, self.panel.desk

    @property
    def case(self) -> ScoredCase:
        """The chosen CT's case."""
        return self.desk.case

    def press(self, button, what: str) -> None:
        """Presses a button and waits until the step that it starts has ended."""
        if not button.enabled:
            raise SystemExit(f"{what}: {button.toolTip}")
        print(what, flush=True)
        button.click()
        self.wait()

    def wait(self) -> None:
        """Runs Qt until nothing is being computed."""
        end = time.monotonic() + PATIENCE_S
        self.application.processEvents()
        while self.desk.busy():
            if time.monotonic() > end:
                raise SystemExit(f"nothing happened within {PATIENCE_S} s")
            self.application.processEvents()
            time.sleep(0.02)

    def views(self) -> dict:
        """The layout's slice views by name."""
        manager = self.application.layoutManager()
        found = {name: manager.sliceWidget(name).offscreen for name in views.SLICE_VIEWS}
        for name, view in found.items():
            view.resize(*(LARGE if name in views.COMPARED_VIEWS else SMALL))
        views.fitViews(self.case.scene, self.case.scan)
        return found

    def picture(self, folder: Path) -> Image.Image:
        """The panel."""
        path = folder / "panel.part.png"
        self.opened.grab(path, width=540)
        with Image.open(path) as image:
            result = image.convert("RGB")
        path.unlink()
        return result


def layout_picture(found: dict, case: ScoredCase) -> Image.Image:
    """All views as the layout arranges them, and the table below."""
    top = row([found[name].render() for name in views.COMPARED_VIEWS])
    levels = row([found[name].render() for name in views.LEVEL_VIEWS])
    width = max(top.width, levels.width)
    return column([top, levels, table_picture(case.tableNode, width)])


def drag_picture(found: dict, module: Module) -> Image.Image:
    """The coronal view and level 3 before and after a drag of L3 with the mouse."""
    coronal, axial = found[views.CORONAL_VIEW], found[views.levelView(Level.L3)]
    before = [coronal.render(), enlarged(axial.render(), LARGE[1])]
    plane = module.case.levelPlanes.nodes[Level.L3 - 1]
    Mouse(coronal).drag(arrow_of(coronal, plane), (25, 45))
    module.wait()
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


def side_by_side(panel: Image.Image, layout: Image.Image) -> Image.Image:
    """The upper part of the panel beside the layout, as they stand on the screen."""
    return row([panel.crop((0, 0, panel.width, min(panel.height, layout.height))), layout])


def small(picture: Image.Image) -> Image.Image:
    """The picture with a palette of 256 colours: a third of the file, and no difference to be seen."""
    return picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


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
    """Drives the module from the CT to the heat maps and writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", type=Path, help="a CT instead of the phantom")
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    arguments = parser.parse_args()
    if arguments.ct and arguments.output == HERE:
        parser.error("pictures of a CT do not belong into the repository: give a folder with -o")
    arguments.output.mkdir(parents=True, exist_ok=True)
    from SScILDScoringLib import load_scan

    scan = load_scan(arguments.ct) if arguments.ct else demo_scan()
    with MinimalApplication() as minimal:
        installation = install(minimal)
        installation.application.showMainWindow()
        module = Module(installation.application)
        module.ui.volumeSelector.setCurrentNode(volumeFromScan(scan, "CT", minimal.scene))
        module.press(module.ui.findLevelsButton, "Finding the levels")
        module.press(module.ui.scoreButton, "Scoring")
        module.press(module.ui.heatMapsButton, "Computing heat maps")
        found = module.views()
        layout = layout_picture(found, module.case)
        small(side_by_side(module.picture(arguments.output), layout)).save(arguments.output / "slicer_layout.png")
        small(drag_picture(found, module)).save(arguments.output / "slicer_drag.png")
        module.opened.close()
        installation.remove()
    print(f"pictures written to {arguments.output}")


if __name__ == "__main__":
    main()
