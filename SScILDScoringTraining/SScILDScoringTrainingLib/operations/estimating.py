"""What a training needs, before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

from SScILDScoringLib.progress import Progress


def estimate(
    private: Path, progress: Progress, *, config: str, folder: str, overrides: Sequence[str] = ()
) -> dict[str, object]:
    """Memory, disk and time of a training, by trying a step; reads no scan.

    Args:
        config: preset or configuration file. overrides: ``key=value``. folder: where the run would lie.

    Returns:
        ``rows`` (``[what, how much]`` each), ``warnings`` (sentences: what does not fit), ``suggested`` (overrides with
        which it would fit, or an empty list), and the numbers ``seconds``, ``steps``, ``device_bytes``,
        ``host_bytes``, ``disk_bytes`` (None where not known).

    Raises:
        SettingsError: the configuration is not usable.
    """
    from ..config import read_yaml
    from ..loop.estimate import estimate as tried
    from ..loop.estimate import in_words
    from ..recipes import recipe_of

    run = Path(folder)
    values = read_yaml(config, overrides)
    # Relative paths count from the folder around the run's, as in the training itself.
    place = next((p for p in run.absolute().parents if p.is_dir()), private)
    with chdir(place):
        found = tried(recipe_of(values), run, progress=progress)
    return {
        "rows": in_words(found),
        "warnings": found.warnings,
        "suggested": [f"training.accumulate={found.accumulate}"] if found.accumulate else [],
        "seconds": found.seconds,
        "steps": found.steps,
        "device_bytes": found.device_bytes,
        "host_bytes": found.host_bytes,
        "disk_bytes": found.disk_bytes,
    }
