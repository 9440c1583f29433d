"""Training one replicate from stored windows, repeatably."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from seqtrust.bases import Codes
from seqtrust.models.distributed import Group
from seqtrust.models.model import Model, exact_float32, resolve_device, torch_threads
from seqtrust.models.training_checkpoint import Checkpoint, run_digest, tensors_digest
from seqtrust.models.training_data import (
    NO_CONTROL,
    TRAIN,
    VALIDATION,
    Control,
    Floats,
    Windows,
    data_digest,
    refuse_bad_data,
    refuse_unfit_source,
)
from seqtrust.models.training_history import History
from seqtrust.models.training_loop import Trainer
from seqtrust.models.training_settings import Seeds, TrainingSettings
from seqtrust.models.window_source import WindowSource


@dataclass(frozen=True)
class TrainingRecord:
    """How a model's weights came about; equal runs give equal records.

    Attributes:
        seed: the one seed, or None where the four were given separately.
        seeds: the four seeds that were used.
        epochs: epochs run.
        best_epoch: whose weights were kept, counted from 1.
        train_loss: mean loss per epoch, shape (epochs,).
        validation_loss: mean loss per epoch, shape (epochs,), of "beta_nll" the likelihood; None
            where it is not finite.
        validation_r: mean Pearson r over target tracks per epoch, shape (epochs,).
        validation_auroc: mean AUROC over target tracks per epoch where it chose the epoch, else
            empty.
        best_validation_r_per_track: Pearson r of every target track in the best epoch; None
            where the track or its prediction does not vary.
        windows: number of windows per split.
        data_sha256: digest of codes, targets and splits.
        settings: the arguments that shape training.
        control: names of the tracks that the network read.
        torch_version: version of torch.
        origin: "training".
    """

    seed: int | None
    seeds: Seeds
    epochs: int
    best_epoch: int
    train_loss: list[float]
    validation_loss: list[float | None]
    validation_r: list[float]
    validation_auroc: list[float]
    best_validation_r_per_track: dict[str, float | None]
    windows: dict[str, int]
    data_sha256: str
    settings: dict[str, Any]
    control: list[str]
    torch_version: str
    origin: str = "training"

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for a model card."""
        return asdict(self)


def train(
    model: Model,
    codes: Codes,
    targets: Floats,
    splits: Sequence[str],
    *,
    seed: int | Seeds,
    control: Control = NO_CONTROL,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[str], None] | None = None,
    **settings: Any,
) -> TrainingRecord:
    """Train a model in place: afterwards it has the weights of its best validation epoch.

    Equal arguments, the thread count included, give equal weights, also where the run was killed
    and has gone on from its checkpoint; another thread count may not.

    Args:
        model: its weights are drawn anew from the seed unless `keep_weights`; its record is set.
        codes: base codes uint8, shape (N, L), in the orientation of the targets.
        targets: float32, shape (N, bins, target tracks); tracks of variances have none, control
            tracks stand behind them.
        splits: N names; only "train" and "validation" windows are used.
        seed: one seed for all that is random, or all of them separately.
        control: tracks that the network reads.
        checkpoint: where the state of the unfinished run is kept; it stays when all is done.
        progress: gets one line per epoch; by default the log of this module.
        settings: fields of `TrainingSettings`.

    Raises:
        InputError: arrays that do not fit the model or each other, an empty split, values
            that the loss does not allow, refused settings, or a loss that is no longer finite.
    """
    chosen = _resolved(TrainingSettings(**settings))
    refuse_bad_data(model.facts, codes, targets, splits, chosen, control)
    group = Group.current(chosen.processes, torch.device(chosen.device))
    training, validation = (
        Windows.of_split(split, codes, targets, splits, group.device)
        for split in (TRAIN, VALIDATION)
    )
    return _train(
        model,
        training,
        validation,
        chosen,
        group,
        seed=seed,
        control=control,
        windows={name: list(splits).count(name) for name in sorted(set(splits))},
        data=data_digest(codes, targets, splits),
        checked=True,
        checkpoint=checkpoint,
        progress=progress,
    )


