"""The key of a study: which case a blinded identifier stands for, and what the network said. The owner's file.

It lies beside the study folder, not in it, as ``STUDY.key.json``, so that handing a reader the study folder never
hands over the key. Only export, analysis and (where the study allows it) revealing an answer read it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..files import replacing
from ..levels import Level
from .errors import ObserverError
from .fields import Fields, numbers, read_json
from .study import FORMAT, Study

NOTICE = "The key of a blinded reader study: keep it from the readers until all have finished."


@dataclass(frozen=True)
class KeyedCase:
    """What a blinded identifier stands for.

    Args:
        id: the blinded identifier. case: the case's own name. path: its scan.
        repeat: it is the second showing of a case within a session.
        network: the network's TOT, GG, RET of five levels, L1 first, in percent; None when not known.
    """

    id: str
    case: str
    path: str
    repeat: bool = False
    network: tuple[tuple[float, float, float], ...] | None = None


@dataclass(frozen=True)
class StudyKey:
    """The key of a study.

    Args:
        study_id: of the study it belongs to. seed: what identifiers and orders were made from.
        cases: one for each item of the study, sorted by identifier.
    """

    study_id: str
    seed: int
    cases: tuple[KeyedCase, ...]

    def of(self, item_id: str) -> KeyedCase:
        """The case behind an identifier. Raises ObserverError."""
        for case in self.cases:
            if case.id == item_id:
                return case
        raise ObserverError(f"The key has no item {item_id!r}; was the study made again since?")

    def same_case(self, item_id: str) -> tuple[str, ...]:
        """The identifiers under which this item's case is shown, the item's own included."""
        case = self.of(item_id).case
        return tuple(one.id for one in self.cases if one.case == case)


def key_path(folder: str | Path) -> Path:
    """Where the key of the study in ``folder`` is kept: beside the folder, under its name."""
    folder = Path(folder).absolute()
    return folder.with_name(f"{folder.name}.key.json")


def read_key(study: Study, folder: str | Path, path: str | Path | None = None) -> StudyKey:
    """The key of a study: from ``path``, or from its usual place beside the study folder.

    Raises:
        ObserverError: there is none, it is of another study, or it lacks one of the study's items.
    """
    path = Path(path) if path is not None else key_path(folder)
    if not path.is_file():
        raise ObserverError(f"There is no key {path}; the owner of the study has it. Name it with --key KEY.")
    key = load_key(path)
    if key.study_id != study.study_id:
        raise ObserverError(f"{path} is the key of another study than {study.name}; name the right one with --key KEY.")
    for item in study.items:
        key.of(item.id)
    return key


def load_key(path: str | Path) -> StudyKey:
    """The key in a file, of whatever study. Raises ObserverError."""
    path = Path(path)
    fields = Fields(read_json(path, "The key"), path.name)
    if fields.count("format", 1, 10_000) > FORMAT:
        raise ObserverError(f"{path} was written by a newer version of this software; update to use it.")
    fields.text("notice")
    study_id, seed = fields.text("study"), fields.count("seed", 0, 2**63)
    cases = tuple(_case(data, i, path.name) for i, data in enumerate(fields.objects("cases"), start=1))
    fields.finish()
    return StudyKey(study_id, seed, cases)


def key_text(key: StudyKey) -> str:
    """What the key's file holds."""
    data = {
        "format": FORMAT,
        "notice": NOTICE,
        "study": key.study_id,
        "seed": key.seed,
        "cases": [{**vars(case), "network": case.network and [list(v) for v in case.network]} for case in key.cases],
    }
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_key(key: StudyKey, path: str | Path) -> Path:
    """Writes the key, readable by its owner only where the system knows such rights.

    Raises:
        SettingsError: it cannot be written.
    """
    with replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(key_text(key))
    return Path(path)


def _case(data: object, number: int, name: str) -> KeyedCase:
    fields = Fields(data, f"{name}, case {number}")
    case = KeyedCase(
        fields.text("id"), fields.text("case"), fields.text("path"), fields.flag("repeat"), _network(fields)
    )
    fields.finish()
    return case


def _network(fields: Fields) -> tuple[tuple[float, float, float], ...] | None:
    value = fields.value("network")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != len(Level):
        raise fields.problem("network", "must be null, or a list with [tot, gg, ret] of five levels.")
    return tuple(numbers(row, 3, f"{fields.where}: network") for row in value)
