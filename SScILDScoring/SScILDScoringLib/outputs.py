"""The folder of one scored case: ``scores.json``, ``scores.csv``, ``report.html``, ``heatmaps/`` and Slicer's files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import SettingsError
from .files import write_text
from .progress import Progress, silent
from .report import Truth, write_report
from .results import ScanResult, plain, safe_name, write_csv

OUR_FILES = (
    *("scores.json", "scores.csv", "report.html", "heatmaps"),
    *("levels.mrk.json", "scene.mrb", "lungs.seg.nrrd", "heatmaps.seg.nrrd"),
)


def check_case_folder(out: str | Path, case: str, overwrite: bool = False) -> Path:
    """Where a case will be written; to be asked before the long work.

    Raises:
        SettingsError: the place is taken, or cannot be written.
    """
    out = Path(out)
    folder = out / safe_name(case)
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file; choose another folder with -o or another name with --case.")
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise SettingsError(f"{folder} has results already; add --overwrite, or choose another folder with -o.")
        if not (folder / "scores.json").is_file():
            raise SettingsError(f"{folder} holds other files than results of this software and is left as it is.")
    place = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise SettingsError(f"Nothing can be written to {place}; choose another folder with -o.")
    return folder


def write_case(
    result: ScanResult,
    out: str | Path,
    *,
    overwrite: bool = False,
    identifiers: bool = False,
    truth: Truth | None = None,
    also: Sequence[Callable[[ScanResult, Path], None]] = (),
    progress: Progress = silent,
) -> Path:
    """Writes everything of one scored scan to ``out/<case>``, all of it or nothing.

    Args:
        result: with its scan, so that pictures and heat maps have their geometry.
        out: folder of all cases; made when needed.
        overwrite: replace the results of an earlier run. Files that are not ours stay.
        identifiers: write what may identify the patient (names, UIDs, paths) into ``scores.json`` and the report.
        truth: of a phantom, for the report.
        also: called with the result and the case's folder (a temporary one, before it takes its place) to write more
            into it, such as the files of Slicer's scene, which this layer knows nothing of.
        progress: called with stage ``report``.

    Returns:
        The case folder.

    Raises:
        SettingsError: the place is taken, or cannot be written.
    """
    folder = check_case_folder(out, result.case, overwrite)
    identity = dict(result.scan.identity) if identifiers and result.scan is not None else None
    from .heatmaps.map_files import write_heat_maps

    with _appearing(folder) as temporary:
        progress("report", 0.0, "Writing the report")
        write_report(result, temporary / "report.html", identifiers=identity, truth=truth)
        progress("report", 0.5, "Writing the results")
        if result.heat_maps and result.scan is not None:
            write_heat_maps(result.heat_maps, result.scan, result.slice_indices, temporary / "heatmaps")
        write_csv(result, temporary / "scores.csv")
        data = result.to_dict()
        if identity is not None:
            data["identifiers"] = plain(identity)
        write_text(temporary / "scores.json", json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        for number, writer in enumerate(also, start=1):
            progress("report", 0.5 + 0.5 * number / (len(also) + 1), "Writing files for Slicer")
            writer(result, temporary)
        progress("report", 1.0, "Results written")
    return folder


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its place when the block ends without error.

    Whatever happens, the earlier results or the new ones are there, never half of them.
    """
    out = folder.parent
    made = _missing_parents(out)
    temporary = out / f".{folder.name}.{os.getpid()}.part"
    former = out / f".{folder.name}.{os.getpid()}.old"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.is_dir():
            folder.rename(former)
            try:
                temporary.rename(folder)
            except BaseException:
                former.rename(folder)
                raise
            _keep_foreign(former, folder)
        else:
            temporary.rename(folder)
    except OSError as error:
        raise SettingsError(f"The results cannot be written to {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)
        for parent in made:
            with suppress(OSError):
                parent.rmdir()  # only an empty folder goes: nothing was written


def _missing_parents(out: Path) -> list[Path]:
    """The folders that will have to be made for ``out``, innermost first."""
    return [p for p in (out, *out.parents) if not p.exists()]


def _keep_foreign(former: Path, folder: Path) -> None:
    for entry in former.iterdir():
        if entry.name not in OUR_FILES:
            entry.rename(folder / entry.name)
