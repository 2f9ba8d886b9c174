# ruff: noqa: E402 - what needs slicer is imported after the check that it is there
"""A CT volume node and the scan that is scored are the same voxels at the same place."""

from __future__ import annotations

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from scene_scans import DIRECTIONS, rotation, scan_in
from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.scan import LPS_TO_RAS
from SScILDScoringLib.scene.errors import SceneError
from SScILDScoringLib.scene.volumes import scanFromVolume, volumeFromScan, worldFromVoxels

ARRANGEMENTS = sorted(DIRECTIONS)


def ijkToRas(node) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def matrix4(linear: np.ndarray, shift=(0, 0, 0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, shift
    return matrix


def linearTransform(scene, matrix: np.ndarray, parent=None):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def bending(scene):
    """A transform that is not linear."""
    points = vtk.vtkPoints(), vtk.vtkPoints()
    for x in (-100, 0, 100):
        for y in (-100, 100):
            points[0].InsertNextPoint(x, y, 0)
            points[1].InsertNextPoint(x, y + 0.001 * x * x, 0)
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(points[0])
    spline.SetTargetLandmarks(points[1])
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    node.SetAndObserveTransformToParent(spline)
    return node


def gridTransform(scene):
    """What Slicer's DICOM reader puts on a series with uneven or tilted slices."""
    image = vtk.vtkImageData()
    image.SetDimensions(3, 3, 3)
    image.SetSpacing(100, 100, 100)
    image.AllocateScalars(vtk.VTK_DOUBLE, 3)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = 3.0
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "acquisition transform")
    node.SetAndObserveTransformToParent(grid)
    return node


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_scan_becomes_a_volume_with_the_file_s_voxels_and_matrix_and_comes_back_the_same(scene, arrangement):
    scan = scan_in(arrangement)
    node = volumeFromScan(scan, "CT")
    assert np.array_equal(slicer.util.arrayFromVolume(node), scan.to_file_order(scan.voxels))
    np.testing.assert_allclose(ijkToRas(node), scan.ras_from_file_index, atol=1e-12)

    again = scanFromVolume(node)
    assert np.array_equal(again.voxels, scan.voxels)
    assert again.file_axes == scan.file_axes
    np.testing.assert_allclose(again.ras_from_index, scan.ras_from_index, atol=1e-12)
    assert again.mm_of_slice(3) == pytest.approx(scan.mm_of_slice(3), abs=1e-10)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_every_voxel_of_a_node_lies_in_the_scan_where_slicer_shows_it(scene, arrangement):
    node = volumeFromScan(scan_in(arrangement), "CT")
    voxels, matrix = slicer.util.arrayFromVolume(node), ijkToRas(node)
    scan = scanFromVolume(node)
    for i, j, k in [(0, 0, 0), (15, 0, 0), (0, 13, 0), (0, 0, 11), (15, 13, 11), (7, 2, 9)]:
        x, y, z = np.rint(scan.index_at((matrix @ (i, j, k, 1))[:3])).astype(int)
        assert scan.voxels[z, y, x] == voxels[k, j, i]


def test_a_volume_is_shown_in_the_lung_window_and_carries_its_name(scene):
    node = volumeFromScan(scan_in("straight"), "Ms A")
    display = node.GetDisplayNode()
    assert (node.GetName(), display.GetWindow(), display.GetLevel()) == ("Ms A", 1500, -600)
    assert not display.GetAutoWindowLevel()
    assert node.GetScene() is scene


def test_a_volume_can_be_made_in_another_scene_than_the_shown_one(scene):
    other = slicer.vtkMRMLScene()
    node = volumeFromScan(scan_in("straight"), "CT", other)
    assert node.GetScene() is other
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_the_scan_does_not_change_when_the_node_does_nor_the_other_way_round(scene):
    first = scan_in("straight")
    node = volumeFromScan(first, "CT")
    scan = scanFromVolume(node)
    before = scan.voxels.copy()
    slicer.util.arrayFromVolume(node)[:] = 7
    slicer.util.arrayFromVolumeModified(node)
    assert np.array_equal(scan.voxels, before)
    assert np.array_equal(first.voxels, before)
    assert not scan.voxels.flags.writeable


def test_identity_is_name_and_dicom_uids_only(scene):
    node = volumeFromScan(scan_in("straight"), "Doe^Jane")
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    node.SetAttribute("Anything", "else")
    scan = scanFromVolume(node)
    assert dict(scan.identity) == {"name": "Doe^Jane", "instance_uids": ("1.2.3", "1.2.4")}
    node.SetAttribute("DICOM.instanceUIDs", None)
    assert dict(scanFromVolume(node).identity) == {"name": "Doe^Jane"}


# ---- transforms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrangement", ["straight", "permuted_kij", "oblique", "tilted"])
def test_linear_transforms_above_a_volume_are_applied_also_nested_ones(scene, arrangement):
    node = volumeFromScan(scan_in(arrangement), "CT")
    outer = matrix4(rotation(2, 20), (10, -5, 40))
    inner = matrix4(rotation(0, -8), (1, 2, 3))
    parent = linearTransform(scene, outer)
    child = linearTransform(scene, inner, parent)
    node.SetAndObserveTransformNodeID(child.GetID())

    scan = scanFromVolume(node)
    np.testing.assert_allclose(scan.ras_from_file_index, outer @ inner @ ijkToRas(node), atol=1e-9)
    i, j, k = scan.index_at((outer @ inner @ ijkToRas(node) @ (3, 4, 5, 1))[:3]).round().astype(int)
    assert scan.voxels[k, j, i] == slicer.util.arrayFromVolume(node)[5, 4, 3]


def test_a_transformed_volume_equals_the_same_volume_hardened(scene):
    node = volumeFromScan(scan_in("flipped_k"), "CT")
    transform = linearTransform(scene, matrix4(rotation(1, 25), (4, 5, 6)))
    node.SetAndObserveTransformNodeID(transform.GetID())
    floating = scanFromVolume(node)
    node.HardenTransform()
    hardened = scanFromVolume(node)
    assert np.array_equal(floating.voxels, hardened.voxels)
    np.testing.assert_allclose(floating.ras_from_index, hardened.ras_from_index, atol=1e-9)


def test_a_shear_or_a_scale_in_a_transform_is_part_of_the_geometry(scene):
    node = volumeFromScan(scan_in("straight", spacing=(1, 1, 2)), "CT")
    shear = np.diag([1.0, 1.5, 2.0, 1.0])
    shear[1, 2] = 0.3
    node.SetAndObserveTransformNodeID(linearTransform(scene, shear).GetID())
    scan = scanFromVolume(node)
    np.testing.assert_allclose(scan.ras_from_file_index, shear @ ijkToRas(node), atol=1e-12)
    assert scan.mm_per_slice == pytest.approx(4.0)


def test_the_transform_s_own_place_counts_not_its_neighbour(scene):
    node = volumeFromScan(scan_in("straight"), "CT")
    here = scanFromVolume(node)
    linearTransform(scene, matrix4(np.eye(3), (0, 0, 50)))  # in the scene, but not above the volume
    assert scanFromVolume(node).mm_of_slice(0) == here.mm_of_slice(0)


@pytest.mark.parametrize("make", [bending, gridTransform])
def test_a_deformed_volume_is_refused_with_what_to_do(scene, make):
    node = volumeFromScan(scan_in("straight"), "CT")
    node.SetAndObserveTransformNodeID(make(scene).GetID())
    with pytest.raises(SceneError, match="Harden"):
        scanFromVolume(node)


def test_a_linear_transform_below_a_deformation_is_refused_too(scene):
    node = volumeFromScan(scan_in("straight"), "CT")
    child = linearTransform(scene, np.eye(4), bending(scene))
    node.SetAndObserveTransformNodeID(child.GetID())
    with pytest.raises(SceneError, match="Harden"):
        scanFromVolume(node)


def test_a_transform_that_flattens_the_volume_is_refused(scene):
    node = volumeFromScan(scan_in("straight"), "CT")
    for flat in (np.diag([1.0, 1.0, 0.0, 1.0]), matrix4(np.array([[1, 0, 1], [0, 1, 0], [0, 1, 0]]))):
        node.SetAndObserveTransformNodeID(linearTransform(scene, flat).GetID())
        with pytest.raises(SceneError, match="not usable"):
            scanFromVolume(node)


def test_an_image_that_begins_at_another_voxel_keeps_its_place(application):
    """Cropping filters leave images whose first voxel is not number 0; Slicer draws them by their own numbers."""
    whole = scan_in("straight", size=(10, 40, 40), spacing=(2, 2, 3))
    node = volumeFromScan(whole, "CT")
    crop = vtk.vtkExtractVOI()
    crop.SetInputData(node.GetImageData())
    crop.SetVOI(5, 34, 8, 31, 2, 9)
    crop.Update()
    node.SetAndObserveImageData(crop.GetOutput())
    assert node.GetImageData().GetExtent()[0] == 5
    scan = scanFromVolume(node)
    np.testing.assert_allclose(scan.ras_at((0, 0, 0)), whole.ras_at((5, 8, 2)), atol=1e-9)
    assert np.array_equal(scan.voxels, whole.voxels[2:10, 8:32, 5:35])

    view = application.sliceView("Look", "Axial", size=(160, 160))
    view.show(node)
    view.node.SetFieldOfView(100, 100, 3)
    view.node.JumpSliceByCentering(*scan.ras_at((15, 12, 0)))
    node.GetDisplayNode().SetInterpolate(False)
    node.GetDisplayNode().SetWindowLevelMinMax(-1024, 1500)
    picture = view.render()
    for x, y in ((0, 0), (29, 23), (11, 17)):
        column, row = view.pixelOf(scan.ras_at((x, y, 0)))
        expected = (int(scan.voxels[0, y, x]) + 1024) / 2524 * 255
        assert abs(int(picture[159 - round(row), round(column), 0]) - expected) < 6


# ---- what is no CT -----------------------------------------------------------------------------------------------


def test_no_volume_is_refused(scene):
    with pytest.raises(SceneError, match="choose a chest CT"):
        scanFromVolume(None)


@pytest.mark.parametrize(
    "className", ["vtkMRMLLabelMapVolumeNode", "vtkMRMLModelNode", "vtkMRMLVectorVolumeNode", "vtkMRMLSegmentationNode"]
)
def test_other_nodes_than_ct_volumes_are_refused(scene, className):
    node = scene.AddNewNodeByClass(className, "Something")
    if className == "vtkMRMLLabelMapVolumeNode":
        slicer.util.updateVolumeFromArray(node, np.zeros((4, 4, 4), np.int16))
    if className == "vtkMRMLVectorVolumeNode":
        slicer.util.updateVolumeFromArray(node, np.zeros((4, 4, 4, 3), np.uint8))
    with pytest.raises(SceneError, match="Something"):
        scanFromVolume(node)


def test_an_empty_volume_is_refused(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty one")
    with pytest.raises(SceneError, match=r"Empty one.*load"):
        scanFromVolume(node)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(scene, bad):
    voxels = np.zeros((4, 5, 6), np.float32)
    voxels[2, 2, 2] = bad
    node = slicer.util.addVolumeFromArray(voxels, np.eye(4), "Broken")
    with pytest.raises(SceneError, match=r"Broken.*not numbers"):
        scanFromVolume(node)


def test_float_volumes_are_rounded(scene):
    node = slicer.util.addVolumeFromArray(np.full((3, 4, 5), -850.4, np.float64), np.eye(4), "CT")
    assert (scanFromVolume(node).voxels == -850).all()


def test_one_slice_is_refused_with_the_reason(scene):
    node = slicer.util.addVolumeFromArray(np.zeros((1, 5, 6), np.int16), np.eye(4), "Scout")
    with pytest.raises(SceneError, match=r"Scout.*one slice"):
        scanFromVolume(node)


def test_values_in_another_unit_are_refused(scene):
    node = volumeFromScan(scan_in("straight"), "PET")
    units = slicer.vtkCodedEntry()
    units.SetValueSchemeMeaning("g/ml{SUVbw}", "UCUM", "standardized uptake value")
    node.SetVoxelValueUnits(units)
    with pytest.raises(SceneError, match=r"PET.*uptake"):
        scanFromVolume(node)
    units.SetValueSchemeMeaning("[hnsf'U]", "UCUM", "Hounsfield unit")
    node.SetVoxelValueUnits(units)
    assert scanFromVolume(node).shape == (12, 14, 16)


def test_a_scene_error_is_a_user_error_and_a_value_error():
    assert issubclass(SceneError, SScILDError)
    assert issubclass(SceneError, ValueError)


# ---- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrangement", ["straight", "flipped_all", "permuted_kij", "oblique", "tilted"])
def test_a_volume_saved_by_slicer_as_nrrd_reads_the_same_as_our_reader_reads_it(scene, tmp_path, arrangement):
    from SScILDScoringLib.scan import load_scan

    scan = scan_in(arrangement)
    node = volumeFromScan(scan, "CT")
    storage = node.CreateDefaultStorageNode()
    storage.SetFileName(str(tmp_path / "ct.nrrd"))
    assert storage.WriteData(node)
    ours = load_scan(tmp_path / "ct.nrrd")
    np.testing.assert_allclose(ours.ras_from_index, scanFromVolume(node).ras_from_index, atol=1e-6)
    assert np.array_equal(ours.voxels, scan.voxels)

    loaded = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "again")
    reading = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    reading.SetFileName(str(tmp_path / "ct.nrrd"))
    assert reading.ReadData(loaded)
    back = scanFromVolume(loaded)
    np.testing.assert_allclose(back.ras_from_index, scan.ras_from_index, atol=1e-6)
    assert np.array_equal(back.voxels, scan.voxels)


def test_the_world_matrix_is_lps_to_ras_of_the_scan_s_own(scene):
    scan = scan_in("oblique")
    node = volumeFromScan(scan, "CT")
    expected = LPS_TO_RAS @ scan.lps_from_index @ scan.file_axes.canonical_from_file()
    np.testing.assert_allclose(worldFromVoxels(node), expected, atol=1e-12)
