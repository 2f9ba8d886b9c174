"""The section of the software: what scoring needs, what is here, and one button that installs the rest."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from . import packages
from .desk import Desk
from .enabling import allow
from .installing import installMissing
from .job_row import JobRow
from .table_widgets import fitTable, prepareTable, setCell


class EnvironmentSection:
    """Packages with their versions, installation after asking, the worker process.

    The training module's section is one of these, too: with other widgets (``prefix``), packages and sentences.
    """

    prefix = "environment"

    def __init__(self, desk: Desk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.row = JobRow(desk.ui, self.prefix)
        ui = desk.ui
        self.table = getattr(ui, f"{self.prefix}Table")
        prepareTable(self.table, _columns(), rows=len(self.packages()) + len(self.optional()), wide=3)
        ui.installButton.clicked.connect(self.install)
        ui.checkAgainButton.clicked.connect(self.check)
        ui.workerLogButton.clicked.connect(self.showLog)
        ui.restartWorkerButton.clicked.connect(self.restartWorker)
        desk.onRefresh(self.refresh)

    def packages(self) -> tuple[packages.Package, ...]:
        """What is needed."""
        return packages.PACKAGES

    def optional(self) -> tuple[packages.Package, ...]:
        """What is offered besides."""
        return packages.OPTIONAL

    def reopen(self) -> None:
        """After something was installed, or the worker ended: the CT goes to a new worker."""
        self.desk.open()

    def check(self, *_args) -> None:
        """Looks again at what is installed; opens the section when something is missing."""
        self.desk.missingPackages = packages.missing(self.packages())
        for row, package in enumerate((*self.packages(), *self.optional())):
            problem = package.problem
            setCell(self.table, row, 0, package.name)
            setCell(self.table, row, 1, package.version or "–")
            setCell(self.table, row, 2, package.least)
            state = problem or _("ready")
            if problem and package.optional:
                state = _("{problem}; optional: {use}").format(problem=problem, use=package.optional)
            setCell(self.table, row, 3, state, bold=bool(problem) and not package.optional)
        fitTable(self.table)
        if self.desk.missingPackages:
            getattr(self.ui, f"{self.prefix}Section").collapsed = False
        self.desk.refresh()

    def install(self, *_args) -> None:
        """Installs what is missing, after one question that names everything and its size."""
        self.row.start(_("Installing. Slicer shows pip's own progress."))
        self.desk.refresh()
        message, details = _("Nothing was installed."), ""
        try:
            message = installMissing([*self.desk.missingPackages, *packages.missing(self.optional())])
        except Exception as error:  # pip and the PyTorch extension fail in many ways, and the user has to know
            message, details = _("The installation failed: {error}").format(error=error), str(error)
        finally:
            self.row.finish()
            self.check()
            if details:
                self.row.fail(message, self.install, details)
            else:
                self.row.tell(message)
            self.reopen()
            self.desk.refresh()

    def showLog(self, *_args) -> None:
        """Shows what the worker wrote last."""
        text = self.desk.worker.log() or _("The worker has written nothing yet.")
        slicer.util.infoDisplay(_("The last lines of the worker are below."), detailedText=text)

    def restartWorker(self, *_args) -> None:
        """Ends the worker; a new one is started when it is needed."""
        self.desk.cancel()
        self.desk.worker.stop()
        self.reopen()
        self.desk.refresh()

    def refresh(self) -> None:
        """Says whether everything is here."""
        desk, ui = self.desk, self.ui
        missing, offered = desk.missingPackages, packages.missing(self.optional())
        if missing:
            size = sum(package.megabytes for package in missing)
            text = _("Scoring needs {names} (about {size} MB to download). Nothing is installed before you ask for it.")
            ui.environmentLabel.setText(text.format(names=", ".join(p.name for p in missing), size=size))
        else:
            text = _("Everything that scoring needs is installed.")
            for package in offered:
                text += " " + _("Optional: {name} (about {size} MB), {use}.").format(
                    name=package.name, size=package.megabytes, use=package.optional
                )
            ui.environmentLabel.setText(text)
        here = "" if missing or offered else _("Everything is installed already.")
        busy = desk.noWork() if desk.busy() else ""
        allow(
            ui.installButton, here or busy, _("Asks first, then installs PyTorch by its extension and the rest by pip.")
        )
        allow(
            ui.restartWorkerButton,
            desk.noScan(),
            _("Ends the worker process, which does all computing, and starts anew."),
        )
        allow(ui.deviceComboBox, busy, _("Where the networks run: auto takes a graphics card when there is one."))
        running = (
            _("The worker process is running.") if desk.worker.running else _("The worker process is not running.")
        )
        ui.workerLabel.setText(running)


def _columns() -> list[tuple[str, str]]:
    return [
        (_("Package"), ""),
        (_("Installed"), _("The version that is here.")),
        (_("Needed"), _("The lowest version that will do.")),
        (_("State"), ""),
    ]
