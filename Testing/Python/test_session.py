"""What an opened scan promises: the pipeline's numbers, and nothing computed twice."""

from __future__ import annotations

import numpy as np
import pytest

from small_bundles import l_net_bundle, s_net_bundle
from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled, ModelError, ScanError, SettingsError
from SScILDScoringLib.heatmaps import reporting
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom
from SScILDScoringLib.pipeline import score_scan
from SScILDScoringLib.recent import Recent
from SScILDScoringLib.session import FoundLevels, ScoringSession
from SScILDScoringLib.slice_network import SliceNetwork

COARSE = HeatMapSettings(patch=24, step=16)


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture(scope="module")
def scan():
    disease = DiseaseSpec(ground_glass=0.2, reticulation=0.1)
    return make_phantom(PhantomSpec(seed=5, matrix=96, spacing=(3.8, 3.8, 5.0), disease=disease)).scan


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    answer = (48.0, 42.0, 35.0, 29.0, 22.0)  # the same slices for every scan, in the middle of the lungs
    return {
        "l_net": l_net_bundle(folder / "l", answer, depth=72),
        "s_net": s_net_bundle(folder / "s", clear_outside_body=True),
    }


@pytest.fixture
def session(scan, bundles, lungs):
    return ScoringSession(scan, device="cpu", lungs=lungs, **bundles)


@pytest.fixture(scope="module")
def lungs(scan):
    from SScILDScoringLib.lungs import segment_lungs

    return segment_lungs(scan)


class Stages:
    """A progress callable that remembers what was worked on, and stops at a given stage."""

    def __init__(self, stop_at: str | None = None, after: float = 0.0) -> None:
        self.seen: list[str] = []
        self._stop, self._after = stop_at, after

    def __call__(self, stage, fraction, message):
        if stage not in self.seen:
            self.seen.append(stage)
        if stage == self._stop and fraction >= self._after:
            raise Cancelled


def codes(result):
    return [f.code for f in result.findings]


# ---- the same as the pipeline ----------------------------------------------------------------------------------------


def test_a_session_gives_what_the_pipeline_gives(scan, bundles):
    options = {"case": "phantom", "fvc_percent": 60, "heat_map_settings": COARSE}
    wanted = score_scan(scan, device="cpu", every_slice=True, **options, **bundles)
    session = ScoringSession(scan, device="cpu", **bundles)
    found = session.find_levels()
    result = session.score(found.levels, heat_maps=True, every_slice=True, **options)
    assert found.levels == wanted.levels
    assert result.scores == wanted.scores
    assert result.findings == wanted.findings
    assert result.profile == wanted.profile
    for name in ("case", "slice_indices", "file_slice_indices", "facts", "models", "settings", "thresholds", "stage"):
        assert getattr(result, name) == getattr(wanted, name), name
    for mine, theirs in zip(result.heat_maps, wanted.heat_maps, strict=True):
        assert (mine.maps == theirs.maps).all()
        assert (mine.covered == theirs.covered).all()
    for mine, theirs in zip(result.explanations, wanted.explanations, strict=True):
        assert (mine.lung == theirs.lung).all()
        assert (mine.patterns == theirs.patterns).all()
    steps = {"quality", "lungs", "landmarks", "levels", "scores", "explanations", "heat_maps", "profile"}
    assert steps <= set(result.seconds)
    assert result.seconds["total"] == pytest.approx(sum(v for k, v in result.seconds.items() if k != "total"))


def test_found_levels_come_with_the_anatomy_they_are_compared_with(session, scan):
    found = session.find_levels()
    assert {p.source for p in found.levels} == {"l_net"}
    assert {p.source for p in found.anatomy} == {"anatomy"}
    assert "thick_slices" in {f.code for f in found.findings}
    assert session.find_levels() is found


def test_without_an_l_net_the_anatomy_places_the_levels(scan, bundles, lungs):
    session = ScoringSession(scan, l_net=False, s_net=bundles["s_net"], lungs=lungs, device="cpu")
    found = session.find_levels()
    assert found.levels == found.anatomy
    assert "levels_from_anatomy" in codes(session.score(found.levels))


# ---- nothing twice ---------------------------------------------------------------------------------------------------


def test_moving_one_level_costs_one_slice(session, monkeypatch):
    levels = session.find_levels().levels
    first = session.score(levels)
    runs = []
    run = session.network.run
    monkeypatch.setattr(session.network, "run", lambda inputs: runs.append(len(inputs)) or run(inputs))
    moved = levels.moved(1, levels[1].mm + 15)
    stages = Stages()
    result = session.score(moved, progress=stages)
    assert runs == [1]
    assert stages.seen == ["scores", "explanations"]
    assert result.scores[1:] == first.scores[1:]
    assert result.slice_indices[0] != first.slice_indices[0]
    back = session.score(levels)
    assert runs == [1]
    assert back.scores == first.scores
    assert all(a is b for a, b in zip(back.explanations, first.explanations, strict=True))


