"""Replicates trained on a reference sequence set and measured tracks."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.errors import InputError, nearest_clause
from seqtrust.genome import SplitRegions
from seqtrust.models.architectures import build_model
from seqtrust.models.chrombpnet import as_measured, take_bias
from seqtrust.models.facts import Track
from seqtrust.models.model import Model
from seqtrust.models.split_overlap import split_overlap
from seqtrust.models.training import train
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.models.training_data import TRAIN, Control
from seqtrust.models.training_settings import Seeds
from seqtrust.models.training_windows import Beside, known_of_windows, with_prior
from seqtrust.motifs import Motif
from seqtrust.sequence_set import SequenceSet
from seqtrust.targets import MeasuredTracks, with_strands

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
    "shuffled_targets",
    "checkpoint_minutes",
    "bias",
    "control",
    "strands",
    "hours",
    "prior",
    "sample_weights",
    "groups",
    "target_sd",
)


def train_replicate(
    sequences: SequenceSet,
    targets: MeasuredTracks,
    regions: SplitRegions,
    *,
    seed: int,
    threads: int,
    device: str,
    build: str,
    settings: Mapping[str, Any],
    progress: Callable[[str], None],
    checkpoint: Checkpoint | None = None,
    bias: Model | None = None,
    motifs: Sequence[Motif] = (),
) -> Model:
    """Train one replicate; its record holds the regions of each data split.

    Args:
        sequences: windows without edits, on the grid of the targets' bins.
        targets: measured tracks; all but those that settings name otherwise are predicted.
        regions: train, validation and test.
        seed: the only thing in which replicates differ.
        threads: threads of torch.
        device: `cpu` or `cuda`.
        build: genome build of the sequences.
        settings: the `train` entry of the config.
        progress: gets the overlap of the splits, and a line per epoch.
        checkpoint: where the state of the unfinished run is kept.
        bias: trained bias network of architecture "chrombpnet".
        motifs: of the setting `prior`, if it names any.
    """
    strands, beside = settings.get("strands", ()), Beside.of(settings)
    columns, tracks, control = tracks_and_control(
        targets, settings.get("control", ()), strands, beside.names
    )
    targets = with_strands(targets, strands)
    windows = [sequences.windows[sequence.window] for sequence in sequences.sequences]
    splits = [regions.split_of(w.contig, w.window.start, w.window.end) for w in windows]
    used = thinned(splits, settings["training_fraction"])
    codes = sequences.codes()
    parameters = with_prior(settings, motifs, codes[np.array(used) == TRAIN])
    model = _untrained(settings["architecture"], parameters, tracks, build, bias)
    overlap = _reported_overlap(codes, used, [window.name for window in windows], progress)
    seeds = Seeds.derive(seed).with_fixed(settings["fixed_seeds"])
    rows = np.arange(len(used))
    if settings["bootstrap"]:
        rows = bootstrapped(used, seeds.data)
    shuffled = settings.get("shuffled_targets", False)
    measured = exchanged(used, seeds.data) if shuffled else np.arange(len(used))
    others = [targets.tracks.index(name) for name in beside.names]
    values = np.stack(
        [
            targets.of_window(windows[row], model.facts.crop)[:, columns + others]
            for row in measured[rows]
        ]
    )
    known = known_of_windows(
        settings,
        values[..., len(columns) :],
        [track.name for track in tracks],
        codes[rows],
        np.array(used)[rows] == TRAIN,
    )
    with as_measured(model.module):
        train(
            model,
            codes[rows],
            values[..., : len(columns)],
            [used[row] for row in rows],
            seed=seed,
            control=control,
            threads=threads,
            device=device,
            checkpoint=checkpoint,
            progress=progress,
            **known,
            **{name: value for name, value in settings.items() if name not in _OWN_ARGUMENTS},
        )
    model.record["regions"] = regions.rows()
    model.record["training_fraction"] = settings["training_fraction"]
    model.record["bootstrap"] = settings["bootstrap"]
    model.record["shuffled_targets"] = shuffled
    model.record["split_overlap"] = overlap
    if bias is not None:
        model.record["bias"] = bias.record
    return model


def _untrained(
    architecture: str,
    parameters: dict[str, Any],
    tracks: Sequence[Track],
    build: str,
    bias: Model | None,
) -> Model:
    """The model, with a trained bias network where it takes one."""
    if (architecture == "chrombpnet") != (bias is not None):
        raise InputError(
            "train: architecture 'chrombpnet' needs a trained bias network, and no other takes "
            f"one; found architecture {architecture!r} {'with' if bias else 'without'} "
            "bias: {ensemble: ..., replicate: ...}"
        )
    if bias is None:
        return build_model(architecture, parameters, tracks, build)
    model = build_model(architecture, parameters | {"bias": bias.parameters}, tracks, build)
    take_bias(model, bias)
    return model


def tracks_and_control(
    targets: MeasuredTracks,
    control: Sequence[str],
    strands: Sequence[Sequence[str]],
    beside: Sequence[str] = (),
) -> tuple[list[int], list[Track], Control]:
    """What is predicted and what the network reads, of the measured tracks.

    Args:
        targets: measured tracks.
        control: names of those that the network reads.
        strands: pairs of names that are the two strands of one experiment, beside those that
            the targets tell themselves.
        beside: names of those that are neither, because they tell something of windows.

    Returns:
        Columns of the targets, those of the control last; tracks of the model; the control.

    Raises:
        InputError: an unknown or repeated name, no track left, or strands that do not fit.
    """
    names = list(targets.tracks)
    partners = {
        name: names[partner]
        for name, partner in zip(names, targets.partners, strict=True)
        if partner is not None
    }
    for name in (*control, *beside, *(name for pair in strands for name in pair)):
        if name not in names:
            raise InputError(
                f"train: there is no measured track {name!r}{nearest_clause(name, names)}"
            )
    for first, second in strands:
        if first == second or first in partners or second in partners:
            raise InputError(
                f"train: strands: {first!r} and {second!r} are not the two strands of one "
                "experiment: name two tracks, and every track once"
            )
        partners |= {first: second, second: first}
    read = list(control)
    predicted = [name for name in names if name not in control and name not in beside]
    if both := [name for name in read if name in beside]:
        raise InputError(
            f"train: {both[0]!r} is of the control and tells weights, groups or deviations: name "
            "it once"
        )
    if not predicted or len(set(read)) < len(read):
        raise InputError(
            "train: control leaves no track to be predicted, or names one twice: found "
            f"{', '.join(map(repr, read))}"
        )
    for name, partner in partners.items():
        if (name in read) != (partner in read):
            raise InputError(
                f"train: control holds only one strand of {name!r} and {partner!r}: name both"
            )
        if (name in beside) != (partner in beside):
            raise InputError(
                f"train: one strand of {name!r} and {partner!r} tells weights, groups or "
                "deviations: name both"
            )
    tracks = [
        Track(name, reverse_complement_index=predicted.index(partners[name]))
        if name in partners
        else Track(name)
        for name in predicted
    ]
    swapped = tuple(read.index(partners.get(name, name)) for name in read)
    columns = [names.index(name) for name in (*predicted, *read)]
    return columns, tracks, Control(tuple(read), swapped)


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


def exchanged(splits: Sequence[str], seed: int) -> npt.NDArray[np.intp]:
    """For every window the one whose targets it gets: a permutation within each split.

    Args:
        splits: of every window.
        seed: of the bootstrap sample; the permutation is drawn apart from it.
    """
    names = np.array(splits)
    rows = np.arange(len(names))
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    for split in sorted(set(splits)):
        mine = np.flatnonzero(names == split)
        rows[mine] = generator.permutation(mine)
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
