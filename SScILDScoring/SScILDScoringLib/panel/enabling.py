"""Buttons that say why they cannot be pressed."""

from __future__ import annotations


def allow(widget, reason: str, toolTip: str) -> None:
    """Enables ``widget`` when ``reason`` is empty; else disables it and shows the reason as its tool tip.

    Args:
        reason: a sentence that says what is missing and what to do, or an empty text.
        toolTip: what the widget does, shown while it is enabled.
    """
    widget.setEnabled(not reason)
    widget.setToolTip(reason or toolTip)


def first(*reasons: str) -> str:
    """The first reason that is not empty, or an empty text."""
    return next((reason for reason in reasons if reason), "")
