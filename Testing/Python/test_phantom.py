"""The phantom: its truth is exact, its anatomy is where the levels say, and its disease looks like disease."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import SimpleITK as sitk

from SScILDScoringLib.errors import Cancelled, SettingsError
from SScILDScoringLib.levels import Level
from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom
from SScILDScoringLib.phantom.grid import Lattice
from SScILDScoringLib.phantom.mediastinum import airway_lumen, soft_organs
from SScILDScoringLib.phantom.patient import Patient

ILL = DiseaseSpec(ground_glass=0.3, reticulation=0.25, distribution="basal", severity=0.6, overlap=0.5)
SMALL = PhantomSpec(seed=5, matrix=112, spacing=(3.2, 3.2, 4.0), noise_hu=8.0, disease=ILL)


@pytest.fixture(scope="module")
def ill():
    return make_phantom(SMALL)


@pytest.fixture(scope="module")
def healthy():
    return make_phantom(SMALL.with_(disease=DiseaseSpec()))


# ---- truth --------------------------------------------------------------------------------------------------------


def test_scores_are_the_pattern_areas_over_the_lung_area(ill):
    for k in range(ill.scan.slice_count):
        lung = ill.labels[k] > 0
        tot, gg, ret = ill.scores(k)
        if not lung.any():
            assert (tot, gg, ret) == (0, 0, 0)
            continue
        assert gg == pytest.approx(100 * ill.ground_glass[k].sum() / lung.sum())
        assert ret == pytest.approx(100 * ill.reticulation[k].sum() / lung.sum())
        assert max(gg, ret) - 1e-9 <= tot <= min(gg + ret, 100) + 1e-9


def test_patterns_lie_within_the_lungs(ill):
    lung = ill.labels > 0
    assert not (ill.ground_glass & ~lung).any()
    assert not (ill.reticulation & ~lung).any()
    assert ill.ground_glass.any()
    assert ill.reticulation.any()


def test_disease_fills_the_share_of_the_lungs_that_was_asked_for(ill):
    volume = (ill.labels > 0).sum()
    assert ill.ground_glass.sum() / volume == pytest.approx(0.30, abs=0.04)
    assert ill.reticulation.sum() / volume == pytest.approx(0.25, abs=0.04)


def test_a_healthy_phantom_scores_zero_everywhere(healthy):
    assert {healthy.scores(k) for k in range(healthy.scan.slice_count)} == {(0.0, 0.0, 0.0)}


def test_the_right_lung_is_labelled_1_and_lies_at_small_x(healthy):
    right, left = (np.nonzero(healthy.labels == n)[2].mean() for n in (1, 2))
    assert right < left
    assert set(np.unique(healthy.labels)) == {0, 1, 2}
    assert healthy.lungs.mask(30).any()


def test_both_lungs_are_single_bodies_of_plausible_volume(healthy):
    litres = np.prod(healthy.scan.spacing) * 1e-6
    for side in (1, 2):
        mask = sitk.GetImageFromArray((healthy.labels == side).astype(np.uint8))
        parts = np.bincount(sitk.GetArrayFromImage(sitk.ConnectedComponent(mask)).ravel())[1:]
        assert parts.max() / parts.sum() > 0.99
        assert 1.2 < parts.sum() * litres < 4.5


def test_voxels_and_masks_cannot_be_changed(healthy):
    for array in (healthy.scan.voxels, healthy.labels, healthy.ground_glass, healthy.reticulation):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 1


# ---- levels and anatomy -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_levels_of_random_patients_are_in_order_within_the_scan_and_at_plausible_distances(seed):
    spec = PhantomSpec.random(np.random.default_rng(seed), matrix=32, slices=24, disease=DiseaseSpec())
    phantom = make_phantom(spec)
    l1, l2, l3, l4, l5 = phantom.levels.mm
    assert l1 > l2 > l3 > l4 > l5
    assert all(0 <= k < 24 for k in phantom.levels.slice_indices(phantom.scan))
    assert 15 < l1 - l2 < 60
    assert 20 < l2 - l3 < 70
    assert l4 == pytest.approx((l3 + l5) / 2)
    assert phantom.levels.l4_follows


def _plane(spec: PhantomSpec, z: float):
    """Patient and a fine axial lattice at height ``z`` through the middle of the chest."""
    patient = Patient(spec)
    matrix = np.diag([0.8, 0.8, 1.0, 1.0])
    matrix[:3, 3] = (-70, -90, z)
    return patient, Lattice((1, 170, 175), matrix)


def _pieces(mask: np.ndarray, smallest: int = 20) -> int:
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8))))
    return int((np.bincount(labels.ravel())[1:] >= smallest).sum())


@pytest.mark.parametrize("seed", range(6))
def test_the_airway_parts_in_two_at_the_carina(seed):
    spec = PhantomSpec.random(np.random.default_rng(seed))
    pieces = [_pieces(airway_lumen(*_plane(spec, z))[0] > 0) for z in (4.0, -6.0)]
    assert pieces == [1, 2]


@pytest.mark.parametrize("seed", range(6))
def test_the_great_vessels_stand_apart_at_l1_and_the_arch_lies_below(seed):
    spec = PhantomSpec.random(np.random.default_rng(seed))
    above = soft_organs(*_plane(spec, spec.l1_mm + 4))["left"][0] > 0
    below = soft_organs(*_plane(spec, spec.l1_mm - 17))["left"][0] > 0
    assert _pieces(above) >= 3
    assert _pieces(below) == 1
    assert below.sum() > 2 * above.sum()


def test_the_pulmonary_veins_reach_the_left_atrium_at_l3():
    spec = SMALL
    patient, plane = _plane(spec, -spec.l3_mm)
    left = soft_organs(patient, plane)["left"]
    middle = np.argwhere(np.abs(plane.points.x[0]) + np.abs(plane.points.y[0]) < 4)
    assert all(left[0][tuple(at)] > 0 for at in middle)
    assert all(abs(c.points[0][2] + spec.l3_mm) < 1 for c in patient.pulmonary_veins.values())


def _at(phantom, ras) -> tuple[int, int, int]:
    i, j, k = np.rint(phantom.scan.index_at(ras)).astype(int)
    return k, j, i


def test_the_lungs_end_at_the_apex_and_the_dome(healthy):
    x, y, z = healthy.landmarks_ras["right_dome"]
    assert healthy.labels[_at(healthy, (x, y, z + 8))] == 1
    assert healthy.labels[_at(healthy, (x, y, z - 8))] == 0
    right = np.nonzero((healthy.labels == 1).any((1, 2)))[0]
    left = np.nonzero((healthy.labels == 2).any((1, 2)))[0]
    top = healthy.scan.mm_of_slice(max(right[-1], left[-1]))
    assert abs(top - healthy.landmarks_ras["apex"][2]) <= 6
    assert abs(healthy.levels[Level.L5].mm - z - 10) < 0.01


def test_the_right_dome_is_the_highest_point_of_the_diaphragm_on_that_side(healthy):
    """In every slice above the dome the right lung has no hole that the liver makes."""
    dome = healthy.landmarks_ras["right_dome"]
    k = healthy.scan.slice_at(dome[2] + 10)
    j, i = _at(healthy, dome)[1:]
    around = healthy.labels[k, j - 3 : j + 4, i - 3 : i + 4]
    assert (around == 1).all()


def test_tissues_have_their_densities():
    phantom = make_phantom(SMALL.with_(disease=DiseaseSpec(), noise_hu=0.5, contrast=True, table=False))
    scan, lung = phantom.scan.voxels, phantom.labels > 0
    assert -900 < np.median(scan[lung]) < -780
    x, y, z = phantom.landmarks_ras["right_dome"]
    assert 40 < scan[_at(phantom, (x, y, z - 35))] < 130  # liver
    assert np.percentile(scan, 99.9) > 350  # bone or contrast
    assert scan[0, 0, 0] < -950  # air


def test_contrast_brightens_the_blood_and_nothing_in_the_lung():
    plain, bright = (make_phantom(SMALL.with_(disease=DiseaseSpec(), contrast=c)) for c in (False, True))
    atrium = _at(plain, plain.landmarks_ras["venous_confluence"])
    assert plain.scan.voxels[atrium] < 90
    assert bright.scan.voxels[atrium] > 120
    lung = plain.labels > 0
    assert abs(np.median(plain.scan.voxels[lung].astype(int)) - np.median(bright.scan.voxels[lung])) < 10


# ---- sampling -----------------------------------------------------------------------------------------------------


def test_the_same_spec_gives_the_same_voxels(ill):
    again = make_phantom(SMALL)
    np.testing.assert_array_equal(again.scan.voxels, ill.scan.voxels)
    np.testing.assert_array_equal(again.labels, ill.labels)
    np.testing.assert_array_equal(again.ground_glass, ill.ground_glass)
    assert again.levels == ill.levels


def test_another_seed_gives_another_patient(ill):
    assert (make_phantom(SMALL.with_(seed=6)).labels != ill.labels).any()


def test_a_coarse_and_a_fine_phantom_show_the_same_patient(ill):
    """Lungs, disease, vessels and levels do not depend on the voxel size."""
    fine = make_phantom(SMALL.with_(matrix=224, spacing=(1.6, 1.6, 2.0), noise_hu=0.5))
    coarse = make_phantom(SMALL.with_(noise_hu=0.5))
    np.testing.assert_allclose(fine.levels.mm, coarse.levels.mm, atol=1e-6)

    def halved(a):
        a = a[: a.shape[0] // 2 * 2].astype(np.float32)
        return (a[0::2] + a[1::2]).reshape(-1, 112, 2, 112, 2).mean((2, 4)) / 2

    n = min(coarse.scan.slice_count, fine.scan.slice_count // 2)
    for name in ("labels", "ground_glass", "reticulation"):
        a = halved(getattr(fine, name) > 0)[:n] > 0.5
        b = getattr(coarse, name)[:n] > 0
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.93, name
    inside = coarse.labels[:n] > 0
    a, b = halved(fine.scan.voxels)[:n][inside], coarse.scan.voxels[:n][inside].astype(np.float32)
    assert np.corrcoef(a, b)[0, 1] > 0.8
    assert abs(a.mean() - b.mean()) < 25


def test_scores_hardly_depend_on_the_voxel_size(ill):
    fine = make_phantom(SMALL.with_(matrix=224, spacing=(1.6, 1.6, 4.0)))
    for mm in ill.levels.mm:
        a, b = (p.scores(p.scan.slice_at(mm)) for p in (ill, fine))
        np.testing.assert_allclose(a, b, atol=4)


def test_the_scan_may_be_cropped():
    phantom = make_phantom(SMALL.with_(above_mm=-40, disease=DiseaseSpec()))
    assert (phantom.labels[-1] > 0).any()


def test_padding_lies_outside_the_round_field_of_view_and_not_in_the_masks():
    phantom = make_phantom(SMALL.with_(padding_hu=-2048))
    padded = phantom.scan.voxels == -2048
    assert padded[:, 0, 0].all()
    assert 0.2 < padded.mean() < 0.23
    assert not (phantom.labels[padded] > 0).any()


def test_arms_down_are_seen_beside_the_chest():
    wide = {"matrix": 112, "spacing": (4.6, 4.6, 6.0), "table": False}
    up, down = (make_phantom(SMALL.with_(arms=a, **wide)) for a in ("up", "down"))
    k = up.scan.slice_at(up.levels[Level.L3].mm)
    assert (down.scan.voxels[k] > -300).sum() > 1.15 * (up.scan.voxels[k] > -300).sum()


@pytest.mark.parametrize(("kernel", "low", "high"), [("soft", -0.05, 0.75), ("sharp", -0.5, 0.35)])
def test_noise_has_the_asked_strength_and_the_kernels_correlation(kernel, low, high):
    spec = SMALL.with_(matrix=256, spacing=(0.8, 0.8, 60.0), kernel=kernel, noise_hu=20.0, table=False)
    plane = make_phantom(spec).scan.voxels[2].astype(float)
    liver = plane - make_phantom(spec.with_(noise_hu=0.01)).scan.voxels[2]
    assert liver[60:-60, 60:-60].std() == pytest.approx(20, rel=0.25)
    neighbours = np.corrcoef(liver[60:-60, 60:-61].ravel(), liver[60:-60, 61:-60].ravel())[0, 1]
    assert low < neighbours < high


# ---- disease ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _fine(disease: DiseaseSpec):
    """A phantom of a few slices of the lower lungs, with fine pixels and without noise."""
    coverage = {"slices": 7, "above_mm": -105.0, "below_mm": -75.0}
    return make_phantom(SMALL.with_(matrix=256, spacing=(1.3, 1.3, 12.0), noise_hu=0.01, disease=disease, **coverage))


def _difference(disease: DiseaseSpec):
    """Change of HU by the disease, the phantom with it, and the healthy HU."""
    sick, well = _fine(disease), _fine(DiseaseSpec())
    return sick.scan.voxels.astype(int) - well.scan.voxels, sick, well.scan.voxels


def test_ground_glass_raises_the_density_and_leaves_the_vessels_visible():
    change, sick, well = _difference(DiseaseSpec(ground_glass=0.4, severity=0.5))
    gg = sick.ground_glass
    airy, vessels = gg & (well < -800), gg & (well > -150)
    assert 100 < change[airy].mean() < 400
    assert -780 < np.median(sick.scan.voxels[airy]) < -450
    assert vessels.sum() > 30
    assert np.median(sick.scan.voxels[vessels]) > np.percentile(sick.scan.voxels[airy], 90) + 150
    lung = sick.labels > 0
    assert np.abs(change[~lung]).mean() < 1


def test_reticulation_draws_lines_on_airy_lung():
    change, sick, well = _difference(DiseaseSpec(reticulation=0.4, severity=0.4))
    inside = sick.reticulation & (well < -800)
    raised = change[inside]
    assert 0.1 < (raised > 150).mean() < 0.6
    assert (raised < 60).mean() > 0.2
    assert sick.scan.voxels[inside].std() > 1.8 * well[inside].std()


def test_severe_reticulation_opens_dark_cells():
    _, sick, well = _difference(DiseaseSpec(reticulation=0.5, severity=1.0, distribution="subpleural"))
    inside = sick.reticulation
    assert (sick.scan.voxels[inside] < -900).mean() > 3 * (well[inside] < -900).mean() + 0.01


@pytest.mark.parametrize("pattern", ["ground_glass", "reticulation"])
def test_more_severe_disease_is_denser(pattern):
    mild, severe = (_difference(DiseaseSpec(**{pattern: 0.4}, severity=s)) for s in (0.1, 0.9))
    inside = getattr(mild[1], pattern)
    assert severe[0][inside].mean() > mild[0][inside].mean() + 40


def test_the_distribution_decides_where_the_disease_lies():
    basal, rim, diffuse = (
        make_phantom(SMALL.with_(disease=DiseaseSpec(ground_glass=0.25, distribution=d)))
        for d in ("basal", "subpleural", "diffuse")
    )

    def height(phantom):
        return np.nonzero(phantom.ground_glass)[0].mean() / phantom.scan.slice_count

    def depth(phantom):
        lung = sitk.GetImageFromArray((phantom.labels > 0).astype(np.uint8))
        distance = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(lung, True, False, False))
        return distance[phantom.ground_glass].mean()

    assert height(basal) < height(diffuse) - 0.05
    assert depth(rim) < 0.75 * depth(diffuse)


def test_overlap_decides_how_much_the_patterns_share():
    apart, together = (
        make_phantom(SMALL.with_(disease=DiseaseSpec(0.25, 0.25, "diffuse", overlap=o))) for o in (0.0, 1.0)
    )
    share = [(p.ground_glass & p.reticulation).sum() / p.ground_glass.sum() for p in (apart, together)]
    assert share[0] < 0.1
    assert share[1] > 0.9


def test_fibrosis_pulls_the_bronchi_open():
    """With severe reticulation wide airways are seen in the outer lung; without disease hardly any."""
    coverage = {"matrix": 256, "spacing": (1.2, 1.2, 2.0), "slices": 14, "above_mm": -120.0, "below_mm": -110.0}
    severe, mild = (
        make_phantom(SMALL.with_(noise_hu=0.01, disease=DiseaseSpec(reticulation=0.5, severity=s), **coverage))
        for s in (0.58, 0.05)
    )
    np.testing.assert_array_equal(severe.labels, mild.labels)
    air = [(p.scan.voxels[p.labels > 0] < -925).sum() for p in (severe, mild)]
    assert air[0] > 2 * air[1] + 200


def test_masses_are_solid_belong_to_the_lung_and_do_not_score(healthy):
    phantom = make_phantom(SMALL.with_(masses=3, disease=DiseaseSpec()))
    np.testing.assert_array_equal(phantom.labels, healthy.labels)
    lung = phantom.labels > 0
    solid = lung & (phantom.scan.voxels > -50) & (healthy.scan.voxels < -600)
    assert solid.sum() * np.prod(SMALL.spacing) > 1000
    assert phantom.scores(40) == (0, 0, 0)


# ---- settings -----------------------------------------------------------------------------------------------------


def test_random_specs_keep_what_is_fixed():
    spec = PhantomSpec.random(np.random.default_rng(0), matrix=96, slices=100, contrast=True, arms="down")
    assert (spec.matrix, spec.slices, spec.contrast, spec.arms) == (96, 100, True, "down")
    assert spec.coverage_mm == pytest.approx(100 * spec.spacing[2])
    assert 250 < 96 * spec.spacing[0] < 620


def test_random_specs_follow_from_the_generator():
    a, b = (PhantomSpec.random(np.random.default_rng(3)) for _ in range(2))
    assert a == b
    assert a != PhantomSpec.random(np.random.default_rng(4))


@pytest.mark.parametrize(
    "wrong",
    [{"kernel": "medium"}, {"arms": "folded"}, {"matrix": 4}, {"l1_mm": 90.0}, {"dome_mm": 30.0}, {"slices": 1}],
)
def test_impossible_settings_are_refused_with_a_sentence(wrong):
    with pytest.raises(SettingsError, match=r"\.$"):
        SMALL.with_(**wrong)


def test_unknown_settings_and_impossible_diseases_are_refused():
    with pytest.raises(SettingsError, match="no setting colour"):
        PhantomSpec.random(np.random.default_rng(0), colour="red")
    with pytest.raises(SettingsError, match="between 0 and 1"):
        DiseaseSpec(ground_glass=30)
    with pytest.raises(SettingsError, match="distribution"):
        DiseaseSpec(distribution="apical")


def test_making_a_phantom_can_be_cancelled():
    def stop(stage, fraction, message):
        if fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        make_phantom(SMALL, stop)
