"""What a scored scan is, and how it is written: ``scores.json``, ``scores.csv`` and the heat maps as images."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .errors import TableError
from .files import name_without_ending, write_text
from .findings import Finding
from .levels import Level, LevelPosition, Levels
from .scores import PATTERNS, LungProfile, SliceScores, Stage, goh_stage, patient_extent

if TYPE_CHECKING:
    from .explanations import ExplanationMaps
    from .heatmaps import HeatMaps
    from .lungs import LungMask
    from .scan import CTScan

FORMAT = 1
NOTICE = "For research use only. Not a medical device."
CSV_COLUMNS = (
    *("case", "level", "tot", "gg", "ret"),
    *("name", "position_mm", "bottom_mm", "slice_index", "source", "spread_mm", "tot_raw", "gg_raw", "ret_raw"),
)
"""``bottom_mm``: RAS S of the scan's lowest slice, from which published level positions are counted."""


@dataclass(frozen=True)
class ModelFacts:
    """Which network answered: enough to find exactly these weights again."""

    kind: str
    name: str
    version: str
    sha256: str
    validated: bool
    notice: str

    @classmethod
    def of(cls, bundle) -> ModelFacts:
        """The facts of a :class:`~SScILDScoringLib.models.ModelBundle`."""
        return cls(
            bundle.kind, bundle.name, str(bundle.version), bundle.sha256, bool(bundle.validated), bundle.notice or ""
        )


