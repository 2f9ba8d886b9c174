"""Errors whose message is written for the person in front of the screen."""

from __future__ import annotations


class SScILDError(Exception):
    """Base of every error that a user can cause or mend.

    The message is one or two sentences that say what is wrong and what to do. The command line prints it
    and exits with code 2; the panel shows it. Anything else that escapes is a defect of this software.
    """


class ScanError(SScILDError):
    """The CT cannot be read, or cannot be scored at all (empty folder, damaged file, one slice, no lung)."""


class ModelError(SScILDError):
    """A model bundle is missing, incomplete, altered, or made for another purpose."""


class SettingsError(SScILDError):
    """A setting, option or configuration file is not usable."""


class TableError(SScILDError):
    """A table (cohort, scores) has a wrong column, row or value."""


class Cancelled(SScILDError):
    """The user asked to stop. Raised by the progress callback and never swallowed by the science layer."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)
