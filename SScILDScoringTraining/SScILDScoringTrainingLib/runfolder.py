"""The folder of one training run: what was asked for, where it ran, how it went."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from SScILDScoringLib.errors import SettingsError


class RunFolder:
    """Paths and writers of a run.

    ``config.yaml`` the complete configuration with the seed, ``environment.json`` versions, devices and git commit of
    every session, ``curves.csv`` and ``tensorboard/``, ``checkpoints/last.pt``, ``previous.pt`` (to fall back to) and
    ``best.pt``, ``validation.csv`` of the best checkpoint, ``inputs.png`` what the network was fed with lately,
    ``examples.png`` (S-Net) some of the slices with synthetic disease that it is trained on,
    ``status.json`` and ``control.json`` (see :mod:`.run_status`), ``log.txt`` what it said.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def previous(self) -> Path:
        """The checkpoint before it."""
        return self.path / "checkpoints" / "previous.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the smallest validation error."""
        return self.path / "checkpoints" / "best.pt"

    def start(self, config: Mapping, resume: bool, session: Mapping | None = None) -> None:
        """Creates the folder and writes configuration and environment.

        Args:
            config: the complete configuration as plain values.
            resume: an earlier run is gone on with.
            session: facts about this session for ``environment.json``.

        Raises:
            SettingsError: a run is there already and is not to be resumed, a process is training there, or the folder
                cannot be written.
        """
        import yaml

        from .run_status import read_status

        status = read_status(self.path)
        if status is not None and status.at_work and status.pid != os.getpid():
            raise SettingsError(f"Process {status.pid} on {status.host} is training in {self.path} already.")
        if (self.last.exists() or self.previous.exists()) and not resume:
            raise SettingsError(f"{self.path} holds a training run. Add --resume to go on, or choose another folder.")
        try:
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            sessions = self._sessions() if resume else []
            if not resume:
                for name in ("curves.csv", "mlflow.json", "log.txt"):
                    (self.path / name).unlink(missing_ok=True)
            write_text(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
            now = datetime.now(UTC).isoformat(timespec="seconds")
            found = environment()
            sessions.append({"started": now, "git_commit": found["git_commit"], **(session or {})})
            found["sessions"] = sessions
            write_text(self.path / "environment.json", json.dumps(found, indent=2) + "\n")
        except OSError as error:
            raise SettingsError(f"The run folder {self.path} cannot be written: {error.strerror or error}.") from error

    def _sessions(self) -> list[dict]:
        try:
            return json.loads((self.path / "environment.json").read_text(encoding="utf-8")).get("sessions", [])
        except (OSError, ValueError):
            return []

    def log(self, message: str) -> None:
        """One line with the time in ``log.txt``."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}  {message}\n")

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

    from SScILDScoringLib import __version__
    from SScILDScoringLib.devices import device_name

    versions = {"sscild": __version__, "python": platform.python_version(), "torch": torch.__version__}
    for name in ("numpy", "monai", "pytorch-ignite", "SimpleITK", "scipy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else device_name("cpu")
    found = {"versions": versions, "system": platform.platform(), "device": device, "cores": os.cpu_count()}
    if cuda:
        found |= {"cuda": torch.version.cuda, "devices": torch.cuda.device_count()}
    return {**found, "git_commit": git_commit()}


def git_commit() -> str | None:
    """The commit of the source tree this software runs from, ``-changed`` added when files differ from it.

    None when it runs from somewhere else: an installed copy inside another project's tree is not of its commit.
    """
    here = Path(__file__).resolve().parent
    tracked = _git(here, "ls-files", "--error-unmatch", Path(__file__).name)
    commit = _git(here, "rev-parse", "HEAD") if tracked else None
    if not commit:
        return None
    return commit + ("-changed" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
