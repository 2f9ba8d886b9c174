"""Heat-map evaluation: thresholds, derived scores, localisation against known disease, thresholds in a bundle."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from small_bundles import s_net_bundle
from SScILDScoringLib.cli import run
from SScILDScoringLib.errors import Cancelled, ModelError, SettingsError
from SScILDScoringLib.heatmaps import HeatMaps
from SScILDScoringLib.levels import Level
from SScILDScoringLib.models import ModelBundle, default_bundle
from SScILDScoringLib.scores import Pattern, SliceScores
from SScILDScoringLib.slice_network import SliceNetwork
from SScILDScoringTrainingLib.cli import app
from SScILDScoringTrainingLib.evaluation.cases import cases_of_table, phantom_cases
from SScILDScoringTrainingLib.heat_map_evaluation import evaluate_heat_maps
from SScILDScoringTrainingLib.heat_map_evaluation.bundle_thresholds import check_target, metadata_of, write_thresholds
from SScILDScoringTrainingLib.heat_map_evaluation.localisation import evaluate_localisation
from SScILDScoringTrainingLib.heat_map_evaluation.map_cache import HeatMapCache
from SScILDScoringTrainingLib.heat_map_evaluation.records import pointed_share, record_of
from SScILDScoringTrainingLib.heat_map_evaluation.run import Settings, evaluation_of
from SScILDScoringTrainingLib.heat_map_evaluation.slices import MapSlice
from SScILDScoringTrainingLib.heat_map_evaluation.thresholds import evaluate_thresholds

SMALL = {"matrix": 64, "slices": 24, "tilt_deg": 0.0}
SIDE = 20
LUNG = np.ones((SIDE, SIDE), bool)


def map_slice(lesion=None, patient="a", own=None, level=Level.L1) -> MapSlice:
    """A square slice that is all lung; ``lesion`` is where ground glass is, and so TOT."""
    lesions = None if lesion is None else np.stack([lesion, lesion, np.zeros_like(lesion)])
    return MapSlice(patient, patient, level, np.zeros((SIDE, SIDE), np.int16), LUNG, lesions, own)


def maps_of(values, score=0.0) -> HeatMaps:
    """Heat maps, equal for all patterns."""
    values = np.broadcast_to(np.asarray(values, np.float32), (SIDE, SIDE))
    return HeatMaps(np.stack([values] * 3), LUNG, LUNG, SliceScores((score, score, score)))


def box(rows: slice, columns: slice) -> np.ndarray:
    found = np.zeros((SIDE, SIDE), bool)
    found[rows, columns] = True
    return found


# ---- thresholds and derived scores -----------------------------------------------------------------------------------


def noisy(best: float, patient: str, seed: int):
    """A record whose derived score at ``best`` is exactly the network's score."""
    values = np.random.default_rng(seed).normal(best, 1.0, (SIDE, SIDE)).astype(np.float32)
    return record_of(map_slice(patient=patient), maps_of(values, 100 * float((values < best).mean())))


def test_the_chosen_threshold_gives_scores_like_the_networks_own():
    records = [noisy(-1.3, f"p{n}", n) for n in range(6)]
    found = evaluate_thresholds(records, {"tot": -2.0, "gg": -2.0, "ret": -2.0}, samples=100)
    assert found.values == {p: pytest.approx(-1.3, abs=0.03) for p in ("tot", "gg", "ret")}
    chosen, bundle = found.of("chosen", Pattern.GG), found.of("bundle", Pattern.GG)
    assert chosen.mae < 1
    assert chosen.r2 > 0.8
    assert bundle.mae > 10
    assert chosen.mae_interval.low <= chosen.mae <= chosen.mae_interval.high
    assert found.errors[Pattern.TOT].min() == pytest.approx(found.chosen[Pattern.TOT].error)
    network, derived = found.pairs[Pattern.TOT]
    assert np.abs(network - derived).mean() == pytest.approx(found.of("chosen", Pattern.TOT).mae)


