"""Makes the reference atlas of the reader studies: ``python Resources/Atlas/make_reference_atlas.py``.

Nine slices of one synthetic chest with 5, 20 and 50 % of total extent, ground glass and reticulation. The share of the
lung is that of the slice itself, counted on the phantom's true masks; the amount of disease is searched until it is met
within half a percentage point. Written are a picture with nine tiles (8 bit over the lung window, so that the grey
values can be turned back into Hounsfield units) and what each tile shows, into the module's resources.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "SScILDScoring"))

from SScILDScoringLib.phantom import DiseaseSpec, Phantom, PhantomSpec, make_phantom  # noqa: E402
from SScILDScoringLib.report.colours import LUNG_WINDOW, windowed  # noqa: E402
from SScILDScoringLib.scores import PATTERNS, Pattern  # noqa: E402

TARGET = ROOT / "SScILDScoring" / "Resources" / "Atlas"
PERCENT = (5, 20, 50)
TOLERANCE = 0.5
SEED, PIXEL_MM, MATRIX = 5, 0.88, 384
BELOW_CARINA_MM = 62.0
MARGIN = 10
"""Pixels around the lungs that a tile keeps."""
CAPTION = 22
"""Height of the line of text below a tile in pixels."""


def phantom_spec(pattern: Pattern, share: float) -> PhantomSpec:
    """Three slices of the chest with a share of the lungs diseased; the middle one is the tile."""
    plain = PhantomSpec(seed=SEED)
    disease = DiseaseSpec(
        ground_glass=share if pattern is not Pattern.RET else 0.0,
        reticulation=share if pattern is not Pattern.GG else 0.0,
        distribution="subpleural",
        severity=0.7,
        overlap=0.4,
        patch_mm=32.0,
    )
    half = 2.25
    return PhantomSpec(
        seed=SEED,
        matrix=MATRIX,
        spacing=(PIXEL_MM, PIXEL_MM, 1.5),
        slices=3,
        above_mm=half - BELOW_CARINA_MM - plain.apex_mm,
        below_mm=half + BELOW_CARINA_MM - plain.lung_bottom_mm,
        noise_hu=8.0,
        table=False,
        disease=disease,
    )


def searched(pattern: Pattern, percent: float) -> Phantom:
    """The phantom whose middle slice has ``percent`` of the lung diseased.

    Raises:
        SystemExit: no amount of disease gives that.
    """
    low, high = 0.0, 1.0
    for _step in range(24):
        share = (low + high) / 2
        phantom = make_phantom(phantom_spec(pattern, share))
        found = phantom.scores(1)[PATTERNS.index(pattern)]
        if abs(found - percent) <= TOLERANCE / 2:
            return phantom
        low, high = (share, high) if found < percent else (low, share)
    raise SystemExit(f"no phantom with {percent} % {pattern.value} was found")


def captioned(tile: np.ndarray, text: str) -> np.ndarray:
    """The tile with a line of text below it, part of the picture so that it is never lost."""
    band = Image.new("L", (tile.shape[1], CAPTION), 0)
    font = ImageFont.load_default(15)
    ImageDraw.Draw(band).text(((band.width - font.getlength(text)) / 2, 2), text, fill=255, font=font)
    return np.concatenate([tile, np.asarray(band)], axis=0)


def atlas() -> tuple[np.ndarray, dict]:
    """The picture (uint8, rows: TOT, GG, RET; columns: 5, 20, 50 %) and what it shows."""
    tiles, entries, box = [], [], None
    for pattern in PATTERNS:
        row = []
        for percent in PERCENT:
            phantom = searched(pattern, percent)
            if box is None:  # the chest is the same in all of them
                lung = np.argwhere(phantom.labels[1] > 0)
                (y0, x0), (y1, x1) = lung.min(axis=0) - MARGIN, lung.max(axis=0) + MARGIN + 1
                box = slice(int(y0), int(y1)), slice(int(x0), int(x1))
            tile = windowed(phantom.scan.voxels[1])[box]
            row.append(captioned(tile, f"synthetic example   {pattern.name} {percent} %"))
            tot, gg, ret = (round(v, 2) for v in phantom.scores(1))
            entries.append({"pattern": pattern.value, "percent": percent, "tot": tot, "gg": gg, "ret": ret})
        tiles.append(np.concatenate(row, axis=1))
    facts = {
        "notice": "Synthetic examples: slices of a computed chest, no patient.",
        "window": list(LUNG_WINDOW),
        "pixel_mm": PIXEL_MM,
        "columns": len(PERCENT),
        "first_pixel": [box[0].start, box[1].start],
        "tiles": entries,
    }
    return np.concatenate(tiles, axis=0), facts


def main() -> None:
    """Writes picture and description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    picture, facts = atlas()
    Image.fromarray(picture).save(arguments.output / "SScILDScoringAtlas.png", optimize=True)
    text = json.dumps(facts, indent=1) + "\n"
    (arguments.output / "SScILDScoringAtlas.json").write_text(text, encoding="utf-8", newline="\n")
    print(f"{picture.shape[1]} x {picture.shape[0]} pixels written to {arguments.output}")


if __name__ == "__main__":
    main()
