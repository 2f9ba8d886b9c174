"""A blinded case in the scene: it tells nobody whose it is, lies where it should, and goes without a trace.

Pixels, mouse and files are Slicer's own, in views that nobody sees.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer  # noqa: E402
import slicer.util  # noqa: E402

from arranged_scans import ARRANGEMENTS, scan_of  # noqa: E402
from SScILDScoringLib.errors import ScanError  # noqa: E402
from SScILDScoringLib.heatmaps.map_files import slice_image  # noqa: E402
from SScILDScoringLib.levels import Level, Levels  # noqa: E402
from SScILDScoringLib.scene import reading_views, views  # noqa: E402
from SScILDScoringLib.scene.blinded_case import BlindedCase, closeAll, neutralLevels, whatCouldTell  # noqa: E402
from SScILDScoringLib.scene.errors import SceneError  # noqa: E402
from SScILDScoringLib.scene.heat_map_files import readHeatMap  # noqa: E402
from SScILDScoringLib.scene.reference_atlas import ReferenceAtlas, readExamples  # noqa: E402
from SScILDScoringLib.scene.volumes import volumeFromScan  # noqa: E402
from SScILDScoringLib.scores import PATTERNS, Pattern  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ATLAS = ROOT / "SScILDScoring" / "Resources" / "Atlas"
SECRET = "Mueller^Anna"


def scan_with_a_name(arrangement: str = "straight", slices: int = 30):
    """A scan that knows whose it is."""
    from dataclasses import replace

    scan = scan_of(arrangement, (slices, 36, 48))
    return replace(scan, identity={"name": SECRET, "file": f"{SECRET}.nii", "patient_id": SECRET})


def node_ids(scene) -> set[str]:
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def scene_text(scene) -> str:
    """The scene as its file would be, and everything that nodes print about themselves."""
    scene.SetSaveToXMLString(1)
    scene.Commit()
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    attributes = [f"{a}={node.GetAttribute(a)}" for node in nodes for a in node.GetAttributeNames()]
    return "\n".join([scene.GetSceneXMLString(), *map(str, nodes), *attributes])


def maps_of(scan, k: int, folder: Path) -> dict[tuple[Level, Pattern], Path]:
    """The files of fifteen maps; each has a value of its own in one corner, and -3 in an L-shaped region."""
    import SimpleITK as sitk

    files = {}
    for level in Level:
        for place, pattern in enumerate(PATTERNS):
            values = np.zeros(scan.shape[1:], np.float32)
            values[5:20, 8:12] = values[16:20, 8:30] = -3.0
            values[1, 1] = 10 * level + place
            files[level, pattern] = folder / f"level_{level:d}_{pattern.value}.nrrd"
            sitk.WriteImage(slice_image(values, scan, k), str(files[level, pattern]), True)
    return files


def maps_of_case(case, folder: Path) -> dict[tuple[Level, Pattern], Path]:
    """The files of the maps of a case, each on the slice of its level."""
    files = {}
    for level in Level:
        (folder / level.name).mkdir(parents=True)
        made = maps_of(case.scan, case.sliceOf(level), folder / level.name)
        files.update({key: path for key, path in made.items() if key[0] is level})
    return files


# ---- blinded ---------------------------------------------------------------------------------------------------------


def test_nothing_in_the_scene_tells_whose_case_it_is(application):
    case = BlindedCase(application.scene, scan_with_a_name(), "QX7B")
    case.show()
    assert SECRET in str(case.scan.identity)
    assert SECRET not in scene_text(application.scene)
    assert case.volumeNode.GetName() == "QX7B"
    assert case.volumeNode.GetStorageNode() is None
    assert case.volumeNode.GetAttribute("DICOM.instanceUIDs") is None


def test_nothing_of_a_dicom_patient_gets_into_the_scene(application, real_ct):
    from SScILDScoringLib.scan import load_scan

    scan = load_scan(real_ct / "volumes" / "dicom_lungdx_a0002")
    BlindedCase(application.scene, scan, "QX7B").show()
    known = [str(value) for value in scan.identity.values() if isinstance(value, str)]
    assert len(known) > 5
    text = scene_text(application.scene)
    assert not [value for value in known if len(value) > 4 and value in text]


def test_the_line_of_the_level_one_reads_stands_out(application):
    case = BlindedCase(application.scene, scan_with_a_name(), "QX7B")
    case.show()
    for level in Level:
        case.showLevel(level)
        opacities = [node.GetDisplayNode().GetOpacity() for node in case.planes.nodes]
        assert opacities.index(max(opacities)) == level - 1
        assert sorted(opacities)[-2] < 0.5


def test_the_case_is_in_none_of_slicers_lists_and_in_no_saved_scene(application):
    scene = application.scene
    case = BlindedCase(scene, scan_with_a_name(), "QX7B")
    own = [case.volumeNode, case.volumeNode.GetDisplayNode(), *case.planes.nodes]
    own += [node.GetDisplayNode() for node in case.planes.nodes]
    assert all(not node.GetSaveWithScene() for node in own)
    assert case.volumeNode.GetHideFromEditors()
    assert all(node.GetHideFromEditors() for node in case.planes.nodes)
    scene.SetSaveToXMLString(1)
    scene.Commit()
    assert "QX7B" not in scene.GetSceneXMLString()


def test_a_case_leaves_nothing_behind_for_the_next_one(application, tmp_path):
    scene, scan = application.scene, scan_with_a_name()
    levels = Levels.from_mm([scan.mm_of_slice(k) for k in (25, 20, 15, 10, 5)])
    before, remaining = node_ids(scene), []
    for title in ("QX7B", "M2KT", "9PRD"):
        case = BlindedCase(scene, scan, title, levels)
        case.show()
        case.close()
        case.close()
        remaining.append(node_ids(scene))
        assert title not in scene_text(scene)
    assert remaining[0] == remaining[1] == remaining[2]
    views_only = {"vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"}
    left = {scene.GetNodeByID(i).GetClassName() for i in remaining[-1] - before}
    assert left <= views_only
    composites = [views.compositeNode(scene, name) for name in (*views.SLICE_VIEWS, reading_views.READING_VIEW)]
    assert all(node.GetBackgroundVolumeID() is None for node in composites)


def test_maps_go_with_their_case(application, tmp_path):
    scene, scan = application.scene, scan_with_a_name()
    levels = Levels.from_mm([scan.mm_of_slice(k) for k in (25, 20, 15, 10, 5)])
    counts = []
    for title in ("QX7B", "M2KT"):
        case = BlindedCase(scene, scan, title, levels)
        case.loadMaps(maps_of_case(case, tmp_path / title))
        case.showMap(Level.L2, Pattern.GG)
        assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 16
        case.close()
        counts.append(scene.GetNumberOfNodes())
        assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
        assert scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 0
    assert counts[0] == counts[1]


def test_what_was_left_of_a_case_can_be_swept_up(application):
    BlindedCase(application.scene, scan_with_a_name(), "QX7B")
    users = volumeFromScan(scan_with_a_name(), "of the user", application.scene)
    closeAll(application.scene)
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsPlaneNode") == 0
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [users]


def test_it_is_known_what_could_tell_the_answer(application):
    from SScILDScoringLib.scene.case import ScoredCase

    scene, scan = application.scene, scan_with_a_name()
    BlindedCase(scene, scan, "QX7B")
    ReferenceAtlas(scene, ATLAS).show(Pattern.GG)
    assert whatCouldTell(scene) == []
    volume = volumeFromScan(scan, "CT of the user", scene)
    ScoredCase.create(volume)
    assert whatCouldTell(scene) == ["CT of the user", "CT of the user SSc-ILD score"]


# ---- levels ----------------------------------------------------------------------------------------------------------


def test_own_levels_begin_at_the_same_shares_of_every_ct(application):
    for slices in (30, 47):
        scan = scan_with_a_name(slices=slices)
        low, high = scan.mm_of_slice(0), scan.mm_of_slice(slices - 1)
        shares = [(high - mm) / (high - low) for mm in neutralLevels(scan).mm]
        assert shares == pytest.approx([0.25, 0.37, 0.5, 0.62, 0.74])
        case = BlindedCase(application.scene, scan, "QX7B")
        assert case.levels.mm == pytest.approx(neutralLevels(scan).mm)
        assert case.untouched
        case.close()


@pytest.mark.parametrize("own", [True, False], ids=["own", "given"])
def test_own_levels_can_be_dragged_and_given_ones_cannot(application, own):
    from minimal_application import Mouse

    scan = scan_with_a_name()
    case = BlindedCase(application.scene, scan, "QX7B", None if own else neutralLevels(scan))
    view = application.sliceView(views.CORONAL_VIEW, None, (500, 400))
    case.show()
    view.render()
    seen = []
    case.observe(seen.append)
    before = case.levels[2].mm
    Mouse(view).drag(view.pixelOf(case.planes.nodes[1].GetOriginWorld()), (0, 20))
    assert bool(seen) is own
    assert (case.levels[2].mm > before + 1) is own
    assert (case.levels[2].mm != before) is own


def test_a_level_goes_by_slices_and_to_the_slice_that_is_shown(application):
    scan = scan_with_a_name()
    case = BlindedCase(application.scene, scan, "QX7B")
    case.show()
    case.showLevel(Level.L3)
    before = case.sliceOf(Level.L3)
    case.moveLevelBy(2)
    assert case.sliceOf(Level.L3) == before + 2
    assert case.offLevel
    case.showLevel(Level.L3)
    assert not case.offLevel
    reading_views.showSlice(application.scene, scan, before - 1)
    assert case.offLevel
    case.moveLevelHere()
    assert case.sliceOf(Level.L3) == before - 1
    assert not case.untouched
    case.moveLevelBy(100)
    assert case.sliceOf(Level.L3) == case.sliceOf(Level.L2) - 1


def test_given_levels_are_moved_by_nobody(application):
    scan = scan_with_a_name()
    case = BlindedCase(application.scene, scan, "QX7B", neutralLevels(scan))
    for move in (case.moveLevelHere, lambda: case.moveLevelBy(1), lambda: case.putLevels(neutralLevels(scan))):
        with pytest.raises(SceneError, match="given"):
            move()
    assert not case.untouched


def test_a_given_level_outside_the_ct_leaves_the_scene_as_it_was(application):
    scan = scan_with_a_name()
    before = node_ids(application.scene)
    with pytest.raises(ScanError):
        BlindedCase(application.scene, scan, "QX7B", Levels.from_mm([9000, 300, 200, 100, 50]))
    assert node_ids(application.scene) == before


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_the_reading_view_lies_exactly_on_the_slice(application, arrangement):
    scan = scan_of(arrangement, (30, 36, 48))
    case = BlindedCase(application.scene, scan, "QX7B")
    case.show()
    for level in Level:
        case.showLevel(level)
        k = case.sliceOf(level)
        assert reading_views.sliceShown(application.scene, scan) == k
        node = reading_views.sliceNode(application.scene, reading_views.READING_VIEW)
        ras_to_slice = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()))
        corners = np.array([[*scan.ras_at((i, j, k)), 1] for i in (0, 47) for j in (0, 35)])
        assert np.abs((corners @ ras_to_slice.T)[:, 2]).max() < 1e-6
    case.close()


# ---- heat maps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_map_from_a_file_lies_on_its_slice_in_the_right_orientation(tmp_path, arrangement):
    scan = scan_of(arrangement, (12, 36, 48))
    path = maps_of(scan, 7, tmp_path)[Level.L2, Pattern.RET]
    values = readHeatMap(path, scan, 7, "The map")
    assert values.shape == (36, 48)
    assert values[1, 1] == 22
    assert (values[17, 9:29] == -3).all()
    assert (values[17, 30:] == 0).all()


def test_a_blinded_copy_in_another_arrangement_takes_the_same_maps(tmp_path):
    """Scans of a study are stored straight; its maps stay as the original file was arranged."""
    from SScILDScoringLib.scan import scan_from_array

    scan = scan_of("permuted_jik_flipped", (12, 36, 48))
    straight = scan_from_array(scan.voxels, scan.lps_from_index)
    path = maps_of(scan, 7, tmp_path)[Level.L1, Pattern.TOT]
    assert np.array_equal(readHeatMap(path, straight, 7, "The map"), readHeatMap(path, scan, 7, "The map"))


def test_a_map_that_is_not_where_it_should_be_is_refused_without_naming_its_file(tmp_path):
    scan = scan_of("straight", (12, 36, 48))
    files = maps_of(scan, 7, tmp_path)
    files[Level.L1, Pattern.GG].write_bytes(b"no image")
    for path, k in ((files[Level.L1, Pattern.TOT], 6), (files[Level.L1, Pattern.GG], 7), (tmp_path / "none.nrrd", 7)):
        with pytest.raises(SceneError, match="The map of somebody") as caught:
            readHeatMap(path, scan, k, "The map of somebody")
        assert "nrrd" not in str(caught.value)


def test_the_map_lies_over_the_right_picture_only(application, tmp_path):
    scene, scan = application.scene, scan_with_a_name()
    levels = Levels.from_mm([scan.mm_of_slice(k) for k in (25, 20, 15, 10, 5)])
    case = BlindedCase(scene, scan, "QX7B", levels)
    case.loadMaps(maps_of_case(case, tmp_path))
    names = (reading_views.READING_VIEW, reading_views.MAP_VIEW)
    bare, over = (application.sliceView(name, None, (300, 300)) for name in names)
    case.show()
    case.showMap(Level.L4, Pattern.GG)

    def coloured(view) -> int:
        picture = view.render().astype(int)[:240]  # without the legend
        return int((np.ptp(picture, axis=-1) > 40).sum())

    assert coloured(bare) == 0
    assert coloured(over) > 500


# ---- atlas -----------------------------------------------------------------------------------------------------------


def test_the_atlas_has_three_extents_of_each_pattern_and_they_are_true():
    examples = readExamples(ATLAS)
    assert [(e.pattern, e.percent) for e in examples] == [(p, n) for p in PATTERNS for n in (5, 20, 50)]
    for example in examples:
        assert example.exact[PATTERNS.index(example.pattern)] == pytest.approx(example.percent, abs=0.5)
        assert max(example.exact[1:]) <= example.exact[0] + 0.01
        assert "Synthetic" in example.title
    assert all(e.exact[2] == 0 for e in examples if e.pattern is Pattern.GG)
    assert all(e.exact[1] == 0 for e in examples if e.pattern is Pattern.RET)


def test_more_disease_is_denser_lung_in_the_atlas():
    for pattern in PATTERNS:
        means = [e.hu.mean() for e in readExamples(ATLAS) if e.pattern is pattern]
        assert means == sorted(means)


def test_the_atlas_is_what_its_script_makes(tmp_path):
    sys.path.insert(0, str(ROOT / "Resources" / "Atlas"))
    try:
        import make_reference_atlas as script
    finally:
        sys.path.pop(0)
    phantom = script.searched(Pattern.GG, 20)
    example = next(e for e in readExamples(ATLAS) if (e.pattern, e.percent) == (Pattern.GG, 20))
    assert phantom.scores(1)[1] == pytest.approx(example.exact[1], abs=0.5)
    y0, x0 = json.loads((ATLAS / "SScILDScoringAtlas.json").read_text())["first_pixel"]
    stored = example.hu[: -script.CAPTION]
    made = np.clip(phantom.scan.voxels[1, y0 : y0 + stored.shape[0], x0 : x0 + stored.shape[1]], -1350, 150)
    assert np.abs(made - stored).mean() < 15  # a grey value stands for six Hounsfield units


def test_the_atlas_stands_in_three_views_and_leaves_no_trace(application):
    scene = application.scene
    shown = [application.sliceView(name, None, (240, 220)) for name in reading_views.ATLAS_VIEWS]
    atlas = ReferenceAtlas(scene, ATLAS)
    atlas.show(Pattern.RET)
    before = scene.GetNumberOfNodes()
    atlas.show(Pattern.GG)
    assert scene.GetNumberOfNodes() == before
    pictures = [view.render() for view in shown]
    for picture in pictures:
        assert (picture > 250).mean() > 0.03
        assert (picture < 120).mean() > 0.1
    assert pictures[0].mean() < pictures[1].mean() < pictures[2].mean()
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert names == [f"Synthetic example: GG {n} %" for n in (5, 20, 50)]
    atlas.remove()
    assert scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0


def test_a_missing_atlas_is_said_in_a_sentence(application, tmp_path):
    with pytest.raises(SceneError, match="install the module again"):
        ReferenceAtlas(application.scene, tmp_path).show(Pattern.GG)
