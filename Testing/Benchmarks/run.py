"""Runs every benchmark beside this file, one after the other, each in a process of its own.

A benchmark is a script ``bench_*.py`` that prints what it compared and the ratio. Times never decide a test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """Runs the benchmarks whose names contain one of the given words; all when none is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only benchmarks whose names contain one of these words")
    words = parser.parse_args().words
    scripts = [p for p in sorted(FOLDER.glob("bench_*.py")) if not words or any(w in p.stem for w in words)]
    if not scripts:
        print("No benchmark has such a name. There are:", *(p.stem for p in sorted(FOLDER.glob("bench_*.py"))))
        return 2
    failed = []
    for script in scripts:
        print(f"\n=== {script.stem}", flush=True)
        if subprocess.run([sys.executable, str(script)]).returncode:
            failed.append(script.stem)
    if failed:
        print("\nFailed:", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
