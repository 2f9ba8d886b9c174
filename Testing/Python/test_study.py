"""A reader study: what readers get, what the owner keeps, and in which order cases come."""

from __future__ import annotations

import gzip
import json
import stat
import sys

import numpy as np
import pytest

from reader_studies import MM, NAMES, NETWORK, heat_maps, make_study, study_cases
from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.observers import ObserverError, create_study, read_study
from SScILDScoringLib.observers.blinding import blinded_ids
from SScILDScoringLib.observers.key import key_path, read_key
from SScILDScoringLib.observers.order import reading_order, smallest_distance
from SScILDScoringLib.observers.study import FILE, write_study
from SScILDScoringLib.scan import load_scan


def edited(folder, change) -> None:
    """Edits study.json as an owner would by hand."""
    path = folder / "STUDY" / FILE
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


# ---- blinding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["scores", "likert"])
def test_nothing_that_readers_get_tells_a_name_a_place_or_the_networks_answer(tmp_path, task):
    make_study(tmp_path, task=task, repeat=2, reveal=True)
    secrets = [name.encode() for name in (*NAMES, str(tmp_path), "clinic", "network", "phantom", "patient")]
    secrets += [part.encode() for name in NAMES for part in name.split("_")]
    files = [path for path in (tmp_path / "STUDY").rglob("*") if path.is_file()]
    assert len(files) == 1 + 6 + (6 * 15 if task == "likert" else 0)
    for path in files:
        content = path.read_bytes()
        content += gzip.decompress(content) if path.suffix == ".gz" else b""
        for secret in secrets:
            assert secret not in content, (path, secret)
            assert secret not in path.relative_to(tmp_path).as_posix().encode()
    assert "repeat" not in (tmp_path / "STUDY" / FILE).read_text()


def test_the_copies_times_do_not_tell_the_cohorts_order(tmp_path):
    make_study(tmp_path, task="likert")
    copies = [p for kind in ("scans", "maps") for p in (tmp_path / "STUDY" / kind).rglob("*") if p.is_file()]
    assert len({path.stat().st_mtime for path in copies}) == 1
    assert all(content[4:8] == bytes(4) for p in copies if p.suffix == ".gz" for content in [p.read_bytes()])


def test_a_copy_has_the_scans_voxels_at_their_place_also_when_tilted(tmp_path):
    from SScILDScoringLib.phantom.nifti import write_volume

    tilted = np.diag([1.0, 1.0, 5.0, 1.0])
    tilted[1, 2] = 0.6
    voxels = np.random.default_rng(0).integers(-1000, 400, (33, 6, 6)).astype(np.int16)
    cases = study_cases(tmp_path, NAMES[:1])
    write_volume(cases[0].path, voxels, tilted)
    study = create_study(tmp_path / "STUDY", cases, readers=["A"])
    copy, scan = load_scan(tmp_path / "STUDY" / study.items[0].scan), load_scan(cases[0].path)
    assert (copy.voxels == scan.voxels).all()
    assert np.allclose(copy.ras_from_index, scan.ras_from_index, atol=1e-5)


def test_a_copied_heat_map_has_the_same_values_at_the_same_place(tmp_path):
    import SimpleITK as sitk

    study = make_study(tmp_path, task="likert")
    key = read_key(study, tmp_path / "STUDY")
    item = study.items[0]
    name = "level_3_gg.nrrd"
    copy = sitk.ReadImage(str(tmp_path / "STUDY" / item.maps / name))
    source = sitk.ReadImage(str(tmp_path / "maps" / key.of(item.id).case / name))
    assert copy.GetOrigin() == source.GetOrigin()
    assert (sitk.GetArrayFromImage(copy) == sitk.GetArrayFromImage(source)).all()


def test_the_key_lies_beside_the_folder_and_tells_each_case(tmp_path):
    study = make_study(tmp_path, repeat=1)
    key = read_key(study, tmp_path / "STUDY")
    assert key_path(tmp_path / "STUDY") == tmp_path / "STUDY.key.json"
    assert sorted({case.case for case in key.cases}) == sorted(NAMES)
    assert [case.repeat for case in key.cases].count(True) == 1
    for case in key.cases:
        voxels = load_scan(tmp_path / "STUDY" / study.item(case.id).scan).voxels
        assert (voxels == 100 * NAMES.index(case.case)).all()
        assert case.network == NETWORK
        assert case.path == str(tmp_path / "clinic" / f"{case.case}.nii.gz")


@pytest.mark.skipif(sys.platform == "win32", reason="rights of another kind")
def test_only_the_owner_may_read_the_key(tmp_path):
    make_study(tmp_path)
    assert stat.S_IMODE(key_path(tmp_path / "STUDY").stat().st_mode) == 0o600


def test_a_key_inside_the_study_folder_is_refused(tmp_path):
    with pytest.raises(ObserverError, match="must not lie in the study folder"):
        make_study(tmp_path, key=tmp_path / "STUDY" / "key.json")
    assert not (tmp_path / "STUDY").exists()


