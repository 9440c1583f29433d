"""Windows per second of training: architectures, processes, accumulation, precision, sources.

    PYTHONPATH=scripts python tests/benchmark/training.py [--device cpu|cuda] [--processes 2]

Weights, sequences and targets are random: time does not depend on them. A step is what
`seqtrust.models.training` does: augmentation, both passes, clipping and the optimiser. A run of a
few steps is timed within the trainer, by the median time between the beginnings of its steps. With
--processes, the runs are repeated by so many processes, which share each batch.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from inference import LENGTH, PUBLISHED

from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.training import train_from
from seqtrust.models.training_data import Windows
from seqtrust.models.training_step import GradientStep

TRACKS = [Track(f"track{number}") for number in range(8)]
STRANDS = [Track("plus", "", 1), Track("minus", "", 0)]
# architecture, parameters, tracks, bp, windows per step, loss
FAMILIES = (
    ("cnn", {}, TRACKS, 2_048, 64, "poisson"),
    ("cnn", {"channels": 128}, TRACKS, 2_048, 32, "poisson"),
    ("bpnet", {}, STRANDS, 1_000, 16, "multinomial_counts"),
    ("deepsea", {"form": 2015}, TRACKS, 1_000, 16, "bce"),
    ("cnn_local", {}, TRACKS, 200, 100, "bce"),
    ("cnn_dist", {}, TRACKS, 200, 100, "bce"),
    ("chromatin", {}, TRACKS, 2_048, 8, "bce"),
    ("pooled_cnn", {}, TRACKS, 512, 32, "gaussian_nll"),
    ("bilstm", {}, TRACKS, 512, 16, "gaussian_nll"),
    ("transformer", {}, TRACKS, 512, 16, "gaussian_nll"),
)
BASENJI2 = ("basenji2", {"model": PUBLISHED}, [], LENGTH, 2, "poisson")
WIDE = FAMILIES[1]
OPTIONS = (
    ("as it is", {}),
    ("accumulate: 4", {"accumulate": 4}),
    ("precision: bfloat16", {"precision": "bfloat16"}),
    ("accumulate: 4, bfloat16", {"accumulate": 4, "precision": "bfloat16"}),
    ("optimiser: sgd", {"optimiser": "sgd", "momentum": 0.9}),
    ("mixup", {"regularisation": {"mixup": 0.3}}),
    ("manifold_noise", {"regularisation": {"manifold_noise": 0.1}}),
    ("spectral_norm", {"regularisation": {"spectral_norm": True}}),
    ("adversarial, 10 steps", {"regularisation": {"adversarial": {}}}),
)


def windows(family, steps):
    """The model, and sources with windows for so many steps."""
    name, parameters, tracks, length, batch, _ = family
    model = build_model(name, parameters, tracks, "")
    length = model.facts.input_length or length
    random = np.random.default_rng(1)
    shape = steps * batch, model.facts.bins(length), len(model.facts.target_tracks())
    codes = random.integers(0, 4, (shape[0], length)).astype(np.uint8)
    targets = random.integers(0, 2, shape).astype(np.float32)
    splits = ["train"] * shape[0]
    training = Windows.of_split("train", codes, targets, splits, torch.device("cpu"))
    return model, training, Windows(*(values[:2] for values in vars(training).values()))


def rate(family, arguments, **settings):
    """Windows per second from the second step of a run on, over all processes."""
    steps = 3 if family[3] == LENGTH else arguments.steps
    return rate_of(*windows(family, steps), family, arguments, **settings)


def rate_of(model, training, validation, family, arguments, **settings):
    moments = []
    whole = GradientStep.__call__

    def timed(step, *others):
        if arguments.device == "cuda":
            torch.cuda.synchronize()
        moments.append(time.perf_counter())
        return whole(step, *others)

    GradientStep.__call__ = timed
    try:
        train_from(
            model, training, validation, seed=1, batch_size=family[4], loss=family[5],
            learning_rate=1e-4, threads=arguments.threads, device=arguments.device,
            validation_metric="loss", progress=lambda line: None, **({"epochs": 1} | settings),
        )  # fmt: skip
    finally:
        GradientStep.__call__ = whole
    return family[4] / statistics.median(np.diff(moments)[min(1, len(moments) - 2) :])


def together(arguments, families):
    """Rates of runs by several processes, by the place of the family."""
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rates.json"
        command = [*program, f"--nproc-per-node={arguments.processes}", __file__,
                   "--device", arguments.device, "--threads", str(arguments.threads),
                   "--steps", str(arguments.steps), "--processes", str(arguments.processes),
                   "--worker", str(target), "--places", *map(str, families)]  # fmt: skip
        environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
        if sys.platform == "linux":
            environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
        subprocess.run(command, check=True, env=environment)
        return dict(zip(families, json.loads(target.read_text()), strict=True))


def work(arguments):
    """Be one of several processes."""
    rank = int(os.environ["RANK"])
    if arguments.device == "cuda":
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl" if arguments.device == "cuda" else "gloo")
    found = [
        rate(FAMILIES[place], arguments, processes=arguments.processes)
        for place in arguments.places
    ]
    if rank == 0:
        arguments.worker.write_text(json.dumps(found))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--basenji", type=Path, help="a folder in Basenji's layout")
    parser.add_argument("--published", action="store_true", help="Basenji2 as well, one process")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--places", type=int, nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return
    print(
        f"{arguments.threads} threads per process, {arguments.device}, torch {torch.__version__}, "
        f"{time.strftime('%Y-%m-%d')}\n"
    )
    places = range(len(FAMILIES))
    several = together(arguments, places) if arguments.processes > 1 else {}
    print(
        "| architecture | bp | windows per step | parameters | windows/s | "
        f"{arguments.processes} processes | times |\n|---|---|---|---|---|---|---|"
    )
    for place, family in enumerate(FAMILIES):
        model, training, _ = windows(family, 1)
        numbers = sum(values.numel() for values in model.module.parameters())
        one, more = rate(family, arguments), several.get(place, float("nan"))
        print(
            f"| `{family[0]}`{' 128 channels' if family is WIDE else ''} | {training.shape[0]:,} "
            f"| {family[4]} | {numbers:,} | {one:,.3g} | {more:,.3g} | {more / one:.2f} |",
            flush=True,
        )
    if arguments.published:
        found = rate(BASENJI2, arguments)
        print(f"| `basenji2`, published | {LENGTH:,} | 2 | 30,123,584 | {found:,.3g} | | |")
    print("\n| `cnn`, 128 channels | windows/s | of the first |\n|---|---|---|")
    first = None
    for label, settings in OPTIONS:
        found = rate(WIDE, arguments, **settings)
        first = first or found
        print(f"| {label} | {found:,.3g} | {found / first:.2f} |", flush=True)
    if arguments.basenji:
        sources(arguments)


def sources(arguments):
    """The same windows from memory and streamed from TFRecords."""
    from seqtrust.basenji_data import read_basenji
    from seqtrust.models.basenji_windows import BasenjiWindows

    streamed = BasenjiWindows(read_basenji(arguments.basenji), "train", buffer=32)
    length, bins, tracks = streamed.shape
    (batch,) = streamed.batches(None, len(streamed), 0, (0, 1))
    memory = Windows(batch.codes, batch.targets, batch.rows)
    named = [Track(f"track{number}") for number in range(tracks)]
    pool = [2] * ((length // bins).bit_length() - 1)
    family = ("cnn", {"channels": 16, "pool": pool}, named, length, 4, "poisson")
    print(f"\n| source, {len(memory)} windows of {length:,} bp, {tracks} tracks | windows/s |\n"
          "|---|---|")  # fmt: skip
    for label, source in (("memory", memory), ("TFRecords", streamed)):
        model = build_model(*family[:3], "")
        found = rate_of(model, source, memory, family, arguments, epochs=4)
        print(f"| {label} | {found:,.3g} |", flush=True)


if __name__ == "__main__":
    main()
