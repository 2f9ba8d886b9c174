"""What level selection promises: L-Net's slice numbers become the right millimetres, and doubts are said."""

from __future__ import annotations

import numpy as np
import pytest

from small_bundles import l_net_bundle, s_net_bundle
from SScILDScoringLib.anatomy import Landmarks, estimate_levels
from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled, ModelError, ScanError
from SScILDScoringLib.level_selection import (
    WindowAnswers,
    disagreement_findings,
    find_levels,
    kept_inside,
    levels_from_answers,
    run_windows,
)
from SScILDScoringLib.levels import Levels
from SScILDScoringLib.models import ModelBundle
from SScILDScoringLib.preprocessing import VolumeInput
from SScILDScoringLib.scan import scan_from_array

SETTINGS = VolumeInput((80, 64, 64), 64, stride=4)
CONSTANT = (50.0, 41.0, 33.0, 25.0, 16.0)


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def scan_of(slices=40, mm=5.0, bottom=-200.0):
    """A scan whose slice k lies at ``bottom + k * mm``."""
    matrix = np.diag([5.0, 5.0, mm, 1.0])
    matrix[2, 3] = bottom
    voxels = np.random.default_rng(0).integers(-1000, 400, (slices, 40, 40)).astype(np.int16)
    return scan_from_array(voxels, matrix)


def answers_of(resized, starts=(0, 4, 8, 12, 16)):
    resized = np.asarray(resized, float)
    return WindowAnswers(tuple(starts[: len(resized)]), resized, np.ones(len(resized), bool))


@pytest.fixture(scope="module")
def constant_bundle(tmp_path_factory) -> ModelBundle:
    """An L-Net that always answers CONSTANT, counted from the bottom of its window."""
    return l_net_bundle(tmp_path_factory.mktemp("bundles") / "constant", CONSTANT)


def codes(findings):
    return [f.code for f in findings]


# ---- from slice numbers to millimetres ---------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [40, 80, 201])
def test_slice_numbers_of_the_resized_ct_become_millimetres_of_the_original(slices):
    scan = scan_of(slices, mm=1.5)
    wanted = [0.9, 0.7, 0.55, 0.4, 0.2]  # heights as shares of what the voxels cover
    cell = (np.array(wanted) * 80) - 0.5
    levels, findings = levels_from_answers(answers_of([cell]), SETTINGS, scan)
    covered_from, covered = -200.0 - 0.75, slices * 1.5
    assert np.allclose(levels.mm, [covered_from + share * covered for share in wanted])
    assert {p.source for p in levels} == {"l_net"}
    assert levels.l4_follows
    assert findings == []


def test_windows_count_from_their_own_bottom_and_are_averaged(constant_bundle):
    scan = scan_of()
    answers = run_windows(scan, constant_bundle, windows="all")
    assert answers.starts == (0, 4, 8, 12, 16)
    assert np.allclose(answers.resized, np.add.outer(answers.starts, CONSTANT), atol=1e-4)
    assert np.allclose(answers.mean, np.array(CONSTANT) + 8, atol=1e-4)


def test_the_spread_is_the_standard_deviation_of_the_windows_in_millimetres(constant_bundle):
    scan = scan_of()
    levels, findings = find_levels(scan, constant_bundle, windows="all")
    # Starts 0, 4 ... 16 of slices that are 40 * 5 / 80 = 2.5 mm high.
    assert [p.spread_mm for p in levels] == pytest.approx([np.std([0, 4, 8, 12, 16]) * 2.5] * 5, abs=1e-3)
    assert codes(findings) == ["level_spread"]
    assert "L1 by 14 mm" in findings[0].message


def test_only_windows_that_hold_all_levels_are_averaged(constant_bundle):
    scan = scan_of()
    answers = run_windows(scan, constant_bundle)
    top, bottom = 58.0, 24.0  # median answers of L1 and L5
    holds = [start <= bottom and start + 63 >= top for start in answers.starts]
    assert answers.used.tolist() == holds


