"""Thresholded heat maps and lungs as segmentations of the CT, and lungs out of whatever segmentation the user has."""

from __future__ import annotations

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer  # noqa: E402
import slicer.util  # noqa: E402
import vtk  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from arranged_scans import ARRANGEMENTS, scan_of  # noqa: E402
from scene_files_on_disk import saved_and_loaded  # noqa: E402
from SScILDScoringLib.errors import ScanError  # noqa: E402
from SScILDScoringLib.heatmaps import HeatMaps  # noqa: E402
from SScILDScoringLib.lungs import LungMask, lungs_from_labels  # noqa: E402
from SScILDScoringLib.report.colours import PATTERN_COLOURS  # noqa: E402
from SScILDScoringLib.scene.errors import SceneError  # noqa: E402
from SScILDScoringLib.scene.segmentations import (  # noqa: E402
    lungSegmentation,
    lungsOfSegmentation,
    thresholdSegmentation,
)
from SScILDScoringLib.scene.views import showLevel, showVolume  # noqa: E402
from SScILDScoringLib.scene.volumes import scanFromVolume, volumeFromScan  # noqa: E402
from SScILDScoringLib.scores import PATTERNS, Pattern, SliceScores  # noqa: E402

SLICES = (7, 6, 4, 3, 1)
"""Canonical indices of the five levels' slices."""

SCORES = SliceScores((1.0, 1.0, 1.0))
THRESHOLDS = {Pattern.TOT: -1.0, Pattern.GG: -1.5, Pattern.RET: -0.5}


def maps_of(scan, seed=3) -> list[HeatMaps]:
    """Random heat maps in an off-centre lung."""
    rng = np.random.default_rng(seed)
    lung = np.zeros(scan.shape[1:], bool)
    lung[5:30, 8:40] = True
    covered = lung.copy()
    covered[:9] = False
    return [HeatMaps(rng.normal(-0.8, 1.2, (3, *lung.shape)).astype(np.float32), covered, lung, SCORES) for _ in SLICES]


def thresholded(scan, maps, thresholds=THRESHOLDS) -> dict[Pattern, np.ndarray]:
    """What the segments must hold: boolean (z, y, x) by pattern."""
    volumes = {pattern: np.zeros(scan.shape, bool) for pattern in PATTERNS}
    for pattern, value in thresholds.items():
        for k, one in zip(SLICES, maps, strict=True):
            volumes[pattern][k] = (one.of(pattern) < value) & one.covered
    return volumes


def voxels_of_segment(node, segmentID, volumeNode) -> np.ndarray:
    """A segment on the grid of a volume node as Slicer exports it: bool, in the order of the volume's array."""
    exported = slicer.vtkMRMLLabelMapVolumeNode()
    node.GetScene().AddNode(exported)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.ExportSegmentsToLabelmapNode(node, [segmentID], exported, volumeNode):
        result = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, bool)
    else:
        result = slicer.util.arrayFromVolume(exported) > 0
    node.GetScene().RemoveNode(exported)
    return result


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_each_level_s_area_lies_voxel_for_voxel_on_its_own_slice_of_the_ct(scene, name):
    scan = scan_of(name)
    volumeNode = volumeFromScan(scan, "CT")
    maps = maps_of(scan)
    node = thresholdSegmentation(scene, None, scan, volumeNode, maps, THRESHOLDS, SLICES)
    for pattern, expected in thresholded(scan, maps).items():
        found = scan.from_file_order(voxels_of_segment(node, pattern.name, volumeNode))
        assert found.any()
        assert (found == expected).all()


