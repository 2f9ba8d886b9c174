"""The worker: scoring in a process of its own, so that the application stays awake and survives a crash."""

from __future__ import annotations

from .client import WorkerClient
from .protocol import Event, WorkerError
from .remote_session import RemoteSession

__all__ = ["Event", "RemoteSession", "WorkerClient", "WorkerError"]
