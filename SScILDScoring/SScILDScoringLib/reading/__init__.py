"""Reading a chest CT: DICOM, NIfTI, NRRD and MetaImage, each with exact geometry."""

from __future__ import annotations

from .read import read_scan

__all__ = ["read_scan"]