@pytest.mark.parametrize("name", ["straight", "oblique_permuted", "tilted_flipped"])
def test_the_geometry_is_exactly_the_ct_s(scene, name):
    scan = scan_of(name)
    volumeNode = volumeFromScan(scan, "CT")
    node = thresholdSegmentation(scene, None, scan, volumeNode, maps_of(scan), THRESHOLDS, SLICES)
    converter = slicer.vtkSegmentationConverter
    text = node.GetSegmentation().GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    grid = slicer.vtkOrientedImageData()
    assert converter.DeserializeImageGeometry(text, grid)
    matrix = vtk.vtkMatrix4x4()
    grid.GetImageToWorldMatrix(matrix)
    assert np.abs(slicer.util.arrayFromVTKMatrix(matrix) - scan.ras_from_file_index).max() < 1e-4
    assert tuple(grid.GetDimensions()) == volumeNode.GetImageData().GetDimensions()
    assert grid.GetExtent()[::2] == (0, 0, 0)
    role = node.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is volumeNode
    for pattern in PATTERNS:
        labelmap = node.GetSegmentation().GetSegment(pattern.name).GetRepresentation("Binary labelmap")
        labelmap.GetImageToWorldMatrix(matrix)
        assert np.abs(slicer.util.arrayFromVTKMatrix(matrix) - scan.ras_from_file_index).max() < 1e-9


def test_a_ct_below_a_transform_has_its_segmentation_where_it_is_seen(scene):
    volumeNode = volumeFromScan(scan_of("oblique"), "CT")
    moved = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.array([[0, -1, 0, 12.0], [1, 0, 0, -30], [0, 0, 1, 55], [0, 0, 0, 1]])
    moved.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    volumeNode.SetAndObserveTransformNodeID(moved.GetID())
    scan = scanFromVolume(volumeNode)
    everywhere = np.ones(scan.shape[1:], bool)
    maps = [HeatMaps(np.float32([-9, -9, -9])[:, None, None] * everywhere, everywhere, everywhere, SCORES)] * 5
    node = thresholdSegmentation(scene, None, scan, volumeNode, maps, THRESHOLDS, SLICES)
    bounds = np.zeros(6)
    node.GetRASBounds(bounds)
    corners = [scan.ras_at((i, j, k)) for i in (0, scan.shape[2]) for j in (0, scan.shape[1]) for k in (1, 7)]
    assert np.abs(np.mean(corners, axis=0) - (bounds[::2] + bounds[1::2]) / 2).max() < 3
    assert voxels_of_segment(node, "TOT", volumeNode).sum() == 5 * scan.shape[1] * scan.shape[2]


def test_three_segments_are_named_and_coloured_as_the_report_s_patterns(scene):
    scan = scan_of("straight")
    node = thresholdSegmentation(scene, None, scan, volumeFromScan(scan, "CT"), maps_of(scan), THRESHOLDS, SLICES)
    segmentation = node.GetSegmentation()
    assert segmentation.GetSegmentIDs() == ("TOT", "GG", "RET")
    for pattern in PATTERNS:
        segment = segmentation.GetSegment(pattern.name)
        assert segment.GetName() == f"{pattern.name}, {pattern.title}"
        colour = "#" + "".join(f"{round(255 * c):02x}" for c in segment.GetColor())
        assert colour == PATTERN_COLOURS[pattern]
    assert node.GetName() == "CT heat-map areas"


def test_other_thresholds_change_the_same_segmentation_and_leave_what_the_user_added(scene):
    scan = scan_of("permuted_kij")
    volumeNode = volumeFromScan(scan, "CT")
    maps = maps_of(scan)
    node = thresholdSegmentation(scene, None, scan, volumeNode, maps, THRESHOLDS, SLICES)
    node.GetSegmentation().AddEmptySegment("mine", "my own")
    node.GetDisplayNode().SetSegmentVisibility("GG", False)
    events = []
    node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *unused: events.append(1))
    lower = {Pattern.TOT: -2.0, Pattern.GG: -99.0}
    assert thresholdSegmentation(scene, node, scan, volumeNode, maps, lower, SLICES) is node
    for pattern, expected in thresholded(scan, maps, lower).items():
        found = scan.from_file_order(voxels_of_segment(node, pattern.name, volumeNode))
        assert (found == expected).all()
    assert not thresholded(scan, maps, lower)[Pattern.GG].any()  # an empty segment, and it can be filled again
    thresholdSegmentation(scene, node, scan, volumeNode, maps, THRESHOLDS, SLICES)
    found = scan.from_file_order(voxels_of_segment(node, "GG", volumeNode))
    assert (found == thresholded(scan, maps)[Pattern.GG]).all()
    assert node.GetSegmentation().GetSegmentIDs() == ("TOT", "GG", "RET", "mine")
    assert not node.GetDisplayNode().GetSegmentVisibility("GG")
    assert len(events) <= 2


