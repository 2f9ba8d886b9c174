"""Observers of widgets on VTK objects that end with the widget instead of calling a deleted one."""

from __future__ import annotations

import weakref

from shiboken6 import isValid


def observe(widget, vtkObject, event, method: str) -> int:
    """Call ``widget.<method>(caller, event)`` on an event for as long as the widget lives. Returns VTK's tag."""
    target = weakref.ref(widget)

    def call(caller, eventName):
        alive = target()
        if alive is None or not isValid(alive):
            if caller is not None:  # it is None while the object itself is being deleted
                caller.RemoveObserver(tag)
            return
        getattr(alive, method)(caller, eventName)

    tag = vtkObject.AddObserver(event, call)
    return tag
