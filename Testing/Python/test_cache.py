"""The preprocessing cache: keyed by content, read as memory maps, safe against a second process and against a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from SScILDScoringLib.errors import ScanError, SettingsError
from SScILDScoringLib.phantom.nifti import write_volume
from SScILDScoringLib.preprocessing import VolumeInput
from SScILDScoringLib.progress import silent
from SScILDScoringTrainingLib.cache import TAG, ArrayCache, caches_below, content_key, shrink
from SScILDScoringTrainingLib.cohort import CohortRow
from SScILDScoringTrainingLib.content import ContentDigests
from SScILDScoringTrainingLib.preparation import Work, prepared
from SScILDScoringTrainingLib.slice_data import LUNG, cohort_slices
from SScILDScoringTrainingLib.volume_data import scan_cases

KEY = content_key("test")
PATHS = os.pathsep.join(
    str(Path(__file__).resolve().parents[2] / p) for p in ("SScILDScoring", "SScILDScoringTraining")
)


def python(code: str, *arguments: object) -> subprocess.Popen:
    """A process of its own with the libraries on its path."""
    environment = {**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment)


def test_what_is_stored_comes_back_as_read_only_memory_maps(tmp_path):
    cache = ArrayCache(tmp_path / "rooms" / "levels")
    assert cache.get(KEY) is None
    cache.put(KEY, {"volume": np.arange(24, dtype=np.int16).reshape(2, 3, 4)}, {"slices": 2})
    arrays, facts = cache.get(KEY)
    assert KEY in cache
    assert facts == {"slices": 2}
    assert isinstance(arrays["volume"], np.memmap)
    assert arrays["volume"][1, 2, 3] == 23
    with pytest.raises(ValueError, match="read-only"):
        arrays["volume"][0, 0, 0] = 1


def test_keys_follow_from_values_and_from_nothing_else():
    assert content_key("a", [1, 2], {"x": 1.5}) == content_key("a", (1, 2), {"x": 1.5})
    assert content_key("a", [1, 2]) != content_key("a", [1, 3])


def test_a_damaged_entry_is_made_again_instead_of_read(tmp_path):
    cache = ArrayCache(tmp_path)
    for damage in (b"", b"\x93NUMPY"):
        cache.put(KEY, {"volume": np.ones((8, 8), np.float32)}, {})
        file = tmp_path / KEY / "volume.npy"
        file.write_bytes(damage or file.read_bytes()[:-10])
        assert cache.get(KEY) is None
        assert KEY not in cache, "the damaged entry is out of the way"


WRITER = """
import sys, numpy as np
from SScILDScoringTrainingLib.cache import ArrayCache
cache = ArrayCache(sys.argv[1])
for n in range(15):
    cache.put(f"{n:020x}", {"volume": np.full((64, 64, 16), n, np.int16)}, {"n": n})
"""


def test_two_processes_may_write_the_same_entries(tmp_path):
    writers = [python(WRITER, tmp_path) for _ in range(2)]
    assert [w.wait(120) for w in writers] == [0, 0]
    cache = ArrayCache(tmp_path)
    assert len(cache.entries()) == 15
    for n in range(15):
        arrays, facts = cache.get(f"{n:020x}")
        assert facts == {"n": n}
        assert (arrays["volume"] == n).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([TAG, *(f"{n:020x}" for n in range(15))])


KILLED = """
import sys, numpy as np
from SScILDScoringTrainingLib.cache import ArrayCache
cache = ArrayCache(sys.argv[1])
n = 0
while True:
    cache.put(f"{n:020x}", {"volume": np.full((128, 128, 32), n, np.int16)}, {"n": n})
    n += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_process_leaves_complete_entries_and_rubbish_that_is_swept_up(tmp_path):
    for turn in range(3):
        process = python(KILLED, tmp_path / str(turn))
        cache = ArrayCache(tmp_path / str(turn))
        limit = time.monotonic() + 60
        while len(cache.entries()) < 3 and time.monotonic() < limit:
            time.sleep(0.005 * (turn + 1))
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        entries = cache.entries()
        assert len(entries) >= 3
        for entry in entries:
            arrays, facts = cache.get(entry.folder.name)
            assert (arrays["volume"] == facts["n"]).all()
    part = cache.folder / f".{KEY}.1.abc.part"
    part.mkdir()
    (part / "volume.npy").write_bytes(b"half")
    cache.tidy()
    assert part.is_dir(), "somebody may be writing it just now"
    old = time.time() - 2 * 24 * 3600
    for path in (part / "volume.npy", part):
        os.utime(path, (old, old))
    cache.tidy()
    assert not part.exists()


