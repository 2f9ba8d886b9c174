"""The section of the software: what training needs, what is here, one button that installs the rest, the worker."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SScILDScoringLib.panel.enabling import allow
from SScILDScoringLib.panel.installing import installMissing
from SScILDScoringLib.panel.job_row import JobRow
from SScILDScoringLib.panel.table_widgets import fitTable, prepareTable, setCell

from . import packages
from .desk import TrainingDesk


class SoftwareSection:
    """Packages with their versions, installation after asking, the worker process."""

    def __init__(self, desk: TrainingDesk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.row = JobRow(desk.ui, "software")
        desk.track(self.row)
        ui = desk.ui
        prepareTable(ui.softwareTable, _columns(), rows=len(packages.packages()), wide=3)
        ui.installButton.clicked.connect(self.install)
        ui.checkAgainButton.clicked.connect(self.check)
        ui.workerLogButton.clicked.connect(self.showLog)
        ui.restartWorkerButton.clicked.connect(self.restartWorker)
        desk.onRefresh(self.refresh)

    def check(self, *_args) -> None:
        """Looks again at what is installed; opens the section when something is missing."""
        self.desk.missingPackages = packages.missing()
        for row, package in enumerate(packages.packages()):
            problem = package.problem
            setCell(self.ui.softwareTable, row, 0, package.name)
            setCell(self.ui.softwareTable, row, 1, package.version or "–")
            setCell(self.ui.softwareTable, row, 2, package.least)
            setCell(self.ui.softwareTable, row, 3, problem or _("ready"), bold=bool(problem))
        fitTable(self.ui.softwareTable)
        if self.desk.missingPackages:
            self.ui.softwareSection.collapsed = False
        self.desk.refresh()

    def install(self, *_args) -> None:
        """Installs what is missing, after one question that names everything and its size."""
        self.row.start(_("Installing. Slicer shows pip's own progress."))
        self.desk.refresh()
        message, details = _("Nothing was installed."), ""
        try:
            message = installMissing(self.desk.missingPackages)
        except Exception as error:  # pip and the PyTorch extension fail in many ways, and the user has to know
            message, details = _("The installation failed: {error}").format(error=error), str(error)
        finally:
            self.row.finish()
            self.check()
            if details:
                self.row.fail(message, self.install, details)
            else:
                self.row.tell(message)
            self.desk.refresh()

    def showLog(self, *_args) -> None:
        """Shows what the worker wrote last."""
        text = self.desk.worker.log() or _("The worker has written nothing yet.")
        slicer.util.infoDisplay(_("The last lines of the worker are below."), detailedText=text)

    def restartWorker(self, *_args) -> None:
        """Ends the worker; the next job starts a new one."""
        self.desk.cancel()
        self.desk.worker.stop()
        self.desk.refresh()

    def refresh(self) -> None:
        """Says whether everything is here."""
        desk, ui = self.desk, self.ui
        missing = desk.missingPackages
        if missing:
            size = sum(package.megabytes for package in missing)
            text = _(
                "Training needs {names} (about {size} MB to download). Nothing is installed before you ask for it."
            )
            ui.softwareLabel.setText(text.format(names=", ".join(p.name for p in missing), size=size))
        else:
            ui.softwareLabel.setText(_("Everything that training needs is installed."))
        here = "" if missing else _("Everything is installed already.")
        busy = _("Wait until the running step has finished, or cancel it.") if desk.busy() else ""
        allow(
            ui.installButton, here or busy, _("Asks first, then installs PyTorch by its extension and the rest by pip.")
        )
        idle = "" if desk.worker.running else _("The worker process is not running.")
        allow(
            ui.restartWorkerButton,
            idle,
            _("Ends the worker process, which checks, estimates and evaluates. Trainings are not touched."),
        )
        ui.workerLabel.setText(
            _("The worker process is running.") if desk.worker.running else _("The worker process is not running.")
        )


def _columns() -> list[tuple[str, str]]:
    return [
        (_("Package"), ""),
        (_("Installed"), _("The version that is here.")),
        (_("Needed"), _("The lowest version that will do.")),
        (_("State"), ""),
    ]
