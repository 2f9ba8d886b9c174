"""Making a cohort table of scored and corrected cases, of phantoms, or of scans to fill in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ctk
import slicer
from slicer.i18n import tr as _

from SScILDScoringLib.panel.enabling import allow, first

from .desk import TrainingDesk


class CohortCreation:
    """The box below the table's field.

    Args:
        row: the section's, for progress. onCreated: gets the path of a new table.
    """

    def __init__(self, desk: TrainingDesk, row, onCreated: Callable[[str], None]) -> None:
        self.desk, self.ui, self.row, self._onCreated = desk, desk.ui, row, onCreated
        ui = desk.ui
        folder = ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Readable
        ui.resultsEdit.filters = folder
        ui.resultScansEdit.filters = folder
        ui.newTableEdit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Writable
        ui.newTableEdit.nameFilters = [_("Cohort tables (*.csv)")]
        for value, text in _trusts():
            ui.trustComboBox.addItem(text, value)
        for field in (ui.resultsEdit, ui.newTableEdit):
            field.currentPathChanged.connect(self._onPath)
        ui.createButton.clicked.connect(self.create)

    def create(self, *_args) -> None:
        """Makes the table; asks before it replaces one."""
        target = self._target()
        overwrite = target.is_file()
        question = _("{table} is there already. Replace it?").format(table=target)
        if overwrite and not slicer.util.confirmYesNoDisplay(question, windowTitle=_("Cohort table")):
            return
        scans = str(self.ui.resultScansEdit.currentPath).strip()
        params = {
            "source": str(_path(self.ui.resultsEdit)),
            "table": str(target),
            "scans": str(Path(scans).expanduser()) if scans else None,
            "trust": str(self.ui.trustComboBox.currentData),
            "observer": str(self.ui.observerEdit.text).strip(),
            "overwrite": overwrite,
        }

        def done(answer: dict) -> None:
            self.ui.createBox.collapsed = True
            self._onCreated(answer["table"])
            self.row.tell(_told(answer))

        self.desk.ask("create_cohort", params, self.row, _("Starting"), done, self.create)

    def refresh(self) -> None:
        """Enables the fields and the button, or says why not."""
        desk, ui = self.desk, self.ui
        busy = desk.noWork() if desk.busy() else ""
        allow(ui.resultsEdit, busy, _("The folder into which the cases were exported or written."))
        allow(
            ui.resultScansEdit,
            busy,
            _("The folder with the scans of these cases, where the results do not name them; may be left empty."),
        )
        allow(ui.trustComboBox, busy, _("Which levels and scores are taken as truth."))
        allow(ui.newTableEdit, busy, _("The file to write, name.csv; empty: cohort.csv in the folder of the cases."))
        source = _path(ui.resultsEdit)
        missing = ""
        if source is None:
            missing = _("Choose the folder of the scored cases.")
        elif not source.is_dir():
            missing = _("There is no folder {folder}.").format(folder=source)
        target = self._target()
        allow(
            ui.createButton,
            first(missing, desk.noWork()),
            _("Writes the table {table} and chooses it.").format(table=target if target is not None else ""),
        )

    def _target(self) -> Path | None:
        given, source = _path(self.ui.newTableEdit), _path(self.ui.resultsEdit)
        if given is not None:
            return given if given.suffix.lower() == ".csv" else given.with_name(given.name + ".csv")
        return source / "cohort.csv" if source is not None else None

    def _onPath(self, *_args) -> None:
        self.desk.refresh()


def _path(field) -> Path | None:
    text = str(field.currentPath).strip()
    return Path(text).expanduser() if text else None


def _trusts() -> list[tuple[str, str]]:
    return [
        ("confirmed", _("what a person placed, moved or confirmed")),
        ("reviewed", _("also the other levels of a case a person worked on")),
        ("everything", _("everything, also what only a network said")),
    ]


def _told(answer: dict) -> str:
    """What became of the cases, as text."""
    if answer.get("to_fill_in"):
        text = _("{count} scans are in {table}. Fill in levels and scores (Open table), then check it.")
        return text.format(count=answer["cases"], table=answer["table"])
    lines = [
        _("{count} cases, {scored} of them with scores, are in {table}.").format(
            count=answer["cases"], scored=answer["scored"], table=answer["table"]
        )
    ]
    if answer["left_out"]:
        lines.append(_("Left out ({count}):").format(count=len(answer["left_out"])))
        lines += [f"{entry['case']}: {entry['message']}" for entry in answer["left_out"][:8]]
    lines += [f"{entry['case']}: {entry['message']}" for entry in answer["remarks"][:8]]
    return "\n".join(lines)
