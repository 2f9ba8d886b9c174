"""What a person should know before trusting a score."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """One remark about a scan or a result.

    Args:
        code: stable identifier in snake_case (``thick_slices``), for programs.
        severity: ``info`` (good to know), ``warning`` (the score may suffer), ``error`` (do not use the score).
        message: one or two sentences a radiologist understands, with the measured value.
    """

    code: str
    severity: str
    message: str

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity is one of {', '.join(SEVERITIES)}, not {self.severity!r}")
