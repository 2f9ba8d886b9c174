"""The panel's side of the worker process: requests go out, a Qt timer brings the answers back.

Torch and everything else that computes lives in the worker; Slicer's own process only waits, without a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import qt

from ..errors import SScILDError

_POLL_MS = 50


@dataclass
class Job:
    """One request to the worker and what is to be done with its answer.

    Args:
        ask: sends the request to the bridge's session (see :class:`WorkerBridge`), returns its number.
        onResult: called with the answer's value.
        onProgress: called with fraction and message.
        onFailed: called with a sentence and details (an empty text for errors a user can mend).
        onCancelled: called when the work was stopped; nothing has changed then.
        wanted: asked before the answer is used; False drops it (its CT is no longer there, for example).
        onUnwanted: called when it was dropped for that reason.
        onPartial: called with what there is of the value so far, where the request asks for that.
    """

    ask: Callable
    onResult: Callable
    onProgress: Callable[[float, str], None]
    onFailed: Callable[[str, str], None]
    onCancelled: Callable[[], None]
    wanted: Callable[[], bool] = lambda: True
    onUnwanted: Callable[[], None] = lambda: None
    onPartial: Callable = lambda value: None
    dropped: bool = field(default=False, init=False)


def _scoringSession():
    from ..worker.client import WorkerClient
    from ..worker.remote_session import RemoteSession

    return RemoteSession(WorkerClient())


class WorkerBridge:
    """Starts the worker when there is something to do and hands its answers to their jobs.

    Args:
        onChange: called whenever :attr:`busy` or :attr:`running` may have changed.
        connect: makes what the jobs ask, when the first one is submitted: a session with ``client``, its
            :class:`~SScILDScoringLib.worker.client.WorkerClient`, and ``value_of(event)``. When None, a
            :class:`~SScILDScoringLib.worker.remote_session.RemoteSession` of the scoring worker.
    """

    def __init__(self, onChange: Callable[[], None], connect: Callable[[], object] | None = None) -> None:
        self._onChange = onChange
        self._connect = connect or _scoringSession
        self._client = self._session = None
        self._jobs: dict[int, Job] = {}
        self.lastLog = ""
        self._held: list | None = None  # answers that came while nobody was there to use them
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self.poll)

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited that somebody still wants."""
        return any(not job.dropped for job in self._jobs.values())

    @property
    def running(self) -> bool:
        """Whether the worker process is alive."""
        return self._client is not None and self._client.running

    def submit(self, job: Job) -> Job:
        """Sends a job's request; its answer comes through the job's functions, later."""
        if self._session is None:
            self._session = self._connect()
            self._client = self._session.client
        try:
            number = job.ask(self._session)
        except SScILDError as error:
            job.onFailed(str(error), "")
            return job
        except Exception as error:
            logging.exception("SScILDScoring: a request could not be sent to the worker")
            job.onFailed(f"{type(error).__name__}: {error}", self.log())
            return job
        self._jobs[number] = job
        self._timer.start()
        self._onChange()
        return job

    def drop(self, job: Job | None) -> None:
        """Forgets a job: its answer will be ignored (a newer request has taken its place)."""
        if job is not None:
            job.dropped = True
            self._onChange()

    @property
    def answersWait(self) -> bool:
        """Whether answers have come that :meth:`resume` will hand over."""
        return bool(self._held)

    def hold(self) -> None:
        """Keeps answers from now on: the module was left and its settings are not there. Work goes on."""
        if self._held is None:
            self._held = []

    def resume(self) -> None:
        """Hands over what was kept."""
        held, self._held = self._held or [], None
        for event in held:
            self._handle(event)

    def dropUnwanted(self) -> None:
        """Forgets the jobs that nobody wants any more, and tells them."""
        for job in [job for job in self._jobs.values() if not job.dropped and not job.wanted()]:
            job.dropped = True
            job.onUnwanted()

    def cancel(self) -> None:
        """Stops all work at once by ending the worker process; the next request starts a new one."""
        jobs = self._take()
        if self._client is not None:
            self._client.cancel()
        for job in jobs:
            job.onCancelled()
        self._onChange()

    def stop(self) -> None:
        """Ends the worker process; nobody is told anything any more. The next request starts a new one."""
        self._take()
        self._held = None if self._held is None else []
        self._timer.stop()
        if self._client is not None:
            self._client.stop()
        self._client = self._session = None

    def log(self) -> str:
        """What the worker wrote last."""
        return (self._client.log_tail() if self._client is not None else "") or self.lastLog

    def poll(self, *_args) -> None:
        """Hands over what has arrived; called by the timer."""
        if self._client is None:
            self._timer.stop()
            return
        for event in self._client.poll():
            if event.kind == "died":
                self._died(event)
            else:
                self._handle(event)
        if not self._jobs:
            self._timer.stop()
            self._onChange()

    # ---- inside --------------------------------------------------------------------------------------------------

    def _take(self) -> list[Job]:
        jobs = [job for job in self._jobs.values() if not job.dropped]
        self._jobs.clear()
        return jobs

    def _died(self, event) -> None:
        """Keeps the log; each request then fails with an event of its own."""
        self.lastLog = event.log
        logging.error("The worker process of SScILDScoring ended by itself:\n%s", event.log)
        self._onChange()

    def _handle(self, event) -> None:
        job = self._jobs.get(event.id)
        if job is None:
            return
        if event.kind == "progress":
            if not job.dropped:
                job.onProgress(event.fraction, event.message)
            return
        if event.kind == "partial":
            self._showPartial(job, event)
            return
        if self._held is not None:
            self._held.append(event)
            return
        del self._jobs[event.id]
        if job.dropped:
            return
        if not job.wanted():
            job.onUnwanted()
            return
        if event.kind == "failed":
            if event.cancelled:
                job.onCancelled()
            else:
                job.onFailed(event.message, "" if event.user_error else self.log())
            return
        self._use(job, job.onResult, event)

    def _showPartial(self, job: Job, event) -> None:
        """Only while somebody can see it: the next one, or the result, will hold more."""
        if self._held is None and not job.dropped and job.wanted():
            self._use(job, job.onPartial, event)

    def _use(self, job: Job, function: Callable, event) -> None:
        """Gives an event's value to a job's function; what goes wrong there fails the job."""
        try:
            function(self._session.value_of(event))
        except SScILDError as error:
            job.onFailed(str(error), "")
        except Exception as error:
            logging.exception("SScILDScoring: an answer of the worker could not be used")
            job.onFailed(f"{type(error).__name__}: {error}", "")
