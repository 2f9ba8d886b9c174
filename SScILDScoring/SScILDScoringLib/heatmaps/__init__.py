"""Replacement-based heat maps: where in a slice S-Net sees the disease it counted."""

from __future__ import annotations

from .maps import HeatMaps, render_heat_maps

__all__ = ["HeatMaps", "render_heat_maps"]
