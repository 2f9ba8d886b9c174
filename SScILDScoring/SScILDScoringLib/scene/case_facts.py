"""Small questions about results and lungs that a case asks itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..findings import Finding


def sameLungs(lungs, others) -> bool:
    """Whether two lung masks say the same and were found by the same means; ``others`` may be None."""
    if others is None or lungs is others:
        return others is not None
    return lungs.method == others.method and np.array_equal(lungs.labels, others.labels)


def scoredBy(result) -> tuple[str, ...]:
    """The SHA-256 of the S-Net that gave a result."""
    return tuple(model.sha256 for model in result.models if model.kind == "s_net")


def plainFinding(finding: Finding) -> dict:
    """A finding as plain values."""
    return {"code": finding.code, "severity": finding.severity, "message": finding.message}


def renumbered(profile, scan):
    """A profile with the slice numbers of the volume as it is now; None stays None."""
    if profile is None:
        return None
    return replace(profile, file_slice_indices=tuple(scan.file_slice(k) for k in profile.slice_indices))