def test_a_patient_is_also_judged_by_the_threshold_of_the_others():
    """Two patients of different kinds: each one's threshold is chosen on the other alone, and so is wrong for it."""
    records = [noisy(-1.0, "a", 1), noisy(-3.0, "b", 2)]
    found = evaluate_thresholds(records, samples=0)
    assert found.of("left_out", Pattern.TOT).mae > 1.5 * found.of("chosen", Pattern.TOT).mae
    assert found.of("left_out", Pattern.TOT).threshold == pytest.approx(-2.0, abs=0.05)
    assert not np.isfinite(found.of("chosen", Pattern.TOT).mae_interval.low)
    alone = evaluate_thresholds(records[-1:], samples=0)
    assert alone.of("left_out", Pattern.TOT) is None  # nothing to choose it on


def test_a_threshold_at_the_end_of_the_range_is_said():
    """All of the map lies far below the range: every threshold marks everything, and the network says less."""
    found = evaluate_thresholds([record_of(map_slice(), maps_of(-9.0, 10.0))], samples=0)
    assert found.at_the_end == []  # all thresholds are equally good: the middle of them
    gradient = np.linspace(-9, 0, SIDE * SIDE).reshape(SIDE, SIDE)
    found = evaluate_thresholds([record_of(map_slice(), maps_of(gradient, 10.0))], samples=0)
    assert found.at_the_end == [Pattern.TOT, Pattern.GG, Pattern.RET]


def test_bundle_thresholds_outside_of_the_range_are_not_compared():
    found = evaluate_thresholds([noisy(-1.0, "p", 1)], {"tot": -6.0, "gg": -1.0, "ret": -1.0}, samples=0)
    assert found.bundle is None
    assert found.of("bundle", Pattern.GG) is None


def test_thresholds_need_slices():
    with pytest.raises(SettingsError, match="at least one slice"):
        evaluate_thresholds([])


# ---- localisation ----------------------------------------------------------------------------------------------------

LESION = box(slice(0, 10), slice(0, 8))  # 20 % of the lung


def localised(maps: HeatMaps, lesion=LESION, own=None, threshold=-1.0, patients=("a", "b")):
    records = [record_of(map_slice(lesion, patient, own), maps) for patient in patients]
    return evaluate_localisation(records, {"chosen": dict.fromkeys(Pattern, threshold)}, samples=50)


def test_a_map_that_marks_exactly_the_lesion_has_dice_1_and_points_at_it():
    tot = localised(maps_of(np.where(LESION, -2.0, 0.5)))[0]
    assert (tot.dice, tot.pointing) == (1.0, 1.0)
    assert tot.dice_interval == (1.0, 1.0)
    assert tot.dice_chance == pytest.approx(0.2)  # as many pixels at random: 2 * .2 * .2 / (.2 + .2)
    assert tot.pointing_chance == pytest.approx(0.2)
    assert (tot.n, tot.patients) == (2, 2)


def test_a_map_that_marks_the_whole_lung_is_as_good_as_chance():
    tot = localised(maps_of(-2.0))[0]
    assert tot.dice == pytest.approx(2 * 0.2 / 1.2)
    assert tot.gain == pytest.approx(0)
    assert tot.pointing == pytest.approx(0.2)  # every pixel is the strongest one


def test_a_map_that_marks_half_of_the_lesion_and_as_much_beside_it():
    marked = box(slice(0, 10), slice(4, 12))
    tot = localised(maps_of(np.where(marked, -2.0, 0.0)))[0]
    assert tot.dice == pytest.approx(0.5)
    assert tot.pointing == pytest.approx(0.5)


def test_a_map_that_says_nothing_points_at_nothing():
    tot = localised(maps_of(0.5))[0]
    assert (tot.dice, tot.dice_chance, tot.pointing) == (0.0, 0.0, 0.0)


def test_patterns_that_a_slice_does_not_have_tell_how_much_is_marked_all_the_same():
    ret = localised(maps_of(np.where(LESION, -2.0, 0.5)))[2]
    assert (ret.pattern, ret.n, ret.free) == (Pattern.RET, 0, 2)
    assert ret.free_marked == pytest.approx(20)
    assert np.isnan([ret.dice, ret.pointing]).all()