def train_from(
    model: Model,
    training: WindowSource,
    validation: WindowSource,
    *,
    seed: int | Seeds,
    control: Control = NO_CONTROL,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[str], None] | None = None,
    **settings: Any,
) -> TrainingRecord:
    """Train a model in place from sources, which may be streamed; else as `train`.

    Targets are looked at batch by batch, so that a bad value ends the run where it is met.

    Args:
        model: as in `train`.
        training: windows to learn from.
        validation: windows to choose the epoch by.
        seed: as in `train`.
        control: as in `train`.
        checkpoint: as in `train`.
        progress: as in `train`.
        settings: fields of `TrainingSettings`.

    Raises:
        InputError: as in `train`.
    """
    chosen = _resolved(TrainingSettings(**settings))
    sources = {TRAIN: training, VALIDATION: validation}
    for split, source in sources.items():
        refuse_unfit_source(model.facts, source, split, chosen, control)
    return _train(
        model,
        training,
        validation,
        chosen,
        Group.current(chosen.processes, torch.device(chosen.device)),
        seed=seed,
        control=control,
        windows={split: len(source) for split, source in sources.items()},
        data=run_digest({split: source.digest() for split, source in sources.items()}),
        checked=False,
        checkpoint=checkpoint,
        progress=progress,
    )


def _train(
    model: Model,
    training: WindowSource,
    validation: WindowSource,
    settings: TrainingSettings,
    group: Group,
    *,
    seed: int | Seeds,
    control: Control,
    windows: dict[str, int],
    data: str,
    checked: bool,
    checkpoint: Checkpoint | None,
    progress: Callable[[str], None] | None,
) -> TrainingRecord:
    drawn = seed if isinstance(seed, Seeds) else Seeds.derive(seed)
    seeds = drawn.with_fixed(settings.fixed_seeds)
    run = _run_digest(model, settings, seeds, control, data, checkpoint) if checkpoint else ""
    with (
        torch_threads(settings.threads),
        exact_float32(),
        _dropout_seed(seeds.dropout, group.device),
    ):
        if not settings.keep_weights:
            initialise(model.module.to("cpu"), seeds.initialisation)
        model.to(group.device)
        history = Trainer(
            model,
            training,
            validation,
            seeds,
            settings,
            progress or logging.getLogger(__name__).info,
            checkpoint,
            run,
            control,
            group,
            checked,
        ).run()
        model.to("cpu").module.eval()
    record = TrainingRecord(
        seed=None if isinstance(seed, Seeds) else seed,
        seeds=seeds,
        epochs=len(history.scores),
        best_epoch=history.best_epoch,
        train_loss=history.train_loss,
        validation_loss=history.validation_loss,
        validation_r=history.validation_r,
        validation_auroc=history.validation_auroc,
        best_validation_r_per_track=_named(model, history),
        windows=windows,
        data_sha256=data,
        settings=asdict(settings),
        control=list(control.names),
        torch_version=str(torch.__version__),
    )
    model.record = record.to_dict()
    return record


def _resolved(settings: TrainingSettings) -> TrainingSettings:
    return replace(settings, device=str(resolve_device(settings.device)))


def initialise(module: torch.nn.Module, seed: int) -> None:
    """Draw all weights of a network anew but frozen ones; the global random state stays.

    Raises:
        ValueError: a layer has weights but does not say how to draw them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, layer in module.named_modules():
            draw = getattr(layer, "reset_parameters", None)
            own = list(layer.parameters(recurse=False))
            if own and not any(weight.requires_grad for weight in own):
                continue
            if draw is not None:
                draw()
            elif own:
                raise ValueError(f"layer {name!r} has weights but no reset_parameters()")


def _named(model: Model, history: History) -> dict[str, float | None]:
    labels = model.facts.labels()
    names = [labels[index] for index in model.facts.target_tracks()]
    return dict(zip(names, history.best_r, strict=True))


def _run_digest(
    model: Model,
    settings: TrainingSettings,
    seeds: Seeds,
    control: Control,
    data: str,
    checkpoint: Checkpoint,
) -> str:
    """What a state must have been made with to be gone on from."""
    return run_digest(
        {
            "architecture": model.architecture,
            "parameters": model.parameters,
            "facts": model.facts.to_dict(),
            "first_weights": (
                tensors_digest(model.module.state_dict()) if settings.keep_weights else None
            ),
            "frozen_weights": tensors_digest(
                {
                    name: weight.detach()
                    for name, weight in model.module.named_parameters()
                    if not weight.requires_grad
                }
            ),
            "settings": asdict(settings),
            "seeds": asdict(seeds),
            "control": asdict(control),
            "data": data,
            "torch_version": str(torch.__version__),
            "code": checkpoint.code,
        }
    )


@contextmanager
def _dropout_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout is all that draws from torch's global generator inside; it is restored after."""
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