def test_the_scores_of_a_moved_level_are_those_of_its_slice(session, scan, bundles):
    levels = session.find_levels().levels
    session.score(levels)
    k = scan.slice_at(levels[2].mm) + 2
    moved = session.score(levels.moved(2, scan.mm_of_slice(k)))
    direct = SliceNetwork(bundles["s_net"], "cpu").scores(scan.axial_slice(k))
    assert moved.slice_indices[1] == k
    assert np.allclose(moved.scores[1].raw, direct.raw, atol=1e-4)


def test_only_missing_heat_maps_are_computed(session):
    levels = session.find_levels().levels
    first = session.score(levels, heat_maps=True, heat_map_settings=COARSE)
    moved = levels.moved(1, levels[1].mm + 15)
    without = session.score(moved, heat_map_settings=COARSE)
    assert without.heat_maps == ()  # L1 has none; four of five would mislead
    assert without.settings["heat_maps"] is False
    complete = session.score(moved, heat_maps=True, heat_map_settings=COARSE)
    assert complete.heat_maps[0] is not first.heat_maps[0]
    assert all(a is b for a, b in zip(complete.heat_maps[1:], first.heat_maps[1:], strict=True))
    assert session.score(levels, heat_map_settings=COARSE).heat_maps == first.heat_maps


def test_the_heat_maps_of_one_level_can_be_had_before_those_of_the_others(session):
    levels = session.find_levels().levels
    k = levels.slice_indices(session.scan)[2]
    finer = HeatMapSettings(patch=24, step=12)
    alone = session.heat_maps(k, finer)
    assert alone.settings == finer
    assert session.score(levels, heat_map_settings=finer).heat_maps == (), "four are missing"
    assert session.score(levels, heat_maps=True, heat_map_settings=finer).heat_maps[2] is alone
    with pytest.raises(ScanError, match="no slice"):
        session.heat_maps(10_000)


def test_who_waits_for_a_slice_sees_a_preview_grow_and_then_gets_the_exact_maps(session, monkeypatch):
    monkeypatch.setattr(reporting, "INTERVAL", 0.0)
    settings = HeatMapSettings(patch=20, step=8)
    shown, told = [], []
    k = session.find_levels().levels.slice_indices(session.scan)[1]
    exact = session.heat_maps(k, settings, lambda *a: told.append(a[1]), shown.append)
    assert exact.exact
    assert exact.engine == "incremental"
    assert {maps.engine for maps in shown} == {"preview"}
    reached = [int(maps.covered.sum()) for maps in shown]
    assert reached == sorted(reached)
    assert reached[0] < reached[-1] == int(exact.covered.sum())
    # Only the finished preview knows how far it may be from the exact maps, and it is no further.
    assert [maps.tolerance for maps in shown[:-1]] == [None] * (len(shown) - 1)
    if not shown[-1].exact:
        assert 0 <= shown[-1].tolerance <= 0.02
    assert np.corrcoef(shown[-1].maps.ravel(), exact.maps.ravel())[0, 1] > 0.9
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_there_is_no_preview_where_nobody_looks_or_the_exact_maps_are_quick(session, monkeypatch):
    k = session.find_levels().levels.slice_indices(session.scan)[3]
    assert session.heat_maps(k, HeatMapSettings(patch=20, step=20)).engine == "incremental"
    monkeypatch.setattr(reporting, "INTERVAL", 0.0)
    session._exact_seconds = 0.2  # what the latest maps took
    shown = []
    session.heat_maps(k, HeatMapSettings(patch=20, step=6), partial=shown.append)
    assert {maps.engine for maps in shown} == {"incremental"}


def test_the_message_says_which_slice_is_being_explained(session):
    heard = []
    settings = HeatMapSettings(patch=20, step=18)
    session.score(
        session.find_levels().levels, heat_maps=True, heat_map_settings=settings, progress=lambda *a: heard.append(a)
    )
    messages = [message for stage, _, message in heard if stage == "heat_maps"]
    assert any(message.startswith("Slice 2 of 5. ") and "positions" in message for message in messages)


def test_heat_maps_of_other_settings_are_others(session):
    levels = session.find_levels().levels
    session.score(levels, heat_maps=True, heat_map_settings=COARSE)
    finer = HeatMapSettings(patch=24, step=12)
    assert session.score(levels, heat_map_settings=finer).heat_maps == ()
    assert {m.settings for m in session.score(levels, heat_map_settings=COARSE).heat_maps} == {COARSE}


