"""Replicates trained on a reference sequence set and measured tracks."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.genome import SplitRegions
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.model import Model
from seqtrust.models.split_overlap import split_overlap
from seqtrust.models.training import train
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.models.training_data import TRAIN
from seqtrust.models.training_settings import Seeds
from seqtrust.sequence_set import SequenceSet
from seqtrust.targets import Targets

UNUSED = "unused"
_OWN_ARGUMENTS = (
    "replicates",
    "architecture",
    "parameters",
    "set",
    "targets",
    "splits",
    "training_fraction",
    "bootstrap",
    "checkpoint_minutes",
)


def train_replicate(
    sequences: SequenceSet,
    targets: Targets,
    regions: SplitRegions,
    *,
    seed: int,
    threads: int,
    device: str,
    build: str,
    settings: Mapping[str, Any],
    progress: Callable[[str], None],
    checkpoint: Checkpoint | None = None,
) -> Model:
    """Train one replicate; its record holds the regions of each data split.

    Args:
        sequences: windows without edits, on the grid of the targets' bins.
        targets: measured tracks; all are predicted.
        regions: train, validation and test.
        seed: the only thing in which replicates differ.
        threads: threads of torch.
        device: `cpu` or `cuda`.
        build: genome build of the sequences.
        settings: the `train` entry of the config.
        progress: gets the overlap of the splits, and a line per epoch.
        checkpoint: where the state of the unfinished run is kept.
    """
    tracks = [Track(name) for name in targets.tracks]
    model = build_model(settings["architecture"], settings["parameters"], tracks, build)
    windows = [sequences.windows[sequence.window] for sequence in sequences.sequences]
    splits = [regions.split_of(w.contig, w.window.start, w.window.end) for w in windows]
    used = thinned(splits, settings["training_fraction"])
    codes = sequences.codes()
    overlap = _reported_overlap(codes, used, [window.name for window in windows], progress)
    rows = np.arange(len(used))
    if settings["bootstrap"]:
        rows = bootstrapped(used, Seeds.derive(seed).with_fixed(settings["fixed_seeds"]).data)
    train(
        model,
        codes[rows],
        np.stack([targets.of_window(windows[row], model.facts.crop) for row in rows]),
        [used[row] for row in rows],
        seed=seed,
        threads=threads,
        device=device,
        checkpoint=checkpoint,
        progress=progress,
        **{name: value for name, value in settings.items() if name not in _OWN_ARGUMENTS},
    )
    model.record["regions"] = regions.rows()
    model.record["training_fraction"] = settings["training_fraction"]
    model.record["bootstrap"] = settings["bootstrap"]
    model.record["split_overlap"] = overlap
    return model


def thinned(splits: list[str], fraction: float) -> list[str]:
    """Splits with evenly spread training windows left out, so that `fraction` of them stay."""
    training = [row for row, split in enumerate(splits) if split == TRAIN]
    kept = round(len(training) * fraction)
    chosen = set(np.array(training)[np.linspace(0, len(training) - 1, kept).round().astype(int)])
    return [
        split if split != TRAIN or row in chosen else UNUSED for row, split in enumerate(splits)
    ]


def bootstrapped(splits: Sequence[str], seed: int) -> npt.NDArray[np.intp]:
    """Rows of a bootstrap sample: training windows drawn with replacement, all others as they are.

    Args:
        splits: of every window.
        seed: of the draw.
    """
    names = np.array(splits)
    training = np.flatnonzero(names == TRAIN)
    rows = np.arange(len(names))
    rows[training] = np.random.default_rng(seed).choice(training, len(training))
    return rows


def _reported_overlap(
    codes: Codes, splits: Sequence[str], names: Sequence[str], progress: Callable[[str], None]
) -> dict[str, Any]:
    """The largest k-mer containment between splits, for the record; reported on the way."""
    overlap = split_overlap(codes, splits)
    for line in overlap.lines(names):
        progress(line)
    for split in overlap.suspicious():
        logging.getLogger(__name__).warning(
            "a %s window shares more than half of its k-mers with a training window: accuracy "
            "on that split may be too good; put windows with common sequence into one split",
            split,
        )
    return overlap.record(names)
