"""Makes the pictures of the README from a phantom: ``python Resources/Screenshots/make_pictures.py``.

levels.png     coronal and sagittal view with the five levels
heat_maps.png  the five slices, and below each its heat map of the total disease extent
report.png     the top of the report; only where Chromium is installed
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "SScILDScoring"))

import numpy as np  # noqa: E402

from SScILDScoringLib.commands.demo import run_demo  # noqa: E402
from SScILDScoringLib.report import pictures, scored_crop  # noqa: E402
from SScILDScoringLib.report.colours import HEAT_LIMIT, heat_colours  # noqa: E402
from SScILDScoringLib.scores import PATTERNS, Pattern  # noqa: E402

GAP = 8
GROUND = (255, 255, 255)
INK = (40, 46, 56)


def levels_picture(result) -> Image.Image:
    """Coronal and sagittal view side by side."""
    lungs = result.lungs.labels
    views = [
        pictures.coronal_view(result.scan, result.levels, lungs=lungs),
        pictures.sagittal_view(result.scan, result.levels, lungs=lungs),
    ]
    return in_a_row([pictures.drawn(view, scale=480 / view.height) for view in views])


def heat_map_picture(result, pattern: Pattern = Pattern.TOT) -> Image.Image:
    """Slices above, heat maps below, levels and scores written over them, the colour scale at the bottom."""
    crop = scored_crop(result)
    columns = []
    for i, position in enumerate(result.levels):
        view = pictures.axial_view(result.scan, result.slice_indices[i], crop)
        overlay = pictures.heat_overlay(result.heat_maps[i].of(pattern), result.heat_maps[i].covered)
        overlay = pictures.cropped_overlay(overlay, crop)
        scale = 270 / view.width
        pair = [pictures.drawn(view, scale=scale), pictures.drawn(view, overlay, scale=scale)]
        scores = ", ".join(f"{p.name} {v} %" for p, v in zip(PATTERNS, result.scores[i].reported, strict=True))
        columns.append(in_a_column([written(f"{position.level.name}: {scores}", 270), *pair]))
    body = in_a_row(columns)
    return in_a_column([body, scale_picture(body.width, pattern)])


def scale_picture(width: int, pattern: Pattern) -> Image.Image:
    """The colour scale with its ends and what it means."""
    colours = heat_colours(np.linspace(-HEAT_LIMIT, HEAT_LIMIT, 320)).astype(float)
    alpha = colours[:, 3:] / 255
    bar = np.repeat((colours[None, :, :3] * alpha + 110 * (1 - alpha)).astype(np.uint8), 14, axis=0)
    image = written("", width)
    image.paste(Image.fromarray(bar), (70, 5))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=15)
    draw.text((62, 12), f"-{HEAT_LIMIT:g}", fill=INK, font=font, anchor="rm")
    meaning = f"+{HEAT_LIMIT:g}   change of {pattern.name} in percentage points when healthy lung is put there"
    draw.text((398, 12), meaning, fill=INK, font=font, anchor="lm")
    return image


def written(text: str, width: int) -> Image.Image:
    """A line of text."""
    image = Image.new("RGB", (width, 24), GROUND)
    ImageDraw.Draw(image).text((2, 12), text, fill=INK, font=ImageFont.load_default(size=15), anchor="lm")
    return image


def in_a_row(images: list[Image.Image]) -> Image.Image:
    """Pictures beside each other."""
    width = sum(i.width for i in images) + GAP * (len(images) - 1)
    row = Image.new("RGB", (width, max(i.height for i in images)), GROUND)
    x = 0
    for image in images:
        row.paste(image, (x, 0))
        x += image.width + GAP
    return row


def in_a_column(images: list[Image.Image]) -> Image.Image:
    """Pictures below each other."""
    height = sum(i.height for i in images) + GAP * (len(images) - 1)
    column = Image.new("RGB", (max(i.width for i in images), height), GROUND)
    y = 0
    for image in images:
        column.paste(image, (0, y))
        y += image.height + GAP
    return column


def report_picture(report: Path, path: Path) -> bool:
    """The top of the report as a browser shows it; False without Chromium."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        return False
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1200,1700",
        ]
        command += [f"--user-data-dir={profile}", f"--screenshot={path}", report.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603
    return True


def main() -> None:
    """Scores the demo's phantom and writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=HERE, help="folder for the pictures")
    parser.add_argument("--s-net", help="score network; the starter if not given")
    parser.add_argument("--l-net", help="level network; the starter if not given")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        result, _, case = run_demo(folder, s_net=options.s_net, l_net=options.l_net)
        save(levels_picture(result), options.output / "levels.png")
        save(heat_map_picture(result), options.output / "heat_maps.png")
        report = options.output / "report.png"
        if report_picture(case / "report.html", report):
            save(Image.open(report).convert("RGB"), report)
        else:
            print("Chromium is not here: report.png was not made.")


def save(image: Image.Image, path: Path) -> None:
    """Writes a PNG and says how large it is."""
    image.save(path, optimize=True)
    print(f"{path.name}: {image.width} x {image.height}, {path.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
