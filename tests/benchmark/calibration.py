"""Seconds per track that judging an ensemble's uncertainty takes, with all methods.

    OMP_NUM_THREADS=1 PYTHONPATH=scripts python tests/benchmark/calibration.py [--tracks 32]

Forecasts are simulated: sds that are too small, groups of equal size, as many validation rows as
test rows. Time is that of the process, so that other load counts less.
"""

import argparse
import time
from statistics import median

import numpy as np

from seqtrust.calibration.assessment import assessed
from seqtrust.calibration.ensembles import CalibrationData, EnsembleForecasts
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.methods import METHODS

# rows of a split, groups
SIZES = ((500, 50), (2_000, 200), (2_000, 2_000), (20_000, 200))


def simulated(rows, groups, tracks, seed=1):
    rng = np.random.default_rng(seed)

    def part(name):
        sd = np.exp(rng.normal(-0.5, 0.5, (rows, tracks)))
        mean = rng.normal(2, 1, (rows, tracks))
        observed = mean + 1.5 * sd * rng.standard_normal((rows, tracks))
        keys = np.array([f"{name}{row % groups}" for row in range(rows)])
        return EnsembleForecasts(Forecasts(mean, sd, observed, keys), sd**2, np.zeros_like(sd))

    names = tuple(f"track{number}" for number in range(tracks))
    return CalibrationData(names, part("v"), part("t"), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{arguments.tracks} tracks, {len(METHODS)} methods, {time.strftime('%Y-%m-%d')}\n")
    print("| test rows | groups | s per track | table rows per track |")
    print("|---|---|---|---|")
    for rows, groups in SIZES:
        tracks = max(2, arguments.tracks * 2_000 // max(rows, 2_000))
        data = simulated(rows, groups, tracks)
        took = []
        for _ in range(arguments.repeats):
            begin = time.process_time()
            made = sum(len(part["track"]) for part in assessed(data, METHODS, 1))
            took.append(time.process_time() - begin)
        print(
            f"| {rows:,} | {groups:,} | {median(took) / tracks:.3f} | {made // tracks:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
