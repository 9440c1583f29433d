"""What reading costs: one-hot encoding, bases of a sequence set, and their share of prediction.

    PYTHONPATH=scripts python tests/benchmark/reading.py [--device cpu|cuda] [--published]

Methods go in turns, medians of three. Shares are of the time of a prediction run, where sequences
are read, hashed, encoded and predicted in the same thread; on a GPU reading goes on beside.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from cost import cnn, reduced, set_of
from inference import LENGTH, TSS_BINS, basenji2

from seqtrust.edit_columns import edit_columns
from seqtrust.edits import Edit
from seqtrust.inference.predict import predict
from seqtrust.models.model import one_hot
from seqtrust.sequence_set import (
    SequenceSet,
    StoredSequences,
    StoredWindow,
    hash_of_run,
    read_sequence_set,
    sequence_hash,
    write_sequence_set,
)

REPEATS = 3
BATCH_BASES = 1_048_576
BASES = np.arange(4, dtype=np.uint8)[:, None]


def by_numpy(codes):
    """One-hot (N, 4, L) by comparing with all bases."""
    return (codes[:, None] == BASES).astype(np.float32)


def in_turns(methods, clock):
    """Median seconds of every method."""
    spent = {name: [] for name in methods}
    for _ in range(REPEATS):
        for name, method in methods.items():
            began = clock()
            method()
            spent[name].append(clock() - began)
    return {name: median(times) for name, times in spent.items()}


def encoding(device, clock):
    codes = np.random.default_rng(1).integers(0, 5, (16, LENGTH)).astype(np.uint8)

    def ours():
        made = one_hot(torch.from_numpy(codes).to(device))
        if device == "cuda":
            torch.cuda.synchronize()
        return made

    def peer():
        return torch.from_numpy(by_numpy(codes)).to(device)

    assert torch.equal(ours(), peer())
    return in_turns({"one-hot on the device": ours, "numpy, then to the device": peer}, clock)


def variants(count, length):
    """A window with its reference and so many single-base changes."""
    rng = np.random.default_rng(2)
    bases = rng.integers(0, 4, length).astype(np.uint8)
    window = StoredWindow("w", "benchmark", "c", 0, 0, length, "+", 0, bases)
    edits = [(), *((Edit(int(at), int(at) + 1, "ACGT"[3 - bases[at]]),)
                   for at in rng.integers(0, length, count - 1))]  # fmt: skip
    columns = edit_columns([(f"s{number}", one) for number, one in enumerate(edits)])
    return window, columns


def materialising(clock):
    window, columns = variants(200, LENGTH)
    windows = np.zeros(200, dtype=np.int64)
    made = SequenceSet([window], StoredSequences(windows, columns))
    with tempfile.TemporaryDirectory() as folder:
        path, raw = Path(folder) / "set.parquet", Path(folder) / "bases.npy"
        write_sequence_set(path, [(window, columns)], {"length": str(LENGTH)})
        np.save(raw, made.codes())
        mapped = np.load(raw, mmap_mode="r")
        spent = in_turns(
            {
                "sequence set, opened and all bases made": lambda: sum(
                    int(block[0, 0]) for block in read_sequence_set(path).blocks()
                ),
                "memory-mapped bytes, copied": lambda: np.array(mapped),
                "hashed (XXH3)": lambda: [sequence_hash(row) for row in mapped],
                "hashed (BLAKE2b)": lambda: [hash_without_xxhash()(row) for row in mapped],
            },
            clock,
        )
        sizes = path.stat().st_size, raw.stat().st_size
    return spent, sizes


def hash_without_xxhash():
    """The hash of a run where xxhash is not installed."""
    import sys

    kept, sys.modules["xxhash"] = sys.modules.get("xxhash"), None
    try:
        return hash_of_run()
    finally:
        sys.modules["xxhash"] = kept


def share(name, model, sequences, outputs, options, clock):
    """Seconds of a prediction run and of reading, hashing and encoding what it needs."""

    def read():
        digest = hash_of_run()
        for block in sequences.blocks():
            for codes in block:
                digest(codes)
                codes.copy()

    codes = torch.from_numpy(sequences.codes())
    shown = codes.split(max(1, BATCH_BASES // codes.shape[1]))

    def encode():
        for block in shown:
            one_hot(block.to(options.device))

    settings = {"threads": options.threads, "device": options.device}
    whole = {"run": lambda: predict(model, sequences, outputs, **settings)}
    seconds = in_turns({"read": read, "encode": encode} | whole, clock)
    part = (seconds["read"] + seconds["encode"]) / seconds["run"]
    print(
        f"| {name} | {seconds['run']:.3g} | {seconds['read']:.3g} | {seconds['encode']:.3g} | "
        f"{part:.1%} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--published", action="store_true", help="Basenji2 of its published size")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # CPU time says more where other work is running
    clock = time.process_time if options.threads == 1 else time.perf_counter
    if options.device == "cuda":
        clock = time.perf_counter
    print("| 16 sequences of 131,072 bp | ms |\n|---|---|")
    for name, seconds in encoding(options.device, clock).items():
        print(f"| {name} | {1e3 * seconds:.3g} |")
    spent, sizes = materialising(clock)
    print("\n| 200 variants of one window of 131,072 bp | ms |\n|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {1e3 * seconds:.3g} |")
    print(f"\nsequence set {sizes[0]:,} bytes, plain bases {sizes[1]:,} bytes\n")
    print("| run | seconds | reading, hashing s | encoding s | share |\n|---|---|---|---|---|")
    share("toy cnn, 600 windows", cnn(), set_of(2048, 600, 1, 8), {"all": {}}, options, clock)
    alleles = set_of(2048, 300, 2, 8)
    share("toy cnn, 300 windows, 2 alleles", cnn(), alleles, {"all": {}}, options, clock)
    few = {"tss": {"tracks": [12, 69, 4828], "bins": "centre", "reduction": "sum"}}
    sequences = set_of(32_768, 2, 10, 60)
    share("Basenji2, 32,768 bp", reduced(options.device), sequences, few, options, clock)
    if options.published:
        model, sequences = basenji2(options.device), set_of(LENGTH, 1, 10, 260)
        share("Basenji2, 131,072 bp", model, sequences, TSS_BINS, options, clock)


if __name__ == "__main__":
    main()
