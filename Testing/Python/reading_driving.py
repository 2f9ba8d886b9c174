"""Reader studies for tests: small studies of phantoms, and a reader who works with keys that go through Qt."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from panel_driving import PanelDriver

SECRET = "Mueller Anna 1951-03-07"
"""The name of a case that no reader may see."""


@cache
def smallPhantoms(count: int = 3):
    """Whole chests of few voxels with disease, made once."""
    from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom

    diseases = [DiseaseSpec(ground_glass=0.1 + 0.2 * n, reticulation=0.1 * n) for n in range(count)]
    spec = PhantomSpec(matrix=64, spacing=(5.8, 5.8, 10.0))
    return [make_phantom(spec.with_(seed=n + 1, disease=disease)) for n, disease in enumerate(diseases)]


def makeStudy(folder: Path, count: int = 3, reader_names=("A", "B"), **settings) -> Path:
    """A study of small phantoms, made by the code that makes real ones; maps are rings of known values."""
    from SScILDScoringLib.heatmaps.map_files import slice_image
    from SScILDScoringLib.levels import Level
    from SScILDScoringLib.observers.creation import StudyCase, create_study
    from SScILDScoringLib.phantom.nifti import write_volume
    from SScILDScoringLib.scores import PATTERNS

    cases = []
    for number, phantom in enumerate(smallPhantoms(count)):
        path = folder / f"{SECRET} {number}.nii"
        folder.mkdir(parents=True, exist_ok=True)
        write_volume(path, phantom.scan.voxels, phantom.scan.ras_from_index)
        levels, maps = phantom.levels.mm, None
        if settings.get("task") == "likert":
            import SimpleITK as sitk

            maps = folder / f"maps {number}"
            maps.mkdir()
            for level, k in zip(Level, phantom.levels.slice_indices(phantom.scan), strict=True):
                for place, pattern in enumerate(PATTERNS):
                    values = np.where(phantom.labels[k] > 0, -1.0 - place, 0.0).astype(np.float32)
                    name = f"level_{level:d}_{pattern.value}.nrrd"
                    sitk.WriteImage(slice_image(values, phantom.scan, k), str(maps / name))
        network = tuple((20.0 + number, 15.0, 10.0) for _level in Level)
        cases.append(StudyCase(f"{SECRET} {number}", path, levels, maps, network))
    settings = {"levels": "given" if settings.get("task") == "likert" else "own", **settings}
    create_study(folder / "study", cases, readers=reader_names, seed=7, name="Trial", **settings)
    return folder / "study"


class Reader(PanelDriver):
    """A person who reads a study in the panel, with keys that go through Qt as real ones do."""

    def __init__(self, opened) -> None:
        super().__init__(opened)
        from PySide6.QtTest import QTest

        self._test = QTest
        self.section = self.panel.reading
        self.ui.readingSection.collapsed = False
        self.window = opened.panel.window()
        self.window.activateWindow()
        assert QTest.qWaitForWindowActive(self.window, 5000)

    @property
    def sitting(self):
        return self.section.sitting

    @property
    def case(self):
        return self.sitting.case

    @property
    def message(self) -> str:
        return self.ui.readingMessageLabel.text if not self.ui.readingMessageLabel.isHidden() else ""

    def fillForm(self, study: Path, reader: str = "A", session: int = 1) -> None:
        """Fills the form."""
        self.ui.readingFolderEdit.currentPath = str(study)
        self.ui.readingReaderComboBox.setCurrentText(reader)
        if self.section.setup.session != session:
            self.ui.readingSessionComboBox.setCurrentText(str(session))

    def begin(self, study: Path, reader: str = "A", session: int = 1) -> None:
        """Fills the form and starts."""
        self.fillForm(study, reader, session)
        assert self.ui.readingStartButton.enabled, self.ui.readingStartButton.toolTip
        self.ui.readingStartButton.click()
        self.settle()

    def willAnswer(self, *yes: bool) -> None:
        """Answers the next questions with Yes or No."""
        import qt

        self.application.testing = False
        self.application.dialogs.willAnswer(*(qt.QMessageBox.Yes if one else qt.QMessageBox.No for one in yes))

    def keys(self, *names: str) -> None:
        """Presses keys one after the other: ``"2", "0", "Tab", "Shift+Tab", "Ctrl+Up"``."""
        from PySide6.QtCore import Qt
        from PySide6.QtGui import QKeySequence

        for name in names:
            combination = QKeySequence(name)[0]
            key, modifiers = combination.key(), combination.keyboardModifiers()
            if key == Qt.Key_Tab and modifiers & Qt.ShiftModifier:
                key = Qt.Key_Backtab  # what a keyboard sends
            if name == "+":
                modifiers = Qt.NoModifier
            self._test.keyClick(self.window.windowHandle(), key, modifiers)
            self.settle()

    def type(self, *numbers: int) -> None:
        """Types numbers, each followed by Tab."""
        for number in numbers:
            self.keys(*str(number), "Tab")

    def fillCase(self, tot: int = 20, gg: int = 15, ret: int = 10) -> None:
        """Types the same scores on all levels."""
        self.type(*([tot, gg, ret] * 5))

    def cell(self, level: int, column: int) -> str:
        return self.ui.readingTable.item(level - 1, column).text()

    def everythingInTheScene(self) -> str:
        """All nodes of the scene as MRML writes them, with names and attributes, and the subject hierarchy."""
        parts = []
        for number in range(self.scene.GetNumberOfNodes()):
            node = self.scene.GetNthNode(number)
            parts += [node.GetName() or "", node.GetDescription() or "", str(node)]
            parts += [f"{name}={node.GetAttribute(name)}" for name in node.GetAttributeNames()]
        return "\n".join(parts)
