"""What a finished run is worth."""

from __future__ import annotations

from pathlib import Path

from SScILDScoringLib.progress import Progress


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

    Returns:
        ``folder``, ``kind`` (``scores`` or ``levels``), ``data`` (on what, a sentence), ``cases`` and ``slices`` (how
        many), ``columns`` and ``rows`` (the table as texts, the measure's or level's name first), ``remarks``
        (sentences), ``figures`` (``{title, path}`` of PNG files) and ``page`` (a report as HTML file).

    Raises:
        SettingsError: no such run, it has no checkpoint, or there is nothing to ask about.
    """
    raise NotImplementedError
