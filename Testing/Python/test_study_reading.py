"""A reader's session: answers are checked, stored durably, and the network's answer comes after one's own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reader_studies import MM, NETWORK, make_study, scores_of
from SScILDScoringLib.levels import Level
from SScILDScoringLib.observers import Contradiction, LikertAnswer, ObserverError, ReadingSession, ScoreAnswer
from SScILDScoringLib.observers.key import key_path, read_key
from SScILDScoringLib.observers.log import LogOwner, read_log
from SScILDScoringLib.scores import Pattern


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def study(tmp_path):
    """A study of four cases: scores on given levels, readers A and B."""
    make_study(tmp_path)
    return tmp_path / "STUDY"


def log_of(folder: Path, reader="A", session=1) -> Path:
    return folder / "answers" / f"{reader}_session_{session}.jsonl"


# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [7, -5, 105, 2.5, "5", None, True, float("nan")])
def test_a_score_is_on_the_grid_of_five_percent(value):
    with pytest.raises(ObserverError, match="one of 0, 5, 10"):
        ScoreAnswer("AAAA", 1, value, 0, 0)


def test_numbers_that_are_whole_are_scores_whatever_their_type():
    import numpy as np

    answer = ScoreAnswer("AAAA", 2, np.int64(20), 20.0, 0, np.float64(-33.25))
    assert (answer.values, answer.level, answer.level_mm) == ((20, 20, 0), Level.L2, -33.25)
    assert json.loads(json.dumps(answer.to_dict()))["tot"] == 20


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ((20, 15, 10), None),
        ((15, 15, 10), None),
        ((25, 15, 10), None),
        ((100, 80, 60), None),
        ((10, 15, 10), "L1: with GG 15 % and RET 10 %, TOT is from 15 to 25 %, not 10 %."),
        ((30, 15, 10), "L1: with GG 15 % and RET 10 %, TOT is from 15 to 25 %, not 30 %."),
        ((5, 0, 0), "L1: with GG 0 % and RET 0 %, TOT is 0 %, not 5 %."),
    ],
)
def test_tot_is_the_union_of_gg_and_ret(scores, sentence):
    assert ScoreAnswer("AAAA", 1, *scores).contradiction == sentence


@pytest.mark.parametrize(
    "wrong", [("AAAA", 6, "gg", 3), ("AAAA", 1, "honeycomb", 3), ("AAAA", 1, "gg", 0), ("AAAA", 1, "gg", 6)]
)
def test_a_rating_is_one_of_five_of_a_known_map(wrong):
    with pytest.raises(ObserverError):
        LikertAnswer(*wrong)
    assert LikertAnswer("AAAA", 1, Pattern.GG, 4).label == "agree"


# ---- a session -------------------------------------------------------------------------------------------------------


def test_a_reader_goes_through_all_cases_and_everything_is_kept(study):
    with ReadingSession(study, "A") as session:
        assert len(session.items) == 4 == len(session.remaining)
        assert [item.number for item in session.items] == [1, 2, 3, 4]
        assert session.current == session.items[0]
        assert session.current.scan.is_file()
        assert session.current.levels_mm == MM
        for number in range(4):
            session.store(scores_of(session.current.id, (5 * number, 5 * number, 0)))
            session.next()
        assert session.current is None
        assert session.next() is None
        with pytest.raises(ObserverError, match="Everything is answered"):
            session.store(scores_of(session.items[0].id))
    with ReadingSession(study, "A") as again:
        assert again.answered == session.items
        for number, item in enumerate(again.items):
            answers = again.answers_of(item)
            assert {a.values for a in answers.values()} == {(5 * number, 5 * number, 0)}
            assert [answers[(level,)].level_mm for level in Level] == list(MM)


def test_a_session_goes_on_within_a_case(study):
    with ReadingSession(study, "A") as session:
        item = session.current
        session.store(ScoreAnswer(item.id, 1, 20, 15, 10))
        session.store(ScoreAnswer(item.id, 2, 20, 15, 10))
    with ReadingSession(study, "A") as again:
        assert again.current == item
        assert again.missing_of(item) == ((Level.L3,), (Level.L4,), (Level.L5,))
        assert again.remaining == again.items


def test_a_case_left_open_comes_again_after_the_others(study):
    with ReadingSession(study, "A") as session:
        first = session.current
        session.next()
        for _ in range(3):
            session.store(scores_of(session.current.id))
            session.next()
        assert session.current == first
        assert session.remaining == (first,)


def test_a_correction_replaces_the_answer_and_the_log_keeps_both(study):
    with ReadingSession(study, "A") as session:
        item = session.current
        session.store(scores_of(item.id))
        session.next()
        session.open(item.id)
        session.store(ScoreAnswer(item.id, 3, 50, 40, 30))
        assert session.answers_of(item)[(Level.L3,)].tot == 50
        assert session.answers_of(item)[(Level.L2,)].tot == 20
    assert [json.loads(line)["answers"][0]["tot"] for line in log_of(study).read_text().splitlines()[1:]] == [20, 50]


def test_a_contradiction_is_stored_only_knowingly(study):
    with ReadingSession(study, "A") as session:
        item = session.current
        answers = [*scores_of(item.id)[:4], ScoreAnswer(item.id, 5, 5, 0, 0)]
        with pytest.raises(Contradiction, match="L5: with GG 0 %"):
            session.store(answers)
        assert not session.answers_of(item)
        session.store(answers, knowingly=True)
    with ReadingSession(study, "A") as again:
        known = {key[0]: answer.knowingly for key, answer in again.answers_of(item).items()}
        assert known == {Level.L1: False, Level.L2: False, Level.L3: False, Level.L4: False, Level.L5: True}


def test_answers_that_do_not_belong_here_are_refused(study):
    with ReadingSession(study, "A") as session:
        item, other = session.items[:2]
        for answers, words in [
            (scores_of(other.id), "another case"),
            (LikertAnswer(item.id, 1, "gg", 3), "asks for scores"),
            ([], "no answer"),
            ([*scores_of(item.id), ScoreAnswer(item.id, 1, 0, 0, 0)], "two answers"),
        ]:
            with pytest.raises(ObserverError, match=words):
                session.store(answers)
        with pytest.raises(ObserverError, match="no item"):
            session.open("ZZZZ")
    assert len(log_of(study).read_text().splitlines()) == 1


def test_levels_that_readers_place_are_needed_and_descend(tmp_path):
    make_study(tmp_path, levels="own")
    with ReadingSession(tmp_path / "STUDY", "A") as session:
        item = session.current
        assert item.levels_mm is None
        with pytest.raises(ObserverError, match="L1 has no position"):
            session.store(ScoreAnswer(item.id, 1, 0, 0, 0))
        session.store(ScoreAnswer(item.id, 2, 0, 0, 0, level_mm=120.0))
        with pytest.raises(ObserverError, match=r"L2 \(120.0 mm\) must lie above L3 \(121.0 mm\)"):
            session.store(ScoreAnswer(item.id, 3, 0, 0, 0, level_mm=121.0))
        moved = [ScoreAnswer(item.id, n, 0, 0, 0, level_mm=mm) for n, mm in ((2, 130.0), (3, 121.0))]
        session.store(moved)
        assert session.answers_of(item)[(Level.L2,)].level_mm == 130.0


def test_heat_maps_are_rated_one_by_one(tmp_path):
    make_study(tmp_path, task="likert", patterns=(Pattern.GG, Pattern.RET))
    with ReadingSession(tmp_path / "STUDY", "B") as session:
        item = session.current
        assert len(item.maps) == 10
        assert all(path.is_file() for path in item.maps.values())
        with pytest.raises(ObserverError, match="does not rate TOT"):
            session.store(LikertAnswer(item.id, 1, Pattern.TOT, 3))
        session.store([LikertAnswer(item.id, level, Pattern.GG, 4) for level in Level])
        assert session.missing_of(item) == tuple((level, Pattern.RET) for level in Level)
        session.store([LikertAnswer(item.id, level, Pattern.RET, 5) for level in Level])
        assert session.answered == (item,)


@pytest.mark.parametrize(("reader", "session"), [("C", 1), ("A", 0), ("A", 2)])
def test_only_the_studys_readers_and_sessions_can_be_opened(study, reader, session):
    with pytest.raises(ObserverError):
        ReadingSession(study, reader, session)


def test_a_second_session_begun_early_says_so(tmp_path):
    make_study(tmp_path, sessions=2)
    with ReadingSession(tmp_path / "STUDY", "A", 1) as session:
        session.store(scores_of(session.current.id))
        assert session.notes == ()
    with ReadingSession(tmp_path / "STUDY", "A", 2) as session:
        assert session.notes == ("Session 1 of A is not finished: 3 cases are left.",)
        assert len(session.remaining) == 4


# ---- time ------------------------------------------------------------------------------------------------------------


def test_active_time_is_kept_without_pauses_and_over_sittings(study):
    clock = Clock()
    session = ReadingSession(study, "A", clock=clock)
    item = session.current
    clock.now += 20
    session.pause()
    clock.now += 3600
    assert session.paused
    assert session.seconds == 20
    session.resume()
    clock.now += 10
    session.store(scores_of(item.id)[:3])
    clock.now += 7
    session.close()
    clock.now += 10_000
    with ReadingSession(study, "A", clock=clock) as session:
        assert session.seconds == 37
        clock.now += 5
        session.store(scores_of(item.id)[3:])
        clock.now += 2  # looking at what was stored
        session.next()
        assert session.seconds == 0
        clock.now += 60
        session.open(item)
        clock.now += 9
        session.store(ScoreAnswer(item.id, 1, 0, 0, 0))
    from SScILDScoringLib.observers import read_study
    from SScILDScoringLib.observers.progress import read_progress

    progress = read_progress(read_study(study), study, "A", 1)
    assert progress.items[item.id].seconds == 42
    assert progress.items[item.id].later_seconds == 9
    assert progress.items[item.id].corrections == 1
    assert progress.items[session.items[1].id].seconds == 60


# ---- the network's answer --------------------------------------------------------------------------------------------


def test_the_networks_answer_comes_after_ones_own_and_closes_it(tmp_path):
    make_study(tmp_path, reveal=True)
    with ReadingSession(tmp_path / "STUDY", "A") as session:
        item = session.current
        with pytest.raises(ObserverError, match="your own answer"):
            session.reveal(item)
        session.store(scores_of(item.id)[:4])
        with pytest.raises(ObserverError, match="your own answer"):
            session.reveal(item)
        session.store(scores_of(item.id)[4])
        assert session.reveal(item) == dict(zip(Level, NETWORK, strict=True))
        with pytest.raises(ObserverError, match="cannot be changed"):
            session.store(scores_of(item.id, (0, 0, 0)))
        assert session.reveal(item)[Level.L1] == NETWORK[0]
    lines = log_of(tmp_path / "STUDY").read_text().splitlines()
    assert sum('"event":"reveal"' in line for line in lines) == 1
    with ReadingSession(tmp_path / "STUDY", "A") as again:
        again.open(item)
        with pytest.raises(ObserverError, match="cannot be changed"):
            again.store(scores_of(item.id, (0, 0, 0)))


def test_a_study_that_does_not_reveal_never_does(study):
    with ReadingSession(study, "A") as session:
        item = session.current
        session.store(scores_of(item.id))
        with pytest.raises(ObserverError, match="does not show"):
            session.reveal(item)


def test_nothing_is_revealed_without_the_key(tmp_path):
    make_study(tmp_path, reveal=True)
    away = key_path(tmp_path / "STUDY").rename(tmp_path / "owner.json")
    with ReadingSession(tmp_path / "STUDY", "A") as session:
        session.store(scores_of(session.current.id))
        with pytest.raises(ObserverError, match="--key"):
            session.reveal(session.current)
    with ReadingSession(tmp_path / "STUDY", "A", key=away) as session:
        assert session.reveal(session.answered[0])[Level.L5] == NETWORK[4]


def test_a_case_that_will_be_read_again_is_not_revealed(tmp_path):
    study = make_study(tmp_path, reveal=True, repeat=1, sessions=2)
    key = read_key(study, tmp_path / "STUDY")
    twice = next(case for case in key.cases if case.repeat)
    shown = key.same_case(twice.id)
    once = next(case.id for case in key.cases if case.id not in shown)
    with ReadingSession(tmp_path / "STUDY", "A", 1) as session:
        for item_id in (once, twice.id):
            session.open(item_id)
            session.store(scores_of(item_id))
            with pytest.raises(ObserverError, match="once more"):
                session.reveal(item_id)
    with ReadingSession(tmp_path / "STUDY", "A", 2) as second:
        second.open(once)
        second.store(scores_of(once))
        assert second.reveal(once)
        for item_id in shown:
            second.open(item_id)
            second.store(scores_of(item_id))
        with pytest.raises(ObserverError, match="once more"):  # in session 1 its other showing is still to come
            second.reveal(twice.id)


def test_what_was_revealed_is_closed_in_every_session_and_showing(tmp_path):
    study = make_study(tmp_path, names=("one",), reveal=True, repeat=1, sessions=2)
    first, second = (item.id for item in study.items)
    for number in (1, 2):
        with ReadingSession(tmp_path / "STUDY", "A", number) as session:
            for item_id in (first, second):
                session.open(item_id)
                session.store(scores_of(item_id))
            if number == 2:
                assert session.reveal(first)
    for number in (1, 2):
        with ReadingSession(tmp_path / "STUDY", "A", number) as session:
            for item_id in (first, second):
                session.open(item_id)
                with pytest.raises(ObserverError, match="cannot be changed"):
                    session.store(scores_of(item_id, (0, 0, 0)))
    with ReadingSession(tmp_path / "STUDY", "B", 1) as session:
        session.store(scores_of(session.current.id))


# ---- crashes, locks, damage ------------------------------------------------------------------------------------------

READER = """
import itertools, sys
from SScILDScoringLib.observers import ReadingSession, ScoreAnswer
session = ReadingSession(sys.argv[1], "A")
for item in itertools.cycle(session.items):
    session.open(item)
    for n in range(1, 6):
        session.store(ScoreAnswer(item.id, n, 20, 15, 10))
        print(item.id, n, flush=True)
