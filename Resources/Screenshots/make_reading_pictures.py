"""Makes pictures of reader studies without Slicer: ``python Resources/Screenshots/make_reading_pictures.py``.

reading_scores.png    the panel while a case is scored with own levels, and the views beside it with the atlas
reading_ratings.png   the panel while heat maps are rated, and the bare slice beside the one with the map

The study is made of a synthetic chest, the heat maps are those of the starter network; panel, views and keys are as
in make_slicer_pictures.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "Testing" / "Python")]

from make_slicer_pictures import column, demo_scan, row, small  # noqa: E402  (sets Qt and the paths up)
from minimal_application import MinimalApplication  # noqa: E402
from PIL import Image  # noqa: E402
from standins.install import install  # noqa: E402
from standins.module_opening import openModule  # noqa: E402

from reading_driving import Reader  # noqa: E402
from SScILDScoringLib.heatmaps.map_files import write_heat_maps  # noqa: E402
from SScILDScoringLib.levels import Levels  # noqa: E402
from SScILDScoringLib.observers import StudyCase, create_study  # noqa: E402
from SScILDScoringLib.phantom.nifti import write_volume  # noqa: E402
from SScILDScoringLib.pipeline import score_scan  # noqa: E402

MODULE = HERE.parents[1] / "SScILDScoring" / "SScILDScoring.py"
LARGE, STRIP, SIDE = (560, 560), (228, 184), (330, 278)


def make_studies(folder: Path) -> tuple[Path, Path, Levels]:
    """A study of scores and one of ratings, of the demo's phantom, and where its levels are."""
    path = folder / "chest.nii"
    scan = demo_scan()
    write_volume(path, scan.voxels, scan.ras_from_index)
    print("Computing heat maps", flush=True)
    result = score_scan(scan, heat_maps=True)
    write_heat_maps(result.heat_maps, scan, result.slice_indices, folder / "maps")
    case = StudyCase("chest", path, result.levels.mm, folder / "maps", tuple(s.clipped for s in result.scores))
    shared = {"readers": ["A", "B"], "seed": 3, "name": "Example"}
    create_study(folder / "scores", [case], **shared)
    create_study(folder / "ratings", [case], task="likert", levels="given", **shared)
    return folder / "scores", folder / "ratings", result.levels


def views_of(reader: Reader, sizes: dict[str, tuple[int, int]]) -> dict[str, object]:
    """Pictures of the views of the present layout, at the given sizes."""
    manager = reader.application.layoutManager()
    for name, size in sizes.items():
        manager.sliceWidget(name).offscreen.resize(*size)
    reader.section.layout.show(reader.case, reader.sitting.likert, reader.sitting.sheet.current[1])
    reader.settle()
    reader.sitting.showCell()
    return {name: manager.sliceWidget(name).offscreen.render() for name in sizes}


def panel_of(reader: Reader, folder: Path) -> Image.Image:
    """The panel."""
    path = reader.opened.grab(folder / "panel.png", width=500)
    with Image.open(path) as image:
        return image.convert("RGB")


def scores_picture(reader: Reader, study: Path, folder: Path, known: Levels) -> Image.Image:
    """A reader who is in the middle of a case, with the atlas."""
    reader.ui.readingKeysBox.collapsed = False
    reader.begin(study, "A")
    for position in known:  # as near as the neighbours allow, level by level
        now = reader.case.levels[position.level].mm
        key = "Ctrl+Up" if position.mm > now else "Ctrl+Down"
        reader.keys(*[key] * round(abs(position.mm - now) / reader.case.scan.mm_per_slice), "PgDown")
    reader.keys("PgUp", "PgUp", "PgUp", "PgUp")
    reader.type(5, 5, 0, 10, 10, 5, 20, 15, 10)
    reader.keys("2", "0", "Tab", "2", "5", "A")
    atlas = [f"SScILDAtlas{n}" for n in (1, 2, 3)]
    sizes = {"SScILDReading": LARGE, **dict.fromkeys(atlas, STRIP)}
    sizes |= dict.fromkeys(("SScILDCoronal", "SScILDSagittal"), SIDE)
    found = views_of(reader, sizes)
    strip = column([Image.fromarray(found[name]) for name in atlas])
    side = column([Image.fromarray(found[name]) for name in ("SScILDCoronal", "SScILDSagittal")])
    picture = row([panel_of(reader, folder), Image.fromarray(found["SScILDReading"]), strip, side])
    reader.section.finish()
    return picture


def ratings_picture(reader: Reader, study: Path, folder: Path) -> Image.Image:
    """A reader who rates heat maps."""
    reader.ui.readingKeysBox.collapsed = True
    reader.begin(study, "B")
    reader.keys("4", "Tab", "5", "Tab", "4", "PgDown", "PgDown", "PgDown", "Shift+Tab", "4")
    found = views_of(reader, dict.fromkeys(("SScILDReading", "SScILDReadingMap"), (520, 520)))
    picture = row([panel_of(reader, folder), *(Image.fromarray(found[n]) for n in found)])
    reader.section.finish()
    return picture


def main() -> None:
    """Writes both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, MinimalApplication() as minimal:
        folder = Path(name)
        scores, ratings, known = make_studies(folder)
        installation = install(minimal)
        installation.application.showMainWindow()
        reader = Reader(openModule(MODULE).enter())
        small(scores_picture(reader, scores, folder, known)).save(arguments.output / "reading_scores.png")
        small(ratings_picture(reader, ratings, folder)).save(arguments.output / "reading_ratings.png")
        reader.opened.close()
        installation.remove()
    print(f"pictures written to {arguments.output}")


if __name__ == "__main__":
    main()