def test_the_cache_shrinks_by_what_was_used_longest_ago_in_all_its_rooms(tmp_path):
    levels, slices = ArrayCache(tmp_path / "levels"), ArrayCache(tmp_path / "slices")
    for n, cache in enumerate((levels, slices, levels, slices)):
        cache.put(f"{n:020x}", {"a": np.zeros(1000, np.float64)}, {})
        os.utime(cache.folder / f"{n:020x}" / "facts.json", (1000 + n, 1000 + n))
    levels.get(f"{0:020x}")  # used now
    (tmp_path / "my scans").mkdir()
    (tmp_path / "my scans" / "a.nii").write_bytes(b"x")
    rooms = caches_below(tmp_path)
    assert [room.folder.name for room in rooms] == ["levels", "slices"]
    assert shrink(rooms, 17_500) > 16_000
    assert {e.folder.name[-1] for room in rooms for e in room.entries()} == {"0", "3"}
    shrink(rooms, 0)
    assert not any(room.entries() for room in rooms)
    assert (tmp_path / "my scans" / "a.nii").is_file(), "only what the cache made is removed"


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match=r"data\.cache"):
        ArrayCache(tmp_path / "file" / "levels").put(KEY, {}, {})


# ---- content -------------------------------------------------------------------------------------------------------


def test_a_digest_follows_the_bytes_not_name_place_or_time(tmp_path):
    first, second = tmp_path / "a.nii", tmp_path / "other" / "b.nii"
    second.parent.mkdir()
    for path in (first, second):
        path.write_bytes(b"voxels")
    os.utime(second, (1, 1))
    digests = ContentDigests(tmp_path / "cache")
    assert digests.of(first) == digests.of(second)
    second.write_bytes(b"voxelS")
    assert digests.of(first) != digests.of(second), "same size, another content"
    with pytest.raises(ScanError):
        digests.of(tmp_path / "gone.nii")


def test_a_dicom_folder_is_known_by_its_files_whatever_they_are_called(tmp_path):
    for folder, names in (("x", ("1", "2")), ("y", ("b", "a"))):
        (tmp_path / folder).mkdir()
        for name, content in zip(names, (b"slice 1", b"slice 2"), strict=True):
            (tmp_path / folder / name).write_bytes(content)
    digests = ContentDigests()
    assert digests.of(tmp_path / "x") == digests.of(tmp_path / "y")


def test_unchanged_files_are_not_read_again_and_no_path_is_kept(tmp_path):
    scan = tmp_path / "Doe^Jane.nii"
    scan.write_bytes(b"voxels")
    time.sleep(2.1)  # a file that was just written may change within its clock's resolution
    digests = ContentDigests(tmp_path / "cache")
    wanted = digests.of(scan)
    digests.save()
    memory = (tmp_path / "cache" / "digests.json").read_text()
    assert "Doe" not in memory
    name, entry = next(iter(json.loads(memory).items()))
    (tmp_path / "cache" / "digests.json").write_text(json.dumps({name: [*entry[:-1], "remembered"]}))
    assert ContentDigests(tmp_path / "cache").of(scan) == "remembered"
    scan.write_bytes(b"other!")
    assert ContentDigests(tmp_path / "cache").of(scan) not in (wanted, "remembered")


# ---- scans ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def bright_slice(tmp_path) -> CohortRow:
    """A scan of 100 thin slices of which one alone is bright."""
    voxels = np.full((100, 24, 24), -1000, np.int16)
    voxels[61] = 1000
    affine = np.diag([-10.0, -10.0, 2.0, 1.0])
    write_volume(tmp_path / "scan.nii.gz", voxels, affine)
    scored = ((0.0, 0.0, 0.0), None, (10.0, 10.0, 0.0), None, (5.0, 0.0, 5.0))
    return CohortRow("a", tmp_path / "scan.nii.gz", (180.0, 150.0, 122.0, 100.0, 60.0), scores=scored)


def test_resizing_drops_no_slice(bright_slice, tmp_path):
    """Area-true along z: a structure of one slice keeps its whole mass however far the scan is shrunk."""
    given = VolumeInput(size=(16, 8, 8), depth=12, hu_window=(-1500, 1500))
    (case,) = scan_cases(ArrayCache(tmp_path / "cache" / "levels"), [bright_slice], given, silent)
    mass = (case.volume.astype(float) + 1000).mean(axis=(1, 2))
    assert mass.sum() == pytest.approx(2000 * 16 / 100, rel=0.01)
    assert mass.argmax() == int(61.5 * 16 / 100)
    assert isinstance(case.volume, np.memmap)
    assert case.levels[2] == pytest.approx((61 + 0.5) * 16 / 100 - 0.5)
    assert case.mm_per_slice == pytest.approx(12.5)