def test_specks_of_disease_make_a_slice_neither_diseased_nor_free():
    speck = box(slice(0, 1), slice(0, 3))  # 0.75 % of the lung
    tot = localised(maps_of(-2.0), speck)[0]
    assert (tot.n, tot.free) == (0, 0)


def test_a_ratio_heads_own_map_stands_beside_the_heat_map():
    own = np.stack([np.where(LESION, 0.9, 0.1)] * 3)
    rows = localised(maps_of(0.5), own=own)
    assert [(r.maps, r.pattern.value, r.dice) for r in rows[:2]] == [("replacement", "tot", 0.0), ("own", "tot", 1.0)]


def test_the_strongest_point_of_a_flat_top_counts_by_the_share_that_hits():
    strength = np.array([[3.0, 3.0, 3.0, 1.0], [0.0, 0.0, 2.0, 0.0]])
    lesion = np.array([[True, False, False, True], [True, True, True, True]])
    everywhere = np.ones_like(lesion)
    assert pointed_share(strength, everywhere, lesion) == pytest.approx(1 / 3)
    assert pointed_share(strength, ~np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool), lesion) == 1.0
    assert pointed_share(-strength, everywhere, lesion) == 0.0
    assert pointed_share(strength, np.zeros_like(lesion), lesion) == 0.0


# ---- heat maps of scans ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return s_net_bundle(tmp_path_factory.mktemp("models") / "small", size=64)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Two small phantoms with disease, and the folder of their table."""
    folder = tmp_path_factory.mktemp("phantoms")
    return folder, phantom_cases(2, 4, folder, SMALL)


@pytest.fixture(scope="module")
def evaluated(bundle, phantoms, tmp_path_factory):
    """Folder of the cache, and the evaluation of both phantoms."""
    cache = tmp_path_factory.mktemp("cache")
    settings = Settings(50, 1, phantoms[1].what)
    return cache, evaluate_heat_maps(bundle, phantoms[1].rows, cache=cache, settings=settings)


def test_phantoms_are_measured_at_their_five_levels_with_their_own_masks(evaluated):
    _, result = evaluated
    assert [(r.case, r.level) for r in result.records][:5] == [("phantom-970004-0001", n) for n in range(1, 6)]
    assert result.patients == 2
    assert {(row.maps, row.how) for row in result.localisation} == {
        ("replacement", "chosen"),
        ("replacement", "bundle"),
        ("own", "fixed"),
    }
    assert any(row.n > 0 for row in result.localisation)


def test_heat_maps_are_kept_so_that_a_second_evaluation_runs_no_network(bundle, phantoms, evaluated, monkeypatch):
    cache, first = evaluated
    monkeypatch.setattr(SliceNetwork, "run", lambda *_: pytest.fail("the network was run again"))
    again = evaluate_heat_maps(bundle, phantoms[1].rows, cache=cache, settings=first.settings)
    assert again.to_dict() == first.to_dict()


def test_an_evaluation_that_was_stopped_goes_on_with_the_maps_it_has(bundle, phantoms, tmp_path):
    def stop(stage, fraction, message):
        if fraction > 0.35:  # within the second slice or later, before the second case ends
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_heat_maps(bundle, phantoms[1].rows, cache=tmp_path, progress=stop)
    kept = {p.name for p in tmp_path.iterdir() if p.is_dir()}
    assert 0 < len(kept) < 10
    evaluate_heat_maps(bundle, phantoms[1].rows, cache=tmp_path, settings=Settings(0))
    assert kept < {p.name for p in tmp_path.iterdir() if p.is_dir()}


