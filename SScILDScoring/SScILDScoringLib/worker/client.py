"""The side of a worker that stays in the application: starts it, asks it, hears it, ends it. No Qt, no waiting."""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import numpy as np

from .. import __version__
from ..errors import Cancelled, SScILDError
from ..progress import Progress, silent
from .arrays import file_name, read_array, write_array
from .environment import worker_environment, worker_python
from .pipes import PolledPipe, ThreadedPipe, reading_pipe
from .private_folder import PrivateFolder
from .process_tree import kill_tree, start_tree
from .protocol import PROTOCOL, Event, Lines, ProtocolError, WorkerError, decode, encode, version_conflict

MODULE = "SScILDScoringLib.worker"
LOG = "worker.log"
_REOPENING = 0
"""Id of the request that opens the scan again in a new worker; nobody outside hears of it."""


class WorkerClient:
    """One worker process, started when it is first needed and started again when it died.

    Not to be shared between threads. A program calls :meth:`poll` now and then (Slicer's panel by a timer), or
    :meth:`wait` for one request.

    >>> with WorkerClient() as client:                                         # doctest: +SKIP
    ...     session = RemoteSession(client)
    ...     session.load(scan)
    ...     found = session.value_of(client.wait(session.find_levels()))

    Args:
        python: the interpreter with its arguments; see :func:`~.environment.worker_python`.
        environment: variables to add, replace or (None) remove, see :func:`~.environment.worker_environment`.
        module: what the interpreter runs; another one offers other operations by the same protocol
            (:func:`~.server.main`). library: the folder of that module's package, when it is not this one's.
    """

    def __init__(
        self,
        python: Sequence[str] | None = None,
        environment: Mapping[str, str | None] | None = None,
        module: str = MODULE,
        library: Path | None = None,
    ) -> None:
        self._python = list(python) if python is not None else None
        self._environment = dict(environment or {})
        self._module, self._library = module, library
        self._folder: PrivateFolder | None = None
        self._process: Popen | None = None
        self._pipe: PolledPipe | ThreadedPipe | None = None
        self._end_process: weakref.finalize | None = None
        self._lines = Lines()
        self._ready = False
        self._last_id = 0
        self._pending: dict[int, str] = {}
        self._load: dict | None = None
        self._events: deque[Event] = deque()
        self._log = ""

    # ---- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the worker if it does not run, and lets it open again what was open. Returns at once.

        Raises:
            WorkerError: the interpreter cannot be started.
        """
        if self.running:
            return
        self._hear()
        self._folder = self._folder or PrivateFolder()
        python = self._python or worker_python()
        command = [*python, "-m", self._module, "--folder", str(self._folder.path)]
        log = self._folder.path / LOG
        log.unlink(missing_ok=True)
        try:
            self._process = start_tree(
                command, worker_environment(self._environment, self._library), self._folder.path, log
            )
        except OSError as error:
            raise WorkerError(f"The worker {python[0]} cannot be started: {error.strerror or error}.") from error
        self._end_process = weakref.finalize(self, kill_tree, self._process)
        self._pipe = reading_pipe(self._process.stdout)
        self._lines = Lines()
        self._ready = False
        self._log = ""
        self._send("hello", protocol=PROTOCOL, software=__version__, own_group=True)
        if self._load is not None:
            self._send("request", id=_REOPENING, op="load", **self._load)

    @property
    def running(self) -> bool:
        """Whether there is a live worker process."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int | None:
        """The process that was started; behind a launcher the worker is a child of it. None when there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def ready(self) -> bool:
        """Whether the worker has greeted; it may still be loading libraries."""
        return self.running and self._ready

    @property
    def busy(self) -> bool:
        """Whether requests wait for their answer."""
        return bool(self._pending)

    def cancel(self) -> None:
        """Ends the worker and its children at once; every waiting request fails with ``cancelled``.

        The next request starts a new worker, which opens again what was open; :meth:`start` at once spares the user
        that wait.
        """
        self._hear()  # what was finished stays finished
        self._kill()
        self._fail_pending("Cancelled.", user_error=True, cancelled=True)

    def stop(self) -> None:
        """Ends the worker and removes its folder. The client can be used again, but has forgotten what was open."""
        self._kill()
        self._pending.clear()
        self._events.clear()
        self._load = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def log_tail(self, lines: int = 40) -> str:
        """The last lines the worker wrote: warnings of libraries, tracebacks. Of a dead worker as well."""
        text = self._read_log() if self._process is not None else self._log
        return "\n".join(text.splitlines()[-lines:])

    # ---- asking ----------------------------------------------------------------------------------------------------

    def request(self, op: str, params: Mapping | None = None, arrays: Mapping[str, np.ndarray] | None = None) -> int:
        """Sends a request; requests are done in their order. The worker is started when it does not run.

        Args:
            op: what to do, see :mod:`.operations`. A ``load`` is remembered for a worker that has to be started again.
            params: plain values.
            arrays: arrays by name; they are copied into the private folder.

        Returns:
            The request's id, which its events carry.

        Raises:
            WorkerError: the worker cannot be started, or the arrays cannot be written.
        """
        self._folder = self._folder or PrivateFolder()
        number = self._last_id + 1
        if op == "load":
            message = {"params": {**(params or {}), "generation": number}, "arrays": self._write(arrays, number)}
            # First, so that a worker that is started now does not open the scan before this one.
            self._load = None
            self.start()
            self._load = message
        else:
            generation = self._load["params"]["generation"] if self._load else 0
            message = {"params": dict(params or {}), "arrays": self._write(arrays, generation)}
            self.start()
        self._last_id = number
        self._pending[number] = op
        self._send("request", id=number, op=op, **message)
        return number

    def poll(self) -> list[Event]:
        """What happened since the last call. Never waits."""
        self._hear()
        events = list(self._events)
        self._events.clear()
        return events

    def wait(
        self,
        number: int,
        progress: Progress = silent,
        timeout: float | None = None,
        partial: Callable[[Event], None] = lambda event: None,
    ) -> Event:
        """Waits for the answer to one request; events of others stay for :meth:`poll`.

        Args:
            number: the id that :meth:`request` gave.
            progress: told about its progress; when it raises (Cancelled), the worker is ended.
            timeout: seconds; None waits as long as it takes.
            partial: given the ``partial`` events of a request that asks for them.

        Returns:
            The ``result`` event.

        Raises:
            Cancelled: :meth:`cancel` was called meanwhile.
            SScILDError: the worker's sentence for people.
            WorkerError: the worker died, or met a defect.
            TimeoutError: no answer in time; the request goes on.
            ValueError: no such request waits.
        """
        end = None if timeout is None else time.monotonic() + timeout
        try:
            while True:
                self._hear()
                answer = self._take(number, progress, partial)
                if answer is not None or number not in self._pending:
                    break
                left = 0.1 if end is None else end - time.monotonic()
                if left <= 0:
                    break
                self._pipe.wait(min(0.1, left))
        except BaseException:  # of progress, or Ctrl-C
            self.cancel()
            self._forget(number)
            raise
        if answer is not None:
            return _checked(answer)
        if number in self._pending:
            raise TimeoutError(f"no answer to request {number} within {timeout:g} s")
        raise ValueError(f"no request {number} waits for an answer")

    def _take(self, number: int, progress: Progress, partial: Callable[[Event], None]) -> Event | None:
        """Passes on the progress of a request and returns its answer, if it is there."""
        mine = [e for e in self._events if e.id == number]
        self._forget(number)
        for event in mine:
            if event.kind == "partial":
                partial(event)
            elif event.kind == "progress":
                progress(event.stage, event.fraction, event.message)
            else:
                return event
        return None

    def _forget(self, number: int) -> None:
        self._events = deque(e for e in self._events if e.id != number)

    # ---- hearing ---------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        """Turns what the worker wrote, and its end, into events."""
        if self._process is None:
            return
        ended = self._process.poll() is not None  # asked first: what it wrote before its end is then in the pipe
        for line in self._lines.feed(self._pipe.read()):
            try:
                message = decode(line)
            except ProtocolError:
                continue  # a launcher's greeting, not the worker's
            self._receive(message)
            if self._process is None:
                return
        if ended or self._pipe.ended:
            self._hear_end()

    def _receive(self, message: dict) -> None:
        kind = message["kind"]
        if kind == "refused":
            self._give_up(message["message"])
        elif kind == "ready":
            conflict = version_conflict(message["protocol"], message["software"], __version__)
            if conflict:
                self._give_up(conflict)
            self._ready = True
        elif kind == "progress" and message["id"] in self._pending:
            fields = {name: message[name] for name in ("id", "stage", "fraction", "message")}
            self._events.append(Event("progress", **fields))
        elif kind == "partial" and message["id"] in self._pending:
            self._receive_partial(message)
        elif kind == "result":
            self._receive_result(message)
        elif kind == "failed" and message["id"] == _REOPENING:
            self._load = None
            self._fail_pending(f"The scan could not be opened again: {message['message']}", message["user_error"])
        elif kind == "failed" and message["id"] in self._pending:
            if self._pending.pop(message["id"]) == "load":
                self._load = None
            fields = {name: message[name] for name in ("id", "message", "user_error")}
            self._events.append(Event("failed", **fields))

    def _receive_partial(self, message: dict) -> None:
        """Keeps the newest only: an older one that nobody has fetched yet is of no use any more."""
        number = message["id"]
        with suppress(ProtocolError):
            arrays = {name: read_array(self._folder.path, file) for name, file in message["arrays"].items()}
            self._events = deque(e for e in self._events if (e.kind, e.id) != ("partial", number))
            self._events.append(Event("partial", number, value=message["value"], arrays=arrays))

    def _receive_result(self, message: dict) -> None:
        number = message["id"]
        if number not in self._pending:
            return
        op = self._pending.pop(number)
        try:
            arrays = {name: read_array(self._folder.path, file) for name, file in message["arrays"].items()}
        except ProtocolError as error:
            self._events.append(Event("failed", number, message=f"The worker's answer cannot be used: {error}."))
            return
        if self._load is not None and number >= self._load["params"]["generation"]:
            for part in ("params", "arrays"):
                self._load[part].update(message["keep"].get(part, {}))
        if op == "load":
            self._folder.remove_older(number)
        self._events.append(Event("result", number, value=message["value"], arrays=arrays))

    def _hear_end(self) -> None:
        """The worker is gone without being told to."""
        if self._process is None:
            return
        process = self._process
        self._kill()
        code = process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        text = f"The worker process ended unexpectedly ({how}). It is started again when it is needed."
        self._events.append(Event("died", message=text, log=self.log_tail()))
        self._fail_pending(text, user_error=False)

    # ---- helpers ---------------------------------------------------------------------------------------------------

    def _send(self, kind: str, **fields) -> None:
        data = memoryview(encode(kind, **fields))
        with suppress(BrokenPipeError):  # it died: that is heard at the next poll
            while data:
                data = data[self._process.stdin.write(data) :]

    def _write(self, arrays: Mapping[str, np.ndarray] | None, generation: int) -> dict[str, str]:
        try:
            return {
                name: write_array(self._folder.path, file_name(generation, f"in-{name}"), array)
                for name, array in (arrays or {}).items()
            }
        except OSError as error:
            raise WorkerError(
                f"The scan cannot be handed to the scoring process ({error.strerror or error}); is there space left "
                f"in {self._folder.path.parent}?"
            ) from error

    def _give_up(self, message: str) -> None:
        self._kill()
        self._fail_pending(message, user_error=True)

    def _fail_pending(self, message: str, user_error: bool, cancelled: bool = False) -> None:
        for number in self._pending:
            self._events.append(Event("failed", number, message=message, user_error=user_error, cancelled=cancelled))
        self._pending.clear()

    def _kill(self) -> None:
        if self._process is None:
            return
        self._end_process()  # kill_tree, once
        self._log = self._read_log()
        with suppress(OSError):
            self._process.stdin.close()
        self._pipe.close()
        self._process = self._pipe = self._end_process = None
        self._ready = False

    def _read_log(self, size: int = 1 << 16) -> str:
        try:
            with (self._folder.path / LOG).open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - size))
                return stream.read().decode("utf-8", errors="replace")
        except OSError:
            return ""


def _checked(event: Event) -> Event:
    """The result, or the error that the event stands for."""
    if event.kind == "result":
        return event
    if event.cancelled:
        raise Cancelled
    raise SScILDError(event.message) if event.user_error else WorkerError(event.message)