def test_the_key_of_another_study_is_refused(tmp_path):
    study = make_study(tmp_path)
    (tmp_path / "other").mkdir()
    make_study(tmp_path / "other", seed=2)
    with pytest.raises(ObserverError, match="another study"):
        read_key(study, tmp_path / "STUDY", key_path(tmp_path / "other" / "STUDY"))
    with pytest.raises(ObserverError, match="--key"):
        read_key(study, tmp_path / "STUDY", tmp_path / "nowhere.json")


def test_identifiers_follow_from_seed_and_name_not_from_the_order_of_the_cases():
    names = [f"case{i}" for i in range(3000)]
    ids = blinded_ids(7, names)
    assert ids == blinded_ids(7, reversed(names))
    assert len(set(ids.values())) == 3000
    assert not any(set(i) & set("AEIOU01L") for i in ids.values())
    assert sum(ids[n] == blinded_ids(8, names)[n] for n in names[:100]) <= 2


def test_without_a_seed_every_study_has_identifiers_of_its_own(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    first, second = (make_study(tmp_path / n, seed=None) for n in "12")
    assert {i.id for i in first.items} != {i.id for i in second.items}


# ---- order -----------------------------------------------------------------------------------------------------------


def test_every_reader_and_session_has_an_order_of_its_own_that_stays():
    ids = [f"N{i:03d}" for i in range(40)]
    orders = {(r, s): reading_order(ids, "seed", r, s) for r in "ABC" for s in (1, 2)}
    assert len(set(orders.values())) == 6
    for (reader, session), order in orders.items():
        assert sorted(order) == ids
        assert order == reading_order(list(reversed(ids)), "seed", reader, session)
    assert reading_order(ids, "other", "A", 1) != orders["A", 1]


def test_the_order_is_fixed_for_all_times():
    """A study that was begun with one version must go on with the next."""
    order = reading_order(["AAAA", "BBBB", "CCCC", "DDDD"], "f00d", "A", 1)
    assert order == ("BBBB", "AAAA", "CCCC", "DDDD")


def test_every_place_is_equally_likely_for_a_case():
    ids = ["A1", "B1", "C1", "D1"]
    places = np.array([reading_order(ids, str(seed), "A", 1).index("A1") for seed in range(2000)])
    assert np.allclose(np.bincount(places, minlength=4) / 2000, 0.25, atol=0.04)


def test_two_showings_of_a_case_are_kept_apart(tmp_path):
    study = make_study(tmp_path, names=[f"case{i:02d}" for i in range(20)], repeat=4)
    key = read_key(study, tmp_path / "STUDY")
    pairs = [key.same_case(case.id) for case in key.cases if case.repeat]
    assert len(pairs) == 4
    for reader in "AB":
        assert smallest_distance(reading_order([i.id for i in study.items], study.order_seed, reader, 1), pairs) >= 2


# ---- making a study --------------------------------------------------------------------------------------------------


def test_a_creation_that_was_stopped_goes_on_and_is_not_mixed_up(tmp_path):
    cases = study_cases(tmp_path)

    def stop(_stage, fraction, _message):
        if fraction > 0.4:
            raise KeyboardInterrupt

    options = {"readers": ["A"], "levels": "given"}
    with pytest.raises(KeyboardInterrupt):
        create_study(tmp_path / "STUDY", cases, progress=stop, **options)
    assert not (tmp_path / "STUDY" / FILE).exists()
    with pytest.raises(ObserverError, match="There is no study"):
        read_study(tmp_path / "STUDY")
    kept = {p.name: p.stat().st_ino for p in (tmp_path / "STUDY" / "scans").iterdir()}
    assert 0 < len(kept) < 4
    with pytest.raises(ObserverError, match="repeat the same command"):
        create_study(tmp_path / "STUDY", cases[:3], **options)
    study = create_study(tmp_path / "STUDY", cases, **options)
    scans = {p.name: p.stat().st_ino for p in (tmp_path / "STUDY" / "scans").iterdir()}
    assert sorted(scans) == [f"{item.id}.nii.gz" for item in study.items]
    assert kept.items() <= scans.items()
    with pytest.raises(ObserverError, match="holds a study already"):
        create_study(tmp_path / "STUDY", cases, **options)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "STUDY").mkdir()
    (tmp_path / "STUDY" / "thesis.doc").write_text("!")
    with pytest.raises(ObserverError, match="other files"):
        make_study(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"readers": []}, "at least one reader"),
        ({"readers": ["A", "A"]}, "too alike"),
        ({"readers": ["A/b", "a_B"]}, "too alike"),
        ({"readers": ["A\n"]}, "not usable as a name"),
        ({"repeat": 5}, "0 to 4 can be shown twice"),
        ({"task": "likert", "levels": "own"}, "levels that are given"),
        ({"task": "talk"}, "A study asks for"),
    ],
)
def test_what_cannot_be_a_study_is_refused_before_anything_is_written(tmp_path, options, words):
    with pytest.raises(ObserverError, match=words):
        make_study(tmp_path, **options)
    assert not (tmp_path / "STUDY").exists()
    assert not key_path(tmp_path / "STUDY").exists()


