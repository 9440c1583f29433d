"""How much faster exact savings are than full windows, on the published sizes of Basenji2.

    PYTHONPATH=scripts python tests/benchmark/inference.py [--locus FOLDER] [--device cpu|cuda]

Weights are random: time does not depend on them. The haplotypes are those of the 300 people of
the real locus where its folder is given, else simulated. The baseline runs full windows of the same
module on every haplotype, or on REF and ALT of every variant; it is timed on some and scaled. All
methods run in turns; ratios are of medians and of the best.
"""

import argparse
import platform
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from statistics import median

import numpy as np
import torch

from seqtrust.inference.augment import make_passes
from seqtrust.inference.engine import Engine
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.model import evaluation, exact_float32
from seqtrust.outputs import resolve_outputs

LENGTH = 131_072
PUBLISHED = {
    "seq_length": LENGTH,
    "target_length": 1024,
    "activation": "gelu",
    "norm_type": "batch",
    "bn_momentum": 0.9,
    "trunk": [
        {"name": "conv_block", "filters": 288, "kernel_size": 15, "pool_size": 2},
        {
            "name": "conv_tower", "filters_init": 339, "filters_mult": 1.1776, "kernel_size": 5,
            "pool_size": 2, "repeat": 6,
        },
        {
            "name": "dilated_residual", "filters": 384, "rate_mult": 1.5, "repeat": 11,
            "dropout": 0.3, "round": True,
        },
        {"name": "Cropping1D", "cropping": 64},
        {"name": "conv_block", "filters": 1536, "dropout": 0.05},
    ],
    "head_human": {"name": "final", "units": 5313, "activation": "softplus"},
}  # fmt: skip
TSS_BINS = {"tss": {"tracks": [12, 69, 4828], "bins": [443, 453], "reduction": "sum"}}
ALL_BINS = {"all": {"tracks": [12, 69, 4828], "reduction": "sum"}}


def basenji2(device, seed=1):
    """The published architecture with random weights and statistics."""
    torch.manual_seed(seed)
    return randomised(build_model("basenji2", {"model": PUBLISHED}, [], "")).to(device)


def randomised(model):
    """A model with random statistics and scales of its normalisation."""
    for layer in model.module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.1)
            torch.nn.init.normal_(layer.running_mean, std=0.1)
    return model


# --- sequences ---------------------------------------------------------------------------------


def locus_haplotypes(folder, variants):
    """Distinct haplotypes of one gene's window and how many haplotypes the people have."""
    from seqtrust.genome import Genome, Window
    from seqtrust.genotypes import GenotypeFile
    from seqtrust.sources.haplotype_rules import HaplotypeRules
    from seqtrust.sources.haplotypes import HaplotypeSequences
    from seqtrust.variant_files import index

    genome = Genome(folder / "GRCh37.20_1-2Mb.fa.gz", "grch37", "GRCh37")
    vcf = folder / "shapeit4_reference_1kg300.vcf.gz"
    window = Window("grch37", "20", 1_373_805, LENGTH // 2, LENGTH, "-")
    with tempfile.TemporaryDirectory() as made:
        index(vcf, Path(made) / "calls.tbi")
        calls = GenotypeFile(vcf, Path(made) / "calls.tbi")
        source = HaplotypeSequences(genome, calls, [("FKBP1A", window)], HaplotypeRules(variants))
        ((stored, columns),) = source.content(lambda rows: None, lambda rows: None)
    codes = np.concatenate([block.copy() for block in stored.blocks(columns)])
    return codes, source.counts[0].haplotypes


def simulated_haplotypes(rng, people=300, sites=260):
    """Distinct haplotypes that are mosaics of few founders."""
    reference = rng.integers(0, 4, LENGTH).astype(np.uint8)
    places = np.sort(rng.choice(LENGTH, sites, replace=False))
    founders = rng.random((8, sites)) < rng.beta(0.3, 1.2, sites)
    rows = {reference.tobytes(): reference}
    for _ in range(2 * people):
        cuts = np.sort(rng.choice(sites, 3, replace=False))
        parts = np.split(np.arange(sites), cuts)
        carried = np.concatenate([founders[rng.integers(8)][part] for part in parts])
        codes = reference.copy()
        codes[places[carried]] = (codes[places[carried]] + 1) % 4
        rows.setdefault(codes.tobytes(), codes)
    return np.stack(list(rows.values())), 2 * people


def alleles(rng, variants):
    """A window with REF first, then ALT of each variant within 25 kb of the middle."""
    reference = rng.integers(0, 4, LENGTH).astype(np.uint8)
    rows = [reference]
    for place in LENGTH // 2 + rng.integers(-25_000, 25_000, variants):
        rows.append(reference.copy())
        rows[-1][place] = (rows[-1][place] + 1) % 4
    return np.stack(rows)


# --- timing ------------------------------------------------------------------------------------


def seconds_of(function, device):
    begin = time.perf_counter()
    values = function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin, values


def compare(model, codes, outputs, sequences, arguments):
    """Seconds of full windows, scaled to `sequences`, and of the engine; their difference."""
    engine = Engine(
        [model],
        resolve_outputs(outputs, model.facts, LENGTH),
        make_passes(False, (0,), LENGTH),
        LENGTH,
    )
    shown = torch.from_numpy(codes).to(arguments.device)
    some = torch.from_numpy(np.linspace(0, len(codes) - 1, arguments.full).astype(int)).unique()
    (name,) = outputs
    full, fast = [], []
    for _ in range(arguments.repeats):
        took, expected = seconds_of(
            lambda: torch.cat([engine.full(shown[row : row + 1])[name] for row in some.tolist()]),
            arguments.device,
        )
        full.append(took / len(some) * sequences)
        took, found = seconds_of(lambda: engine(shown, alike=True)[name], arguments.device)
        fast.append(took)
    difference = float((found[some] - expected).abs().max() / expected.abs().max())
    spread = float(found.std(dim=0).mean() / expected.abs().max())
    return full, fast, difference, spread, engine


def print_row(what, sequences, full, fast, difference, spread):
    print(
        f"| {what} | {sequences} | {median(full):.4g} | {median(fast):.4g} | "
        f"{median(full) / median(fast):.3g} | {min(full) / min(fast):.3g} | {difference:.1e} | "
        f"{spread:.1e} |",
        flush=True,
    )


# --- replicates together -----------------------------------------------------------------------


def small_basenji2(seed):
    """A quarter of the published channels, for windows of 16,384 bp."""
    parameters = deepcopy(PUBLISHED)
    first, tower, dilated, crop, last = parameters["trunk"]
    first["filters"], tower["filters_init"], dilated["filters"] = 72, 84, 96
    crop["cropping"], last["filters"] = 32, 384
    parameters |= {"seq_length": 16_384, "target_length": 64}
    torch.manual_seed(seed)
    return randomised(build_model("basenji2", {"model": parameters}, [], ""))


def toy_cnn(seed):
    """The toy's network."""
    torch.manual_seed(seed)
    return randomised(build_model("cnn", {}, [Track("a"), Track("b")], "toy"))


def together(make, length, count, outputs, arguments, replicates=5):
    """Seconds of five replicates in turn and side by side; the difference; what "auto" takes."""
    models = [make(seed).to(arguments.device) for seed in range(replicates)]
    for model in models:
        model.module.eval()
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, (1, length)).astype(np.uint8).repeat(count, 0)
    for row in codes[1:]:
        place = length // 2 + rng.integers(-200, 200)
        row[place] = (row[place] + 1) % 4
    shown = torch.from_numpy(codes).to(arguments.device)
    specs = resolve_outputs(outputs, models[0].facts, length)
    engines = {
        stack: Engine(models, specs, make_passes(False, (0,), length), length, stack=stack)
        for stack in (False, True, "auto")
    }
    seconds, found = {False: [], True: []}, {}
    for _ in range(3):
        for stack, taken in seconds.items():
            engine = engines[stack]
            took, found[stack] = seconds_of(lambda e=engine: e(shown, alike=True), arguments.device)
            taken.append(took)
    (name,) = outputs
    one, other = found[True][name], found[False][name]
    difference = float((one - other).abs().max() / other.abs().max())
    return seconds, difference, engines["auto"].stacked


