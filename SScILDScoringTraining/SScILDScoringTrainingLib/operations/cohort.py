"""Cohort tables: checked, and made of scored cases."""

from __future__ import annotations

from pathlib import Path

from SScILDScoringLib.progress import Progress


def check(
    folder: Path, progress: Progress, *, table: str, exact: bool = False, cache: str | None = None
) -> dict[str, object]:
    """Reads every scan of a cohort table and tells everything that is wrong.

    Args:
        folder: for pictures. table: the CSV file. exact: scores between the steps of 5 % are right.
        cache: folder that remembers what was read; none when None.

    Returns:
        ``problems`` (``severity, code, row, case, column, message`` each), ``summary`` (counts), ``rows`` (one a case:
        ``row, case, patient, split, fold, scan, observer, levels_mm, scores`` (five triples or None), ``mean_tot``,
        ``problems`` (how many) and ``state`` (``ok``, ``warning``, ``error``)), ``figure`` (PNG of the score
        distribution, or None) and ``levels_figure`` (PNG of where the levels lie, or None).

    Raises:
        TableError: there is no such table, or it is none.
    """
    raise NotImplementedError


def create(
    folder: Path,
    progress: Progress,
    *,
    source: str,
    table: str,
    scans: str | None = None,
    trust: str = "confirmed",
    scores: str | None = None,
    observer: str = "",
    exact: bool = False,
    cache: str | None = None,
    overwrite: bool = False,
) -> dict[str, object]:
    """Makes a cohort table of a folder: scored and corrected cases, phantoms, or scans to fill in.

    Args:
        source: the folder. table: the CSV file to write. scans: where the scans of results are.
        trust: ``confirmed``, ``reviewed`` or ``everything``, see ``sscild cohort create``. scores: a person's scores.
        observer: whose corrections. exact: of phantoms, keep exact scores.

    Returns:
        ``table``, ``cases`` and ``scored`` (how many), ``left_out`` and ``remarks`` (``{case, message}`` each) and
        ``to_fill_in`` (levels and scores are to be filled in by a person).

    Raises:
        SettingsError: the table is there and not to be overwritten, or no case can be used.
    """
    raise NotImplementedError
