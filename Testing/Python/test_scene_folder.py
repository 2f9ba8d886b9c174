"""Everything of a scored CT lies in one folder beside it, with or without Slicer's application."""

from __future__ import annotations

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer  # noqa: E402
import slicer.util  # noqa: E402

from scene_files_on_disk import saved_and_loaded  # noqa: E402
from SScILDScoringLib.scene.folder import caseFolder, nodesInFolder, putInFolder, removeFolder  # noqa: E402

NAME = "CT SSc-ILD score"


@pytest.fixture
def hierarchy(scene):
    """The scene's subject hierarchy."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def volume(name="CT"):
    return slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.int16), np.eye(4), name)


def folders(hierarchy) -> list[int]:
    import vtk

    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    return [items.GetId(n) for n in range(items.GetNumberOfIds()) if hierarchy.GetItemName(items.GetId(n)) == NAME]


def test_without_the_application_the_ct_s_item_is_made_too(scene, hierarchy):
    ct = volume()
    item = caseFolder(scene, ct, NAME)
    assert hierarchy.GetItemName(item) == NAME
    assert hierarchy.GetItemByDataNode(ct)
    assert hierarchy.GetItemParent(item) == hierarchy.GetItemParent(hierarchy.GetItemByDataNode(ct))
    assert hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID()


def test_the_folder_lies_in_the_ct_s_study(scene, hierarchy):
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    ct = volume()
    hierarchy.CreateItem(study, ct)
    assert hierarchy.GetItemParent(caseFolder(scene, ct, NAME)) == study


def test_asking_twice_gives_the_same_folder_wherever_the_user_put_it(scene, hierarchy):
    ct = volume()
    item = caseFolder(scene, ct, NAME)
    assert caseFolder(scene, ct, NAME) == item
    elsewhere = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "elsewhere")
    hierarchy.SetItemParent(item, elsewhere)
    hierarchy.SetItemName(item, "renamed")
    assert caseFolder(scene, ct, NAME) == item
    assert hierarchy.GetItemParent(item) == elsewhere


def test_two_cts_of_the_same_name_have_a_folder_each(scene):
    first, second = volume(), volume()
    assert caseFolder(scene, first, NAME) != caseFolder(scene, second, NAME)


def test_nodes_are_put_in_once_and_stay_where_the_user_moves_them_inside(scene, hierarchy):
    ct = volume()
    item = caseFolder(scene, ct, NAME)
    nodes = [
        volume("overlay"),
        scene.AddNewNodeByClass("vtkMRMLTableNode", "table"),
        scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "plane"),
        scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation"),
        scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "chart"),
    ]
    putInFolder(item, *nodes, None)
    count = hierarchy.GetNumberOfItems()
    putInFolder(item, *nodes)
    assert hierarchy.GetNumberOfItems() == count
    assert nodesInFolder(scene, item) == nodes
    inside = hierarchy.CreateFolderItem(item, "tables")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(nodes[1]), inside)
    putInFolder(item, nodes[1])
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes[1])) == inside
    assert set(nodesInFolder(scene, item)) == set(nodes)


def test_an_item_that_the_application_made_at_the_top_is_taken_into_the_folder(scene, hierarchy):
    item = caseFolder(scene, volume(), NAME)
    overlay = volume("overlay")
    made = hierarchy.CreateItem(hierarchy.GetSceneItemID(), overlay)
    putInFolder(item, overlay)
    assert hierarchy.GetItemByDataNode(overlay) == made
    assert hierarchy.GetItemParent(made) == item


def test_an_empty_folder_goes_and_one_with_something_of_the_user_s_stays(scene, hierarchy):
    ct = volume()
    item = caseFolder(scene, ct, NAME)
    mine = volume("mine")
    putInFolder(item, mine)
    removeFolder(scene, ct, NAME)
    assert nodesInFolder(scene, item) == [mine]
    scene.RemoveNode(mine)
    removeFolder(scene, ct, NAME)
    assert folders(hierarchy) == []
    assert ct.GetScene() is scene
    removeFolder(scene, ct, NAME)  # there is none any more
    assert caseFolder(scene, ct, NAME) in folders(hierarchy)


def test_the_folder_of_a_ct_that_is_gone_is_found_by_its_name(scene, hierarchy):
    ct = volume()
    caseFolder(scene, ct, NAME)
    scene.RemoveNode(ct)
    removeFolder(scene, None, NAME)
    assert folders(hierarchy) == []


def test_the_folder_is_found_again_after_saving_and_loading(scene, tmp_path):
    ct = volume()
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "table")
    putInFolder(caseFolder(scene, ct, NAME), table)
    saved_and_loaded(scene, tmp_path)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    ct, table = slicer.util.getNode("CT"), slicer.util.getNode("table")
    item = caseFolder(scene, ct, NAME)
    assert folders(hierarchy) == [item]
    assert nodesInFolder(scene, item) == [table]
