"""The section of the networks: which are here, which are used, where they come from."""

from __future__ import annotations

from html import escape

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import ModelError
from .console_job import ConsoleJob
from .desk import Desk
from .enabling import allow, first
from .job_row import JobRow
from .table_widgets import fitTable, prepareTable, setCell

ANATOMY = "anatomy"
"""The choice of no network for the levels."""


class ModelsSection:
    """Lists, chooses, installs and removes model bundles."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.row = JobRow(desk.ui, "models")
        self.entries: list = []
        self._filling = False
        self._job: ConsoleJob | None = None
        ui = desk.ui
        prepareTable(ui.modelsTable, _columns(), wide=0)
        self._combos = {"l_net": ui.lNetComboBox, "s_net": ui.sNetComboBox}
        for combo in self._combos.values():
            combo.currentIndexChanged.connect(self._onChoice)
        ui.modelsTable.itemSelectionChanged.connect(self._showDetails)
        ui.installFileButton.clicked.connect(self.installFile)
        ui.installFolderButton.clicked.connect(self.installFolder)
        ui.removeModelButton.clicked.connect(self.remove)
        ui.modelCardButton.clicked.connect(self.openCard)
        desk.onRefresh(self.refresh)

    # ---- what the buttons do ---------------------------------------------------------------------------------------

    def installFile(self, *_args) -> None:
        """Asks for a zip file and installs the network in it."""
        title, kinds = _("Install a network"), _("Networks (*.zip)")
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", kinds)
        path = path[0] if isinstance(path, tuple) else path
        if path:
            self.install(path)

    def installFolder(self, *_args) -> None:
        """Asks for a folder and installs the network in it."""
        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Install a network"), "")
        if path:
            self.install(path)

    def install(self, path: str, overwrite: bool = False) -> None:
        """Installs the network in a zip file or folder; another process checks it, as that needs PyTorch."""
        arguments = ["models", "install", str(path), *(["--overwrite"] if overwrite else [])]

        def done(code: int, output: str) -> None:
            self._job = None
            sentence = " ".join(output.removeprefix("sscild:").split())
            if code == 0:
                self.row.tell(sentence)
                self.reload()
            elif "is installed already" in output and not overwrite:
                self.row.finish()
                if slicer.util.confirmYesNoDisplay(_("A network of this name is installed already. Replace it?")):
                    self.install(path, overwrite=True)
            else:
                self.row.fail(sentence[-500:], lambda: self.install(path, overwrite))
            self.desk.refresh()

        self.row.start(_("Checking and installing the network"), self._cancel)
        self.row.progress(-1, _("Checking and installing the network"))
        self._job = ConsoleJob(arguments, done)
        self.desk.refresh()

    def remove(self, *_args) -> None:
        """Removes the chosen network from this computer, after asking."""
        from ..models import remove

        entry = self._selected()
        question = _("Remove the network {name} from this computer?").format(name=entry.name)
        if not slicer.util.confirmYesNoDisplay(question, windowTitle=_("Networks")):
            return
        try:
            remove(entry.name)
        except ModelError as error:
            self.row.fail(str(error))
        self.reload()
        self.desk.refresh()

    def openCard(self, *_args) -> None:
        """Opens the page about the chosen network."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._card(self._selected()))))

    def stop(self) -> None:
        """Ends an installation that is running."""
        if self._job is not None:
            self._cancel()

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Reads the list of networks anew."""
        from ..models import list_bundles

        self.entries = list_bundles(verify=False)
        defaults = {kind: _defaultEntry(kind, self.entries) for kind in self._combos}
        self.desk.defaultNetworks = {kind: entry.name for kind, entry in defaults.items() if entry is not None}
        table = self.ui.modelsTable
        table.setRowCount(len(self.entries))
        for row, entry in enumerate(self.entries):
            cells = (entry.name, _kind(entry.kind), entry.version, _licence(entry), _validated(entry), _place(entry))
            for column, text in enumerate(cells):
                setCell(table, row, column, text, entry.error or entry.notice)
        fitTable(table)
        self._fillCombos()
        self._showDetails()

    def showParameters(self) -> None:
        """Shows the choice of the settings; a network that is no longer here stays in the list and says so."""
        self._fillCombos()

    def refresh(self) -> None:
        """Enables what can be done."""
        desk, ui = self.desk, self.ui
        busy = desk.noWork() if desk.busy() else ""
        for combo, toolTip in (
            (ui.lNetComboBox, _("The network that finds the levels.")),
            (ui.sNetComboBox, _("The network that scores the slices and makes the heat maps.")),
        ):
            allow(combo, busy, toolTip)
        checked = _("Every file in it is checked first.")
        allow(ui.installFileButton, desk.noWork(), _("Installs a network from a zip file.") + " " + checked)
        allow(ui.installFolderButton, desk.noWork(), _("Installs a network from its folder.") + " " + checked)
        entry = self._selected()
        chosen = "" if entry is not None else _("Choose a network in the table.")
        ours = _("This network came with the software and is not removed.")
        elsewhere = _("This network is in a folder named by SSCILD_MODELS and is not removed.")
        place = {"bundled": ours, "environment": elsewhere}.get(entry.place, "") if entry is not None else ""
        allow(ui.removeModelButton, first(chosen, place, busy), _("Removes the network from this computer."))
        hasCard = entry is not None and self._card(entry).is_file()
        allow(
            ui.modelCardButton,
            first(chosen, "" if hasCard else _("This network has no page about itself.")),
            _("Opens the page about this network: training data, accuracy, limits."),
        )

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _fillCombos(self) -> None:
        p = self.desk.parameters
        chosen = {"l_net": p.lNet, "s_net": p.sNet} if p is not None else {"l_net": "", "s_net": ""}
        self._filling = True
        try:
            for kind, combo in self._combos.items():
                default = _defaultEntry(kind, self.entries)
                label = _label(default) if default is not None else _("none")
                choices = [("", _("default: {name}").format(name=label))]
                choices += [(e.name, _label(e)) for e in self.entries if e.kind == kind and not e.error]
                if kind == "l_net":
                    choices.append((ANATOMY, _("none: from the anatomy")))
                if chosen[kind] not in [value for value, _text in choices]:
                    choices.append((chosen[kind], _("{name} (not on this computer)").format(name=chosen[kind])))
                combo.clear()
                for value, text in choices:
                    combo.addItem(text, value)
                combo.setCurrentIndex([value for value, _text in choices].index(chosen[kind]))
        finally:
            self._filling = False

    def _onChoice(self, *_args) -> None:
        p = self.desk.parameters
        if self._filling or p is None:
            return
        with slicer.util.NodeModify(p):
            p.lNet = str(self.ui.lNetComboBox.currentData)
            p.sNet = str(self.ui.sNetComboBox.currentData)

    def _selected(self):
        row = self.ui.modelsTable.currentRow()
        return self.entries[row] if 0 <= row < len(self.entries) else None

    def _card(self, entry):
        from ..models.metadata import CARD

        return entry.folder / CARD

    def _showDetails(self, *_args) -> None:
        entry = self._selected()
        self.ui.modelDetailsLabel.setText(
            _details(entry) if entry is not None else _("Choose a network to read about it.")
        )
        self.refresh()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
        self._job = None
        self.row.tell(_("Cancelled. Nothing was changed."))
        self.desk.refresh()


def _columns() -> list[tuple[str, str]]:
    return [
        (_("Network"), ""),
        (_("For"), _("What it does.")),
        (_("Version"), ""),
        (_("Licence"), _("Of the weights.")),
        (_("Validated"), _("Whether it was validated on patients.")),
        (_("Where"), _("Bundled with this software, installed by you, or named by SSCILD_MODELS.")),
    ]


def _kind(kind: str) -> str:
    return {"l_net": _("levels"), "s_net": _("scores")}.get(kind, "?")


def _place(entry) -> str:
    return {"bundled": _("bundled"), "user": _("installed"), "environment": _("SSCILD_MODELS")}[entry.place]


def _validated(entry) -> str:
    if entry.error:
        return _("broken")
    return _("yes") if entry.validated else _("not validated")


def _licence(entry) -> str:
    metadata = _metadata(entry)
    return str(metadata.raw["sscild"].get("licence", "?")) if metadata is not None else "?"


def _label(entry) -> str:
    return f"{entry.name} {entry.version}" + ("" if entry.validated else " (" + _("not validated") + ")")


def _metadata(entry):
    from ..models.metadata import read_metadata

    try:
        return read_metadata(entry.folder)
    except ModelError:
        return None


def _defaultEntry(kind: str, entries):
    """What the default choice means now, without reading the weights; None when there is no network."""
    from ..models import chosen_defaults

    try:
        chosen = chosen_defaults().get(kind)
    except ModelError:
        return None
    bundled = next((e for e in entries if e.kind == kind and e.place == "bundled"), None)
    return next((e for e in entries if e.name == chosen), bundled)


def _details(entry) -> str:
    if entry.error:
        return escape(entry.error)
    metadata = _metadata(entry)
    if metadata is None:
        return ""
    lines = [escape(metadata.description)]
    if metadata.notice:
        lines.append(f"<b>{escape(metadata.notice)}</b>")
    sources = "; ".join(f"{s['name']} ({s['licence']})" for s in metadata.training_data)
    lines.append(_("Trained on: {sources}.").format(sources=escape(sources)))
    return "<small>" + "<br/>".join(lines) + "</small>"
