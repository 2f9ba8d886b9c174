"""What disease goes by in healthy slices, found once and kept in the cache.

To find a slice's anatomy takes longer than to draw disease into it. From the cache it is memory-mapped: all loading
processes share one copy, however many slices there are.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from SScILDScoringLib.progress import Progress

from .cache import ArrayCache, content_key
from .preparation import Made, Work, prepared
from .slice_data import LUNG, LabelledSlice
from .synthesis import backgrounds
from .synthesis.backgrounds import LungAnatomy

TOGETHER = 32
"""Slices of one scan that share an entry."""

STORED = ("rim", "airiness", "base_hu", "pleural_mm", "costal_mm")


def anatomies(slices: Sequence[LabelledSlice], cache: ArrayCache, progress: Progress) -> list[LungAnatomy | None]:
    """The anatomy of each slice (None where there is too little lung), from the cache or found now.

    Raises:
        Cancelled: ``progress`` asked to stop; what was found by then stays in the cache.
    """
    code = Path(backgrounds.__file__).read_text(encoding="utf-8")
    groups: list[list[LabelledSlice]] = []
    for _, of_scan in itertools.groupby(slices, key=_scan):
        together = list(of_scan)
        groups += [together[n : n + TOGETHER] for n in range(0, len(together), TOGETHER)]
    work = []
    for group in groups:
        content = [(_digest(s.hu), _digest(s.flags), list(s.spacing_mm)) for s in group]
        work.append(Work(content_key("anatomies", code, content), _scan(group[0]), _found, (group,)))
    made = prepared(cache, work, "scans", progress)
    return [anatomy for group, entry in zip(groups, made, strict=True) for anatomy in _unpacked(group, *entry)]


def _scan(labelled: LabelledSlice) -> str:
    return labelled.name.partition(":")[0]


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def _found(slices: Sequence[LabelledSlice]) -> Made:
    """The anatomies one after the other in one float16 array ``(5, pixels)``, and the windows they lie in."""
    windows, parts = [], [np.empty((len(STORED), 0), np.float16)]
    for labelled in slices:
        anatomy = labelled.background().anatomy
        windows.append(anatomy and [[part.start, part.stop] for part in anatomy.window])
        if anatomy:
            parts.append(np.stack([np.ravel(getattr(anatomy, name)).astype(np.float16) for name in STORED]))
    return {"anatomy": np.concatenate(parts, axis=1)}, {"windows": windows}


def _unpacked(slices: Sequence[LabelledSlice], arrays: dict, facts: dict) -> list[LungAnatomy | None]:
    stored, used, result = arrays["anatomy"], 0, []
    for labelled, window in zip(slices, facts["windows"], strict=True):
        if window is None:
            result.append(None)
            continue
        (top, bottom), (left, right) = window
        shape = bottom - top, right - left
        values = [row[used : used + shape[0] * shape[1]].reshape(shape) for row in stored]
        used += shape[0] * shape[1]
        window = slice(top, bottom), slice(left, right)
        lung = (labelled.flags[window] & LUNG) != 0
        result.append(LungAnatomy(window, lung, values[0] > 0, *values[1:], LungAnatomy.front_to_back(lung)))
    return result
