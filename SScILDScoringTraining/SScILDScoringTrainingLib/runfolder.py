"""The folder of one training run: what was asked for, where it ran, how it went."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from SScILDScoringLib.errors import SettingsError


class RunFolder:
    """Paths and writers of a run.

    ``config.yaml`` the complete configuration, ``environment.json``, ``curves.csv`` and ``tensorboard/``,
    ``checkpoints/last.pt`` and ``best.pt``, ``validation.csv`` of the best checkpoint, ``inputs.png``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the smallest validation error."""
        return self.path / "checkpoints" / "best.pt"

    def start(self, config: Mapping, resume: bool) -> None:
        """Creates the folder and writes configuration and environment.

        Raises:
            SettingsError: a run is there already and is not to be resumed.
        """
        import yaml

        if self.last.exists() and not resume:
            raise SettingsError(f"{self.path} holds a training run. Add --resume to go on, or choose another folder.")
        (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        if not resume:
            (self.path / "curves.csv").unlink(missing_ok=True)
        write_text(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        write_text(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")

    def config(self) -> dict:
        """The configuration of the run. Raises SettingsError when there is none."""
        import yaml

        path = self.path / "config.yaml"
        if not path.is_file():
            raise SettingsError(f"{self.path} is not a training run: it has no config.yaml.")
        return yaml.safe_load(path.read_text(encoding="utf-8"))

    def write_table(self, name: str, rows: Sequence[Mapping]) -> None:
        """Writes ``rows`` as CSV; the columns are the union of the rows' keys in order of appearance."""
        write_text(self.path / name, csv_text(rows))

    def picture(self, name: str, image: np.ndarray) -> None:
        """Writes a grey ``(y, x)`` or colour ``(y, x, 3)`` uint8 picture as PNG."""
        from PIL import Image

        part = self.path / (name + ".part")
        Image.fromarray(image).save(part, format="PNG")
        part.replace(self.path / name)


class Curves:
    """Losses and validation figures over the steps, in ``curves.csv`` and for TensorBoard.

    After a resume the rows behind the checkpoint's step are dropped, so that no step stands twice.
    """

    def __init__(self, run: RunFolder, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = run.path / "curves.csv"
        self.rows: list[dict] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.rows = [r for r in csv.DictReader(file) if int(r["step"]) <= step]
        self.board = SummaryWriter(run.path / "tensorboard", purge_step=step + 1)

    def add(self, step: int, **values: float) -> None:
        """One row; a value that is not known at this step is left out."""
        self.rows.append({"step": step, **{k: f"{v:.6g}" for k, v in values.items()}})
        for name, value in values.items():
            self.board.add_scalar(name.replace("validation_", "validation/"), value, step)
        write_text(self.path, csv_text(self.rows))

    def close(self) -> None:
        """Ends TensorBoard's file."""
        self.board.close()


def csv_text(rows: Sequence[Mapping]) -> str:
    """``rows`` as CSV text with a header."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_text(path: Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def environment() -> dict:
    """Versions, machine and git commit, as far as they are known; nothing that names a person."""
    import torch

    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    for name in ("monai", "ignite", "SimpleITK"):
        try:
            versions[name] = __import__(name).__version__
        except (ImportError, AttributeError):
            continue
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {"versions": versions, "device": device, "cores": os.cpu_count(), "git_commit": _git_commit()}


def _git_commit() -> str | None:
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
