"""How long a person waits for the worker: cold and warm start, levels, scores, one moved level, heat maps.

    python Testing/Benchmarks/bench_worker.py [CT] [--s-net BUNDLE] [--l-net BUNDLE] [--no-heat-maps]

Without a CT a phantom of 512x512 is used. Wall times depend on what else the computer does; the processor time of the
worker beside them hardly does. The goal: one moved level within 1.5 s of wall time on 2 cores with the bundled S-Net.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SScILDScoring")]

GOAL_S = 1.5
MOVES_MM = (7.0, -7.0, 14.0, -14.0, 21.0)


def main() -> None:
    """Runs every step once, and the moved level several times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ct", nargs="?", help="CT to score; a phantom when left out")
    parser.add_argument("--s-net", help="name or folder of an S-Net bundle")
    parser.add_argument("--l-net", help="name or folder of an L-Net bundle")
    parser.add_argument("--no-heat-maps", action="store_true")
    options = parser.parse_args()
    from SScILDScoringLib.worker import RemoteSession, WorkerClient

    scan = the_scan(options.ct)
    print(f"scan {scan.shape}, {os.cpu_count()} cores, load of the computer {load()}")
    networks = {"s_net": options.s_net, "l_net": options.l_net, "device": "cpu"}
    with WorkerClient() as client:
        session = RemoteSession(client)
        steps = Steps(session)
        steps.run("cold start and scan handed over", lambda: session.load(scan, **networks))
        steps.run("networks warmed", session.warm)
        steps.run("scan handed over to the warm worker", lambda: session.load(scan, **networks))
        steps.run("lungs", session.find_lungs)
        levels = steps.run("levels", session.find_levels).levels
        first = steps.run("five scores", lambda: session.score(levels))
        steps.run("nothing changed", lambda: session.score(levels))
        moved = [
            steps.run(
                f"one moved level (L1 {mm:+.0f} mm)", lambda mm=mm: session.score(levels.moved(1, levels[1].mm + mm))
            )
            for mm in MOVES_MM
        ]
        worst = max(steps.seconds[-len(MOVES_MM) :])
        changed = sum(m.slice_indices[0] != first.slice_indices[0] for m in moved)
        if not options.no_heat_maps:
            steps.run("heat maps of five levels", lambda: session.score(levels, heat_maps=True))
            steps.run("the same heat maps again", lambda: session.score(levels, heat_maps=True))
        steps.time("cancel", client.cancel)
        steps.run("five scores in a new worker", lambda: session.score(levels))
    verdict = "reached" if worst <= GOAL_S else "NOT reached"
    print(f"one moved level ({changed} other slices): at most {worst:.2f} s; the goal of {GOAL_S} s is {verdict}")
    print(f"load of the computer at the end {load()}")


class Steps:
    """Runs steps of a remote session and prints their times."""

    def __init__(self, session) -> None:
        self._session = session
        self.seconds: list[float] = []
        print(f"{'step':44s} {'wall':>8s} {'worker CPU':>11s}   inside the worker")

    def run(self, name: str, ask):
        """Asks, waits, prints, and returns the step's value."""
        started, before = time.perf_counter(), self._processor()
        event = self._session.client.wait(ask())
        value = self._session.value_of(event)
        wall = time.perf_counter() - started
        after = self._processor()
        self.seconds.append(wall)
        cpu = f"{after - (before or 0.0):9.2f} s" if after is not None else f"{'':11s}"
        split = getattr(value, "seconds", {})
        new = ", ".join(
            f"{step} {split[step]:.2f}" for step in ("scores", "explanations", "heat_maps") if step in split
        )
        print(f"{name:44s} {wall:6.2f} s {cpu}   {new}", flush=True)
        return value

    def time(self, name: str, action) -> None:
        """Times something that is no request."""
        started = time.perf_counter()
        action()
        print(f"{name:44s} {time.perf_counter() - started:6.2f} s", flush=True)

    def _processor(self) -> float | None:
        """Processor seconds of the worker so far (Linux; None elsewhere and without a worker)."""
        process = self._session.client.process_id
        try:
            fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def the_scan(path: str | None):
    """The CT given, or a phantom."""
    if path is not None:
        from SScILDScoringLib.scan import load_scan

        return load_scan(path)
    from SScILDScoringLib.phantom import PhantomSpec, make_phantom

    return make_phantom(PhantomSpec(seed=1)).scan


def load() -> str:
    """The average number of processes that want to run, without this one."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    main()