@dataclass(frozen=True)
class ScanFacts:
    """Size and place of the scan, for display; nothing in it identifies a patient.

    Args:
        size: voxels along the file's own i, j, k.
        spacing_mm: along canonical x, y, z.
        slice_axis: the file axis (0, 1, 2) along which the axial slices are stacked; ``slice_index`` counts there.
        top_mm, bottom_mm: RAS S of the highest and the lowest axial slice.
        tilt_degrees: angle between the slices' normal and the patient's long axis.
        acquisition: kernel, kVp, slice thickness and the like, as far as the file told them.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    slice_axis: int
    top_mm: float
    bottom_mm: float
    tilt_degrees: float = 0.0
    acquisition: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, scan: CTScan) -> ScanFacts:
        """The facts of a scan."""
        axes = scan.file_axes
        size = tuple(axes.size[axes.axis.index(b)] for b in range(3))
        top, bottom = scan.mm_of_slice(scan.slice_count - 1), scan.mm_of_slice(0)
        return cls(
            size, scan.spacing, scan.file_slice_axis, top, bottom, scan.tilt_degrees, plain(dict(scan.acquisition))
        )


@dataclass(frozen=True)
class ScanResult:
    """Everything of one scored scan.

    Args:
        case: the name under which results are kept (see :func:`case_name`).
        levels: where the five levels lie.
        slice_indices: canonical indices of the five scored slices, L1 first.
        file_slice_indices: the file's own 0-based numbers of these slices.
        scores: S-Net's answers, L1 first.
        facts: size and place of the scan.
        findings: what to know before trusting the scores.
        models: the networks that answered.
        device: the device in words.
        settings: what the user chose, as plain values.
        seconds: wall time of every step, by its name.
        fvc_percent: forced vital capacity in percent of the predicted value, when given.
        profile: scores of every slice, when asked for.
        heat_maps: five heat maps, L1 first, or empty when not asked for.
        explanations: five explanation maps, L1 first, or empty when the network has none.
        thresholds: the bundle's heat-map threshold of each pattern (``tot``, ``gg``, ``ret``), when it has any.
        scan, lungs: what the result was made from, for pictures; not written, and None after :func:`read_json`.
    """

    case: str
    levels: Levels
    slice_indices: tuple[int, ...]
    file_slice_indices: tuple[int, ...]
    scores: tuple[SliceScores, ...]
    facts: ScanFacts
    findings: tuple[Finding, ...] = ()
    models: tuple[ModelFacts, ...] = ()
    device: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    fvc_percent: float | None = None
    profile: LungProfile | None = None
    heat_maps: tuple[HeatMaps, ...] = field(default=(), repr=False)
    explanations: tuple[ExplanationMaps, ...] = field(default=(), repr=False)
    thresholds: Mapping[str, float] | None = None
    software: str = __version__
    scan: CTScan | None = field(default=None, repr=False, compare=False)
    lungs: LungMask | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("slice_indices", "file_slice_indices", "scores"):
            if len(getattr(self, name)) != len(Level):
                raise ValueError(f"{name}: one entry for each of the five levels is needed")
        for name in ("heat_maps", "explanations"):
            if len(getattr(self, name)) not in (0, len(Level)):
                raise ValueError(f"{name}: none, or one for each of the five levels")

    @property
    def extent(self) -> tuple[float, float, float]:
        """Mean of the reported TOT, GG, RET over the five levels, in percent."""
        return patient_extent(self.scores)

    @property
    def stage(self) -> Stage:
        """Goh stage, with the forced vital capacity where it was given."""
        return goh_stage(self.extent[0], self.fvc_percent)

    def worst_severity(self) -> str | None:
        """``error``, ``warning``, ``info``, or None without any finding."""
        found = {f.severity for f in self.findings}
        return next((s for s in ("error", "warning", "info") if s in found), None)

    def summary(self) -> str:
        """One line for the terminal."""
        tot, gg, ret = self.extent
        concerns = sum(f.severity != "info" for f in self.findings)
        remark = {0: "nothing to note", 1: "1 warning"}.get(concerns, f"{concerns} warnings")
        return f"{self.case}: TOT {tot:.0f} %, GG {gg:.0f} %, RET {ret:.0f} %, Goh stage {self.stage.value} ({remark})"

    def derived_scores(self) -> list[dict[str, float]] | None:
        """Scores derived from the heat maps at the bundle's thresholds, L1 first; None without maps or thresholds."""
        if not self.heat_maps or not self.thresholds:
            return None
        return [
            {p.value: m.derived_score(p, self.thresholds[p.value]) for p in PATTERNS if p.value in self.thresholds}
            for m in self.heat_maps
        ]

    def to_dict(self) -> dict:
        """What ``scores.json`` holds; plain values only."""
        result = {
            "format": FORMAT,
            "notice": NOTICE,
            "case": self.case,
            "levels": [self._level(i) for i in range(5)],
            "extent": _patterns(self.extent),
            "stage": self.stage.value,
            "fvc_percent": self.fvc_percent,
            "whole_lung": _patterns(self.profile.extent) if self.profile else None,
            "profile": _profile(self.profile) if self.profile else None,
            "heat_maps": self._heat_maps(),
            "findings": [{"code": f.code, "severity": f.severity, "message": f.message} for f in self.findings],
            "software": {"name": "SScILDScoring", "version": self.software},
            "models": [dict(vars(m)) for m in self.models],
            "device": self.device,
            "settings": dict(self.settings),
            "scan": dict(vars(self.facts)),
            "seconds": {name: round(float(s), 3) for name, s in self.seconds.items()},
        }
        return plain(result)

    def _level(self, i: int) -> dict:
        position, scores = self.levels.positions[i], self.scores[i]
        return {
            "level": int(position.level),
            "name": position.level.title,
            "position_mm": round(position.mm, 3),
            "slice_index": self.file_slice_indices[i],
            "canonical_slice_index": self.slice_indices[i],
            "source": position.source,
            "spread_mm": None if position.spread_mm is None else round(position.spread_mm, 3),
            **_patterns(scores.reported),
            **{f"{p.value}_raw": v for p, v in zip(PATTERNS, scores.raw, strict=True)},
        }

    def _heat_maps(self) -> dict | None:
        if not self.heat_maps:
            return None
        first = self.heat_maps[0]
        return {
            "settings": first.settings.to_dict(),
            "engine": first.engine,
            "network_runs": [m.network_runs for m in self.heat_maps],
            "seconds": [round(m.seconds, 3) for m in self.heat_maps],
            "precision": first.precision,
            "exact": all(m.exact for m in self.heat_maps),
            "tolerance": max((m.tolerance for m in self.heat_maps if m.tolerance is not None), default=None),
            "checked_positions": [m.checked_positions for m in self.heat_maps],
            "thresholds": dict(self.thresholds) if self.thresholds else None,
            "derived_scores": self.derived_scores(),
        }


def case_name(path: str | Path) -> str:
    """The name of a case from the name of its file or folder, usable as a folder name on every system.

    Nothing inside the file is used, so a DICOM patient name never becomes a case name. A file or folder that is
    itself named after the patient keeps that name: choose another with ``--case``.
    """
    return safe_name(name_without_ending(path))


