"""The section of the export: everything of a scored case into a folder."""

from __future__ import annotations

from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled, SScILDError
from .desk import Desk
from .enabling import allow, first
from .job_row import JobRow
from .texts import levelNames


class ExportSection:
    """Writes scores, report, levels, heat maps and segmentations below a folder of the user's choice."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.row = JobRow(desk.ui, "export")
        self._written: Path | None = None
        self._cancelled = False
        ui = desk.ui
        ui.folderEdit.filters = ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Writable
        ui.folderEdit.currentPathChanged.connect(self._onFolder)
        ui.exportButton.clicked.connect(self.export)
        ui.openFolderButton.clicked.connect(self.openFolder)
        desk.onRefresh(self.refresh)

    def showParameters(self) -> None:
        """Puts the folder of the settings into its field."""
        if self.ui.folderEdit.currentPath != self.desk.parameters.exportFolder:
            self.ui.folderEdit.currentPath = self.desk.parameters.exportFolder

    def refresh(self) -> None:
        """Says where the results will be, or why not yet."""
        desk, ui = self.desk, self.ui
        ui.caseNameEdit.setPlaceholderText(desk.caseName())
        stale = ""
        if not desk.noResult() and desk.case.staleLevels():
            names = levelNames(desk.case.staleLevels())
            stale = _("{levels} moved after scoring; score again before exporting.").format(levels=names)
        folder = "" if desk.parameters.exportFolder.strip() else _("Choose a folder to write to.")
        busy = desk.noWork() if desk.busy() else ""
        report = _("The report needs software that is not installed: see the section Software below.")
        needed = {"jinja2", "pillow"} & {package.name for package in desk.missingPackages}
        reason = first(desk.noScan(), desk.noResult(), stale, busy, report if needed else "", folder)
        allow(ui.exportButton, reason, _("Writes the results into {folder}.").format(folder=self._target()))
        here = self._written is not None and self._written.is_dir()
        allow(ui.openFolderButton, "" if here else _("Export first."), _("Opens the folder with the results."))

    def export(self, *_args) -> None:
        """Writes everything, or nothing when it fails or is cancelled."""
        desk, p = self.desk, self.desk.parameters
        target = self._target()
        overwrite = bool(p.exportOverwrite)
        if target.exists() and not overwrite:
            question = _("{folder} has results already. Replace them?").format(folder=target)
            if not slicer.util.confirmYesNoDisplay(question, windowTitle=_("Export")):
                return
            overwrite = True
        self._cancelled = False
        self.row.start(_("Writing the results"), self._cancel)
        desk.refresh()
        try:
            files = desk.logic.exportResults(
                desk.case.node,
                p.exportFolder,
                name=desk.caseName(),
                overwrite=overwrite,
                segmentation=bool(p.exportSegmentation),
                scene=bool(p.exportScene),
                progress=self._progress,
            )
        except Cancelled:
            self.row.tell(_("Cancelled. Nothing was written."))
        except (SScILDError, ValueError, OSError) as error:
            self.row.fail(str(error), self.export)
        else:
            self._written = target
            self.row.tell(_("{count} files are in {folder}.").format(count=len(files), folder=target))
        finally:
            self.row.running = False
            desk.refresh()

    def openFolder(self, *_args) -> None:
        """Opens the folder in the system's file manager."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._written)))

    def _target(self) -> Path:
        return Path(self.desk.parameters.exportFolder).expanduser() / self.desk.caseName()

    def _cancel(self) -> None:
        self._cancelled = True

    def _progress(self, _stage: str, fraction: float, message: str) -> None:
        self.row.progress(fraction, message)
        slicer.app.processEvents()
        if self._cancelled:
            raise Cancelled

    def _onFolder(self, *_args) -> None:
        if self.desk.parameters is not None:
            self.desk.parameters.exportFolder = str(self.ui.folderEdit.currentPath)