def print_together(arguments):
    print(
        "\n| five replicates | bp | alleles of a window | in turn s | side by side s | ratio of "
        "medians | of the best | relative difference | auto |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    every, tss = {"all": {"tracks": [0, 1], "reduction": "sum"}}, TSS_BINS
    for what, make, length, count, outputs in (
        ("toy's `cnn`", toy_cnn, 2048, 64, every),
        ("Basenji2, a quarter of its channels", small_basenji2, 16_384, 16, every),
        ("Basenji2, TSS bins", lambda seed: basenji2(arguments.device, seed), LENGTH, 4, tss),
    ):
        seconds, difference, stacked = together(make, length, count, outputs, arguments)
        turn, side = seconds[False], seconds[True]
        print(
            f"| {what} | {length:,} | {count} | {median(turn):.3g} | {median(side):.3g} | "
            f"{median(turn) / median(side):.2g} | {min(turn) / min(side):.2g} | {difference:.0e} | "
            f"{'side by side' if stacked else 'in turn'} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--locus", type=Path, help="folder of the real locus")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--full", type=int, default=20, help="full windows that are timed")
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(3)
    model = basenji2(arguments.device)
    print(
        f"{platform.processor() or platform.machine()}, {arguments.threads} threads, "
        f"{arguments.device}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}\n"
    )
    print(
        "| work | sequences | full windows s | ours s | ratio of medians | of the best | "
        "relative difference | sd between sequences |"
    )
    print("|---|---|---|---|---|---|---|---|")
    cases = [
        ("one variant, sums over all bins", ALL_BINS, alleles(rng, 1), 2),
        ("one variant, TSS bins", TSS_BINS, alleles(rng, 1), 2),
        ("ten variants of a window, all bins", ALL_BINS, alleles(rng, 10), 20),
        ("ten variants of a window, TSS bins", TSS_BINS, alleles(rng, 10), 20),
    ]
    if arguments.locus:
        for variants in ("snvs", "all"):
            codes, people = locus_haplotypes(arguments.locus, variants)
            cases.append(
                (f"haplotypes of 300 people ({variants}), TSS bins", TSS_BINS, codes, people)
            )
    else:
        codes, people = simulated_haplotypes(rng)
        cases.append(("simulated haplotypes, TSS bins", TSS_BINS, codes, people))
    with torch.inference_mode(), evaluation(model.module), exact_float32():
        for what, outputs, codes, sequences in cases:
            *numbers, engine = compare(model, codes, outputs, sequences, arguments)
            print_row(what, sequences, *numbers)
            print(f"<!-- {engine.saved} -->")
    with torch.inference_mode(), exact_float32():
        print_together(arguments)


if __name__ == "__main__":
    main()