def test_cases_that_cannot_be_used_are_named(tmp_path):
    from dataclasses import replace

    cases = study_cases(tmp_path)
    made = {"readers": ["A"], "levels": "given"}

    def refused(words, changed, **options):
        with pytest.raises(ObserverError, match=words):
            create_study(tmp_path / "STUDY", changed, **{**made, **options})

    refused("Meier_Hans_1950: there is no scan", [replace(cases[0], path=tmp_path / "gone.nii")])
    refused("Meier_Hans_1950 is there twice", [cases[0], cases[0]])
    refused("Meier_Hans_1950 has no levels", [replace(cases[0], levels_mm=None)])
    refused("must lie above", [replace(cases[0], levels_mm=MM[::-1])])
    refused("no heat maps", cases, task="likert")
    maps = heat_maps(tmp_path / "m")
    (maps / "level_5_ret.nrrd").unlink()
    refused("level_5_ret.nrrd", [replace(cases[0], maps=maps)], task="likert")
    cases[0].path.write_bytes(b"no scan")
    refused("Meier_Hans_1950.nii.gz", cases)


# ---- study.json ------------------------------------------------------------------------------------------------------


def test_a_study_is_read_as_it_was_written(tmp_path):
    study = make_study(tmp_path, sessions=2, name="Lungs, spring")
    assert read_study(tmp_path / "STUDY") == study == read_study(tmp_path / "STUDY" / FILE)
    write_study(study, tmp_path / "copy")
    assert (tmp_path / "copy" / FILE).read_bytes() == (tmp_path / "STUDY" / FILE).read_bytes()


def test_an_owner_may_add_a_reader_and_a_session_by_hand(tmp_path):
    make_study(tmp_path)
    edited(tmp_path, lambda data: data.update(readers=["A", "B", "Dr. Öz"], sessions=2))
    study = read_study(tmp_path / "STUDY")
    assert (study.readers, study.sessions) == (("A", "B", "Dr. Öz"), 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("readers"), "study.json: readers is missing; add it"),
        (lambda d: d.update(redaers=["A"]), "study.json: redaers is not known here"),
        (lambda d: d.update(sessions="two"), "sessions must be a whole number from 1 to 9"),
        (lambda d: d.update(sessions=True), "sessions must be a whole number"),
        (lambda d: d.update(task="score"), "task must be one of scores, likert"),
        (lambda d: d.update(reveal="no"), "reveal must be true or false"),
        (lambda d: d.update(readers="A"), "readers must be a list of texts"),
        (lambda d: d.update(patterns=["tot"]), "patterns: scores are always given for all three"),
        (lambda d: d.update(patterns=["honeycomb"]), "some of tot, gg, ret"),
        (lambda d: d.update(levels="own"), "must not have levels_mm"),
        (lambda d: d.update(format=99), "newer version"),
        (lambda d: d.update(items=[]), "at least one case"),
        (lambda d: d["items"][1].update(d["items"][0]), "is there twice"),
        (lambda d: d["items"][1].update(scan="../clinic/Meier.nii.gz"), "item 2: scan must be a path inside"),
        (lambda d: d["items"][1].update(scan="C:\\clinic\\Meier.nii.gz"), "item 2: scan must be a path inside"),
        (lambda d: d["items"][2].update(levels_mm=[1, 2, 3]), "item 3: levels_mm must be a list of 5 numbers"),
        (lambda d: d["items"][2].update(levels_mm=[1, 2, 3, 4, 5]), "item 3: levels_mm cannot be used. Level 1"),
        (lambda d: d["items"][0].update(maps="maps/XXXX"), "would tell the network's answer"),
        (lambda d: d["items"][0].update(id="Meier, Hans"), "item 1: id must be"),
    ],
)
def test_a_wrong_study_file_is_refused_with_the_key_and_what_to_do(tmp_path, change, words):
    make_study(tmp_path)
    edited(tmp_path, change)
    with pytest.raises(ObserverError) as refused:
        read_study(tmp_path / "STUDY")
    assert words in str(refused.value)
    assert isinstance(refused.value, SScILDError)
    assert isinstance(refused.value, ValueError)


def test_broken_json_is_refused_with_its_line(tmp_path):
    make_study(tmp_path)
    path = tmp_path / "STUDY" / FILE
    path.write_text(path.read_text().replace('"sessions": 1,', '"sessions": 1'))
    with pytest.raises(ObserverError, match="line 17"):
        read_study(path)
    path.write_text('{"format": 1, "format": 1}')
    with pytest.raises(ObserverError, match="format is there twice"):
        read_study(path)