def test_heat_maps_finished_before_a_cancel_are_kept(session):
    levels = session.find_levels().levels
    indices = levels.slice_indices(session.scan)
    with pytest.raises(Cancelled):
        session.score(levels, heat_maps=True, heat_map_settings=COARSE, progress=Stages("heat_maps", after=0.5))
    kept = [session.has_heat_maps(k, COARSE) for k in indices]
    assert kept[:2] == [True, True]
    assert not all(kept)
    assert len(session.score(levels, heat_maps=True, heat_map_settings=COARSE).heat_maps) == 5


def test_after_every_slice_was_scored_no_move_needs_the_network(session, monkeypatch):
    levels = session.find_levels().levels
    profile = session.score(levels, every_slice=True).profile
    assert len(profile.scores) > 20
    monkeypatch.setattr(session.network, "run", None)
    moved = session.score(levels.moved(5, levels[5].mm - 10))
    assert moved.profile is profile
    assert moved.settings["every_slice"] is True


def test_a_cancelled_search_for_levels_can_be_asked_again(session):
    with pytest.raises(Cancelled):
        session.find_levels(Stages("levels"))
    assert session.found is None
    assert len(session.find_levels().levels.mm) == 5


def test_old_slices_are_forgotten_first():
    recent = Recent(2)
    recent.update({1: "a", 2: "b"})
    recent.get(1)
    recent[3] = "c"
    assert list(recent) == [1, 3]
    assert recent.get(2) is None


# ---- what is said about the levels -----------------------------------------------------------------------------------


def test_a_level_moved_by_a_person_is_no_longer_compared_with_the_anatomy(session):
    found = session.find_levels()
    apart = [f for f in found.findings if f.code == "level_disagreement"]
    far = [p.level for p, e in zip(found.levels, found.anatomy, strict=True) if abs(p.mm - e.mm) > 25]
    assert len(apart) == len(far) > 0
    levels = found.levels
    for level in far:
        levels = levels.moved(level, levels[level].mm + 0.1)
    assert "level_disagreement" not in codes(session.score(levels))
    assert codes(session.score(found.levels)).count("level_disagreement") == len(far)


def test_levels_placed_by_hand_bring_no_findings_of_the_network(session, bundles):
    from SScILDScoringLib.levels import Levels

    found = session.find_levels()
    by_hand = session.score(Levels.from_mm(found.levels.mm, "manual"))
    assert not {"level_disagreement", "level_spread"} & set(codes(by_hand))
    assert [m.kind for m in by_hand.models] == ["s_net"]


def test_what_was_found_in_an_earlier_session_still_counts(session, scan, bundles, lungs):
    found = session.find_levels()
    again = ScoringSession(scan, device="cpu", lungs=lungs, found=found, **bundles)
    assert again.find_levels() is found
    assert again.score(found.levels).findings == session.score(found.levels).findings


# ---- networks and mistakes -------------------------------------------------------------------------------------------


def test_a_loaded_network_is_shared_between_sessions(scan, bundles, lungs):
    network = SliceNetwork(bundles["s_net"], "cpu")
    session = ScoringSession(scan, l_net=False, s_net=network, lungs=lungs, device="cpu")
    session.warm()
    assert session.network is network
    assert [m.name for m in session.models] == [bundles["s_net"].name]


def test_warming_loads_every_network_before_the_first_score(session):
    stages = Stages()
    session.warm(stages)
    assert stages.seen == ["warm"]
    assert session.device.startswith("cpu")


def test_levels_can_be_found_without_an_s_net_but_nothing_is_scored(scan, lungs):
    session = ScoringSession(scan, l_net=False, s_net=False, lungs=lungs, device="cpu")
    found = session.find_levels()
    assert isinstance(found, FoundLevels)
    with pytest.raises(ModelError, match="S-Net"):
        session.score(found.levels)


def test_mistakes_are_said_before_the_work(session, scan, bundles):
    levels = session.find_levels().levels
    stages = Stages()
    with pytest.raises(SettingsError, match="percent of the predicted"):
        session.score(levels, fvc_percent=0.7, progress=stages)
    with pytest.raises(ScanError, match="outside the scan"):
        session.score(levels.moved(1, 4000.0), progress=stages)
    assert stages.seen == []
    with pytest.raises(SettingsError, match="no device"):
        ScoringSession(scan, device="gpu", **bundles)
    with pytest.raises(ModelError, match="There is no S-Net"):
        ScoringSession(scan, s_net="absent")
