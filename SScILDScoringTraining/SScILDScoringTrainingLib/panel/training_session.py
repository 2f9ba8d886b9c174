"""The training module's worker as the panel's bridge asks it."""

from __future__ import annotations

from collections.abc import Mapping


class TrainingSession:
    """Requests by name; see :mod:`SScILDScoringTrainingLib.operations` for what there is.

    Args:
        client: of the training worker.
    """

    def __init__(self, client) -> None:
        self.client = client

    def request(self, op: str, params: Mapping) -> int:
        """Sends a request and returns its number."""
        return self.client.request(op, params)

    @staticmethod
    def value_of(event):
        """The plain values of an answer."""
        return event.value


def connect() -> TrainingSession:
    """A session of a new worker, which starts with the first request."""
    from ..worker import training_worker

    return TrainingSession(training_worker())
