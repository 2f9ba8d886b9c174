"""Runs every case of a cohort: through the pipeline, and S-Net at the reference levels. Goes on where it stopped."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib.batch import CaseOutcome, score_folder
from SScILDScoringLib.errors import Cancelled, SScILDError
from SScILDScoringLib.pipeline import BundleChoice, find_lungs
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.results import ScanResult, read_json, safe_name
from SScILDScoringLib.scan import load_scan

from ..cohort import CohortRow
from ..evaluation.cases import Cases
from ..heat_map_evaluation.map_cache import HeatMapCache
from . import reference_case
from .reference_case import ReferenceCase

if TYPE_CHECKING:
    from SScILDScoringLib.slice_network import SliceNetwork

CASES, HEAT_MAPS = "cases", "heat_map_cache"
"""Folders below the results: one folder a case, and heat maps kept by slice."""


@dataclass(frozen=True)
class CohortRun:
    """What was computed.

    Args:
        rows: the cases that went through, in the cohort's order.
        results: by case: the pipeline's answer (levels of L-Net, scores on them).
        reference: by case: S-Net at the reference levels.
        failures: cases that are kept out, with a sentence each.
    """

    rows: tuple[CohortRow, ...]
    results: dict[str, ScanResult]
    reference: dict[str, ReferenceCase]
    failures: tuple[tuple[str, str], ...]


def run_cohort(
    cases: Cases,
    out: str | Path,
    *,
    s_net: SliceNetwork,
    l_net: BundleChoice = None,
    heat_maps: bool = True,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
    on_case: Callable[[int, int, CaseOutcome], None] | None = None,
) -> CohortRun:
    """Scores all cases into ``out/cases``; one that fails does not stop the others, and finished ones are not redone.

    Args:
        s_net: the loaded S-Net. l_net: bundle, name or folder; None: the default one; False: none (anatomy).
        heat_maps: of the slices at the reference levels.
        overwrite: replace results that were made with other settings or from another scan.
        on_case: as in :func:`~SScILDScoringLib.batch.score_folder`.

    Raises:
        SettingsError, ModelError: as :func:`~SScILDScoringLib.batch.score_folder`. Cancelled: by ``progress``.
    """
    out = Path(out)
    maps = HeatMapCache(out / HEAT_MAPS) if heat_maps else None
    by_name = {safe_name(row.case): row for row in cases.rows}

    def also(result: ScanResult, folder: Path) -> None:
        row = by_name[result.case]
        found = reference_case.compute(row, result.scan, result.lungs, s_net, maps, progress)
        reference_case.write(found, row, s_net, folder, maps is not None)

    with tempfile.TemporaryDirectory() as temporary:
        report = score_folder(
            _table(cases.rows, Path(temporary)),
            out / CASES,
            l_net=l_net,
            s_net=s_net.bundle,
            heat_maps=False,
            device=device,
            overwrite=overwrite,
            also=[also],
            on_case=on_case,
            progress=progress,
        )
    failures = [*cases.failures]
    results, reference = {}, {}
    for outcome in report.outcomes:
        row = by_name[outcome.case]
        if outcome.state == "failed":
            failures.append((row.case, outcome.message))
            continue
        folder = out / CASES / outcome.case
        try:
            found = reference_case.read(row, s_net, folder, heat_maps) or _again(row, folder, s_net, maps, progress)
            results[row.case] = read_json(folder / "scores.json")
        except Cancelled:
            raise
        except SScILDError as error:
            failures.append((row.case, str(error)))
        else:
            reference[row.case] = found
    rows = tuple(row for row in cases.rows if row.case in reference)
    return CohortRun(rows, results, reference, tuple(failures))


def _table(rows: tuple[CohortRow, ...], folder: Path) -> Path:
    """The cases as a batch takes them. Temporary: it holds absolute paths."""
    table = folder / "cases.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("case", "path", "fvc_percent"))
        writer.writerows((r.case, r.path.resolve(), "" if r.fvc_percent is None else r.fvc_percent) for r in rows)
    return table


def _again(
    row: CohortRow, folder: Path, s_net: SliceNetwork, maps: HeatMapCache | None, progress: Progress
) -> ReferenceCase:
    """A case whose pipeline result still holds, but whose reference levels or masks are others than before."""
    scan = load_scan(row.path)
    found = reference_case.compute(row, scan, find_lungs(scan, None, progress=progress), s_net, maps, progress)
    reference_case.write(found, row, s_net, folder, maps is not None)
    return found
