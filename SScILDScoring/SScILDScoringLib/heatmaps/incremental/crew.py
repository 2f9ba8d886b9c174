"""Groups of positions shared out among threads, one core each.

One position after another on every core is faster than every core on the same position: nobody waits for the others
at the end of each layer, and what a layer hands to the next stays in the core's own cache. PyTorch does its work
outside Python's lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from ...devices import threads

Task, Result = TypeVar("Task"), TypeVar("Result")

PAUSE = 0.02
"""Seconds after which whoever waits for a result looks whether the work is to end."""


class Stopped(Exception):
    """Ends the work of a thread whose result nobody wants any more."""


def in_crew(
    tasks: Sequence[Task],
    work: Callable[[Task, Callable[[], None]], Result],
    size: int,
    tick: Callable[[], None],
) -> Iterator[tuple[Task, Result]]:
    """Does ``work(task, check)`` for all tasks on ``size`` threads; gives tasks and results as they become ready.

    Args:
        tasks: in the order in which they are begun.
        work: calls ``check`` often; it raises when the work is to end.
        size: number of threads; each computes on one core.
        tick: called in the waiting thread, every 20 ms at least; may raise, which ends all work.

    Raises:
        Whatever ``work`` or ``tick`` raises.
    """
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    done: queue.SimpleQueue = queue.SimpleQueue()
    stop = threading.Event()
    for task in tasks:
        waiting.put(task)

    def check() -> None:
        if stop.is_set():
            raise Stopped

    def serve() -> None:
        torch.set_num_threads(1)
        while not stop.is_set():
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((task, work(task, check), None))
            except BaseException as error:  # handed to the thread that waits, which raises it
                done.put((task, None, error))
                return

    with threads(torch.get_num_threads()):  # a thread's own setting would stay with the process
        crew = [threading.Thread(target=serve, name=f"heat-map-{n}", daemon=True) for n in range(size)]
        for member in crew:
            member.start()
        try:
            for _ in range(len(tasks)):
                yield _next(done, tick)
        finally:
            stop.set()
            for member in crew:
                member.join()


def _next(done: queue.SimpleQueue, tick: Callable[[], None]):
    while True:
        try:
            task, result, error = done.get(timeout=PAUSE)
        except queue.Empty:
            tick()
            continue
        if error is not None:
            raise error
        return task, result
