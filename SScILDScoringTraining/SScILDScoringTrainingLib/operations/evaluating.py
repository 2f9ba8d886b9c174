"""What a finished run is worth."""

from __future__ import annotations

from pathlib import Path

from SScILDScoringLib.progress import Progress, part_of


def evaluate(
    private: Path,
    progress: Progress,
    *,
    run: str,
    last: bool = False,
    table: str | None = None,
    split: str | None = None,
    bootstrap: int = 500,
) -> dict[str, object]:
    """Asks the network of a finished run about cases it was not trained on, into ``RUN/evaluation``.

    Args:
        run: the run folder. last: take the weights at its end. table: a cohort table instead of the run's own.
        split: of the table: ``test``, ``validation`` ...; None: the split ``test``, else ``validation``.
        bootstrap: samples of the intervals.

    Returns:
        ``folder``, ``kind`` (``scores`` or ``levels``), ``network`` (its name), ``last``, ``step``, ``data`` (on what,
        a sentence), ``cases`` and ``slices`` (how many), ``columns`` and ``rows`` (the main numbers as texts, the
        measure's or level's name first), ``remarks`` (sentences), ``figures`` (``{title, path}`` of PNG files) and
        ``page`` (a report as HTML file). :func:`..runs.read_evaluation` gives the same again later.

    Raises:
        SettingsError: no such run, it has no checkpoint, or there is nothing to ask about.
    """
    from ..run_evaluation import evaluate_run
    from ..runs.looking import read_evaluation

    settings = {"last": last, "table": table, "split": split, "bootstrap": bootstrap, "temporary": private}
    found = evaluate_run(run, progress=part_of(progress, 0.0, 0.7), **settings)
    found.write(part_of(progress, 0.7, 1.0))
    return read_evaluation(found.run)
