"""Where a heat map's time goes, by step, from torch's profiler."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STEPS = (
    ("linear + GELU", ("_linear_pointwise", "addmm", "aten::mm", "aten::linear", "gelu", "bmm", "matmul")),
    ("convolution", ("convolution", "conv2d")),
    ("norm", ("layer_norm", "batch_norm")),
    ("pooling", ("pool",)),
    (
        "gather, paste and copies",
        ("copy", "index", "gather", "cat", "pad", "clone", "contiguous", "slice"),
    ),
    ("adds and other elementwise", ("add", "sub", "mul", "div", "relu", "sigmoid", "sum", "mean", "zero_", "fill_")),
    ("compiled passes", ("compiled pass",)),
)
"""Steps and what the names of their operators contain; the first that fits counts."""


def step_of(operator: str) -> str:
    """The step that an operator belongs to."""
    return next((step for step, parts in STEPS if any(part in operator for part in parts)), "other operators")


@contextmanager
def passes_named() -> Iterator[None]:
    """Compiled passes, which torch's profiler does not see by itself, have a name for it within the block."""
    from torch.profiler import record_function

    from SScILDScoringLib.heatmaps.incremental.ways import compiled_ways

    if compiled_ways() is None:
        yield
        return
    from SScILDScoringLib.heatmaps.incremental import passes

    def named(run: Callable) -> Callable:
        def run_named(*given):
            with record_function("compiled pass"):
                return run(*given)

        return run_named

    own = {name: getattr(passes, name) for name in passes.PASSES}
    for name, run in own.items():
        setattr(passes, name, named(run))
    try:
        yield
    finally:
        for name, run in own.items():
            setattr(passes, name, run)


def steps_of_profile(work: Callable[[], object]) -> tuple[list[tuple[str, float]], float]:
    """Shares of the processor time by step, largest first, of all threads; and the seconds of wall time.

    What torch does not see (patches, sums, Python itself) is ``outside torch``; it is measured against the wall time
    and means something on one thread only.
    """
    from torch.profiler import ProfilerActivity, _ExperimentalConfig, profile

    try:
        everywhere = {"experimental_config": _ExperimentalConfig(profile_all_threads=True)}
    except TypeError:  # older versions see the calling thread only
        everywhere = {}
    with profile(activities=[ProfilerActivity.CPU], **everywhere):
        pass  # the first one takes the profiler a second
    with passes_named(), profile(activities=[ProfilerActivity.CPU], **everywhere) as profiler:
        started = time.perf_counter()
        work()
        seconds = time.perf_counter() - started
    steps: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        steps[step_of(event.key)] += event.self_cpu_time_total / 1e6
    steps["outside torch"] = max(seconds - sum(steps.values()), 0.0)
    total = sum(steps.values())
    return sorted(((name, s / total) for name, s in steps.items()), key=lambda pair: -pair[1]), seconds
