"""The subject-hierarchy folder that holds everything of one scored CT, next to the CT itself."""

from __future__ import annotations

import uuid

import slicer
import vtk

_MARK = "SScILD.folder"


def caseFolder(scene, volumeNode, name: str) -> int:
    """The folder of a CT's results: beside the CT's item (in its study, when there is one); made when there is none.

    Volume and folder carry the same mark, so that the folder is found again after it or the CT was moved or renamed in
    the hierarchy, and after the scene was saved and loaded.

    Args:
        scene: the scene of the volume.
        volumeNode: the CT. Its own item is made too where the application does not do so (without a main window).
        name: of a new folder.

    Returns:
        The ID of the folder's item.
    """
    hierarchy = _hierarchy(scene)
    existing = _existing(hierarchy, volumeNode)
    if existing is not None:
        return existing
    parent = hierarchy.GetItemParent(_itemOf(hierarchy, volumeNode))
    item = hierarchy.CreateFolderItem(parent or hierarchy.GetSceneItemID(), name)
    if not volumeNode.GetAttribute(_MARK):
        volumeNode.SetAttribute(_MARK, uuid.uuid4().hex)
    hierarchy.SetItemAttribute(item, _MARK, volumeNode.GetAttribute(_MARK))
    return item


def putInFolder(item: int, *nodes) -> None:
    """Puts nodes into a folder; what is in it already stays where the user has put it. Nones are left out."""
    for node in nodes:
        if node is None or node.GetScene() is None:
            continue
        hierarchy = _hierarchy(node.GetScene())
        own = hierarchy.GetItemByDataNode(node)
        if not own:
            hierarchy.CreateItem(item, node)
        elif not _liesBelow(hierarchy, own, item):
            hierarchy.SetItemParent(own, item)


def nodesInFolder(scene, item: int) -> list:
    """The nodes in a folder and its sub-folders, in the order of the hierarchy."""
    hierarchy = _hierarchy(scene)
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, items, True)
    # Without the application items outlive their nodes.
    nodes = [hierarchy.GetItemDataNode(items.GetId(n)) for n in range(items.GetNumberOfIds())]
    return [node for node in nodes if node is not None and node.GetScene() is scene]


def removeFolder(scene, volumeNode, name: str | None = None) -> None:
    """Removes the folder of a CT's results when no node is left in it; the CT stays, and so does what is not ours.

    Args:
        scene: the scene.
        volumeNode: the CT; None when it is gone.
        name: of the folder, by which it is found when the CT is gone.
    """
    hierarchy = _hierarchy(scene)
    if volumeNode is not None:
        item = _existing(hierarchy, volumeNode)
    else:
        item = next((one for one in _marked(hierarchy) if hierarchy.GetItemName(one) == name), None)
    if item is None or nodesInFolder(scene, item):
        return
    hierarchy.RemoveItem(item)
    if volumeNode is not None:
        volumeNode.RemoveAttribute(_MARK)


def _hierarchy(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def _itemOf(hierarchy, node) -> int:
    return hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def _marked(hierarchy) -> list[int]:
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    every = [items.GetId(n) for n in range(items.GetNumberOfIds())]
    return [item for item in every if hierarchy.GetItemAttribute(item, _MARK)]


def _existing(hierarchy, volumeNode) -> int | None:
    mark = volumeNode.GetAttribute(_MARK)
    if not mark:
        return None
    same = [item for item in _marked(hierarchy) if hierarchy.GetItemAttribute(item, _MARK) == mark]
    # A scene loaded twice has two of each: the volume's own folder is the one beside it.
    parent = hierarchy.GetItemParent(_itemOf(hierarchy, volumeNode))
    beside = [item for item in same if hierarchy.GetItemParent(item) == parent]
    return next(iter(beside or same), None)


def _liesBelow(hierarchy, item: int, folder: int) -> bool:
    while item:
        item = hierarchy.GetItemParent(item)
        if item == folder:
            return True
    return False
