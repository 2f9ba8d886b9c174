"""Reading a chest CT: DICOM, NIfTI, NRRD and MetaImage, each with exact geometry."""

from __future__ import annotations

from .read import case_name, read_scan

__all__ = ["case_name", "read_scan"]