def test_a_user_can_correct_a_segment_as_segment_editor_does(scene):
    scan = scan_of("oblique")
    volumeNode = volumeFromScan(scan, "CT")
    maps = maps_of(scan)
    node = thresholdSegmentation(scene, None, scan, volumeNode, maps, THRESHOLDS, SLICES)
    before = voxels_of_segment(node, "GG", volumeNode)
    painted = slicer.vtkOrientedImageData()
    painted.SetExtent(0, 2, 0, 1, 8, 8)
    painted.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    painted.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(scan.ras_from_file_index))
    vtk_to_numpy(painted.GetPointData().GetScalars())[:] = 1
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(painted, node, "GG", logic.MODE_MERGE_MAX)
    added = voxels_of_segment(node, "GG", volumeNode) & ~before
    assert set(map(tuple, np.argwhere(added))) == {(8, j, i) for j in range(2) for i in range(3)}
    assert (
        voxels_of_segment(node, "TOT", volumeNode) == scan.to_file_order(thresholded(scan, maps)[Pattern.TOT])
    ).all()


@pytest.mark.parametrize("name", ["flipped_all", "oblique_permuted", "tilted"])
def test_a_saved_segmentation_is_the_same_when_it_is_loaded_again(scene, name, tmp_path):
    scan = scan_of(name)
    maps = maps_of(scan)
    thresholdSegmentation(scene, None, scan, volumeFromScan(scan, "CT"), maps, THRESHOLDS, SLICES)
    saved_and_loaded(scene, tmp_path)
    node, volumeNode = slicer.util.getNode("CT heat-map areas"), slicer.util.getNode("CT")
    scan = scanFromVolume(volumeNode)  # Slicer stores left-handed volumes in another order
    for pattern, expected in thresholded(scan, maps).items():
        assert (scan.from_file_order(voxels_of_segment(node, pattern.name, volumeNode)) == expected).all()
    lower = {Pattern.TOT: -2.0}
    thresholdSegmentation(scene, node, scan, volumeNode, maps, lower, SLICES)
    for pattern, expected in thresholded(scan, maps, lower).items():
        assert (scan.from_file_order(voxels_of_segment(node, pattern.name, volumeNode)) == expected).all()
    assert node.GetSegmentation().GetNumberOfSegments() == 3


def test_in_the_level_s_view_the_outline_surrounds_the_area(application):
    scan = scan_of("oblique_permuted")
    volumeNode = volumeFromScan(scan, "CT")
    area = np.zeros(scan.shape[1:], bool)
    area[12:24, 10:30] = True
    maps = [HeatMaps(np.where(area, -5, 0).astype(np.float32)[None].repeat(3, 0), area, area, SCORES)] * 5
    view = application.sliceView("SScILDLevel3", None, (331, 287))
    showVolume(application.scene, volumeNode, scan)
    showLevel(application.scene, 3, scan, SLICES[2])
    bare = view.render().astype(int)
    node = thresholdSegmentation(application.scene, None, scan, volumeNode, maps, {Pattern.TOT: -1}, SLICES)
    changed = np.abs(view.render().astype(int) - bare).max(axis=2) > 10
    matrix = np.linalg.inv(scan.ras_from_index) @ slicer.util.arrayFromVTKMatrix(view.node.GetXYToRAS())
    x, y = np.meshgrid(np.arange(331), np.arange(287)[::-1])
    index = np.stack([x, y, 0 * x, 0 * x + 1], axis=-1) @ matrix.T
    inside = (np.abs(index[..., 0] - 19.5) < 9.2) & (np.abs(index[..., 1] - 17.5) < 5.2)
    outside = (np.abs(index[..., 0] - 19.5) > 11) | (np.abs(index[..., 1] - 17.5) > 7)
    assert changed[inside].mean() > 0.99
    assert not changed[outside].any()
    showLevel(application.scene, 3, scan, 5)  # between the levels there is nothing
    node.GetDisplayNode().SetVisibility(False)
    hidden = view.render()
    node.GetDisplayNode().SetVisibility(True)
    assert (view.render() == hidden).all()


