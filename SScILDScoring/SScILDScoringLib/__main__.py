"""``python -m SScILDScoringLib``: the scoring commands without the training library."""

from __future__ import annotations

import sys

from .cli import run

if __name__ == "__main__":
    sys.exit(run())
