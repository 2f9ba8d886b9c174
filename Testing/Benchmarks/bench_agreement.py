"""Bootstrap of every agreement measure: our sums over patients beside a plain loop over library calls.

    python Testing/Benchmarks/bench_agreement.py [--patients 230] [--samples 2000] [--loop-samples 3]

Both do the same samples: 5 levels and pooled, 3 patterns, all measures. The loop copies the drawn patients' rows and
calls scikit-learn (kappa), pingouin (ICC) and scipy (line); it does a few samples only, and the ratio is per sample,
in processor time. The values of these samples are compared too. Then the whole of ``sscild agreement`` is timed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SScILDScoring"), str(ROOT / "SScILDScoringTraining")]


def main() -> None:
    """Prints seconds, the ratio and the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=230)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--loop-samples", type=int, default=3)
    parser.add_argument("--raters", type=int, default=3, help="of the whole comparison")
    options = parser.parse_args()

    from SScILDScoringTrainingLib.agreement.bootstrap import Resampler, bootstrap_intervals
    from SScILDScoringTrainingLib.agreement.report import compare
    from SScILDScoringTrainingLib.agreement.rows import Settings, row_groups
    from SScILDScoringTrainingLib.agreement.tables import align

    reference, *raters = tables(options.patients, 1 + options.raters)
    aligned = align(reference, raters[0])
    groups = row_groups(aligned)
    bootstrap_intervals(aligned, groups, 2)  # warm up; draws of another number of samples are not kept
    wall, cpu = time.perf_counter(), time.process_time()
    bootstrap_intervals(aligned, groups, options.samples)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    cells = f"{options.patients} x 5 x 3 scores, {options.samples} samples"
    print(f"bootstrap of one comparison, {cells}: {wall:.2f} s (processor time {cpu:.2f} s)")

    counts = Resampler(aligned.case, options.loop_samples).counts.astype(int)
    library_values(aligned, groups, counts[:1])  # imports
    start = time.process_time()
    wanted = library_values(aligned, groups, counts)
    loop = time.process_time() - start
    ratio = (loop / options.loop_samples) / (cpu / options.samples)
    print(f"plain loop over library calls, {options.loop_samples} samples: processor time {loop:.2f} s")
    print(f"ratio for one sample: {ratio:.0f}")
    print(f"largest difference between the two: {largest_difference(aligned, groups, options, wanted):.1e}")

    wall, cpu = time.perf_counter(), time.process_time()
    result = compare(reference, raters, Settings(options.samples, correction="holm"))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"whole comparison, {options.raters} raters, {cells}: "
        f"{len(result.rows)} rows, {len(result.differences)} tests, "
        f"{wall:.1f} s (processor time {cpu:.1f} s)"
    )


def tables(patients: int, count: int) -> list:
    """A reference and raters near it, on the 5 % grid; half of the patients nearly healthy."""
    from SScILDScoringLib.scores import rounded
    from SScILDScoringTrainingLib.agreement.tables import ScoreTable

    rng = np.random.default_rng(0)
    severity = np.repeat(rng.choice([1.0, 15.0, 40.0], patients, p=[0.5, 0.3, 0.2]), 5)
    truth = rng.gamma(1.5, severity[:, None] / 1.5, (5 * patients, 3))
    case = np.repeat([f"p{i:04d}" for i in range(patients)], 5)
    level = np.tile(np.arange(1, 6), patients)
    answers = [truth, *(truth + rng.normal(1, 6, truth.shape) for _ in range(count - 1))]
    return [ScoreTable(f"rater {i}", "", case, level, rounded(a)) for i, a in enumerate(answers)]


def library_values(aligned, groups: dict, counts: np.ndarray) -> list[dict]:
    """For each sample: (column, group) -> kappa, ICC, MAE and slope of the drawn rows, by the libraries."""
    import pandas as pd
    import pingouin
    from scipy.stats import linregress
    from sklearn.metrics import cohen_kappa_score

    from SScILDScoringTrainingLib.agreement.measures import CATEGORIES

    warnings.simplefilter("ignore")
    found = []
    names, patient = np.unique(aligned.case, return_inverse=True)
    rows_of = {
        name: [np.flatnonzero(rows & (patient == p)) for p in range(len(names))] for name, rows in groups.items()
    }
    for sample in counts:
        values = {}
        for number, column in enumerate(aligned.columns):
            for name in groups:
                drawn = np.concatenate([np.tile(r, c) for r, c in zip(rows_of[name], sample, strict=True)])
                x, y = aligned.x[drawn, number], aligned.y[drawn, number]
                table = pd.DataFrame(
                    {"case": np.tile(np.arange(len(x)), 2), "rater": np.repeat([0, 1], len(x)), "score": np.r_[x, y]}
                )
                icc = pingouin.intraclass_corr(table, targets="case", raters="rater", ratings="score")
                line = linregress(x, y)
                values[column, name] = {
                    "kappa": cohen_kappa_score(x.astype(int), y.astype(int), labels=CATEGORIES, weights="linear"),
                    "icc": float(icc.set_index("Type").loc["ICC(A,1)", "ICC"]),
                    "mae": np.abs(y - x).mean(),
                    "sd": np.abs(y - x).std(),
                    "bias": (y - x).mean(),
                    "limit_low": (y - x).mean() - 1.96 * (y - x).std(ddof=1),
                    "limit_high": (y - x).mean() + 1.96 * (y - x).std(ddof=1),
                    "slope": line.slope,
                    "intercept": line.intercept,
                    "r": line.rvalue,
                }
        found.append(values)
    return found


def largest_difference(aligned, groups: dict, options, wanted: list[dict]) -> float:
    """Between the libraries' values and those from sums, over samples, columns, groups and measures."""
    from SScILDScoringTrainingLib.agreement.bootstrap import bootstrap_values

    largest = 0.0
    for key, values in bootstrap_values(aligned, groups, options.loop_samples):
        for sample, found in enumerate(wanted):
            largest = max(largest, *(abs(values[m][sample] - v) for m, v in found[key].items()))
    return largest


if __name__ == "__main__":
    main()
