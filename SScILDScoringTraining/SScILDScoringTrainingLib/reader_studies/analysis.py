"""Everything a reader study says, and its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib import __version__
from SScILDScoringLib.files import write_text
from SScILDScoringLib.observers import ObserverError, Study
from SScILDScoringLib.observers.export import SCORES, StudyAnswers, tables, write_tables
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.results import NOTICE
from SScILDScoringLib.scores import Pattern

from ..agreement.figures import draw_all, likert_bars, likert_pies, save
from ..agreement.report import Agreement
from ..agreement.rows import KINDS, Settings
from ..agreement.tables import ScoreTable, Table, align
from ..runfolder import csv_text
from .answer_tables import level_tables, network_table, score_tables, session_title
from .comparing import compare_readers
from .figures import reading_time_figure
from .markdown import agreement_section, rating_agreement_table, shares_table, times_table
from .page import page_html
from .ratings import RatingAgreement, RatingShares, rating_agreement, rating_series, rating_shares
from .times import ReadingTimes, reading_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class StudyAnalysis:
    """What a study says.

    Args:
        answers: what was answered.
        scores, levels: agreement of the readers; None where there is nothing to compare.
        tables: the score tables that were compared: the reference first, if there is one, then readers, network.
        has_reference: whether the first of ``tables`` is a reference.
        shares, rating_agreement: of heat maps. times: of the readers. remarks: what is worth knowing.
    """

    answers: StudyAnswers
    scores: Agreement | None
    levels: Agreement | None
    tables: tuple[Table, ...]
    has_reference: bool
    shares: tuple[RatingShares, ...]
    rating_agreement: tuple[RatingAgreement, ...]
    times: tuple[ReadingTimes, ...]
    remarks: tuple[str, ...]

    @property
    def study(self) -> Study:
        """The study."""
        return self.answers.study

    def markdown(self) -> str:
        """The tables for people: agreement in short, ratings, times, remarks."""
        study = self.study
        parts = [
            f"# Reader study: {study.name}",
            f"{len({self.answers.case_of(i.id) for i in study.items})} cases, {len(study.readers)} readers "
            f"({', '.join(study.readers)}), {study.sessions} {'session' if study.sessions == 1 else 'sessions'}; "
            f"levels {'placed by each reader' if study.levels == 'own' else 'given'}.",
        ]
        for title, agreement in (("Scores", self.scores), ("Levels", self.levels)):
            if agreement is not None:
                parts += agreement_section(title, agreement)
        if self.shares:
            parts += ["## Ratings of heat maps", shares_table(self.shares)]
        if self.rating_agreement:
            parts += ["### Agreement of the ratings", rating_agreement_table(self.rating_agreement)]
        if self.times:
            parts += ["## Reading times", times_table(self.times)]
        if self.remarks:
            parts += ["## Remarks", "\n".join(f"- {remark}" for remark in self.remarks)]
        return "\n\n".join([*parts, f"SScILDScoring {__version__}. {NOTICE}"]) + "\n"

    def write(
        self, folder: str | Path, *, formats: Sequence[str] = ("png", "pdf"), progress: Progress = silent
    ) -> list[Path]:
        """Writes ``study.md`` and ``study.html``, the answers and all results as CSV, and the figures.

        ``agreement/`` and ``agreement_levels/`` hold every number of the comparisons.

        Args:
            formats: endings of the figures' files, ``png`` first; no figures when empty.
            progress: called with stage ``figures`` before each figure.

        Raises:
            SettingsError: the folder cannot be written. ObserverError: nothing was answered.
        """
        folder = Path(folder)
        written = write_tables(tables(self.answers), folder / "tables")
        for name, agreement in (("agreement", self.scores), ("agreement_levels", self.levels)):
            written += agreement.write(folder / name) if agreement is not None else []
        for name, rows in self._csv().items():
            if rows:
                written.append(write_text(folder / name, csv_text(rows)))
        pictures: dict[str, Path] = {}
        if formats:
            for number, (caption, name, draw) in enumerate(drawings := list(self._drawings())):
                progress("figures", number / (len(drawings) + 1), caption)
                files = save(draw(), folder / "figures" / name, formats)
                pictures[caption] = files[0]
                written += files
            written += self._comparison_figures(folder / "figures", formats, progress)
        text = self.markdown()
        written.append(write_text(folder / "study.md", text))
        written.append(write_text(folder / "study.html", page_html(self.study.name, text, pictures)))
        progress("figures", 1.0, "Written")
        return written

    def _csv(self) -> dict[str, list[dict]]:
        return {
            "rating_shares.csv": [one.flat() for one in self.shares],
            "rating_agreement.csv": [one.flat() for one in self.rating_agreement],
            "reading_times.csv": [one.flat() for one in self.times],
        }

    def _drawings(self) -> Iterator[tuple[str, str, partial[Figure]]]:
        """Caption, file name and drawing of the figures that belong on the page."""
        if self.shares:
            counts: dict[str, dict[Pattern | str, Sequence[int]]] = {}
            for one in self.shares:
                counts.setdefault(one.rater, {})[one.pattern] = one.counts
            yield "Ratings of the heat maps: share of each label.", "ratings_bars", partial(likert_bars, counts)
            yield "Ratings of the heat maps, as pies.", "ratings_pies", partial(likert_pies, counts)
        if self.times:
            yield "Active time per case, pauses excluded.", "reading_times", partial(reading_time_figure, self.times)
        yield from self._forests()

    def _forests(self) -> Iterator[tuple[str, str, partial[Figure]]]:
        from ..agreement.figures import forest, rows_of

        for kind, title in KINDS.items():
            rows = [row for row in (self.scores.rows if self.scores else ()) if row.kind == kind]
            found = rows_of(rows, ("kappa", "icc"))
            if found:
                yield f"Agreement {title}, all levels together.", f"agreement_{kind}", partial(forest, found)

    def _comparison_figures(self, folder: Path, formats: Sequence[str], progress: Progress) -> list[Path]:
        """The set of :func:`~..agreement.figures.draw_all` of every rater against the reference."""
        if not self.has_reference or len(self.tables) < 2:
            return []
        reference, *raters = self.tables
        aligned = [align(reference, rater) for rater in raters]
        return draw_all(aligned, folder / "against_reference", formats=formats, progress=progress)


def analyse(
    answers: StudyAnswers,
    reference: ScoreTable | None = None,
    network: ScoreTable | None = None,
    settings: Settings | None = None,
    *,
    level_reference: Table | None = None,
    progress: Progress = silent,
) -> StudyAnalysis:
    """Analyses the complete cases of a study.

    Args:
        answers: as :func:`SScILDScoringLib.observers.export.read_answers` gives them.
        reference, network: score tables; the network's answers in the study's key when ``network`` is None.
        level_reference: the levels' table, for studies in which readers place them.
        progress: called with stage ``agreement``.

    Raises:
        ObserverError: no case is complete.
        TableError: readers have no row in common with the reference.
    """
    settings = settings or Settings()
    readers, placed = score_tables(answers), level_tables(answers)
    series = rating_series(answers)
    if not readers.sessions and not series:
        raise ObserverError("No case is complete yet; there is nothing to analyse.")
    network = network if network is not None else network_table(answers)
    scores = None
    if readers.sessions:
        scores = compare_readers(readers, reference, network, settings, progress)
    levels = compare_readers(placed, level_reference, None, settings, progress) if placed.sessions else None
    compared = [t for t in (reference, *readers.sessions, network) if t is not None] if readers.sessions else []
    return StudyAnalysis(
        answers,
        scores,
        levels,
        tuple(compared),
        reference is not None,
        tuple(rating_shares(series, settings)),
        tuple(rating_agreement(series)),
        tuple(reading_times(answers)),
        tuple(_remarks(answers)),
    )


def _remarks(answers: StudyAnswers) -> Iterator[str]:
    total = len(answers.study.items)
    for session in answers.sessions:
        done = len(session.complete)
        if done < total:
            name = f"{session.reader} {session_title(answers, f'T{session.session}')}".strip()
            yield f"{name} is not finished: {done} of {total} items are complete, and these count."
    kept = [row for row in tables(answers).get(SCORES, []) if row["knowingly"]]
    if kept:
        places = ", ".join(f"{r['reader']} {r['session']} {r['case']} L{r['level']}" for r in kept[:6])
        more = f" and {len(kept) - 6} more" if len(kept) > 6 else ""
        yield f"Scores in which TOT is not the union of GG and RET, kept knowingly: {places}{more}."
    revealed = sum(progress.revealed for session in answers.sessions for progress in session.items.values())
    if revealed:
        yield f"In {revealed} readings the network's answer was shown after the reader's own was closed."
