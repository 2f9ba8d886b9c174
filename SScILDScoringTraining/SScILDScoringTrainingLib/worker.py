"""The training module's worker: short jobs of a panel in a process of their own, as the scoring worker's.

    python -m SScILDScoringTrainingLib.worker --folder DIR

The same protocol and the same client; other operations, see :mod:`.operations`:

>>> with training_worker() as client:                                            # doctest: +SKIP
...     answer = client.wait(client.request("check_cohort", {"table": "cohort.csv"})).value
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from SScILDScoringLib.worker.client import WorkerClient

LIBRARY = Path(__file__).resolve().parents[1]
"""The folder that holds this package."""


def training_worker(
    python: Sequence[str] | None = None, environment: Mapping[str, str | None] | None = None
) -> WorkerClient:
    """A client whose worker does the operations of :mod:`.operations`; started when it is first asked for something."""
    from SScILDScoringLib.worker.client import WorkerClient

    return WorkerClient(python, environment, module="SScILDScoringTrainingLib.worker", library=LIBRARY)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the worker until its input ends; see :func:`SScILDScoringLib.worker.server.main`."""
    from SScILDScoringLib.worker import server

    def operations(folder: Path):
        from .operations import TrainingOperations

        return TrainingOperations(folder)

    return server.main(arguments, operations)


if __name__ == "__main__":
    sys.exit(main())
