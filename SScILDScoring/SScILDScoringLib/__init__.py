"""SSc-ILD scoring: Goh levels, slice scores and heat maps of a chest CT. For research use only.

>>> from SScILDScoringLib import load_scan, score_scan          # doctest: +SKIP
>>> result = score_scan(load_scan("patient.nii.gz"))           # doctest: +SKIP
>>> result.extent                                               # doctest: +SKIP
"""

from __future__ import annotations

__version__ = "0.1.0"

_PUBLIC = {
    "CTScan": "scan",
    "load_scan": "scan",
    "Level": "levels",
    "Levels": "levels",
    "Pattern": "scores",
    "SliceScores": "scores",
    "score_scan": "pipeline",
    "ScanResult": "results",
    "SScILDError": "errors",
    "Cancelled": "errors",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    """Imports the module behind a public name when it is first used, so that importing the package costs nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
