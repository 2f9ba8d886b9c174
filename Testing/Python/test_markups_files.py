# ruff: noqa: E402 - what needs slicer is imported after the check that it is there
"""``levels.mrk.json`` opens in Slicer as the five level planes."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer
import slicer.util

from scene_scans import scan_in
from SScILDScoringLib.errors import ScanError, SettingsError
from SScILDScoringLib.levels import Levels
from SScILDScoringLib.scene.level_display import LEVEL_COLOURS
from SScILDScoringLib.scene.markups_files import writeLevels


def levelsIn(scan) -> Levels:
    return Levels.from_mm([scan.mm_of_slice(k) for k in (10, 8, 6.3, 4, 1)], source="l_net")


def readBySlicer(scene, application, path) -> list:
    """The plane nodes that Slicer's own markups reader makes of a file."""
    firstID = application.modules["Markups"].LoadMarkups(str(path), "levels")
    assert firstID
    return slicer.util.getNodesByClass("vtkMRMLMarkupsPlaneNode", scene)


@pytest.mark.parametrize("arrangement", ["straight", "oblique_permuted", "tilted"])
def test_slicer_reads_five_planes_at_the_levels(application, scene, tmp_path, arrangement):
    scan = scan_in(arrangement)
    levels = levelsIn(scan)
    written = writeLevels(levels, scan, tmp_path / "levels.mrk.json")
    nodes = readBySlicer(scene, application, written)
    assert [node.GetNthControlPointLabel(0) for node in nodes] == ["L1", "L2", "L3", "L4", "L5"]
    for node, position in zip(nodes, levels, strict=True):
        k = scan.slice_position(position.mm)
        for corner in ((0, 0), (15, 13)):
            away = (scan.ras_at((*corner, k)) - node.GetOriginWorld()) @ np.array(node.GetNormalWorld())
            assert abs(away) < 1e-6
        assert node.GetDisplayNode().GetSelectedColor() == pytest.approx(LEVEL_COLOURS[position.level])
        assert min(node.GetSize()) > 15


def test_the_file_is_plain_markups_json_in_lps_and_names_nobody(tmp_path):
    scan = scan_in("straight", name="Doe^Jane")
    path = writeLevels(levelsIn(scan), scan, tmp_path / "new" / "levels.mrk.json")
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    assert "markups-schema" in document["@schema"]
    assert [m["type"] for m in document["markups"]] == 5 * ["Plane"]
    assert {m["coordinateSystem"] for m in document["markups"]} == {"LPS"}
    heights = [m["controlPoints"][0]["position"][2] for m in document["markups"]]
    np.testing.assert_allclose(heights, levelsIn(scan).mm, atol=1e-6)
    assert "Doe" not in text
    assert str(tmp_path) not in text


def test_the_same_levels_give_the_same_file(tmp_path):
    scan = scan_in("oblique")
    first, second = (writeLevels(levelsIn(scan), scan, tmp_path / f"{n}.mrk.json").read_bytes() for n in (1, 2))
    assert first == second


def test_a_file_there_before_is_replaced_and_nothing_else_is_left(tmp_path):
    scan = scan_in("straight")
    path = tmp_path / "levels.mrk.json"
    path.write_text("old")
    writeLevels(levelsIn(scan), scan, path)
    assert json.loads(path.read_text())["markups"]
    assert [p.name for p in tmp_path.iterdir()] == ["levels.mrk.json"]


def test_writing_does_not_touch_the_scene_on_the_screen(scene, tmp_path):
    before = scene.GetNumberOfNodes()
    scan = scan_in("straight")
    writeLevels(levelsIn(scan), scan, tmp_path / "levels.mrk.json")
    assert scene.GetNumberOfNodes() == before
    assert slicer.mrmlScene is scene


def test_what_cannot_be_written_says_so_and_leaves_nothing(tmp_path):
    scan = scan_in("straight")
    with pytest.raises(SettingsError, match=r"\.mrk\.json"):
        writeLevels(levelsIn(scan), scan, tmp_path / "levels.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        writeLevels(levelsIn(scan), scan, tmp_path / "file" / "levels.mrk.json")
    with pytest.raises(ScanError, match="outside"):
        writeLevels(Levels.from_mm((900, 8, 6, 4, 1)), scan, tmp_path / "levels.mrk.json")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
