"""Speed of saturation mutagenesis against explicit mutants in batches and against tangermeme.

make bench calls it. Methods go in turns, on the same network with the same weights. Ours and
tangermeme compute every substitution of a sequence; explicit mutants are timed on some positions in
its middle and scaled, because each of them costs the same.
"""

import argparse
import importlib.util
import time
from statistics import median

import numpy as np
import torch

POSITIONS = 50
BATCH = 64


class BpnetLike(torch.nn.Module):
    """64 channels, stem 21, 8 dilated residual convolutions, mean over positions, one value."""

    length = 2114

    def __init__(self, channels=64):
        super().__init__()
        self.stem = torch.nn.Conv1d(4, channels, 21, padding="same")
        self.dilated = torch.nn.ModuleList(
            torch.nn.Conv1d(channels, channels, 3, padding="same", dilation=2**power)
            for power in range(1, 9)
        )
        self.head = torch.nn.Linear(channels, 1)

    def forward(self, sequences):
        values = torch.relu(self.stem(sequences))
        for layer in self.dilated:
            values = values + torch.relu(layer(values))
        return self.head(values.mean(-1))


class BassetLike(torch.nn.Module):
    """300, 200 and 200 filters of 19, 11 and 7, pooled by 3, 4 and 4; two dense layers."""

    length = 1000

    def __init__(self):
        super().__init__()
        layers, channels = [], 4
        for filters, width, pool in ((300, 19, 3), (200, 11, 4), (200, 7, 4)):
            layers += [
                torch.nn.Conv1d(channels, filters, width, padding="same"),
                torch.nn.BatchNorm1d(filters),
                torch.nn.ReLU(),
                torch.nn.MaxPool1d(pool),
            ]
            channels = filters
        self.layers = torch.nn.Sequential(
            *layers,
            torch.nn.Flatten(),
            torch.nn.Linear(20 * channels, 1000),
            torch.nn.ReLU(),
            torch.nn.Linear(1000, 164),
        )

    def forward(self, sequences):
        return self.layers(sequences)


class OneBin(torch.nn.Module):
    """The same network, its values as (N, 1, tracks)."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, sequences):
        return self.inner(sequences).unsqueeze(1)


NETWORKS = {"BPNet-like": BpnetLike, "Basset-like": BassetLike}


def build(name, device):
    """A network and a sequence, the same in every process."""
    torch.manual_seed(1)
    module = NETWORKS[name]().eval()
    codes = torch.randint(0, 4, (module.length,), dtype=torch.uint8)
    return module.to(device), codes.to(device)


def middle(module):
    start = module.length // 2 - POSITIONS // 2
    return start, start + POSITIONS


def explicit_mutants(module, codes):
    """Effects (positions, 4, tracks) of the middle, in batches."""
    start, stop = middle(module)
    bases = torch.eye(4, device=codes.device)
    reference = module(bases[codes.long()].T[None])
    mutants = [(place, base) for place in range(start, stop) for base in range(4)]
    mutants = [(place, base) for place, base in mutants if base != codes[place]]
    effects = torch.zeros(POSITIONS, 4, reference.shape[1], device=codes.device)
    for first in range(0, len(mutants), BATCH):
        some = mutants[first : first + BATCH]
        shown = codes.repeat(len(some), 1)
        for row, (place, base) in enumerate(some):
            shown[row, place] = base
        predicted = module(bases[shown.long()].transpose(1, 2).contiguous())
        for row, (place, base) in enumerate(some):
            effects[place - start, base] = predicted[row] - reference[0]
    return effects.cpu().numpy()


def tangermeme(module, codes):
    """Effects (L, 4, tracks); it recomputes what an edit changes where it finds that faster."""
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    shown = torch.eye(4)[codes.cpu().long()].T[None].contiguous()
    reference, predicted = saturation_mutagenesis(
        module, shown, batch_size=BATCH, device=str(codes.device), raw_outputs=True
    )
    return (predicted[0] - reference[0]).permute(1, 0, 2).cpu().numpy()


def whole_map(module, codes):
    """Effects (L, 4, tracks) of the library."""
    from seqtrust.inference.ism import saturation
    from seqtrust.models.facts import Facts, Track
    from seqtrust.models.model import Model

    with torch.inference_mode():
        tracks = module(torch.zeros(1, 4, module.length, device=codes.device)).shape[1]
    facts = Facts(
        module.length, module.length, 0, tuple(Track(f"t{i}") for i in range(tracks)),
        module.length, "", "log_expression",
    )  # fmt: skip
    model = Model(OneBin(module).eval(), facts, "benchmark", {})
    threads, device = torch.get_num_threads(), codes.device.type
    maps = saturation(model, codes.cpu().numpy()[None], {"all": {}}, threads=threads, device=device)
    assert not maps.metadata["full_because"]
    return maps.effects["all"][0, :, :, :, 0]


def timed(method, module, codes):
    began = time.perf_counter()
    with torch.inference_mode():
        effects = method(module, codes)
    return time.perf_counter() - began, effects


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in NETWORKS:
        report(name, compare(name, options.repeats, options.device))


def compare(name, repeats, device):
    """Seconds for a whole sequence per method, and the largest difference from full passes."""
    module, codes = build(name, device)
    part = slice(*middle(module))
    scale = (3 * module.length + 1) / (3 * POSITIONS + 1)
    seconds, difference = {}, {}
    for _ in range(repeats):
        spent, expected = timed(explicit_mutants, module, codes)
        seconds.setdefault("explicit mutants", []).append(spent * scale)
        spent, found = timed(whole_map, module, codes)
        seconds.setdefault("ours", []).append(spent)
        difference["ours"] = float(np.abs(found[part] - expected).max())
        if importlib.util.find_spec("tangermeme"):
            spent, found = timed(tangermeme, module, codes)
            seconds.setdefault("tangermeme", []).append(spent)
            difference["tangermeme"] = float(np.abs(found[part] - expected).max())
    return seconds, difference


def report(name, found):
    seconds, difference = found
    print(f"\n{name}: all substitutions of one sequence, in turns, {len(seconds['ours'])} times")
    print("| method | median s | best s | median / ours | best / ours | max abs difference |")
    print("|---|---|---|---|---|---|")
    ours = seconds["ours"]
    for method, spent in seconds.items():
        ratios = median(spent) / median(ours), min(spent) / min(ours)
        numbers = f"{median(spent):.3g} | {min(spent):.3g} | {ratios[0]:.3g} | {ratios[1]:.3g}"
        print(f"| {method} | {numbers} | {difference.get(method, 0):.2g} |")


if __name__ == "__main__":
    main()
