"""The report of a scored scan, and the pictures in it."""

from __future__ import annotations

from .page import Truth, report_html, scored_crop, source_name, stage_reason, write_report

__all__ = ["Truth", "report_html", "scored_crop", "source_name", "stage_reason", "write_report"]
