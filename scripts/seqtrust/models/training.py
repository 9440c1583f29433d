"""Training one replicate from stored windows, repeatably."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.models.distributed import Group
from seqtrust.models.losses import DISTILLATION
from seqtrust.models.model import Model, exact_float32, resolve_device, torch_threads
from seqtrust.models.per_window import NOTHING_KNOWN, AnyFloats, PerWindow, per_window
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
from seqtrust.models.training_record import TrainingRecord
from seqtrust.models.training_settings import Seeds, TrainingSettings
from seqtrust.models.window_source import WindowSource


def train(
    model: Model,
    codes: Codes,
    targets: Floats,
    splits: Sequence[str],
    *,
    seed: int | Seeds,
    control: Control = NO_CONTROL,
    weights: AnyFloats | None = None,
    groups: Sequence[str] | None = None,
    variances: AnyFloats | None = None,
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
        weights: of the windows in the training loss, shape (N,); all count as much if None.
        groups: names of N groups, which group DRO then weighs by their losses (Sagawa et al.
            2020).
        variances: known ones of the targets, shape (N, bins, target tracks): those of measurements
            add to the predicted variance of "gaussian_nll" and "beta_nll", those of a teacher are
            what "distillation" learns.
        checkpoint: where the state of the unfinished run is kept; it stays when all is done.
        progress: gets one line per epoch; by default the log of this module.
        settings: fields of `TrainingSettings`.

    Raises:
        InputError: arrays that do not fit the model or each other, an empty split, values
            that the loss does not allow, refused settings, or a loss that is no longer finite.
    """
    chosen = _resolved(TrainingSettings(**settings))
    refuse_bad_data(model.facts, codes, targets, splits, chosen, control)
    names = np.array(splits)
    tracks = len(model.facts.target_tracks())
    known = per_window(
        targets[..., :tracks],
        names == TRAIN,
        chosen,
        weights=weights,
        groups=groups,
        variances=variances,
    )
    data = data_digest(codes, targets, splits)
    if beside := known.digest():
        data = run_digest({"data": data, "known": beside})
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
        data=data,
        checked=True,
        known=known,
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
    if chosen.loss == DISTILLATION:
        raise InputError(
            "loss 'distillation' needs the variance of the teacher for every target, which a "
            "stream has not: train on windows in memory"
        )
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
    known: PerWindow = NOTHING_KNOWN,
) -> TrainingRecord:
    drawn = seed if isinstance(seed, Seeds) else Seeds.derive(seed)
    seeds = drawn.with_fixed(settings.fixed_seeds)
    report = progress or logging.getLogger(__name__).info

    def stage(chosen: TrainingSettings, kept: Checkpoint | None) -> Trainer:
        run = _run_digest(model, chosen, seeds, control, data, kept) if kept else ""
        with (
            torch_threads(chosen.threads),
            exact_float32(),
            _dropout_seed(seeds.dropout, group.device),
        ):
            if not chosen.keep_weights:
                initialise(model.module.to("cpu"), seeds.initialisation)
            model.to(group.device)
            trainer = Trainer(
                model, training, validation, seeds, chosen, report, kept, run, control, group,
                checked, known,
            )  # fmt: skip
            trainer.run()
            model.to("cpu").module.eval()
        return trainer

    stages = [stage(settings, checkpoint)]
    if (finetune := settings.evolution().finetune) is not None:
        report("training goes on with unchanged sequences")
        second = replace(
            settings,
            augmentation={},
            keep_weights=True,
            epochs=finetune.epochs,
            steps=None,
            learning_rate=finetune.learning_rate,
        )
        stages.append(stage(second, checkpoint.second_stage() if checkpoint else None))
    histories = [one.history for one in stages]
    before = sum(len(one.scores) for one in histories[:-1])
    robust = stages[-1].gradients.group_weights
    record = TrainingRecord(
        seed=None if isinstance(seed, Seeds) else seed,
        seeds=seeds,
        epochs=before + len(histories[-1].scores),
        best_epoch=before + histories[-1].best_epoch,
        train_loss=[loss for one in histories for loss in one.train_loss],
        validation_loss=[loss for one in histories for loss in one.validation_loss],
        validation_r=[r for one in histories for r in one.validation_r],
        validation_auroc=[auroc for one in histories for auroc in one.validation_auroc],
        best_validation_r_per_track=_named(model, histories[-1]),
        windows=windows,
        data_sha256=data,
        settings=asdict(settings),
        control=list(control.names),
        torch_version=str(torch.__version__),
        group_weights=dict(zip(known.names, robust.plain(), strict=True)) if robust else {},
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
