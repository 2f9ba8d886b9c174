"""What a training needs, before it starts."""

from __future__ import annotations

from pathlib import Path

from SScILDScoringLib.progress import Progress


def estimate(
    private: Path, progress: Progress, *, config: str, folder: str, overrides: tuple[str, ...] | list[str] = ()
) -> dict[str, object]:
    """Memory, disk and time of a training, by trying a step.

    Args:
        config: preset or configuration file. overrides: ``key=value``. folder: where the run would lie.

    Returns:
        ``rows`` (``[what, how much]`` each), ``warnings`` (sentences: what does not fit), ``suggested`` (overrides with
        which it would fit, or an empty list), and the numbers ``seconds``, ``steps``, ``device_bytes``,
        ``host_bytes``, ``disk_bytes`` (None where not known).

    Raises:
        SettingsError: the configuration is not usable.
    """
    raise NotImplementedError