def test_levels_too_far_apart_for_any_window_use_all_windows(tmp_path):
    bundle = l_net_bundle(tmp_path / "l", (75.0, 60.0, 40.0, 20.0, -5.0))
    assert run_windows(scan_of(), bundle).used.all()


# ---- order and limits --------------------------------------------------------------------------------------------


def test_an_answer_out_of_order_is_put_in_order_and_said():
    levels, findings = levels_from_answers(answers_of([[60, 30, 45, 25, 16]]), SETTINGS, scan_of())
    assert list(levels.mm) == sorted(levels.mm, reverse=True)
    assert codes(findings) == ["levels_reordered"]


def test_an_answer_outside_the_scan_is_moved_into_it_and_said():
    levels, findings = levels_from_answers(answers_of([[95, 60, 45, 25, -9]]), SETTINGS, scan_of())
    assert levels.mm[0] == -5.0
    assert levels.mm[4] == -200.0
    assert codes(findings) == ["level_outside_scan", "level_outside_scan"]
    levels.slice_indices(scan_of())


def test_five_levels_fit_on_five_slices_however_wrong_the_answer():
    scan = scan_of(slices=5)
    generator = np.random.default_rng(1)
    for _ in range(50):
        mm, _ = kept_inside(generator.uniform(-400, 200, 5), scan)
        assert Levels.from_mm(mm).slice_indices(scan) == (4, 3, 2, 1, 0)


def test_even_a_scan_of_three_slices_has_levels_in_order():
    scan = scan_of(slices=3)
    mm, _ = kept_inside((500, 400, 300, 200, 100), scan)
    assert len(Levels.from_mm(mm).slice_indices(scan)) == 5


# ---- the anatomy as check and as fallback ------------------------------------------------------------------------

LANDMARKS = Landmarks(-10.0, -190.0, carina_mm=-60.0, right_dome_mm=-160.0, left_dome_mm=-170.0)


def test_without_a_network_the_anatomy_estimates_the_levels_and_this_is_said():
    scan = scan_of()
    levels, findings = find_levels(scan, None, landmarks=LANDMARKS)
    assert levels == estimate_levels(LANDMARKS, scan)
    assert {p.source for p in levels} == {"anatomy"}
    assert levels[2].mm == -60.0
    assert levels[5].mm == -150.0
    assert codes(findings) == ["levels_from_anatomy"]


def test_without_network_and_landmarks_there_are_no_levels():
    with pytest.raises(ScanError, match="Give the five levels yourself"):
        find_levels(scan_of(), None)


def test_more_than_25_mm_between_network_and_anatomy_is_said_for_each_level():
    network = Levels.from_mm((-20.0, -60.0, -100.0, -120.0, -150.0), "l_net")
    anatomy = Levels.from_mm((-46.0, -84.9, -100.0, -110.0, -120.0), "anatomy")
    findings = disagreement_findings(network, anatomy)
    assert codes(findings) == ["level_disagreement"] * 2
    assert "Level 1" in findings[0].message
    assert "-20 mm" in findings[0].message
    assert "-46 mm" in findings[0].message
    assert "30 mm apart" in findings[1].message


def test_the_network_is_checked_against_the_anatomy(constant_bundle):
    _, findings = find_levels(scan_of(), constant_bundle, landmarks=LANDMARKS)
    assert "level_disagreement" in codes(findings)


# ---- misuse ------------------------------------------------------------------------------------------------------


def test_an_s_net_is_refused(tmp_path):
    with pytest.raises(ModelError, match="choose an L-Net"):
        find_levels(scan_of(), s_net_bundle(tmp_path / "s"))


def test_cancelling_ends_the_search(constant_bundle):
    def cancel(stage, fraction, message):
        if "window 2" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        find_levels(scan_of(), constant_bundle, progress=cancel)


def test_progress_rises_from_0_to_1(constant_bundle):
    told = []
    find_levels(scan_of(), constant_bundle, progress=lambda stage, fraction, message: told.append((stage, fraction)))
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {stage for stage, _ in told} == {"levels"}
