"""Makes pictures of the training module without Slicer: ``python Resources/Screenshots/make_training_pictures.py``.

training_panel.png    the whole panel after a small real training: cohort with its check, training, runs, progress,
                      evaluation of the finished run
training_curves.png   the curves of that run as they stand in the view area
training_studies.png  a cross-validation of the same training, with its result

The cohort is of phantoms, the training and the cross-validation are real ones in processes of their own (some minutes
on two CPU cores), and so is the worker that checks and evaluates. The panel is the module's own on stand-ins for
Slicer's widgets (Testing/Application); the plots are drawn with VTK's charts, which Slicer's plot views show, too.
Networks and scores in the pictures are of a few minutes' training and mean nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import yaml
from PIL import Image
from PySide6.QtCore import QPoint

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [
    str(ROOT / "SScILDScoring"),
    str(ROOT / "SScILDScoringTraining"),
    str(ROOT / "Testing" / "Application"),
    str(HERE),
]

from make_slicer_pictures import column, small  # noqa: E402
from minimal_application import MinimalApplication  # noqa: E402
from offscreen_plots import renderChart  # noqa: E402
from standins.install import install  # noqa: E402
from standins.module_opening import openModule  # noqa: E402

from SScILDScoringTrainingLib.processes import process_mark  # noqa: E402
from SScILDScoringTrainingLib.run_status import read_status  # noqa: E402
from SScILDScoringTrainingLib.runs import start_study, start_training  # noqa: E402

WIDTH = 560
PATIENCE_S = 3600
PLOT = (860, 400)


def configuration(folder: Path, table: Path, steps: int) -> Path:
    """A small S-Net on the cohort and on synthetic disease, written where the run will be."""
    values = {
        "recipe": "scores",
        "seed": 1,
        "network": {"name": "compact_ratio", "options": {"widths": [8, 16, 24, 32], "blocks": [1, 1, 1, 1]}},
        "input": {"size": 128, "hu_window": [-1024, 600], "clear_outside_body": True},
        "augmentation": {"rotation_degrees": 15, "mirror": 0.5},
        "data": {
            "cohort": str(table),
            "cache": str(folder / "cache"),
            "balanced": True,
            "mix": {"cohort": 0.6, "synthetic": 0.4},
        },
        "dense": {"lung": 1.0, "patterns": 1.0, "score_unit": 10},
        "training": {
            **{"batch_size": 8, "steps": steps, "optimizer": "adamw", "learning_rate": 3e-3, "schedule": "cosine"},
            **{"warmup_steps": 10, "loss": "smooth_l1", "validate_every": max(1, steps // 10), "device": "cpu"},
            **{"threads": 1, "ema": 0.97, "tensorboard": False},
        },
        "bundle": {"name": "s_net_own", "description": "A small network, trained to make a picture of the panel."},
    }
    path = folder / "s_net_small.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def cohort(folder: Path, cases: int) -> Path:
    """A table of phantoms in two splits and two folds."""
    from SScILDScoringLib.phantom.writing import write_cohort as write_phantoms
    from SScILDScoringTrainingLib.cohort import write_cohort
    from SScILDScoringTrainingLib.cohort.creating import cohort_of_phantoms

    folder.mkdir(parents=True)
    fixed = {"matrix": 128, "slices": 40, "tilt_deg": 0.0, "oblique_deg": (0.0, 0.0, 0.0)}
    rows = cohort_of_phantoms(write_phantoms(folder / "phantoms", cases, 11, **fixed)).rows
    divided = [
        replace(row, fold=n % 2 + 1, split="validation" if n % 4 == 3 else "train") for n, row in enumerate(rows)
    ]
    return write_cohort(divided, folder / "cohort.csv")


class Module:
    """The training module opened in the stand-ins, driven as a person does."""

    def __init__(self, application) -> None:
        self.application = application
        self.opened = openModule(ROOT / "SScILDScoringTraining" / "SScILDScoringTraining.py").enter()
        self.panel = self.opened.widget.panel
        self.desk, self.ui = self.panel.desk, self.panel.ui

    def wait(self, condition, what: str) -> None:
        """Runs Qt until something has happened."""
        print(what, flush=True)
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"{what}: it did not happen within {PATIENCE_S} s")
            self.application.processEvents()
            time.sleep(0.05)
        self.desk.tick()
        self.application.processEvents()

    def press(self, button, what: str) -> None:
        """Presses a button and waits until the worker has done what it asks for."""
        if not button.enabled:
            raise SystemExit(f"{what}: {button.toolTip}")
        button.click()
        self.wait(lambda: not self.desk.busy(), what)

    def picture(self, folder: Path) -> Image.Image:
        """The whole panel; pictures in it take its width, and its height follows them, after some looks."""
        path = folder / "panel.part.png"
        for _n in range(4):
            self.desk.tick()
            for _m in range(5):
                self.application.processEvents()
            self.opened.grab(path, width=WIDTH)
        with Image.open(path) as image:
            result = image.convert("RGB")
        path.unlink()
        return result

    def show(self, *sections: str) -> None:
        """Opens some of the panel's sections and closes the others."""
        for name in dir(self.ui):
            if name.endswith("Section") and hasattr(getattr(self.ui, name), "collapsed"):
                getattr(self.ui, name).collapsed = name not in sections
        self.application.processEvents()


