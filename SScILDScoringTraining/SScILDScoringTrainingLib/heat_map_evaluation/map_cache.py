"""Heat maps kept by slice, so that a run that was stopped goes on, and a second evaluation costs next to nothing."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib import __version__
from SScILDScoringLib.heatmaps import HeatMaps, render_heat_maps
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.scores import SliceScores

from ..cache import ArrayCache, content_key

if TYPE_CHECKING:
    from SScILDScoringLib.slice_network import SliceNetwork

_FORMAT = 1
_ARRAYS = ("maps", "covered", "lung", "baseline", "settings")


class HeatMapCache:
    """Heat maps by the content of slice, lung mask, network and settings; a bundle's thresholds and texts do not count.

    Only covered pixels are kept (about 1 MB for a slice of 512 x 512 pixels).

    Args:
        folder: where they are kept; None: nowhere, every map is computed.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self._cache = None if folder is None else ArrayCache(folder)

    def maps(
        self,
        hu: np.ndarray,
        lung: np.ndarray,
        network: SliceNetwork,
        settings: HeatMapSettings | None = None,
        progress: Progress = silent,
    ) -> HeatMaps:
        """The heat maps of one slice, as :func:`~SScILDScoringLib.heatmaps.render_heat_maps` gives them.

        Args:
            hu: ``(y, x)`` HU. lung: bool ``(y, x)``. settings: the bundle's when None.
        """
        settings = settings or HeatMapSettings.of_bundle(network.bundle)
        if self._cache is None:
            return render_heat_maps(hu, lung, network, settings, progress)
        key = _key(hu, lung, network, settings)
        stored = self._cache.get(key)
        if stored is not None:
            return _unpacked(*stored, np.asarray(lung, bool), settings)
        maps = render_heat_maps(hu, lung, network, settings, progress)
        self._cache.put(key, *_packed(maps))
        return maps


def _key(hu: np.ndarray, lung: np.ndarray, network: SliceNetwork, settings: HeatMapSettings) -> str:
    metadata = network.bundle.metadata
    weights = {path: digest for path, digest in metadata.files.items() if path.startswith("models/")}
    slice_digest = hashlib.sha256()
    for array in (np.ascontiguousarray(hu, np.int16), np.packbits(np.asarray(lung, bool))):
        slice_digest.update(f"{hu.shape}".encode() + array.tobytes())
    return content_key(
        *("heat maps", _FORMAT, __version__, metadata.network, dict(metadata.options), metadata.input.to_metadata()),
        *(weights, settings.to_dict(), slice_digest.hexdigest()),
    )


def _packed(maps: HeatMaps) -> tuple[dict[str, np.ndarray], dict]:
    facts = {f.name: getattr(maps, f.name) for f in fields(HeatMaps) if f.name not in _ARRAYS}
    facts["baseline"] = list(maps.baseline.raw)
    return {"values": maps.maps[:, maps.covered], "covered": np.packbits(maps.covered)}, facts


def _unpacked(arrays: dict, facts: dict, lung: np.ndarray, settings: HeatMapSettings) -> HeatMaps:
    covered = np.unpackbits(arrays["covered"], count=lung.size).astype(bool).reshape(lung.shape)
    maps = np.zeros((len(arrays["values"]), *lung.shape), np.float32)
    maps[:, covered] = arrays["values"]
    known = {f.name for f in fields(HeatMaps)} - set(_ARRAYS)
    rest = {name: value for name, value in facts.items() if name in known}
    return HeatMaps(maps, covered, lung, SliceScores(tuple(facts["baseline"])), settings, **rest)
