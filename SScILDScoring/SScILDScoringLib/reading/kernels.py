"""Reconstruction kernels (convolution filters) by vendor: soft for soft tissue, sharp for lung and bone."""

from __future__ import annotations

import re

_SHARP_WORDS = ("LUNG", "BONE", "SHARP", "EDGE", "ULTRA", "HRCT", "BONEPLUS", "CHEST")
_SOFT_WORDS = ("SOFT", "STANDARD", "STND", "SMOOTH", "ROUTINE", "MEDIASTIN")
# Siemens: B70f, I70f, Br40d, Bl57, Qr36 ...: the number grows with sharpness; lung kernels start at 50.
_SIEMENS = re.compile(r"(?:[BHTUIJV]|B[RLVF]|Q[RV]|H[RCV])(\d\d)[A-Z]?(?:\b|_|\\)")
# Canon and Toshiba: FC01-FC29 body and head, FC30-FC39 bone, FC50-FC59 and FC80-FC89 lung.
_TOSHIBA = re.compile(r"F[CL](\d\d)")
# Philips: A (smooth) to E and L (lung), with Y for the newer ones; C lies between.
_PHILIPS = {"A": "soft", "B": "soft", "D": "sharp", "E": "sharp", "L": "sharp"}


def kernel_class(kernel: str | None, manufacturer: str | None = None) -> str | None:
    """``"soft"`` or ``"sharp"``; None where the name is unknown or lies between.

    Args:
        kernel: DICOM Convolution Kernel, several values joined by a backslash.
        manufacturer: DICOM Manufacturer; needed for Philips, whose names are single letters.

    >>> kernel_class("B70f", "SIEMENS"), kernel_class("STANDARD", "GE MEDICAL SYSTEMS"), kernel_class("L", "Philips")
    ('sharp', 'soft', 'sharp')
    """
    name = (kernel or "").strip().upper()
    maker = (manufacturer or "").upper()
    if not name:
        return None
    if any(word in name for word in _SHARP_WORDS):
        return "sharp"
    if any(word in name for word in _SOFT_WORDS):
        return "soft"
    if match := _TOSHIBA.match(name):
        tens = int(match.group(1)) // 10
        return "sharp" if tens in (3, 5, 8) else "soft"
    if match := _SIEMENS.match(name):
        return "sharp" if int(match.group(1)) >= 50 else "soft"
    if "PHILIPS" in maker and (match := re.match(r"Y?([A-E]|L)\b", name)):
        return _PHILIPS.get(match.group(1))
    return None