def test_a_kept_map_belongs_to_its_slice_lung_and_weights_but_not_to_thresholds(bundle, phantoms, tmp_path):
    hu = np.full((64, 64), -800, np.int16)
    lung = np.zeros((64, 64), bool)
    lung[20:44, 20:44] = True
    kept = HeatMapCache(tmp_path / "kept")
    network = SliceNetwork(bundle)
    first = kept.maps(hu, lung, network)
    assert np.array_equal(kept.maps(hu, lung, network).maps, first.maps)
    other = write_thresholds(bundle, {"thresholds": {"tot": -1.0, "gg": -1.0, "ret": -1.0}}, tmp_path / "copy")
    kept.maps(hu, lung, SliceNetwork(other))
    entries = lambda: len([p for p in (tmp_path / "kept").iterdir() if p.is_dir()])  # noqa: E731
    assert entries() == 1
    kept.maps(hu, np.roll(lung, 1, axis=0), network)
    kept.maps(hu + 1, lung, network)
    assert entries() == 3


def test_a_case_that_cannot_be_used_is_listed_and_left_out(bundle, phantoms, evaluated, tmp_path):
    cache, _ = evaluated
    folder = phantoms[0]
    first, second = phantoms[1].rows
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not an image")
    for name in ("gg", "ret"):  # masks of another scan beside a good one
        shutil.copy(folder / f"{second.case}_{name}.nii.gz", tmp_path / f"moved_{name}.nii.gz")
    shutil.copy(first.path, tmp_path / "moved.nii.gz")
    rows = [first, replace(second, case="broken", path=broken), replace(first, path=tmp_path / "moved.nii.gz")]
    result = evaluate_heat_maps(bundle, rows, cache=cache, settings=Settings(0))
    assert [case for case, _ in result.failures] == ["broken", first.case]
    assert "does not lie on the grid of its scan" in result.failures[1][1]
    assert "could not be used" in result.markdown()
    with pytest.raises(SettingsError, match=r"No slice could be used.*broken"):
        evaluate_heat_maps(bundle, rows[1:2], settings=Settings(0))


def test_tables_and_figures_are_written(evaluated, tmp_path):
    _, result = evaluated
    names = {path.name for path in result.write(tmp_path)}
    assert names == {"heat_maps.md", "heat_maps.json", "thresholds.csv", "localisation.csv", "slices.csv"}
    data = json.loads((tmp_path / "heat_maps.json").read_text(encoding="utf-8"))
    assert len(data["curve"]["thresholds"]) == len(data["curve"]["mae"]["tot"]) == 201
    text = (tmp_path / "heat_maps.md").read_text(encoding="utf-8")
    assert "10 slices of 2 patients" in text
    assert "They say nothing about patients" in text
    assert "steps of 0.02" in text
    assert (tmp_path / "slices.csv").read_text().count("\n") == 11
    drawn = result.draw(tmp_path / "figures", ("png",))
    assert {p.stem for p in drawn} == {"threshold_curve", "derived_scores", "localisation"}


def test_without_known_disease_there_is_no_localisation(bundle):
    record = record_of(map_slice(), maps_of(-1.0, 20.0))
    result = evaluation_of(bundle, [record], Settings(0))
    assert result.localisation == ()
    assert "Localisation" not in result.markdown()
    assert "single patient" in " ".join(result.remarks())


# ---- thresholds in a bundle ------------------------------------------------------------------------------------------


@pytest.fixture
def own_bundle(bundle, tmp_path):
    shutil.copytree(bundle.folder, tmp_path / "mine")
    return ModelBundle.load(tmp_path / "mine")


