"""L&S-Net against S-Net: what finding the levels automatically costs (method.md section 3).

Both networks come from cross-validations of one cohort. Every case is asked about by runs that had not seen it: the
L-Net of its fold says where the levels are, and the S-Net of its fold scores the slices there, beside those at the
reference's levels. Both are compared with the reference's scores, level by level and pooled, by paired tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from SScILDScoringLib.errors import SettingsError, TableError
from SScILDScoringLib.files import write_text
from SScILDScoringLib.levels import Level
from SScILDScoringLib.progress import Progress, part_of, silent

from ..agreement.markdown import number, p_value, table, with_interval
from ..agreement.report import Agreement, compare
from ..agreement.rows import GROUPS, POOLED, Difference, Settings
from ..runfolder import csv_text
from .answers import PATTERNS, Answer, score_answers
from .jobs import BUNDLE, JobFolder
from .plan import ONLY
from .pooled import REFERENCE, pooled_answers, reference_rows
from .published import CASCADE
from .study import Study

S_NET, CASCADED = "S-Net", "L&S-Net"
REPORT = "cascade.md"


@dataclass(frozen=True)
class CascadeResult:
    """What the comparison left: the agreement of all three, and the folder it is written to."""

    agreement: Agreement
    folder: Path

    def difference(self, column: str, level: str = POOLED) -> Difference:
        """The absolute errors of both compared, in one pattern on one level (``L1`` ...) or pooled."""
        return next(d for d in self.agreement.differences if (d.column, d.level) == (column, level))


def compare_cascade(
    levels: str | Path,
    scores: str | Path,
    folder: str | Path,
    *,
    bootstrap: int = 2000,
    correction: str | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> CascadeResult:
    """Compares, and writes ``cascade.md``, the score tables, and ``agreement/`` with all numbers.

    Args:
        levels, scores: folders of finished cross-validations of an L-Net and of an S-Net.
        folder: for what is written. bootstrap: samples of the intervals. correction: of p-values over the patterns.

    Raises:
        SettingsError: not two such folders, or a fold is not finished.
        TableError: a case of the scores is not among the levels.
    """
    l_study, s_study = _finished(levels, "levels"), _finished(scores, "scores")
    found = _positions(l_study)
    jobs = s_study.of(ONLY, s_study.plan.seeds[0])
    answers: list[Answer] = []
    for n, job in enumerate(jobs):
        part = part_of(progress, n / len(jobs), (n + 1) / len(jobs))
        answers += _cascaded(job, found, l_study.folder, device, part)
    folder = Path(folder)
    plain = pooled_answers(jobs)
    tables = {
        "reference_scores.csv": (REFERENCE, reference_rows(s_study.cohort, "scores", {str(r["case"]) for r in plain})),
        "s_net_scores.csv": (S_NET, plain),
        "ls_net_scores.csv": (CASCADED, sorted(answers, key=lambda row: (str(row["case"]), row["level"]))),
    }
    for name, (reader, rows) in tables.items():
        write_text(folder / name, csv_text([{"reader": reader, **row} for row in rows]))
    agreement = _agreement([folder / name for name in tables], Settings(bootstrap, 0, correction), progress)
    agreement.write(folder / "agreement")
    result = CascadeResult(agreement, folder)
    write_text(folder / REPORT, _markdown(result))
    return result


def _finished(folder: str | Path, kind: str) -> Study:
    study = Study.open(folder)
    if study.plan.kind != kind or study.plan.is_comparison:
        raise SettingsError(f"{folder} is not a cross-validation of {kind}.")
    missing = [job.job.name for job in study.jobs if job.done is None]
    if missing:
        raise SettingsError(f"{', '.join(missing)} of {folder} is not finished. Go on with --resume first.")
    return study


def _positions(study: Study) -> dict[str, list[float]]:
    """RAS S in mm of L1..L5 by case, as the L-Net that had not seen the case found them."""
    found: dict[str, dict[int, float]] = {}
    for row in pooled_answers(study.of(ONLY, study.plan.seeds[0])):
        found.setdefault(str(row["case"]), {})[int(row["level"])] = float(row["position_mm"])
    return {case: [positions[level] for level in Level] for case, positions in found.items()}


def _cascaded(
    job: JobFolder, found: dict[str, list[float]], levels: Path, device: str, progress: Progress
) -> list[Answer]:
    from SScILDScoringLib.models import ModelBundle

    rows = [row for row in job.asked() if row.scores is not None]
    missing = [row.case for row in rows if row.case not in found]
    if missing:
        raise TableError(f"{levels} has no levels of {missing[0]}: both cross-validations need the same cases.")
    bundle = ModelBundle.load(job.path / BUNDLE, "s_net")
    return score_answers([(row, found[row.case]) for row in rows], bundle, device, progress)


def _agreement(paths: Sequence[Path], settings: Settings, progress: Progress) -> Agreement:
    from ..agreement.reading import read_score_tables

    reference, *raters = (read_score_tables(path)[0] for path in paths)
    return compare(reference, raters, settings, progress=progress)


def _markdown(result: CascadeResult) -> str:
    settings = result.agreement.settings
    corrected = settings.correction is not None
    header = ["", "level", "n", f"MAE {S_NET}", f"MAE {CASCADED}", "difference", "Wilcoxon p", "paired t-test p"]
    header += ["Wilcoxon p corrected", "t-test p corrected"] if corrected else []
    lines = []
    for column in PATTERNS:
        for level in GROUPS:
            if not any((d.column, d.level) == (column, level) for d in result.agreement.differences):
                continue
            d = result.difference(column, level)
            line = [column.upper(), level, d.n, number(d.mae_first), number(d.mae_second)]
            line += [with_interval(d.difference, d.interval, sign=True), p_value(d.wilcoxon_p), p_value(d.t_p)]
            line += [p_value(d.wilcoxon_p_corrected), p_value(d.t_p_corrected)] if corrected else []
            lines.append(line)
    published = [[c.upper(), number(s), number(cascaded)] for c, (s, cascaded) in CASCADE.items()]
    parts = [
        f"# {CASCADED} against {S_NET}",
        f"{S_NET} scores the slices at the reference's levels, {CASCADED} those at the levels that L-Net found. Every "
        "case was answered by networks that had not seen it. Errors in percentage points against the same reference.",
        table(header, lines, left=2),
        "## Published (Jia et al. 2024), pooled",
        table(["", f"MAE {S_NET}", f"MAE {CASCADED}"], published),
        "No difference of the published ones was significant on any level. Tests take rows for independent; the "
        "intervals of the difference are bootstrapped by patient."
        + (f" p-values corrected over the patterns ({settings.correction})." if corrected else ""),
    ]
    return "\n\n".join(parts) + "\n"
