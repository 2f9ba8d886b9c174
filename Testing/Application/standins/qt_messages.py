"""Qt's own warnings: kept, so that a test can fail on "No such signal" or "already has a layout"."""

from __future__ import annotations

from PySide6 import QtCore

# What the offscreen platform says whatever a panel does.
_NOISE = ("propagateSizeHints", "QFontDatabase", "This plugin does not support", "OpenType support missing")

messages: list[str] = []


def _keep(kind, context, text):
    if kind == QtCore.QtMsgType.QtDebugMsg or any(part in text for part in _NOISE):
        return
    messages.append(text)
    print(f"Qt: {text}")


def watch() -> None:
    """Start keeping them."""
    messages.clear()
    QtCore.qInstallMessageHandler(_keep)


def unwatch() -> None:
    """Back to Qt's own printing."""
    QtCore.qInstallMessageHandler(None)
    messages.clear()


def take() -> list[str]:
    """The messages so far; they count as dealt with."""
    taken = list(messages)
    messages.clear()
    return taken
