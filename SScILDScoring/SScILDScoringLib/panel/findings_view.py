"""Findings as a list of sentences, each with a sign for how much it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from slicer.i18n import tr as _

from ..findings import SEVERITIES, Finding


def aboutLevels(finding: Finding) -> bool:
    """Whether a finding belongs to the levels' section."""
    return finding.code.startswith("level")


def aboutScores(finding: Finding) -> bool:
    """Whether a finding belongs to the scores' section."""
    return finding.code in ("inconsistent_scores", "model_not_validated")


def aboutScan(finding: Finding) -> bool:
    """Whether a finding belongs to the CT's section: all that are about neither levels nor scores."""
    return not aboutLevels(finding) and not aboutScores(finding)


class FindingsView:
    """Shows those findings in a label that ``chooses`` takes, the worst first; hidden when there are none."""

    def __init__(self, label, chooses: Callable[[Finding], bool]) -> None:
        self.label, self.chooses = label, chooses
        self.show(())

    def show(self, findings: Iterable[Finding]) -> None:
        """Replaces what is shown."""
        chosen = [finding for finding in findings if self.chooses(finding)]
        chosen.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
        self.label.setText("<br/>".join(_line(finding) for finding in chosen))
        self.label.setVisible(bool(chosen))


def _line(finding: Finding) -> str:
    signs = {
        "error": ("#b00018", "⛔", _("Do not use:")),
        "warning": ("#b06000", "⚠", ""),
        "info": ("#3a6ea5", "ℹ", ""),
    }
    colour, sign, lead = signs[finding.severity]
    lead = f"<b>{escape(lead)}</b> " if lead else ""
    return f'<font color="{colour}">{sign}</font> {lead}{escape(finding.message)}'
