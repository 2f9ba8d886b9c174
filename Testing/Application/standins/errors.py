"""What Slicer would print in red: exceptions in slots, observers and panel methods.

Qt and VTK cannot pass a Python exception on, so it reaches nobody; here it is kept, and the fixtures fail a test that
leaves one behind.
"""

from __future__ import annotations

import sys
import traceback

_caught: list[BaseException] = []
_previousHook = None


def _keep(kind, error, trace):
    _caught.append(error)
    (_previousHook or sys.__excepthook__)(kind, error, trace)


def watch() -> None:
    """Start keeping errors."""
    global _previousHook
    if sys.excepthook is not _keep:
        _previousHook, sys.excepthook = sys.excepthook, _keep


def unwatch() -> None:
    """Stop."""
    global _previousHook
    if sys.excepthook is _keep:
        sys.excepthook, _previousHook = _previousHook, None
    _caught.clear()


def keep(error: BaseException) -> None:
    """Keep and print one error (used where C++ calls Python methods)."""
    _caught.append(error)
    traceback.print_exception(error)


def take() -> list[BaseException]:
    """The errors so far; they count as dealt with."""
    taken = list(_caught)
    _caught.clear()
    return taken