def finished(folder: Path) -> bool:
    """Whether a run is over; SystemExit when it failed."""
    status = read_status(folder)
    if status is not None and status.state in ("failed", "interrupted"):
        raise SystemExit(f"{folder.name}: {status.in_words}")
    return status is not None and status.state == "finished"


def gone(folder: Path) -> bool:
    """Whether the process of a study has ended: its tables are written."""
    status = read_status(folder)
    return status is not None and process_mark(status.pid) != status.mark


def two_columns(panel: Image.Image, split: int, gap: int = 12) -> Image.Image:
    """A long panel in two columns, the second from row ``split`` on."""
    parts = panel.crop((0, 0, panel.width, split)), panel.crop((0, split, panel.width, panel.height))
    result = Image.new("RGB", (2 * panel.width + gap, max(part.height for part in parts)), panel.getpixel((1, 1)))
    result.paste(parts[0], (0, 0))
    result.paste(parts[1], (panel.width + gap, 0))
    return result


def main() -> None:
    """Trains, looks, evaluates, cross-validates, and writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    parser.add_argument("--steps", type=int, default=300, help="of each training")
    parser.add_argument("--cases", type=int, default=12, help="phantoms in the cohort")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sscild-pictures-") as temporary:
        place = Path(temporary)
        # A user of its own: neither the runs nor the networks of whoever makes the pictures.
        for name in ("HOME", "XDG_DATA_HOME", "APPDATA"):
            os.environ[name] = str(place / "home")
        os.environ["SSCILD_RUNS"] = str(place / "runs.json")
        make_pictures(place, arguments.output, arguments.cases, arguments.steps)
    print(f"pictures written to {arguments.output}")


def make_pictures(place: Path, output: Path, cases: int, steps: int) -> None:
    """Does it all below ``place``."""
    print("Making the cohort", flush=True)
    home = Path.home()
    runs = home / "SScILDScoringRuns"
    table = cohort(home / "cohort", cases)
    config = configuration(place, table, steps)
    with MinimalApplication() as minimal:
        installation = install(minimal)
        installation.application.showMainWindow()
        module = Module(installation.application)
        ui, desk = module.ui, module.desk
        ui.tableEdit.currentPath = "~/cohort/cohort.csv"
        ui.runsFolderEdit.currentPath = "~/SScILDScoringRuns"
        module.press(ui.checkButton, "Checking the cohort")
        run = runs / "s_net_own"
        start_training(config, run)
        desk.look(everything=True)
        desk.setCurrentRun(run)
        module.wait(lambda: finished(run), "Training")
        module.press(module.panel.evaluation.ui.evaluateButton, "Evaluating")
        module.press(module.panel.evaluation.ui.useModelButton, "Packing and installing")
        module.show("cohortSection", "recipeSection", "runsSection", "progressSection", "evaluationSection")
        panel = module.picture(output)
        split = ui.progressSection.mapTo(module.opened.panel, QPoint(0, 0)).y()
        small(two_columns(panel, split)).save(output / "training_panel.png")
        plots = module.panel.progress.layout.plots
        charts = [Image.fromarray(renderChart(chart, PLOT)) for chart in (plots.validationChart, plots.lossChart)]
        small(column(charts)).save(output / "training_curves.png")
        study = runs / "s_net_folds"
        start_study("folds", config, study, options=("--bootstrap", "200"))
        desk.look(everything=True)
        desk.setCurrentRun(study)
        module.wait(lambda: finished(study) and gone(study), "Cross-validating")
        module.panel.studies.ui.studyReportCheckBox.setChecked(True)
        module.show("studiesSection")
        small(module.picture(output)).save(output / "training_studies.png")
        module.opened.close()
        installation.remove()


if __name__ == "__main__":
    main()
