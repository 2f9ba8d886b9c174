"""Scans, levels and results as plain values and arrays, and back, without losing a digit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..explanations import ExplanationMaps
from ..findings import Finding
from ..heatmaps.maps import HeatMaps
from ..heatmaps.replacement import HeatMapSettings
from ..levels import Level, LevelPosition, Levels
from ..results import ScanResult, plain, result_from_dict
from ..scan import CTScan, FileAxes
from ..scores import LungProfile, SliceScores
from ..session import FoundLevels


def plain_levels(levels: Levels | None) -> dict | None:
    """Levels as plain values."""
    if levels is None:
        return None
    rows = [[p.mm, p.source, p.spread_mm] for p in levels]
    return plain({"positions": rows, "l4_follows": levels.l4_follows})


def levels_from(values: Mapping | None) -> Levels | None:
    """Levels of :func:`plain_levels`. Raises LevelError when they are not in order."""
    if values is None:
        return None
    rows = zip(Level, values["positions"], strict=True)
    return Levels(tuple(LevelPosition(level, *row) for level, row in rows), bool(values["l4_follows"]))


def plain_found(found: FoundLevels | None) -> dict | None:
    """Found levels as plain values."""
    if found is None:
        return None
    findings = [dict(vars(f)) for f in found.findings]
    return {"levels": plain_levels(found.levels), "anatomy": plain_levels(found.anatomy), "findings": findings}


def found_from(values: Mapping | None) -> FoundLevels | None:
    """Found levels of :func:`plain_found`."""
    if values is None:
        return None
    findings = tuple(Finding(**f) for f in values["findings"])
    return FoundLevels(levels_from(values["levels"]), levels_from(values["anatomy"]), findings)


def plain_geometry(scan: CTScan) -> dict:
    """Everything of a scan but its voxels and what may identify the patient."""
    axes = scan.file_axes
    return plain(
        {
            "origin": scan.origin,
            "spacing": scan.spacing,
            "direction": scan.direction,
            "axis": axes.axis,
            "reversed": axes.reversed,
            "size": axes.size,
            "acquisition": dict(scan.acquisition),
        }
    )


def scan_from(geometry: Mapping, voxels: np.ndarray) -> CTScan:
    """The scan of :func:`plain_geometry` with its voxels, int16 ``(z, y, x)``. Raises ScanError."""
    axes = FileAxes(*(tuple(geometry[name]) for name in ("axis", "reversed", "size")))
    return CTScan(
        voxels,
        origin=tuple(geometry["origin"]),
        spacing=tuple(geometry["spacing"]),
        direction=np.asarray(geometry["direction"], float),
        file_axes=axes,
        acquisition=dict(geometry["acquisition"]),
    )


def plain_result(result: ScanResult) -> dict:
    """A result as plain values; its arrays go separately (:func:`result_arrays`)."""
    profile = None
    if result.profile is not None:
        profile = {**vars(result.profile), "scores": [s.raw for s in result.profile.scores]}
    maps = [plain_heat_maps(m) for m in result.heat_maps]
    exact = {"levels": plain_levels(result.levels), "profile": profile, "thresholds": result.thresholds}
    return {"result": result.to_dict(), "exact": plain(exact), "heat_maps": maps}


def plain_heat_maps(maps: HeatMaps) -> dict:
    """What heat maps are besides their arrays, as plain values."""
    return plain(
        {
            "baseline": maps.baseline.raw,
            "settings": maps.settings.to_dict(),
            "engine": maps.engine,
            "network_runs": maps.network_runs,
            "seconds": maps.seconds,
            "precision": maps.precision,
            "exact": maps.exact,
            "tolerance": maps.tolerance,
            "checked_positions": maps.checked_positions,
        }
    )


def heat_map_arrays(maps: HeatMaps) -> dict[str, np.ndarray]:
    """The arrays of heat maps: ``heat`` and ``cover``."""
    return {"heat": maps.maps, "cover": np.stack([maps.covered, maps.lung])}


def heat_maps_from(facts: Mapping, heat: np.ndarray, cover: np.ndarray) -> HeatMaps:
    """The heat maps of :func:`plain_heat_maps` and :func:`heat_map_arrays`."""
    return HeatMaps(
        heat,
        cover[0],
        cover[1],
        SliceScores(tuple(facts["baseline"])),
        HeatMapSettings(**facts["settings"]),
        facts["engine"],
        facts["network_runs"],
        facts["seconds"],
        facts["precision"],
        facts["exact"],
        facts["tolerance"],
        facts["checked_positions"],
    )


def result_arrays(result: ScanResult, i: int) -> dict[str, np.ndarray]:
    """The arrays of level number ``i`` (0 for L1): ``heat``, ``cover`` and ``own``, as far as there are any."""
    arrays = {}
    if result.heat_maps:
        arrays |= heat_map_arrays(result.heat_maps[i])
    if result.explanations:
        own = result.explanations[i]
        arrays["own"] = np.concatenate([own.lung[None], own.patterns])
    return arrays


def result_from(values: Mapping, arrays: Mapping[str, np.ndarray]) -> ScanResult:
    """The result of :func:`plain_result`, without scan and lungs.

    Args:
        values: the plain values.
        arrays: those of :func:`result_arrays`, named ``heat-0`` ... ``own-4``.

    Raises:
        TableError: not such values.
    """
    exact = values["exact"]
    heat_maps = [
        heat_maps_from(facts, arrays[f"heat-{i}"], arrays[f"cover-{i}"]) for i, facts in enumerate(values["heat_maps"])
    ]
    own = [arrays.get(f"own-{i}") for i in range(len(Level))]
    profile = exact["profile"]
    if profile is not None:
        scores = tuple(SliceScores(tuple(raw)) for raw in profile["scores"])
        profile = LungProfile(**{**{name: tuple(v) for name, v in profile.items()}, "scores": scores})
    return replace(
        result_from_dict(values["result"], "The worker's answer"),
        levels=levels_from(exact["levels"]),
        profile=profile,
        thresholds=exact["thresholds"],
        heat_maps=tuple(heat_maps),
        explanations=tuple(ExplanationMaps(a[0], a[1:]) for a in own if a is not None),
    )
