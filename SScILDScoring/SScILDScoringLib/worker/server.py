"""The worker: scores in a process of its own, told by JSON lines on standard input.

    python -m SScILDScoringLib.worker --folder DIR

Standard output carries nothing but the protocol: what libraries print goes to standard error, which the client keeps as
the log. The end of the input ends the process at once, also in the middle of a computation, with all its children: a
client that was killed leaves nothing behind.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from .. import __version__
from ..errors import SScILDError
from .private_folder import is_private, remove_private
from .process_tree import end_own_tree
from .protocol import Lines, ProtocolError, decode, encode, version_conflict

PROGRESS_EVERY_S = 0.08


def main(arguments: Sequence[str] | None = None, operations: Callable[[Path], object] | None = None) -> int:
    """Runs the worker until its input ends; returns the exit code (2: the client is of another version).

    Args:
        operations: makes what answers requests, from the private folder, once the client is greeted; the scoring
            :class:`~.operations.Operations` when None.
    """
    parser = argparse.ArgumentParser(prog="SScILDScoringLib.worker", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="the client's private folder")
    folder = parser.parse_args(arguments).folder.absolute()
    if not is_private(folder):  # it is removed at the end: never one that somebody keeps things in
        parser.error("a worker is started by its client (WorkerClient), in a folder that the client made for it")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    return Server(folder, *own_streams(), operations or _scoring).run()


def _scoring(folder: Path) -> object:
    from .operations import Operations  # torch and all the rest

    return Operations(folder)


def own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Takes standard input and output for the protocol alone; what others print there goes to standard error."""
    sys.stdout.flush()
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


class Server:
    """Answers requests in their order.

    Args:
        folder: the client's private folder.
        requests, answers: the two ends of the protocol, unbuffered.
        operations: see :func:`main`.
    """

    def __init__(
        self,
        folder: Path,
        requests: BinaryIO,
        answers: BinaryIO,
        operations: Callable[[Path], object] = _scoring,
    ) -> None:
        self._folder = folder
        self._requests = requests
        self._answers = answers
        self._operations = operations
        self._messages: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self._leads_group = False
        self._ending = threading.Lock()

    def run(self) -> int:
        """Greets the client, then works until the input ends."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        hello = self._messages.get()
        if hello["kind"] != "hello":
            self._say("refused", message="The first message was no greeting.")
            return 2
        conflict = version_conflict(hello["protocol"], hello["software"], __version__)
        if conflict:
            self._say("refused", message=conflict)
            return 2
        self._leads_group = hello["own_group"]
        self._say("ready", protocol=hello["protocol"], software=__version__, process=os.getpid())
        operations = self._operations(self._folder)  # loads libraries, while nobody waits yet
        while True:
            message = self._messages.get()
            if message["kind"] == "request":
                self._answer(operations, message)

    def _answer(self, operations, message: dict) -> None:
        number = message["id"]
        try:
            progress = _Throttled(self._say, number)

            def show(part) -> None:
                self._say("partial", id=number, value=part.value, arrays=part.arrays)

            reply = operations.run(message["op"], message["params"], message["arrays"], progress, show)
            keep = {"params": {}, "arrays": {}, **reply.keep}
            self._say("result", id=number, value=reply.value, arrays=reply.arrays, keep=keep)
        except SScILDError as error:
            self._say("failed", id=number, message=str(error), user_error=True)
        except MemoryError:
            traceback.print_exc()
            text = "This computer's memory is not enough; close other programs, or use a larger one."
            self._say("failed", id=number, message=text, user_error=True)
        except Exception as error:
            traceback.print_exc()
            text = f"This should not have happened ({type(error).__name__}: {str(error)[:300]})."
            self._say("failed", id=number, message=text, user_error=False)

    def _say(self, kind: str, **fields) -> None:
        rest = memoryview(encode(kind, **fields))
        try:
            while rest:
                rest = rest[self._answers.write(rest) :]
        except OSError:
            self._end()

    def _read(self) -> None:
        """In a thread: queues requests, and ends everything when there will be no more."""
        lines = Lines()
        try:
            while data := self._requests.read(1 << 16):
                for line in lines.feed(data):
                    try:
                        self._messages.put(decode(line))
                    except ProtocolError as error:
                        print(f"A line was left out: {error}.", file=sys.stderr, flush=True)
        except OSError:
            pass
        finally:
            self._end()

    def _end(self) -> None:
        """The client is gone: its folder, which holds the patient's CT, and all processes go too. Does not return.

        Whichever thread notices first does it; another one waits here for its end.
        """
        with self._ending:
            remove_private(self._folder)
            end_own_tree(self._leads_group)


class _Throttled:
    """Progress that speaks seldom enough not to cost anything."""

    def __init__(self, say, number: int) -> None:
        self._say = say
        self._number = number
        self._next = 0.0

    def __call__(self, stage: str, fraction: float, message: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_EVERY_S
            fraction = min(max(float(fraction), 0.0), 1.0)
            self._say("progress", id=self._number, stage=stage, fraction=fraction, message=message)
