"""Training one replicate from stored windows, repeatably."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from seqtrust.bases import Codes
from seqtrust.models.model import Model, exact_float32, resolve_device, torch_threads
from seqtrust.models.training_checkpoint import Checkpoint, run_digest, tensors_digest
from seqtrust.models.training_data import (
    TRAIN,
    VALIDATION,
    Floats,
    Windows,
    data_digest,
    refuse_bad_data,
)
from seqtrust.models.training_loop import History, Trainer
from seqtrust.models.training_settings import Seeds, TrainingSettings


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
        best_validation_r_per_track: Pearson r of every target track in the best epoch; None
            where the track or its prediction does not vary.
        windows: number of windows per split.
        data_sha256: digest of codes, targets and splits.
        settings: the arguments that shape training.
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
    best_validation_r_per_track: dict[str, float | None]
    windows: dict[str, int]
    data_sha256: str
    settings: dict[str, Any]
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
    epochs: int = 20,
    batch_size: int = 16,
    learning_rate: float = 1e-2,
    loss: str = "poisson",
    beta: float = 0.5,
    reverse_complement: bool = True,
    max_shift: int = 0,
    weight_decay: float = 1e-2,
    gradient_clip: float = 1.0,
    schedule: str = "cosine",
    validation_metric: str = "pearson",
    patience: int | None = None,
    precision: str = "float32",
    missing_targets: str = "error",
    fixed_seeds: Mapping[str, int] | None = None,
    threads: int = 1,
    device: str = "cpu",
    keep_weights: bool = False,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[str], None] | None = None,
) -> TrainingRecord:
    """Train a model in place: afterwards it has the weights of its best validation epoch.

    AdamW with a learning rate that rises linearly and then follows the schedule. Equal
    arguments, the thread count included, give equal weights, also where the run was killed
    and has gone on from its checkpoint; another thread count may not.

    Args:
        model: its weights are drawn anew from the seed unless `keep_weights`; its record is set.
        codes: base codes uint8, shape (N, L), in the orientation of the targets.
        targets: float32, shape (N, bins, target tracks); tracks of variances have none.
        splits: N names; only "train" and "validation" windows are used.
        seed: one seed for all that is random, or the four separately.
        epochs: most passes over the training windows.
        batch_size: windows per step.
        learning_rate: at the top of the schedule.
        loss: "poisson" (for models that predict counts), "bce" (probabilities), "mse", or
            "gaussian_nll" and "beta_nll" (models that predict variances).
        beta: of "beta_nll", between 0 and 1.
        reverse_complement: show each window on a randomly drawn strand.
        max_shift: move each batch by up to so many bp to either side; targets stay.
        weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.
        schedule: "cosine", "plateau" or "constant"; see `seqtrust.models.schedules`.
        validation_metric: the best epoch has the highest "pearson" r, averaged over target
            tracks, or the lowest "loss" (of "beta_nll" the likelihood), on validation windows.
        patience: stop after so many epochs without a better one; None never stops early.
        precision: "float32", or "bfloat16" for the forward pass of training alone.
        missing_targets: "mask" leaves targets that are NaN out of loss and metrics.
        fixed_seeds: seeds by name that take the place of those derived from `seed`.
        threads: threads of torch during training.
        device: "cpu", "cuda" or "auto".
        keep_weights: start from the model's weights (fine-tuning).
        checkpoint: where the state of the unfinished run is kept; it stays when all is done.
        progress: gets one line per epoch; by default the log of this module.

    Raises:
        InputError: arrays that do not fit the model or each other, an empty split, values
            that the loss does not allow, refused settings, or a loss that is no longer finite.
    """
    place = resolve_device(device)
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        loss=loss,
        beta=beta,
        reverse_complement=reverse_complement,
        max_shift=max_shift,
        weight_decay=weight_decay,
        gradient_clip=gradient_clip,
        schedule=schedule,
        validation_metric=validation_metric,
        patience=patience,
        precision=precision,
        missing_targets=missing_targets,
        threads=threads,
        device=place.type,
        keep_weights=keep_weights,
        fixed_seeds=dict(fixed_seeds or {}),
    )
    refuse_bad_data(model.facts, codes, targets, splits, settings)
    drawn = seed if isinstance(seed, Seeds) else Seeds.derive(seed)
    seeds = drawn.with_fixed(settings.fixed_seeds)
    data = data_digest(codes, targets, splits)
    run = _run_digest(model, settings, seeds, data, checkpoint) if checkpoint else ""
    with torch_threads(threads), exact_float32(), _dropout_seed(seeds.dropout, place):
        if not keep_weights:
            initialise(model.module.to("cpu"), seeds.initialisation)
        model.to(place)
        history = Trainer(
            model,
            Windows.of_split(TRAIN, codes, targets, splits, place),
            Windows.of_split(VALIDATION, codes, targets, splits, place),
            seeds,
            settings,
            progress or logging.getLogger(__name__).info,
            checkpoint,
            run,
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
        best_validation_r_per_track=_named(model, history),
        windows={name: list(splits).count(name) for name in sorted(set(splits))},
        data_sha256=data,
        settings=asdict(settings),
        torch_version=str(torch.__version__),
    )
    model.record = record.to_dict()
    return record


def initialise(module: torch.nn.Module, seed: int) -> None:
    """Draw all weights of a network anew; the global random state stays as it was.

    Raises:
        ValueError: a layer has weights but does not say how to draw them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, layer in module.named_modules():
            draw = getattr(layer, "reset_parameters", None)
            if draw is not None:
                draw()
            elif list(layer.parameters(recurse=False)):
                raise ValueError(f"layer {name!r} has weights but no reset_parameters()")


def _named(model: Model, history: History) -> dict[str, float | None]:
    labels = model.facts.labels()
    names = [labels[index] for index in model.facts.target_tracks()]
    return dict(zip(names, history.best_r, strict=True))


def _run_digest(
    model: Model, settings: TrainingSettings, seeds: Seeds, data: str, checkpoint: Checkpoint
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
            "settings": asdict(settings),
            "seeds": asdict(seeds),
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
