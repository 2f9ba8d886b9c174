"""The section of the software: what training needs, what is here, one button that installs the rest, the worker."""

from __future__ import annotations

from slicer.i18n import tr as _

from SScILDScoringLib.panel.enabling import allow
from SScILDScoringLib.panel.environment_section import EnvironmentSection
from SScILDScoringLib.panel.packages import Package

from . import packages
from .desk import TrainingDesk


class SoftwareSection(EnvironmentSection):
    """Packages with their versions, installation after asking, the worker process."""

    prefix = "software"

    def __init__(self, desk: TrainingDesk) -> None:
        super().__init__(desk)
        desk.track(self.row)

    def packages(self) -> tuple[Package, ...]:
        """What is needed."""
        return packages.packages()

    def optional(self) -> tuple[Package, ...]:
        """Nothing is offered besides."""
        return ()

    def reopen(self) -> None:
        """Nothing to do: the next job starts a worker."""

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