def test_thresholds_are_written_into_a_bundle_and_nothing_else_changes(own_bundle, evaluated):
    before = {path: (own_bundle.folder / path).read_bytes() for path in own_bundle.metadata.files}
    identity = own_bundle.sha256
    settings = metadata_of(evaluated[1].thresholds, data="two phantoms")
    changed = write_thresholds(own_bundle, settings)
    assert changed.folder == own_bundle.folder.resolve()
    assert changed.thresholds == evaluated[1].thresholds.values
    assert changed.heat_maps["threshold_slices"] == 10
    assert changed.sha256 != identity
    assert changed.weights_sha256 == own_bundle.weights_sha256
    assert (own_bundle.version, changed.version) == ("1.0.0", "1.0.1")
    for path, content in before.items():
        same = (changed.folder / path).read_bytes() == content
        assert same == (path != "docs/README.md")
    assert "two phantoms" in (changed.folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert "Heat-map thresholds of 1.0.0 replaced" in (changed.folder / "docs" / "README.md").read_text("utf-8")
    assert [p.name for p in changed.folder.parent.iterdir()] == ["mine"]  # nothing half-written is left


def test_a_value_that_is_no_threshold_leaves_the_bundle_as_it_was(own_bundle):
    identity = own_bundle.sha256
    with pytest.raises(ModelError, match="at most 0"):
        write_thresholds(own_bundle, {"thresholds": {"tot": 1.0, "gg": -1.0, "ret": -1.0}})
    assert ModelBundle.load(own_bundle.folder).sha256 == identity


def test_the_starter_that_came_with_the_software_is_never_changed(tmp_path):
    starter = default_bundle("s_net")
    with pytest.raises(SettingsError, match="came with this software and stays as it is"):
        check_target(starter, None)
    (tmp_path / "taken").mkdir()
    with pytest.raises(SettingsError, match="already something"):
        check_target(starter, tmp_path / "taken")
    assert check_target(starter, tmp_path / "copy") == tmp_path / "copy"


# ---- as it is typed --------------------------------------------------------------------------------------------------


def test_evaluate_heatmaps_as_it_is_typed(own_bundle, phantoms, evaluated, tmp_path, monkeypatch, capsys):
    """Own levels and lungs: the lungs are found here, so that maps are computed anew."""
    monkeypatch.chdir(tmp_path)
    table = phantoms[0] / "cohort.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    header = [*lines[0].split(","), "lung_path", "split"]
    rows = [
        [str(phantoms[0] / cell) if i == 1 else cell for i, cell in enumerate(line.split(","))]
        + [str(phantoms[0] / f"{line.split(',')[0]}_lungs.nii.gz"), split]
        for line, split in zip(lines[1:], ("validation", "test"), strict=True)
    ]
    (tmp_path / "c.csv").write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n", encoding="utf-8")
    monkeypatch.setattr(SliceNetwork, "run", lambda *_: pytest.fail("heat maps of these slices are kept already"))
    command = ["evaluate", "heatmaps", "mine", "c.csv", "--split", "validation", "-o", "out", "-q", "--bootstrap", "20"]
    assert run(app, [*command, "--cache", str(link_cache(tmp_path, evaluated[0])), "--write"]) == 0
    printed = capsys.readouterr().out
    assert "mine 1.0.1" not in printed  # the bundle is called small, its folder mine
    assert "small 1.0.1" in printed
    assert (tmp_path / "out" / "figures" / "localisation.svg").is_file()
    assert ModelBundle.load(tmp_path / "mine").heat_maps["threshold_slices"] == 5


def link_cache(folder, maps):
    """A cache folder as the command expects it, with the heat maps of an earlier evaluation."""
    (folder / "cache").mkdir()
    shutil.copytree(maps, folder / "cache" / "heat_maps")
    return folder / "cache"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Give a cohort table, or --phantoms N"),
        (["c.csv", "--phantoms", "2"], "and not both"),
        (["c.csv"], "There is no cohort table c.csv"),
        (["--phantoms", "1", "--write"], "came with this software"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(app, ["evaluate", "heatmaps", "s_net_starter", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_table_with_unusable_rows_keeps_the_others(phantoms, tmp_path):
    table = phantoms[0] / "cohort.csv"
    extra = tmp_path / "more.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    first = [c if i != 1 else str(phantoms[0] / c) for i, c in enumerate(lines[1].split(","))]
    missing = ["gone", "gone.nii.gz", *first[2:]]
    extra.write_text("\n".join([lines[0], ",".join(first), ",".join(missing)]) + "\n", encoding="utf-8")
    cases = cases_of_table(extra)
    assert [row.case for row in cases.rows] == [first[0]]
    assert cases.failures[0][0] == "gone"
    assert "no file" in cases.failures[0][1]
