"""What the check of a cohort has to know of each scan; read once and remembered by the files' content."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from SScILDScoringLib.errors import ScanError
from SScILDScoringLib.scan import CTScan, load_scan

from ..cache import ArrayCache, content_key
from ..content import ContentDigests

ROOM = "checks"
"""Folder of the cache that holds these facts."""


@dataclass(frozen=True)
class ScanFacts:
    """Size and place of a readable scan.

    Args:
        slices: number of axial slices. low_mm, high_mm: RAS S of the lowest and the highest one.
        step_mm: S from one slice to the next. tilt_degrees: of the slices against the patient's long axis.
        voxels: SHA-256 of the voxels in canonical orientation: the same for copies in another format or under another
            name.
    """

    slices: int
    low_mm: float
    high_mm: float
    step_mm: float
    tilt_degrees: float
    voxels: str

    @classmethod
    def of(cls, scan: CTScan) -> ScanFacts:
        """The facts of an opened scan."""
        voxels = hashlib.sha256(repr(scan.shape).encode())
        voxels.update(np.ascontiguousarray(scan.voxels))
        low, high = scan.mm_of_slice(0), scan.mm_of_slice(scan.slice_count - 1)
        return cls(scan.slice_count, low, high, scan.mm_per_slice, scan.tilt_degrees, voxels.hexdigest())

    def slice_of(self, mm: float) -> float:
        """The canonical slice number, with fraction, at RAS S = ``mm``."""
        return (mm - self.low_mm) / self.step_mm

    def holds(self, mm: float) -> bool:
        """Whether a slice lies at ``mm`` (up to half a slice beyond the last one)."""
        return -0.5 - 1e-6 <= self.slice_of(mm) <= self.slices - 0.5 + 1e-6


class FactReader:
    """Reads scans and lung masks for the check.

    Args:
        cache: folder of the caches (``runs/cache``); None remembers nothing.
    """

    def __init__(self, cache: str | Path | None) -> None:
        self._cache = ArrayCache(Path(cache) / ROOM) if cache is not None else None
        self.digests = ContentDigests(cache)

    def read(self, path: Path, lung_path: Path | None = None) -> tuple[ScanFacts | None, str, str]:
        """The facts of a scan, and why the scan or its lung mask cannot be used (empty texts when they can)."""
        try:
            digest = self.digests.of(path)
        except ScanError as error:
            return None, str(error), ""
        key = content_key("facts", 1, digest)
        try:
            lung_key = self._lung_key(digest, lung_path)
        except ScanError as error:
            return None, "", str(error)
        stored, lung_stored = self._get(key), self._get(lung_key)
        if stored is None or (lung_path is not None and lung_stored is None):
            try:
                scan = load_scan(path)
                stored = {"facts": asdict(ScanFacts.of(scan)), "error": ""}
            except ScanError as error:
                return None, str(error), ""  # not remembered: a damaged copy is soon replaced
            self._put(key, stored)
            if lung_path is not None:
                lung_stored = {"error": _lung_error(lung_path, scan)}
                self._put(lung_key, lung_stored)
        return ScanFacts(**stored["facts"]), "", (lung_stored or {}).get("error", "")

    def _lung_key(self, digest: str, lung_path: Path | None) -> str | None:
        return None if lung_path is None else content_key("lung mask", 1, digest, self.digests.of(lung_path))

    def _get(self, key: str | None) -> dict | None:
        stored = self._cache.get(key) if self._cache is not None and key is not None else None
        return stored[1] if stored else None

    def _put(self, key: str | None, facts: dict) -> None:
        if self._cache is not None and key is not None:
            self._cache.put(key, {}, facts)


def _lung_error(lung_path: Path, scan: CTScan) -> str:
    from SScILDScoringLib.lungs import load_lung_mask

    try:
        load_lung_mask(lung_path, scan)
    except ScanError as error:
        return str(error)
    return ""
