"""Replicates trained on a data set in Basenji's layout, streamed from disk."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from seqtrust.basenji_data import read_basenji
from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.models.architectures import build_model
from seqtrust.models.basenji_windows import BasenjiWindows
from seqtrust.models.model import Model
from seqtrust.models.training import train_from
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.models.training_data import TRAIN, VALIDATION
from seqtrust.models.training_settings import TrainingSettings


def train_on_basenji(
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
        seed: the only thing in which replicates differ.
        threads: threads of torch.
        device: `cpu` or `cuda`.
        build: genome build of the windows.
        settings: the `train` entry of the config with `basenji`: `path`, `buffer` and, if any,
            `folds`.
        progress: gets how much is left out, and a line per epoch.
        checkpoint: where the state of the unfinished run is kept.

    Raises:
        InputError: the folder is damaged or does not fit the model.
    """
    if settings.get("control"):
        raise InputError("control tracks are not read from a folder of Basenji: give targets")
    source = settings["basenji"]
    folder = read_basenji(source["path"], source.get("folds"))
    model = build_model(settings["architecture"], settings["parameters"], folder.tracks, build)
    folder.refuse_other_facts(model.facts)
    training, validation = (
        BasenjiWindows(folder, split, source["buffer"]) for split in (TRAIN, VALIDATION)
    )
    processes = settings.get("processes", 1)
    left = len(training) - training.epoch_windows(processes)
    progress(f"{len(training):,} training windows are streamed")
    if left:
        progress(
            f"{left} of them, others in every epoch, are left out: {processes} processes share"
        )
    known = {one.name for one in fields(TrainingSettings)} - {"threads", "device"}
    train_from(
        model,
        training,
        validation,
        seed=seed,
        checkpoint=checkpoint,
        progress=progress,
        threads=threads,
        device=device,
        **{name: value for name, value in settings.items() if name in known},
    )
    model.record["regions"] = SplitRegions.from_rows(folder.regions()).rows()
    model.record["training_fraction"] = 1.0
    model.record["bootstrap"] = False
    return model
