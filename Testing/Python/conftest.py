"""Fixtures that every test file may use."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does; read when torch is imported

import pytest
import torch

torch.set_num_threads(2)


@pytest.fixture(scope="session")
def real_ct() -> Path:
    """The folder with the real scans; the test is skipped where it is absent (the scans are not in the repository)."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "ct"
    folder = Path(os.environ.get("SSCILD_TEST_CT", default))
    if not (folder / "volumes").is_dir():
        pytest.skip("real CT scans are not here; set SSCILD_TEST_CT to a folder that has volumes/ and slices/")
    return folder