def test_a_slice_that_is_not_there_is_refused_and_nothing_is_made(scene):
    scan = scan_of("straight")
    volumeNode = volumeFromScan(scan, "CT")
    with pytest.raises(ScanError, match="no slice 99"):
        thresholdSegmentation(scene, None, scan, volumeNode, maps_of(scan), THRESHOLDS, (99, 6, 4, 3, 1))
    with pytest.raises(ValueError, match="5 maps of 2 slices"):
        thresholdSegmentation(scene, None, scan, volumeNode, maps_of(scan), THRESHOLDS, (3, 1))
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


# ---- lungs ---------------------------------------------------------------------------------------------------------


def lung_labels(scan) -> np.ndarray:
    """Two lungs of different size and height, away from the middle: no flip leaves them as they are."""
    labels = np.zeros(scan.shape, np.uint8)
    labels[2:8, 6:30, 5:19] = 1
    labels[1:7, 8:27, 27:44] = 2
    labels[5, 10, 12] = 0
    return labels


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_our_own_lungs_come_back_voxel_for_voxel(scene, name):
    scan = scan_of(name)
    labels = lung_labels(scan)
    node = lungSegmentation(scene, scan, LungMask(labels, "3d"), volumeFromScan(scan, "CT"))
    assert node.GetSegmentation().GetSegmentIDs() == ("RightLung", "LeftLung")
    assert not node.GetDisplayNode().GetVisibility()
    assert (lungsOfSegmentation(node, scan) == labels).all()


def test_our_own_lungs_come_back_after_saving_and_loading(scene, tmp_path):
    scan = scan_of("oblique_permuted")
    labels = lung_labels(scan)
    lungSegmentation(scene, scan, LungMask(labels, "3d"), volumeFromScan(scan, "CT"))
    saved_and_loaded(scene, tmp_path)
    assert (lungsOfSegmentation(slicer.util.getNode("CT lungs"), scan) == labels).all()


def test_lungs_of_another_size_than_the_ct_are_refused(scene):
    scan = scan_of("straight")
    with pytest.raises(ScanError, match="size"):
        lungSegmentation(scene, scan, LungMask(np.zeros((3, 4, 5), np.uint8), "3d"), volumeFromScan(scan, "CT"))