"""
WAITER = """
import sys, time
from SScILDScoringLib.observers import ReadingSession
session = ReadingSession(sys.argv[1], "A")
print("open", flush=True)
time.sleep(60)
"""


def started(folder: Path, code: str = READER) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2] / "SScILDScoring",
    )


@pytest.mark.parametrize("moment", [0, 7, 63, 240])
def test_a_killed_program_loses_nothing_that_was_stored(tmp_path, moment):
    """A real process is killed while it stores; whatever it had reported as stored is there."""
    study = make_study(tmp_path)
    reader = started(tmp_path / "STUDY")
    said = [reader.stdout.readline().split() for _ in range(moment + 1)]
    reader.kill()
    said += [line.split() for line in reader.stdout.read().splitlines()]
    reader.wait()
    with ReadingSession(tmp_path / "STUDY", "A") as session:
        answers = [(item.id, str(int(key[0]))) for item in session.items for key in session.answers_of(item)]
        assert {tuple(words) for words in said} <= set(answers)
        session.store(scores_of(session.open(session.items[0]).id))
    records = read_log(log_of(tmp_path / "STUDY"), LogOwner(study.study_id, "A", 1)).records
    stored = [(r["item"], str(r["answers"][0]["level"])) for r in records if "answers" in r][:-1]
    assert [tuple(words) for words in said] == stored[: len(said)]
    assert len(stored) <= len(said) + 1  # the one that was stored when the kill came


def test_a_torn_last_line_is_dropped_with_a_note_and_kept_in_the_history(study):
    with ReadingSession(study, "A") as session:
        item = session.current
        session.store(scores_of(item.id))
    whole = log_of(study).read_bytes()
    cut = whole[:-40]
    log_of(study).write_bytes(cut)
    with ReadingSession(study, "A") as session:
        assert "was dropped" in session.notes[0]
        assert not session.answers_of(item)
        session.store(scores_of(item.id))
    lines = [json.loads(line) for line in log_of(study).read_text().splitlines()]
    assert lines[1]["event"] == "dropped"
    assert lines[1]["text"] == cut.split(b"\n")[1].decode()
    with ReadingSession(study, "A") as session:
        assert session.notes == ()
        assert session.answered == (item,)


@pytest.mark.parametrize("end", [b"\0" * 100, b"\0" * 100 + b"\n", b"\xff\xfe", b"{", b'"text"\n'])
def test_what_a_power_failure_leaves_at_the_end_is_dropped(study, end):
    with ReadingSession(study, "A") as session:
        session.store(scores_of(session.current.id))
    with log_of(study).open("ab") as file:
        file.write(end)
    with ReadingSession(study, "A") as session:
        assert len(session.answered) == 1
        assert "dropped" in session.notes[0]


def test_a_log_cut_within_its_first_line_begins_anew(study):
    with ReadingSession(study, "A"):
        pass
    log_of(study).write_bytes(log_of(study).read_bytes()[:20])
    with ReadingSession(study, "A") as session:
        session.store(scores_of(session.current.id))
    with ReadingSession(study, "A") as session:
        assert len(session.answered) == 1


def test_a_log_damaged_in_its_middle_is_refused_and_left_as_it_is(study):
    with ReadingSession(study, "A") as session:
        session.store(scores_of(session.current.id))
        session.next()
        session.store(scores_of(session.current.id))
    lines = log_of(study).read_bytes().split(b"\n")
    lines[1] = lines[1][:50]
    log_of(study).write_bytes(b"\n".join(lines))
    with pytest.raises(ObserverError, match=r"A_session_1.jsonl, line 2 is damaged"):
        ReadingSession(study, "A")
    assert log_of(study).read_bytes() == b"\n".join(lines)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(seconds=-1), "line 2: seconds"),
        (lambda r: r.update(item=5), "line 2: item"),
        (lambda r: r["answers"][0].update(tot=7), "one of 0, 5, 10"),
        (lambda r: r["answers"][0].update(level=9), "level must be a whole number from 1 to 5"),
        (lambda r: r["answers"][0].pop("gg"), "gg is missing"),
        (lambda r: r.update(answers="none"), "answers must be a list"),
    ],
)
def test_a_record_that_no_reader_can_have_made_is_refused(study, change, words):
    with ReadingSession(study, "A") as session:
        session.store(scores_of(session.current.id))
    first, record = log_of(study).read_text().splitlines()
    record = json.loads(record)
    change(record)
    log_of(study).write_text(first + "\n" + json.dumps(record) + "\n")
    with pytest.raises(ObserverError, match=words):
        ReadingSession(study, "A")
    with pytest.raises(ObserverError, match=words):
        ReadingSession(study, "A")  # the lock was given back


def test_a_log_of_somebody_else_is_refused(study, tmp_path):
    with ReadingSession(study, "A"):
        pass
    log_of(study).rename(log_of(study, "B"))
    with pytest.raises(ObserverError, match="answers of reader 'A', not of 'B'"):
        ReadingSession(study, "B")
    (tmp_path / "other").mkdir()
    make_study(tmp_path / "other", seed=5)
    (tmp_path / "other" / "STUDY" / "answers").mkdir()
    log_of(study, "B").rename(log_of(tmp_path / "other" / "STUDY"))
    with pytest.raises(ObserverError, match="answers of study"):
        ReadingSession(tmp_path / "other" / "STUDY", "A")


def test_two_processes_cannot_open_one_session_and_a_dead_one_blocks_nobody(study):
    other = started(study, WAITER)
    try:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(ObserverError, match="Session 1 of A is open already"):
            ReadingSession(study, "A")
        with ReadingSession(study, "B") as session:
            assert session.current
    finally:
        other.kill()
        other.wait()
    with ReadingSession(study, "A") as session:
        with pytest.raises(ObserverError, match="open already"):
            ReadingSession(study, "A")
        session.store(scores_of(session.current.id))


def test_a_full_disk_is_told_and_the_log_stays_whole(study):
    resource = pytest.importorskip("resource")
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ReadingSession(study, "A") as session:
        session.store(scores_of(session.current.id))
        session.next()
        before = log_of(study).read_bytes()
        item = session.current
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 30, former[1]))  # room for half a record
        try:
            with pytest.raises(ObserverError, match="could NOT be stored"):
                session.store(scores_of(item.id))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)
        assert not session.answers_of(item)
        assert log_of(study).read_bytes() == before
        session.store(scores_of(item.id))
    with ReadingSession(study, "A") as session:
        assert len(session.answered) == 2
        assert session.notes == ()


def test_a_log_can_be_read_while_its_reader_is_at_work(tmp_path):
    study = make_study(tmp_path)
    reader = started(tmp_path / "STUDY")
    owner = LogOwner(study.study_id, "A", 1)
    try:
        reader.stdout.readline()
        counts = []
        while reader.poll() is None and len(counts) < 50:
            counts.append(len(read_log(log_of(tmp_path / "STUDY"), owner).records))
            time.sleep(0.002)
        assert counts == sorted(counts)
        assert counts[-1] > 0
    finally:
        reader.kill()
        reader.stdout.close()
        reader.wait()