def test_moved_scans_and_corrected_levels_need_no_new_resizing(bright_slice, tmp_path):
    import dataclasses

    given = VolumeInput(size=(16, 8, 8), depth=12)
    cache = ArrayCache(tmp_path / "cache" / "levels")
    scan_cases(cache, [bright_slice], given, silent)
    moved = bright_slice.path.rename(tmp_path / "elsewhere.nii.gz")
    row = dataclasses.replace(bright_slice, path=moved, mm=(180.0, 150.0, 120.0, 100.0, 60.0))
    (case,) = scan_cases(cache, [row], given, silent)
    assert len(cache.entries()) == 1
    assert case.levels[2] == pytest.approx((60 + 0.5) * 16 / 100 - 0.5)
    scan_cases(cache, [row], VolumeInput(size=(20, 8, 8), depth=12), silent)
    assert len(cache.entries()) == 2, "other settings, another volume"


def test_scored_slices_come_with_their_neighbours_and_levels_without_scores_are_passed_over(bright_slice, tmp_path):
    import dataclasses

    cache = ArrayCache(tmp_path / "cache" / "slices")
    slices = cohort_slices(cache, [bright_slice], 1, False, silent)
    assert [s.name for s in slices] == [f"a:{k}" for k in (89, 90, 91, 60, 61, 62, 29, 30, 31)]
    assert [s.scores for s in slices[3:6]] == 3 * [(10.0, 10.0, 0.0)]
    assert slices[4].hu.min() == 1000
    corrected = dataclasses.replace(bright_slice, scores=((15.0, 15.0, 0.0), *bright_slice.scores[1:]))
    again = cohort_slices(cache, [corrected], 1, False, silent)
    assert again[0].scores == (15.0, 15.0, 0.0)
    assert len(cache.entries()) == 1


def test_a_given_lung_mask_is_used(bright_slice, tmp_path):
    import dataclasses

    lungs = np.zeros((100, 24, 24), np.uint8)
    lungs[20:95, 6:18, 4:10], lungs[20:95, 6:18, 14:20] = 1, 2
    write_volume(tmp_path / "lungs.nii.gz", lungs, np.diag([-10.0, -10.0, 2.0, 1.0]))
    row = dataclasses.replace(bright_slice, lung_path=tmp_path / "lungs.nii.gz")
    slices = cohort_slices(ArrayCache(tmp_path / "cache" / "slices"), [row], 0, True, silent)
    assert all(np.array_equal(s.mask(LUNG), lungs[k] > 0) for s, k in zip(slices, (90, 61, 30), strict=True))
    assert slices[-1].height == pytest.approx(10 / 74)


def test_a_scan_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"no image")
    row = CohortRow("p17", tmp_path / "scan.nii.gz", (5.0, 4, 3, 2, 1))
    with pytest.raises(ScanError, match="p17"):
        scan_cases(ArrayCache(tmp_path / "cache" / "levels"), [row], VolumeInput(), silent)


def ends_in_other_processes(own: int, n: int):
    """What a process does that the system ends for want of memory."""
    if os.getpid() != own:
        os._exit(9)
    return {"a": np.full(3, n)}, {}


def test_work_of_processes_that_were_ended_is_done_all_the_same(tmp_path):
    work = [Work(content_key(n), str(n), ends_in_other_processes, (os.getpid(), n)) for n in range(2)]
    made = prepared(ArrayCache(tmp_path), work, "scans", silent)
    assert [int(arrays["a"][0]) for arrays, _ in made] == [0, 1]


STARTED_TOGETHER = """
import sys
from pathlib import Path
from SScILDScoringLib.preprocessing import VolumeInput
from SScILDScoringLib.progress import silent
from SScILDScoringTrainingLib.cache import ArrayCache
from SScILDScoringTrainingLib.cohort import CohortRow
from SScILDScoringTrainingLib.volume_data import scan_cases
row = CohortRow("a", Path(sys.argv[1]), (180.0, 150.0, 122.0, 100.0, 60.0))
(case,) = scan_cases(ArrayCache(sys.argv[2]), [row], VolumeInput(size=(16, 8, 8), depth=12), silent)
assert case.volume.shape == (16, 8, 8)
"""


def test_two_trainings_that_start_together_share_the_cache(bright_slice, tmp_path):
    room = tmp_path / "cache" / "levels"
    both = [python(STARTED_TOGETHER, bright_slice.path, room) for _ in range(2)]
    assert [p.wait(120) for p in both] == [0, 0]
    assert len(ArrayCache(room).entries()) == 1