def safe_name(name: str) -> str:
    """``name`` with only letters, digits, dot, underscore and hyphen, not empty, not hidden, not reserved."""
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._-")[:100].rstrip("._-")
    if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", safe):
        safe = f"case_{safe}"
    return safe or "case"


def write_json(result: ScanResult, path: str | Path) -> Path:
    """Writes ``scores.json``; the file appears complete or not at all."""
    return write_text(path, json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(result: ScanResult | Sequence[ScanResult], path: str | Path) -> Path:
    """Writes the score table of one or several scans: one row a level, ``case, level, tot, gg, ret`` first."""
    results = [result] if isinstance(result, ScanResult) else list(result)
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in results:
        for row in one.to_dict()["levels"]:
            writer.writerow({"case": one.case, "bottom_mm": round(one.facts.bottom_mm, 3), **row})
    return write_text(path, text.getvalue())


def read_json(path: str | Path) -> ScanResult:
    """A result as :func:`write_json` wrote it; without scan, lungs, heat maps and explanations.

    Raises:
        TableError: not such a file, or from a newer version of this software.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise TableError(f"{path.name} is not a result of this software ({error}).") from error
    return result_from_dict(data, path.name)


def result_from_dict(data: Mapping, name: str = "The file") -> ScanResult:
    """A result from what :meth:`ScanResult.to_dict` gave; without scan, lungs, heat maps and explanations.

    Args:
        data: the plain values. name: what messages call their source.

    Raises:
        TableError: not such values, or from a newer version of this software.
    """
    try:
        if not isinstance(data, Mapping):
            raise TypeError("no object")
        if int(data["format"]) > FORMAT:
            raise TableError(f"{name} was written by a newer version of this software; update to read it.")
        return _from_dict(data)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise TableError(f"{name} is not a result of this software ({type(error).__name__}: {error}).") from error


def _from_dict(data: Mapping) -> ScanResult:
    rows = data["levels"]
    positions = tuple(
        LevelPosition(Level(r["level"]), float(r["position_mm"]), r["source"], r["spread_mm"]) for r in rows
    )
    facts = dict(data["scan"])
    facts.update(size=tuple(facts["size"]), spacing_mm=tuple(facts["spacing_mm"]))
    return ScanResult(
        case=str(data["case"]),
        levels=Levels(positions, bool(data["settings"].get("l4_follows", False))),
        slice_indices=tuple(int(r["canonical_slice_index"]) for r in rows),
        file_slice_indices=tuple(int(r["slice_index"]) for r in rows),
        scores=tuple(_scores(r) for r in rows),
        facts=ScanFacts(**facts),
        findings=tuple(Finding(**f) for f in data["findings"]),
        models=tuple(ModelFacts(**m) for m in data["models"]),
        device=data["device"],
        settings=data["settings"],
        seconds=data["seconds"],
        fvc_percent=data["fvc_percent"],
        profile=_profile_from(data["profile"]) if data.get("profile") else None,
        thresholds=(data.get("heat_maps") or {}).get("thresholds"),
        software=data["software"]["version"],
    )


def _scores(row: Mapping) -> SliceScores:
    return SliceScores(tuple(row[f"{p.value}_raw"] for p in PATTERNS))


def _patterns(values: Sequence[float]) -> dict:
    return {p.value: v for p, v in zip(PATTERNS, values, strict=True)}


def _profile(profile: LungProfile) -> list[dict]:
    return [
        {
            "slice_index": number,
            "canonical_slice_index": k,
            "position_mm": round(mm, 3),
            "lung_area_mm2": round(area, 2),
            **{f"{p.value}_raw": v for p, v in zip(PATTERNS, scores.raw, strict=True)},
        }
        for k, number, mm, area, scores in zip(*vars(profile).values(), strict=True)
    ]


def _profile_from(rows: Sequence[Mapping]) -> LungProfile:
    return LungProfile(
        tuple(int(r["canonical_slice_index"]) for r in rows),
        tuple(int(r["slice_index"]) for r in rows),
        tuple(float(r["position_mm"]) for r in rows),
        tuple(float(r["lung_area_mm2"]) for r in rows),
        tuple(_scores(r) for r in rows),
    )


def plain(value):
    """``value`` made of what JSON knows: numpy scalars and arrays, tuples and paths become numbers, lists and text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
