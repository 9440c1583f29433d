"""How many windows per second every architecture predicts and trains on.

    PYTHONPATH=scripts python tests/benchmark/models.py [--device cpu|cuda] [--threads 2]

Weights are random: time does not depend on them. Predictions are full passes of all tracks and
bins; training is what `seqtrust.models.training.train` does, without validation.
"""

import argparse
import time
from statistics import median

import numpy as np
import torch
from inference import LENGTH, PUBLISHED

from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.model import evaluation, exact_float32
from seqtrust.models.training import train

TRACKS = [Track(f"track{number}") for number in range(8)]
# name, parameters, tracks, bp, windows per batch, loss, learning rate
CASES = (
    ("cnn", {}, TRACKS, 2_048, 64, "poisson", 1e-3),
    ("mpra_dragonn", {}, [], 145, 256, "mse", 1e-4),
    ("xpresso", {}, [], 10_500, 16, "mse", 1e-4),
    ("pangolin", {}, [], 10_001, 2, "bce", 1e-4),
    ("basenji2", {"model": PUBLISHED}, [], LENGTH, 1, "poisson", 1e-5),
)


def seconds(function, repeats, device):
    took = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - begin)
    return median(took[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(1)
    print(
        f"{arguments.threads} threads, {arguments.device}, torch {torch.__version__}, "
        f"{time.strftime('%Y-%m-%d')}\n"
    )
    print("| architecture | bp | parameters | windows per s | training windows per s |")
    print("|---|---|---|---|---|")
    for name, parameters, tracks, length, batch, loss, rate in CASES:
        model = build_model(name, parameters, tracks, "").to(arguments.device)
        codes = rng.integers(0, 4, (batch, length)).astype(np.uint8)
        shown = torch.from_numpy(codes).to(arguments.device)
        with torch.inference_mode(), evaluation(model.module), exact_float32():
            predicting = seconds(lambda m=model, s=shown: m(s), arguments.repeats, arguments.device)
        shape = 2 * batch, model.facts.bins(length), len(model.facts.target_tracks())
        targets = rng.integers(0, 2, shape).astype(np.float32)
        settings = {
            "seed": 1, "epochs": 1, "batch_size": batch, "loss": loss, "learning_rate": rate,
            "threads": arguments.threads, "device": arguments.device, "progress": lambda line: None,
            "reverse_complement": False,
        }  # fmt: skip
        splits = ["train"] * batch + ["validation"] * batch
        doubled = np.concatenate([codes, codes])
        training = seconds(
            lambda m=model, d=doubled, t=targets, s=splits, k=settings: train(m, d, t, s, **k),
            1 if length == LENGTH else arguments.repeats,
            arguments.device,
        )
        # an epoch predicts the validation windows once
        training = max(training - predicting, 1e-9)
        numbers = sum(tensor.numel() for tensor in model.module.parameters())
        print(
            f"| `{name}` | {length:,} | {numbers:,} | {batch / predicting:,.3g} | "
            f"{batch / training:,.3g} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
