"""The training runs a user knows: which there are, starting them, looking at them, presets to start from.

Everything here is what a panel or a script needs beside :mod:`..run_status`, and imports nothing but Python's own
library: the training itself happens in processes of its own, which live on when their starter ends.

>>> registry = RunRegistry()                                              # doctest: +SKIP
>>> start_training("s_net_quick", "runs/look")                            # doctest: +SKIP
4711
>>> [known.folder.name for known in registry.runs()]                      # doctest: +SKIP
['look']
"""

from __future__ import annotations

from .killing import kill
from .looking import Curves, Picture, log_tail, pictures, read_curves, read_evaluation, time_left_in_words
from .presets import Preset, overrides_for, presets
from .registry import KINDS, KnownRun, RunRegistry
from .start_record import is_starting
from .starting import start_error, start_study, start_training

__all__ = [
    "KINDS",
    "Curves",
    "KnownRun",
    "Picture",
    "Preset",
    "RunRegistry",
    "is_starting",
    "kill",
    "log_tail",
    "overrides_for",
    "pictures",
    "presets",
    "read_curves",
    "read_evaluation",
    "start_error",
    "start_study",
    "start_training",
    "time_left_in_words",
]
