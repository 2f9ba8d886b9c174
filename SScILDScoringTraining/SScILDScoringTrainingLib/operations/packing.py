"""From a run to a model that the scoring module offers."""

from __future__ import annotations

from pathlib import Path

from SScILDScoringLib.progress import Progress


def pack(
    private: Path,
    progress: Progress,
    *,
    run: str,
    last: bool = False,
    name: str | None = None,
    output: str | None = None,
    install: bool = True,
    replace: bool = False,
    default: bool = False,
    thresholds: int | None = None,
) -> dict[str, object]:
    """Packs a run's weights as a verified model bundle and installs it for the scoring module.

    Args:
        run: the run folder. last: the weights at its end instead of the best ones.
        name: of the bundle; that of the run's configuration when None. output: the bundle's folder; ``RUN/bundle``
            when None. install: also into the user's folder of models. replace: one that is there already.
        default: and make it the one that scoring uses when nobody says.
        thresholds: validation slices for the heat maps' thresholds; 24, where they have lung masks, when None.

    Returns:
        ``name``, ``kind`` (``s_net`` or ``l_net``), ``version``, ``sha256``, ``folder`` (of the bundle), ``card`` (its
        model card, a Markdown file), ``installed`` (folder, or None) and ``remarks`` (sentences).

    Raises:
        SettingsError: the run has no checkpoint. ModelError: the bundle cannot be written, or one of that name is
            installed already (``replace``).
    """
    raise NotImplementedError
