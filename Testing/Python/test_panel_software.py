"""Networks and software in the panel: listed with what they are worth, installed only when asked for."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from panel_driving import MODULE, PanelDriver, withoutPyTorch

pytest_plugins = ["panel_fixtures"]


@pytest.fixture
def driver(openModule, monkeypatch, tmp_path):
    """The panel of a user without own networks; message boxes are shown and answered by the test."""
    for name in ("XDG_DATA_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSCILD_MODELS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return PanelDriver(openModule(MODULE).enter())


def withMessageBoxes(driver, *answers) -> None:
    driver.application.showMainWindow()
    driver.application.testing = False
    driver.application.dialogs.willAnswer(*answers)


def networks(driver) -> list[list[str]]:
    table = driver.ui.modelsTable
    return [[table.item(row, column).text() for column in range(6)] for row in range(table.rowCount)]


# ---- networks --------------------------------------------------------------------------------------------------------


def test_the_starter_networks_are_listed_as_not_validated(driver):
    rows = {row[0]: row for row in networks(driver)}
    for name, task in (("l_net_starter", "levels"), ("s_net_starter", "scores")):
        assert rows[name][1] == task
        assert rows[name][3] == "Apache-2.0"
        assert rows[name][4:] == ["not validated", "bundled"]
    assert "s_net_starter" in driver.ui.sNetComboBox.currentText
    assert "not validated" in driver.ui.sNetComboBox.currentText


def test_a_chosen_network_tells_its_training_data_and_cannot_be_removed_when_bundled(driver):
    rows = [row[0] for row in networks(driver)]
    assert "Choose a network" in driver.ui.removeModelButton.toolTip
    driver.ui.modelsTable.selectRow(rows.index("s_net_starter"))
    assert "LIDC-IDRI" in driver.ui.modelDetailsLabel.text
    assert "not clinically validated" in driver.ui.modelDetailsLabel.text
    assert not driver.ui.removeModelButton.enabled
    assert "came with the software" in driver.ui.removeModelButton.toolTip
    assert driver.ui.modelCardButton.enabled


def test_a_network_is_installed_from_a_file_chosen_and_removed(driver, tmp_path):
    import qt

    from small_bundles import s_net_bundle

    bundle = s_net_bundle(tmp_path / "our_scores")
    file = tmp_path / "our_scores.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in bundle.folder.rglob("*"):
            archive.write(path, path.relative_to(bundle.folder.parent))
    withMessageBoxes(driver, str(file))
    driver.press(driver.ui.installFileButton, "installing a network")
    assert "installed" in driver.ui.modelsJobLabel.text
    rows = {row[0]: row for row in networks(driver)}
    assert rows[bundle.name][5] == "installed"

    combo = driver.ui.sNetComboBox
    combo.setCurrentIndex(next(n for n in range(combo.count) if bundle.name in combo.itemText(n)))
    assert driver.parameters.sNet == bundle.name

    driver.ui.modelsTable.selectRow([row[0] for row in networks(driver)].index(bundle.name))
    driver.application.dialogs.willAnswer(qt.QMessageBox.Yes)
    driver.ui.removeModelButton.click()
    assert bundle.name not in {row[0] for row in networks(driver)}
    assert "not on this computer" in combo.currentText  # the choice is kept and says why it will not do


def test_a_file_that_is_no_network_is_refused_with_a_sentence(driver, tmp_path):
    file = tmp_path / "holiday.zip"
    file.write_bytes(b"no zip at all")
    driver.panel.models.install(str(file))
    driver.waitUntil(lambda: not driver.desk.busy(), "the refusal")
    assert "holiday.zip is not a zip file" in driver.ui.modelsJobLabel.text
    assert driver.ui.modelsRetryButton.visible


# ---- software --------------------------------------------------------------------------------------------------------


def test_the_list_of_packages_is_that_of_the_project(driver):
    import tomllib

    from packaging.requirements import Requirement

    from SScILDScoringLib.panel.packages import OPTIONAL, PACKAGES

    project = tomllib.loads((MODULE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for listed, lines in ((PACKAGES, project["dependencies"]), (OPTIONAL, project["optional-dependencies"]["fast"])):
        wanted = {r.name.lower(): str(r.specifier) for r in map(Requirement, lines)}
        assert {p.name.lower(): f">={p.least}" for p in listed} == wanted


def test_versions_are_compared_as_numbers(driver):
    from SScILDScoringLib.panel.packages import Package, numbers

    assert numbers("2.13.0+cpu") > numbers("2.6")
    assert numbers("10") > numbers("9.9.9")
    assert Package("numpy", "numpy", "99", 20).problem.startswith("too old")
    assert Package("numpy", "numpy", "1.0", 20).problem == ""
    assert Package("nothing", "there_is_no_such_module", "1", 1).problem == "missing"


def test_nothing_is_installed_when_the_user_says_no(driver, monkeypatch):
    import qt

    withoutPyTorch(monkeypatch)
    driver.ui.checkAgainButton.click()
    withMessageBoxes(driver, qt.QMessageBox.Cancel)
    driver.ui.installButton.click()
    asked = driver.application.dialogs.shown[-1].text
    assert "torch>=2.6 (about 250 MB)" in asked
    assert "NVIDIA" in asked
    assert "Nothing was installed" in driver.ui.environmentJobLabel.text
    assert not driver.application.extensionsManagerModel().isExtensionInstalled("PyTorch")


def test_pytorch_comes_through_its_extension_after_one_question(driver, monkeypatch):
    import qt

    withoutPyTorch(monkeypatch)
    driver.ui.checkAgainButton.click()
    withMessageBoxes(driver, qt.QMessageBox.Ok, True)
    driver.ui.installButton.click()
    assert driver.application.extensionsManagerModel().isExtensionInstalled("PyTorch")
    assert "Restart Slicer" in driver.ui.environmentJobLabel.text


def test_a_failed_installation_is_said_and_can_be_tried_again(driver, monkeypatch):
    import qt

    withoutPyTorch(monkeypatch)
    driver.ui.checkAgainButton.click()
    withMessageBoxes(driver, qt.QMessageBox.Ok, False)
    driver.ui.installButton.click()
    assert "could not be installed" in driver.ui.environmentJobLabel.text
    assert driver.ui.environmentRetryButton.visible


def withoutNumba(monkeypatch) -> None:
    from SScILDScoringLib.panel import packages

    lacking = packages.Package("numba", "there_is_no_numba_here", "0.61", 65, optional="faster heat maps")
    monkeypatch.setattr(packages, "OPTIONAL", (lacking,))


def test_what_only_makes_heat_maps_faster_is_offered_and_leaves_numpy_alone(driver, monkeypatch, pythonSlicer):
    import numpy as np
    import qt
    from slicer import packaging

    withoutNumba(monkeypatch)
    told = []
    install = packaging.pip_install
    monkeypatch.setattr(
        packaging,
        "pip_install",
        lambda wanted, constraints=None, **more: (
            told.append(Path(constraints).read_text(encoding="utf-8")),
            install(wanted, constraints=constraints, **more),
        )[1],
    )
    driver.ui.checkAgainButton.click()
    assert driver.desk.missingPackages == []
    assert "Optional: numba (about 65 MB), faster heat maps." in driver.ui.environmentLabel.text
    table = driver.ui.environmentTable
    assert table.item(table.rowCount - 1, 3).text() == "missing; optional: faster heat maps"
    withMessageBoxes(driver, qt.QMessageBox.Ok)
    driver.ui.installButton.click()
    assert "numba>=0.61 (about 65 MB): faster heat maps" in driver.application.dialogs.shown[-1].text
    assert pythonSlicer.read_text().startswith("install numba>=0.61 -c ")
    assert told == [f"numpy=={np.__version__}\n"]
    assert "is installed" in driver.ui.environmentJobLabel.text


def test_scoring_goes_on_where_it_cannot_be_installed(driver, monkeypatch, pythonSlicer):
    import qt

    withoutNumba(monkeypatch)
    launcher = pythonSlicer.parent / "bin" / "PythonSlicer"
    launcher.write_text(launcher.read_text().replace("exit 0", "exit 1"))
    driver.ui.checkAgainButton.click()
    withMessageBoxes(driver, qt.QMessageBox.Ok)
    driver.ui.installButton.click()
    assert "scoring works without it" in driver.ui.environmentJobLabel.text
    assert not driver.ui.environmentRetryButton.visible


def test_with_everything_there_the_install_button_says_so(driver):
    assert driver.desk.missingPackages == []
    assert not driver.ui.installButton.enabled
    assert "installed already" in driver.ui.installButton.toolTip


# ---- sample data -----------------------------------------------------------------------------------------------------


def test_the_sample_ct_is_one_click_away_and_can_be_cancelled(driver, monkeypatch):
    from SScILDScoringLib.panel import input_section, sample_data
    from SScILDScoringLib.phantom import PhantomSpec

    withoutPyTorch(monkeypatch)
    driver.ui.checkAgainButton.click()
    small = PhantomSpec(seed=1, matrix=64, spacing=(5.8, 5.8, 12.0))
    monkeypatch.setattr(sample_data, "sampleSpec", lambda: small)
    before = driver.nodeNames()
    said = []

    def cancelled(*_args):
        said.append(driver.ui.inputJobLabel.text)
        driver.ui.inputCancelButton.click()

    timer = input_section.slicer.app.processEvents
    monkeypatch.setattr(driver.application, "processEvents", cancelled)
    driver.ui.sampleButton.click()
    monkeypatch.setattr(driver.application, "processEvents", timer)
    assert said
    assert driver.nodeNames() == before
    assert "Cancelled" in driver.ui.inputJobLabel.text
    driver.ui.sampleButton.click()
    assert driver.ui.volumeSelector.currentNode().GetName() == sample_data.SAMPLE_NAME
    assert driver.desk.scan.shape[1:] == (64, 64)


def test_sample_data_offers_the_phantom(driver):
    driver.application.startupCompleted.emit()
    (source,) = sys.modules["slicer"].modules.sampleDataSources["SScILDScoring"]
    assert source.sampleName == "SScILDPhantom"
    assert source.thumbnailFileName.endswith(".png")
