"""Small networks trained on the shipped toy, and what they say of its held-out windows."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from seqtrust.accuracy import pearson
from seqtrust.genome import Genome, SplitRegions
from seqtrust.models.training_set import train_replicate
from seqtrust.sequence_set import Sequence, SequenceSet, store_window
from seqtrust.sources.reference import tile_windows
from seqtrust.targets import Targets, read_targets

TOY = Path(__file__).parents[2] / "resources" / "toy"


@dataclass(frozen=True)
class HeldOut:
    """Predictions and targets of the test windows, (windows x bins, tracks) each."""

    predictions: np.ndarray
    targets: np.ndarray

    @property
    def pearson_r(self):
        return np.mean(list(map(pearson, self.predictions.T, self.targets.T)))

    @property
    def auroc(self):
        return roc_auc_score(self.targets, self.predictions, average="macro")


@cache
def toy_genome():
    return Genome(TOY / "genome.fa", "toy", "toy1")


@cache
def toy_targets(name, tracks):
    whole = read_targets(TOY / name, toy_genome())
    columns = [whole.tracks.index(track) for track in tracks]
    return Targets(tracks, whole.bin_width, {k: v[:, columns] for k, v in whole.values.items()})


def shuffled(targets, seed=0):
    """The same values at other places: nothing about them can be learned from sequence."""
    random = np.random.default_rng(seed)
    values = {contig: random.permutation(rows) for contig, rows in targets.values.items()}
    return Targets(targets.tracks, targets.bin_width, values)


@cache
def toy_windows(length, step):
    """Windows that overlap lie within the blocks of the splits: no two splits share sequence."""
    genome = toy_genome()
    blocks = [line.split("\t") for line in (TOY / "splits.bed").read_text().splitlines()]
    regions = [f"{contig}:{int(start) + 1}-{end}" for contig, start, end, _ in blocks]
    regions = regions if step < length else list(genome.contigs)
    windows = [
        store_window(genome, window, name)
        for name, window in tile_windows(genome, regions, length, step, "+")
    ]
    return SequenceSet(windows, [Sequence(w.name, row) for row, w in enumerate(windows)])


def learned(architecture, parameters, targets, length, step, **settings):
    """Train one replicate on the toy with one thread; the model and what it says of test windows.

    Args:
        architecture: its name.
        parameters: those that differ from the defaults.
        targets: measured tracks.
        length: of the windows, bp.
        step: between them, bp.
        settings: of training; `training_fraction` thins the training windows.
    """
    windows = toy_windows(length, step)
    regions = SplitRegions.from_bed(TOY / "splits.bed", toy_genome())
    model = train_replicate(
        windows,
        targets,
        regions,
        seed=1,
        threads=1,
        device="cpu",
        build="toy1",
        settings={
            "architecture": architecture,
            "parameters": parameters,
            "training_fraction": 1.0,
            "bootstrap": False,
            "fixed_seeds": {},
        }
        | settings,
        progress=lambda line: None,
    )
    held_out = [
        row
        for row, window in enumerate(windows.windows)
        if regions.split_of(window.contig, window.window.start, window.window.end) == "test"
    ]
    predictions = model.predict(windows.codes()[held_out]).numpy()
    measured = [targets.of_window(windows.windows[row], model.facts.crop) for row in held_out]
    tracks = len(targets.tracks)
    return model, HeldOut(predictions.reshape(-1, tracks), np.stack(measured).reshape(-1, tracks))