def user_segmentation(scene, masks, ijkToRas):
    """A segmentation with a segment for each name, made of arrays (k, j, i) on a grid of its own."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    node.CreateDefaultDisplayNodes()
    for name, mask in masks.items():
        image = slicer.vtkOrientedImageData()
        depth, height, width = mask.shape
        image.SetDimensions(width, height, depth)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        vtk_to_numpy(image.GetPointData().GetScalars())[:] = mask.ravel()
        image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
        node.AddSegmentFromBinaryLabelmapRepresentation(image, name)
    return node


OTHER_STEPS = np.array([[0, 1.1, 0.3], [0.9, 0, 0], [0, 0.2, 2.2]])
OTHER_SIZE = (18, 60, 66)


def grid_around(scan) -> np.ndarray:
    """A matrix with ``OTHER_STEPS`` whose grid of ``OTHER_SIZE`` has its middle where the scan has."""
    matrix = np.eye(4)
    matrix[:3, :3] = OTHER_STEPS
    middle = scan.ras_at([(n - 1) / 2 for n in scan.shape[::-1]])
    matrix[:3, 3] = middle - OTHER_STEPS @ [(n - 1) / 2 for n in OTHER_SIZE[::-1]]
    return matrix


def at_other_grid(scan, other, matrix) -> np.ndarray:
    """The values of ``other`` (k, j, i) in the voxel below the centre of every voxel of the scan, one by one."""
    result = np.zeros(scan.shape, other.dtype)
    toOther = np.linalg.inv(matrix) @ scan.ras_from_index
    z, y, x = np.meshgrid(*[np.arange(n) for n in scan.shape], indexing="ij")
    at = np.rint(np.stack([x, y, z, np.ones_like(x)], axis=-1) @ toOther.T).astype(int)
    inside = ((at[..., :3] >= 0) & (at[..., :3] < other.shape[::-1])).all(axis=-1)
    result[inside] = other[at[inside][:, 2], at[inside][:, 1], at[inside][:, 0]]
    return result


@pytest.mark.parametrize("name", ["straight", "flipped_all", "oblique_permuted", "tilted"])
def test_a_user_s_segmentation_on_another_grid_takes_the_nearest_voxel(scene, name):
    scan = scan_of(name)
    rng = np.random.default_rng(5)
    blocks = rng.random((OTHER_SIZE[0] // 2 + 1, OTHER_SIZE[1] // 6 + 1, OTHER_SIZE[2] // 6 + 1)) < 0.4
    mask = np.kron(blocks, np.ones((2, 6, 6), bool))[: OTHER_SIZE[0], : OTHER_SIZE[1], : OTHER_SIZE[2]]
    node = user_segmentation(scene, {"Lungs": mask.astype(np.uint8)}, grid_around(scan))
    expected = at_other_grid(scan, mask, grid_around(scan))
    assert 0.1 < expected.mean() < 0.6
    assert ((lungsOfSegmentation(node, scan) == 1) == expected).mean() > 0.9995


def test_a_segmentation_below_a_transform_is_read_where_it_is_seen(scene):
    scan = scan_of("straight")
    labels = lung_labels(scan)
    moved = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.array([[0, -1, 0, 5.0], [1, 0, 0, -7], [0, 0, 1, 90], [0, 0, 0, 1]])
    moved.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    here = np.linalg.inv(shift) @ scan.ras_from_file_index
    masks = {"right lung": labels == 1, "left lung": labels == 2}
    node = user_segmentation(scene, {n: scan.to_file_order(m).astype(np.uint8) for n, m in masks.items()}, here)
    node.SetAndObserveTransformNodeID(moved.GetID())
    assert (lungsOfSegmentation(node, scan) == labels).all()
    bent = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "bent")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(SceneError, match="deformed"):
        lungsOfSegmentation(node, scan)


def test_a_segmentation_of_surfaces_is_read_and_left_as_it_is(scene):
    scan = scan_of("straight", (9, 60, 70))
    sphere = vtk.vtkSphereSource()
    centre = scan.ras_at((30, 25, 4))
    sphere.SetCenter(centre)
    sphere.SetRadius(14)
    sphere.SetThetaResolution(60)
    sphere.SetPhiResolution(60)
    sphere.Update()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "surfaces")
    node.SetSourceRepresentationToClosedSurface()
    node.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "lung")
    found = lungsOfSegmentation(node, scan) > 0
    z, y, x = np.meshgrid(*[np.arange(n) for n in scan.shape], indexing="ij")
    ras = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ scan.ras_from_index.T
    distance = np.linalg.norm(ras[..., :3] - centre, axis=-1)
    assert found[distance < 12.5].all()
    assert not found[distance > 15.5].any()
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")


@pytest.mark.parametrize(
    ("right", "left"),
    [
        (["Right lung"], ["Left lung"]),
        (["lung_upper_lobe_right", "lung_lower_lobe_right"], ["lung_lower_lobe_left"]),
        (["RightLung"], ["LeftLung"]),
        (["Lung R"], ["Lung L"]),
        (["RUL", "RML", "RLL"], ["LUL", "LLL"]),
    ],
)
def test_segment_names_tell_the_side_and_other_organs_are_left_out(scene, right, left):
    scan = scan_of("flipped_i")
    labels = lung_labels(scan)
    masks = {
        name: (labels == 1) & (np.arange(scan.shape[1])[:, None] % len(right) == n) for n, name in enumerate(right)
    }
    masks |= {name: (labels == 2) & (np.arange(scan.shape[1])[:, None] % len(left) == n) for n, name in enumerate(left)}
    masks |= {
        "heart": labels == 0,
        "kidney_left": labels == 0,
        "lung_vessels": labels == 0,
        "liver right lobe": labels == 0,
    }
    stored = {name: scan.to_file_order(mask).astype(np.uint8) for name, mask in masks.items()}
    node = user_segmentation(scene, stored, scan.ras_from_file_index)
    assert (lungsOfSegmentation(node, scan) == labels).all()


def test_a_segment_s_terminology_tells_what_its_name_does_not(scene):
    scan = scan_of("straight")
    labels = lung_labels(scan)
    masks = {f"Segment_{n}": (labels == n).astype(np.uint8) for n in (1, 2)} | {
        "Segment_3": (labels == 0) * np.uint8(1)
    }
    node = user_segmentation(scene, masks, scan.ras_from_file_index)
    for n, (kind, side) in enumerate((("Lung", "Right"), ("Lung", "Left"), ("Heart", ""))):
        entry = f"Anatomy list~SCT^123037004^Anatomical Structure~SCT^1^{kind}~SCT^2^{side}~Anatomic codes~^^~^^"
        segment = node.GetSegmentation().GetNthSegment(n)
        segment.SetTag(segment.GetTerminologyEntryTagName(), entry)
    assert (lungsOfSegmentation(node, scan) == labels).all()


def test_names_that_do_not_tell_give_one_label_and_the_sides_come_from_the_positions(scene):
    scan = scan_of("permuted_kij", (20, 60, 80))
    labels = np.zeros(scan.shape, np.uint8)
    labels[3:17, 10:50, 8:36], labels[3:17, 12:52, 44:76] = 1, 2
    masks = {"Segment_1": labels == 2, "Segment_2": labels == 1}
    stored = {name: scan.to_file_order(mask).astype(np.uint8) for name, mask in masks.items()}
    node = user_segmentation(scene, stored, scan.ras_from_file_index)
    found = lungsOfSegmentation(node, scan)
    assert (found == (labels > 0)).all()
    assert (lungs_from_labels(scan, found).labels == labels).all()


def test_chosen_segments_are_taken_whatever_their_names(scene):
    scan = scan_of("straight")
    labels = lung_labels(scan)
    masks = {"Right lung": (labels == 1).astype(np.uint8), "other": (labels == 2).astype(np.uint8)}
    node = user_segmentation(scene, masks, scan.ras_from_file_index)
    ids = node.GetSegmentation().GetSegmentIDs()
    assert (lungsOfSegmentation(node, scan, [ids[1]]) == (labels == 2)).all()
    with pytest.raises(SceneError, match="no segment nothing"):
        lungsOfSegmentation(node, scan, ["nothing"])


@pytest.mark.parametrize("className", ["vtkMRMLLabelMapVolumeNode", "vtkMRMLScalarVolumeNode"])
@pytest.mark.parametrize("name", ["flipped_all", "oblique_permuted"])
def test_a_label_volume_serves_as_well(scene, className, name):
    scan = scan_of(name)
    labels = lung_labels(scan)
    stored = np.ascontiguousarray(scan.to_file_order(labels.astype(np.int16) * 7))
    matrix = slicer.util.vtkMatrixFromArray(scan.ras_from_file_index)
    node = slicer.util.addVolumeFromArray(stored, matrix, "labels", nodeClassName=className)
    assert (lungsOfSegmentation(node, scan) == labels).all()
    slicer.util.updateVolumeFromArray(node, (stored > 0).astype(np.uint8))
    assert (lungsOfSegmentation(node, scan) == (labels > 0)).all()


def test_what_holds_no_lungs_of_this_ct_is_refused_with_a_sentence(scene):
    scan = scan_of("straight")
    volumeNode = volumeFromScan(scan, "CT")
    with pytest.raises(SceneError, match="no labels"):
        lungsOfSegmentation(volumeNode, scan)
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "nothing")
    with pytest.raises(SceneError, match="no segments"):
        lungsOfSegmentation(empty, scan)
    empty.GetSegmentation().AddEmptySegment("a", "lung")
    with pytest.raises(SceneError, match="no segmented voxel"):
        lungsOfSegmentation(empty, scan)
    far = np.eye(4)
    far[:3, 3] = 5000
    elsewhere = user_segmentation(scene, {"lung": np.ones((4, 5, 6), np.uint8)}, far)
    with pytest.raises(SceneError, match="where the CT lies"):
        lungsOfSegmentation(elsewhere, scan)
    with pytest.raises(SceneError, match="neither"):
        lungsOfSegmentation(scene.AddNewNodeByClass("vtkMRMLTableNode", "table"), scan)
    with pytest.raises(SceneError, match="no volume of labels"):
        lungsOfSegmentation(scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "blank"), scan)
    with pytest.raises(SceneError, match="Choose"):
        lungsOfSegmentation(None, scan)
