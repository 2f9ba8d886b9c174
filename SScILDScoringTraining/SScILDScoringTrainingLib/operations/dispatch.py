"""Which function answers which request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from SScILDScoringLib.progress import Progress
from SScILDScoringLib.results import plain
from SScILDScoringLib.worker.operations import Reply
from SScILDScoringLib.worker.protocol import ProtocolError


class TrainingOperations:
    """The worker's side of :func:`..worker.training_worker`.

    Args:
        folder: the private folder, for pictures that live as long as the client.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(
        self,
        op: str,
        params: Mapping,
        arrays: Mapping[str, str],
        progress: Progress,
        show: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Does what a request asks for; see :class:`SScILDScoringLib.worker.operations.Operations`.

        Raises:
            ProtocolError: there is no such operation, or it has no such parameters.
            SScILDError: what a person can mend.
        """
        from . import cohort, estimating, evaluating, packing

        operation: Callable[..., object] | None = {
            "check_cohort": cohort.check,
            "create_cohort": cohort.create,
            "estimate": estimating.estimate,
            "evaluate": evaluating.evaluate,
            "pack": packing.pack,
        }.get(op)
        if operation is None:
            raise ProtocolError(f"there is no operation {op!r}")
        try:
            bound = inspect.signature(operation).bind(self._folder, progress, **params)
        except TypeError as error:
            raise ProtocolError(f"{op}: {error}") from error
        return Reply(plain(operation(*bound.args, **bound.kwargs)))
