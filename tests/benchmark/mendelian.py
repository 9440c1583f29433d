"""Seconds that causal effects of many loci take, and the mode beside R's way to it.

    OMP_NUM_THREADS=1 PYTHONPATH=scripts python tests/benchmark/mendelian.py [--loci 24000]

Effects are simulated. Time is that of the process, so that other load counts less.
"""

import argparse
import time

import numpy as np

from seqtrust.mendelian import (
    Effects,
    egger,
    ivw,
    meta_analysis,
    mode_based,
    per_replicate,
    raps,
    weighted_median,
)

INSTRUMENTS = 28
TURNS = 3


def simulated(loci, replicates=5, seed=1):
    rng = np.random.default_rng(seed)
    shape = (loci, INSTRUMENTS)
    x = rng.uniform(0.3, 1, shape) * rng.choice([-1, 1], shape)
    noise = 0.1 * rng.standard_normal((2, replicates, *shape))
    return Effects.from_replicates(x + noise[0]), Effects.from_replicates(0.7 * x + noise[1])


def straightforward_mode(r, se, draws, seed=0):
    """One draw at a time: bandwidth, R's density() with a complex FFT, highest grid point."""
    rng = np.random.default_rng(seed)
    weights = 1 / se**2 / (1 / se**2).sum()
    found = np.empty(draws)
    for draw in range(draws):
        star = rng.normal(r, se)
        mad = 1.4826 * np.median(np.abs(star - np.median(star)))
        h = 0.9 * min(star.std(ddof=1), mad) / len(star) ** 0.2
        low, high = star.min() - 7 * h, star.max() + 7 * h
        step = (high - low) / 511
        index = np.floor((star - low) / step).astype(int)
        part = (star - low) / step - index
        mass = np.zeros(1024)
        np.add.at(mass, index, weights * (1 - part))
        np.add.at(mass, index + 1, weights * part)
        lag = np.linspace(0, 2 * (high - low), 1024)
        lag[513:] = -lag[511:0:-1]
        kernel = np.exp(-0.5 * (lag / h) ** 2) / (h * np.sqrt(2 * np.pi))
        smooth = np.fft.ifft(np.fft.fft(mass) * np.conj(np.fft.fft(kernel))).real[:512]
        points = np.linspace(star.min() - 3 * h, star.max() + 3 * h, 512)
        density = np.interp(points, np.linspace(low, high, 512), np.maximum(smooth, 0))
        found[draw] = points[density.argmax()]
    return 1.4826 * np.median(np.abs(found - np.median(found)))


def timed(call, turns=1):
    took = []
    for _ in range(turns):
        begin = time.process_time()
        result = call()
        took.append(time.process_time() - begin)
    return float(np.median(took)), result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loci", type=int, default=24_000)
    loci = parser.parse_args().loci
    exposure, outcome = simulated(loci)
    print(f"{loci:,} loci of {INSTRUMENTS} instruments, {time.strftime('%Y-%m-%d')}\n")
    print("| what | CPU seconds |\n|---|---|")
    rows = [
        ("IVW", lambda: ivw(exposure, outcome)),
        ("MR-Egger", lambda: egger(exposure, outcome)),
        ("weighted median, 200 draws", lambda: weighted_median(exposure, outcome, draws=200)),
        ("weighted median, 1,000 draws", lambda: weighted_median(exposure, outcome, draws=1000)),
        ("RAPS, Tukey", lambda: raps(exposure, outcome, "tukey")),
        ("per replicate, 5 replicates, with REML", lambda: per_replicate(exposure, outcome)),
    ]
    for name, call in rows:
        seconds, result = timed(call)
        print(f"| {name} | {seconds:.2f} |", flush=True)
        if name == "IVW":
            seconds, _ = timed(lambda local=result: meta_analysis(local.estimate, local.se))
            print(f"| REML over the loci | {seconds:.3f} |")
    hundred = Effects(exposure.beta[:100], exposure.se[:100])
    seconds, _ = timed(
        lambda: egger(hundred, Effects(outcome.beta[:100], outcome.se[:100]), robust=True)
    )
    print(f"| robust MR-Egger, scaled from 100 loci | {seconds * loci / 100:.0f} |\n")
    x, y = (Effects(e.beta[0], e.se[0]) for e in (exposure, outcome))
    r = y.beta / x.beta
    se = np.sqrt((y.se / x.beta) ** 2 + (r * x.se / x.beta) ** 2)
    print("| mode of one locus, 10,000 draws | CPU seconds | standard error |\n|---|---|---|")
    slow, error = timed(lambda: straightforward_mode(r, se, 10_000), TURNS)
    print(f"| one draw at a time, R's grid | {slow:.2f} | {error:.4f} |")
    seconds, found = timed(lambda: mode_based(x, y, method="published"), TURNS)
    print(f"| ours, R's grid (`published`) | {seconds:.2f} | {found.se:.4f} |")
    exact, found = timed(lambda: mode_based(x, y), TURNS)
    print(f"| ours, exact: {slow / exact:.0f} times as fast | {exact:.2f} | {found.se:.4f} |")


if __name__ == "__main__":
    main()
