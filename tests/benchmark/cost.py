"""Predicted against measured time of predictions.

    PYTHONPATH=scripts python tests/benchmark/cost.py [--device cpu|cuda] [--published]

The toy's network and Basenji2 of reduced size (with `--published` also of its published one) with
random weights, which do not matter to time. The cost is planned and the rate measured on some
sequences of the set, then the whole set is predicted. A process has started already, so that
nothing is added for its start. On one thread of the CPU, seconds are those of CPU time.
"""

import argparse
import json
import platform
import time

import numpy as np
import torch
from inference import LENGTH, PUBLISHED, TSS_BINS, basenji2

from seqtrust.inference.cost import estimate
from seqtrust.inference.predict import predict
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

REDUCED = 32_768


def cnn():
    """The network of the toy, untrained."""
    torch.manual_seed(1)
    return build_model("cnn", {}, (Track("activity", "CAGE"), Track("open", "DNase")), "toy")


def reduced(device):
    """Basenji2 for a quarter of its window."""
    trunk = [dict(block) for block in PUBLISHED["trunk"]]
    trunk[3]["cropping"] = 16
    parts = PUBLISHED | {"seq_length": REDUCED, "target_length": REDUCED // 128, "trunk": trunk}
    torch.manual_seed(1)
    model = build_model("basenji2", {"model": parts}, [], "")
    return model.to(device)


def set_of(length, places, haplotypes, sites, seed=1):
    """A set of so many places with so many sequences each, which are mosaics of few founders."""
    rng = np.random.default_rng(seed)
    windows, sequences = [], []
    for place in range(places):
        reference = rng.integers(0, 4, length).astype(np.uint8)
        at = np.sort(rng.choice(length, sites, replace=False))
        founders = rng.random((8, sites)) < rng.beta(0.3, 1.2, sites)
        for number in range(haplotypes):
            codes = reference.copy()
            if number:
                cuts = np.split(np.arange(sites), np.sort(rng.choice(sites, 3, replace=False)))
                carried = np.concatenate([founders[rng.integers(8)][part] for part in cuts])
                codes[at[carried]] = (codes[at[carried]] + 1) % 4
            start = place * length
            windows.append(StoredWindow("w", "benchmark", "c", start, 0, length, "+", start, codes))
            sequences.append(Sequence(f"s{len(sequences)}", len(windows) - 1))
    return SequenceSet(windows, sequences)


def cases(device, published):
    """Name, network, set and outputs."""
    whole, centre = {"all": {}}, {"tss": {"bins": "centre", "reduction": "sum"}}
    yield "toy cnn, 3,600 reference windows", cnn(), set_of(2048, 3600, 1, 8), whole
    yield "toy cnn, 240 windows, 20 haplotypes each", cnn(), set_of(2048, 240, 20, 8), whole
    yield "toy cnn, centre, 2,400 windows, 2 alleles", cnn(), set_of(2048, 2400, 2, 8), centre
    model = reduced(device)
    few = {"tss": {"tracks": [12, 69, 4828], "bins": "centre", "reduction": "sum"}}
    name = "Basenji2 of 32,768 bp"
    yield f"{name}, 8 windows", model, set_of(REDUCED, 8, 1, 60), whole_of(few)
    yield f"{name}, centre, 12 windows, 4 alleles", model, set_of(REDUCED, 12, 4, 60), few
    yield f"{name}, centre, 4 windows, 40 haplotypes", model, set_of(REDUCED, 4, 40, 60), few
    if published:
        model = basenji2(device)
        name = "Basenji2 of 131,072 bp"
        yield f"{name}, TSS bins, 4 windows, 2 alleles", model, set_of(LENGTH, 4, 2, 260), TSS_BINS
        yield (
            f"{name}, TSS bins, 2 windows, 20 haplotypes",
            model,
            set_of(LENGTH, 2, 20, 260),
            TSS_BINS,
        )


def whole_of(outputs):
    """The same tracks over all bins."""
    return {name: {**output, "bins": "all"} for name, output in outputs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--published", action="store_true", help="also the published sizes")
    options = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {options.threads} threads, "
        f"{options.device}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}\n"
    )
    print(
        "| work | sequences | GMACs naive | planned | computed | GMACs/s | planning s | "
        "predicted s | measured s | predicted / measured |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    # CPU time says more where other work is running
    alone = options.device == "cpu" and options.threads == 1
    clock = time.process_time if alone else time.perf_counter
    shared = {"threads": options.threads, "device": options.device}
    for name, model, sequences, outputs in cases(options.device, options.published):
        began = clock()
        cost = estimate(model, sequences, outputs, sample=8, clock=clock, **shared)
        planning = clock() - began
        began = clock()
        made = predict(model, sequences, outputs, **shared)
        measured = clock() - began
        work = json.loads(made.metadata["work"])
        predicted, planned = cost.hours * 3600, cost.planned + cost.checks
        print(
            f"| {name} | {cost.sequences} | {cost.naive / 1e9:.4g} | {planned / 1e9:.4g} | "
            f"{work['computed'] / 1e9:.4g} | {cost.rate / 1e9:.3g} | {planning:.3g} | "
            f"{predicted:.3g} | {measured:.3g} | {predicted / measured:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
