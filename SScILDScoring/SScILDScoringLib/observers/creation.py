"""Making a study: which cases, blinded, copied, and the key beside them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..levels import LevelError, Levels
from ..progress import Progress, part_of, silent
from ..scores import PATTERNS, Pattern
from .blinding import blinded_ids, copy_maps, copy_scan, digest, map_names
from .errors import ObserverError
from .key import KeyedCase, StudyKey, key_path, load_key, write_key
from .order import reading_order, smallest_distance
from .study import FILE, LEVEL_CHOICES, TASKS, Study, StudyItem, check_readers, write_study

_ATTEMPTS = 200


@dataclass(frozen=True)
class StudyCase:
    """One case that goes into a study; none of it but levels and voxels reaches the readers.

    Args:
        case: its name. path: the scan: a file or a DICOM folder.
        levels_mm: RAS S of the levels in millimetres, L1 first, where they are given.
        maps: folder with the heat maps ``level_1_tot.nrrd`` ..., for rating.
        network: the network's TOT, GG, RET of five levels, L1 first, in percent, when known.
    """

    case: str
    path: Path
    levels_mm: tuple[float, ...] | None = None
    maps: Path | None = None
    network: tuple[tuple[float, float, float], ...] | None = None


def create_study(
    folder: str | Path,
    cases: Sequence[StudyCase],
    *,
    readers: Sequence[str],
    name: str | None = None,
    sessions: int = 1,
    seed: int | None = None,
    task: str = "scores",
    levels: str = "own",
    patterns: Sequence[Pattern] = PATTERNS,
    repeat: int = 0,
    reveal: bool = False,
    key: str | Path | None = None,
    progress: Progress = silent,
) -> Study:
    """Makes the study folder that readers get, and the key beside it.

    Scans and maps are copied without anything but their voxels and geometry. The key is written first and
    ``study.json`` last: a creation that was stopped goes on where it stopped when it is started again alike.

    Args:
        folder: of the study; new, or that of a creation that was stopped.
        cases: in any order. readers: their names. name: for people; the folder's name when None.
        sessions: how often every reader reads all cases. seed: of identifiers and orders; drawn when None.
        task, levels, patterns, reveal: as in :class:`~.study.Study`.
        repeat: so many cases are shown twice within each session, for intra-observer agreement.
        key: where the key goes; beside the folder when None.
        progress: called with stage ``study``.

    Raises:
        ObserverError: a case that cannot be used, or a folder or key that is there already.
        SettingsError: something cannot be written.
    """
    folder = Path(folder)
    key_file = Path(key) if key is not None else key_path(folder)
    _check_cases(cases, task, levels, patterns, repeat)
    check_readers(tuple(readers))
    former = _former_key(folder, key_file)
    if seed is None:
        seed = former.seed if former else secrets.randbits(48)
    shown = _shown(cases, seed, repeat)
    keyed = tuple(KeyedCase(i, c.case, str(c.path.resolve()), again, c.network) for i, c, again in shown)
    items = tuple(_item(i, case, task, levels) for i, case, _ in shown)
    ids = [item.id for item in items]
    study = Study(
        name=name or folder.resolve().name,
        study_id=digest(seed, "study", *ids).hex()[:16],
        task=task,
        levels=levels,
        patterns=tuple(patterns),
        readers=tuple(readers),
        sessions=sessions,
        order_seed=_order_seed(seed, ids, _pairs(keyed), readers, sessions),
        reveal=reveal,
        items=items,
    )
    made = StudyKey(study.study_id, seed, keyed)
    if former is not None and former != made:
        raise ObserverError(
            f"{key_file} is the key of a study made otherwise. To go on with a creation that was stopped, repeat the "
            "same command; to make another study, choose another folder."
        )
    write_key(made, key_file)
    for number, (item, (_, case, _)) in enumerate(zip(items, shown, strict=True)):
        share = part_of(progress, number / len(items), (number + 1) / len(items))
        share("study", 0.0, f"Copying case {number + 1} of {len(items)}")
        target = folder / item.scan
        if not target.exists():
            copy_scan(case.path, target, lambda _stage, fraction, text, share=share: share("study", fraction, text))
        if item.maps is not None:
            copy_maps(case.maps, folder / item.maps, patterns)
    write_study(study, folder)
    progress("study", 1.0, f"{len(items)} cases")
    return study


def _check_cases(cases: Sequence[StudyCase], task: str, levels: str, patterns: Sequence[Pattern], repeat: int) -> None:
    if not cases:
        raise ObserverError("A study needs at least one case.")
    if task not in TASKS or levels not in LEVEL_CHOICES:
        raise ObserverError(f"A study asks for {' or '.join(TASKS)}, with levels {' or '.join(LEVEL_CHOICES)}.")
    if not 0 <= repeat <= len(cases):
        raise ObserverError(f"Of {len(cases)} cases, 0 to {len(cases)} can be shown twice, not {repeat}.")
    names = [case.case for case in cases]
    for case in cases:
        if names.count(case.case) > 1:
            raise ObserverError(f"The case {case.case} is there twice; list it once (--repeat shows cases twice).")
        if not case.path.exists():
            raise ObserverError(f"Case {case.case}: there is no scan {case.path}.")
        if levels == "given":
            _check_levels(case)
        if task == "likert":
            _check_maps(case, patterns)


def _check_levels(case: StudyCase) -> None:
    if case.levels_mm is None:
        raise ObserverError(
            f"Case {case.case} has no levels to give: add the columns level_1_mm ... level_5_mm to the table, name "
            "results with --results, or let readers place them with --levels own."
        )
    try:
        Levels.from_mm(case.levels_mm)
    except LevelError as error:
        raise ObserverError(f"Case {case.case}: its levels cannot be given. {error}") from error


def _check_maps(case: StudyCase, patterns: Sequence[Pattern]) -> None:
    if case.maps is None:
        raise ObserverError(f"Case {case.case} has no heat maps to rate; name the folder of results with --results.")
    for name in map_names(patterns):
        if not (case.maps / name).is_file():
            raise ObserverError(
                f"Case {case.case} has no heat map {case.maps / name}; score it with heat maps: sscild score"
            )


def _former_key(folder: Path, key_file: Path) -> StudyKey | None:
    """The key of a creation that was stopped, if this is one."""
    if key_file.resolve().is_relative_to(folder.resolve()):
        raise ObserverError(
            f"The key must not lie in the study folder {folder}, which readers get; choose another place."
        )
    if (folder / FILE).exists():
        raise ObserverError(f"{folder} holds a study already; choose another folder.")
    if key_file.exists():
        return load_key(key_file)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ObserverError(f"{folder} holds other files; choose a new folder for the study.")
    return None


def _shown(cases: Sequence[StudyCase], seed: int, repeat: int) -> list[tuple[str, StudyCase, bool]]:
    """Identifier, case, and whether it is the second showing; sorted by identifier. The repeated ones are drawn."""
    drawn = sorted(cases, key=lambda case: digest(seed, "repeat", case.case))[:repeat]
    found = {f"1\0{case.case}": (case, False) for case in cases} | {f"2\0{case.case}": (case, True) for case in drawn}
    ids = blinded_ids(seed, found)
    return sorted(((ids[name], case, again) for name, (case, again) in found.items()), key=lambda one: one[0])


def _item(item_id: str, case: StudyCase, task: str, levels: str) -> StudyItem:
    mm = tuple(float(v) for v in case.levels_mm) if levels == "given" else None
    return StudyItem(item_id, f"scans/{item_id}.nii.gz", mm, f"maps/{item_id}" if task == "likert" else None)


def _pairs(cases: Sequence[KeyedCase]) -> list[tuple[str, str]]:
    first = {case.case: case.id for case in cases if not case.repeat}
    return [(first[case.case], case.id) for case in cases if case.repeat]


def _order_seed(
    seed: int, ids: Sequence[str], pairs: Sequence[tuple[str, str]], readers: Sequence[str], sessions: int
) -> str:
    """A seed of orders; of many, the one whose orders keep the two showings of a case farthest apart."""

    def distance(candidate: str) -> int:
        orders = (reading_order(ids, candidate, r, s) for r in readers for s in range(1, sessions + 1))
        return min(smallest_distance(order, pairs) for order in orders)

    candidates = [digest(seed, "order", n).hex()[:16] for n in range(_ATTEMPTS if pairs else 1)]
    return max(candidates, key=distance)
