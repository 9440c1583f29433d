"""Training one replicate from stored windows, repeatably."""

import copy
import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.models.model import (
    Model,
    evaluation,
    exact_float32,
    other_strand,
    resolve_device,
    shift,
    torch_threads,
)
from seqtrust.models.model import reverse_complement as reverse_complement_of

TRAIN, VALIDATION = "train", "validation"
WARM_UP = 0.05

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Seeds:
    """The seeds of everything random in training; replicates may share some of them.

    Attributes:
        initialisation: first weights.
        order: order of the windows in each epoch.
        dropout: dropout masks.
        augmentation: reverse complements and shifts.
    """

    initialisation: int
    order: int
    dropout: int
    augmentation: int

    @classmethod
    def derive(cls, seed: int) -> "Seeds":
        """Four independent seeds from one."""
        children = np.random.SeedSequence(seed).spawn(4)
        return cls(*(int(child.generate_state(1)[0]) for child in children))


@dataclass(frozen=True)
class TrainingRecord:
    """How a model's weights came about; equal runs give equal records.

    Attributes:
        seed: the one seed, or None where the four were given separately.
        seeds: the four seeds that were used.
        epochs: epochs run.
        best_epoch: whose weights were kept, counted from 1.
        train_loss: mean loss per epoch, shape (epochs,).
        validation_r: mean Pearson r over tracks per epoch, shape (epochs,).
        best_validation_r_per_track: Pearson r of every track in the best epoch; None where
            the track or its prediction does not vary.
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


class PoissonLoss(torch.nn.Module):
    """Mean Poisson negative log-likelihood, without its constant: rate - count log(rate)."""

    def __init__(self, smallest_rate: float = 1e-7) -> None:
        super().__init__()
        self.smallest_rate = smallest_rate

    def forward(self, rate: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """Scalar loss of rates and counts of one shape."""
        return (rate - count * torch.log(rate + self.smallest_rate)).mean()


LOSSES: dict[str, type[torch.nn.Module]] = {"poisson": PoissonLoss, "mse": torch.nn.MSELoss}


@dataclass(frozen=True)
class _Settings:
    epochs: int
    batch_size: int
    learning_rate: float
    loss: str
    reverse_complement: bool
    max_shift: int
    weight_decay: float
    gradient_clip: float
    threads: int
    device: str
    keep_weights: bool

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"loss {self.loss!r} is unknown: use one of {', '.join(LOSSES)}")
        for name in ("epochs", "batch_size", "learning_rate", "gradient_clip", "threads"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}, but must be positive")
        for name in ("max_shift", "weight_decay"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}, but must not be negative")


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
    reverse_complement: bool = True,
    max_shift: int = 0,
    weight_decay: float = 1e-2,
    gradient_clip: float = 1.0,
    threads: int = 1,
    device: str = "cpu",
    keep_weights: bool = False,
    progress: Callable[[str], None] | None = None,
) -> TrainingRecord:
    """Train a model in place: afterwards it has the weights of its best validation epoch.

    AdamW with a cosine schedule after a short linear rise. The best epoch is the one with
    the highest Pearson r on the validation windows, averaged over tracks. Equal arguments,
    the thread count included, give equal weights; another thread count may not.

    Args:
        model: its weights are drawn anew from the seed unless `keep_weights`; its record is set.
        codes: base codes uint8, shape (N, L), in the orientation of the targets.
        targets: float32, shape (N, bins, tracks).
        splits: N names; only "train" and "validation" windows are used.
        seed: one seed for all that is random, or the four separately.
        epochs: passes over the training windows.
        batch_size: windows per step.
        learning_rate: at the top of the schedule.
        loss: "poisson" (for models that predict counts) or "mse".
        reverse_complement: show each window on a randomly drawn strand.
        max_shift: move each batch by up to so many bp to either side; targets stay.
        weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.
        threads: threads of torch during training.
        device: "cpu", "cuda" or "auto".
        keep_weights: start from the model's weights (fine-tuning).
        progress: gets one line per epoch; by default the log of this module.

    Raises:
        InputError: arrays that do not fit the model or each other, an empty split, values
            that the loss does not allow, or a loss that is no longer finite.
    """
    place = resolve_device(device)
    settings = _Settings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        loss=loss,
        reverse_complement=reverse_complement,
        max_shift=max_shift,
        weight_decay=weight_decay,
        gradient_clip=gradient_clip,
        threads=threads,
        device=place.type,
        keep_weights=keep_weights,
    )
    _refuse_bad_data(model, codes, targets, splits, settings)
    seeds = seed if isinstance(seed, Seeds) else Seeds.derive(seed)
    report = progress or logging.getLogger(__name__).info
    with torch_threads(threads), exact_float32(), _dropout_seed(seeds.dropout, place):
        if not keep_weights:
            initialise(model.module.to("cpu"), seeds.initialisation)
        model.to(place)
        training = _Windows.of_split(TRAIN, codes, targets, splits, place)
        validation = _Windows.of_split(VALIDATION, codes, targets, splits, place)
        history = _Trainer(model, training, validation, seeds, settings, report).run()
        model.to("cpu").module.eval()
    record = TrainingRecord(
        seed=None if isinstance(seed, Seeds) else seed,
        seeds=seeds,
        epochs=epochs,
        best_epoch=history.best_epoch,
        train_loss=history.train_loss,
        validation_r=history.validation_r,
        best_validation_r_per_track=history.best_per_track(model),
        windows={name: list(splits).count(name) for name in sorted(set(splits))},
        data_sha256=_digest(codes, targets, splits),
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


def pearson_per_track(predicted: Floats, target: Floats) -> npt.NDArray[np.float64]:
    """Pearson r over windows and bins of every track, in double precision.

    Args:
        predicted: shape (N, bins, tracks).
        target: the same shape.

    Returns:
        Shape (tracks,); NaN where a track or its prediction does not vary.
    """
    tracks = target.shape[-1]
    x = predicted.reshape(-1, tracks).astype(np.float64)
    y = target.reshape(-1, tracks).astype(np.float64)
    x -= x.mean(axis=0)
    y -= y.mean(axis=0)
    scale = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return np.divide((x * y).sum(axis=0), scale, out=np.full(tracks, np.nan), where=scale > 0)


@dataclass(frozen=True)
class _Windows:
    """Codes (N, L) and targets (N, bins, tracks) of one split, on the training device."""

    codes: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def of_split(
        cls,
        split: str,
        codes: Codes,
        targets: Floats,
        splits: Sequence[str],
        device: torch.device,
    ) -> "_Windows":
        rows = np.flatnonzero(np.array(splits) == split)
        return cls(
            torch.from_numpy(codes[rows]).to(device),
            torch.from_numpy(targets[rows].astype(np.float32)).to(device),
        )

    def __len__(self) -> int:
        return len(self.codes)


class _History:
    """What happened in each epoch, and the weights of the best one."""

    def __init__(self) -> None:
        self.train_loss: list[float] = []
        self.validation_r: list[float] = []
        self.best_epoch = 0
        self.best_weights: dict[str, torch.Tensor] = {}
        self._best_r = np.empty(0)

    def add(self, loss: float, per_track: npt.NDArray[np.float64], model: Model) -> None:
        """Note an epoch; keep its weights where it is the best so far."""
        score = float(np.mean(np.nan_to_num(per_track)))
        if not self.validation_r or score > max(self.validation_r):
            self.best_epoch = len(self.validation_r) + 1
            self.best_weights = copy.deepcopy(model.module.state_dict())
            self._best_r = per_track
        self.train_loss.append(loss)
        self.validation_r.append(score)

    def best_per_track(self, model: Model) -> dict[str, float | None]:
        """Pearson r of every track in the best epoch."""
        return {
            track.name: None if math.isnan(r) else float(r)
            for track, r in zip(model.facts.tracks, self._best_r, strict=True)
        }


class _Trainer:
    def __init__(
        self,
        model: Model,
        training: _Windows,
        validation: _Windows,
        seeds: Seeds,
        settings: _Settings,
        report: Callable[[str], None],
    ) -> None:
        self.model = model
        self.training = training
        self.validation = validation
        self.settings = settings
        self.report = report
        self.order = np.random.default_rng(seeds.order)
        self.augmentation = np.random.default_rng(seeds.augmentation)
        self.loss = LOSSES[settings.loss]()
        self.optimiser = torch.optim.AdamW(
            model.module.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        steps = settings.epochs * math.ceil(len(training) / settings.batch_size)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: _rise_then_cosine(step, steps)
        )

    def run(self) -> _History:
        """Train for all epochs and put the best weights back."""
        history = _History()
        began = time.monotonic()
        for epoch in range(1, self.settings.epochs + 1):
            loss = self._pass(epoch)
            history.add(loss, self._validate(), self.model)
            left = (time.monotonic() - began) / epoch * (self.settings.epochs - epoch)
            self.report(
                f"epoch {epoch}/{self.settings.epochs}: training loss {loss:.4f}, "
                f"validation r {history.validation_r[-1]:.3f} "
                f"(best {max(history.validation_r):.3f} in epoch {history.best_epoch}), "
                f"{left:.0f} s left"
            )
        self.model.module.load_state_dict(history.best_weights)
        return history

    def _pass(self, epoch: int) -> float:
        self.model.module.train()
        total = 0.0
        for rows in self._batches():
            sequences, targets = self._augmented(rows)
            loss = self.loss(self.model(sequences), targets)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise InputError(
                    f"the training loss became {value} in epoch {epoch}: lower the learning "
                    f"rate (now {self.settings.learning_rate}) or look for outliers in the targets"
                )
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(
                self.model.module.parameters(), self.settings.gradient_clip
            )
            self.optimiser.step()
            self.schedule.step()
            total += value * len(rows)
        return total / len(self.training)

    def _batches(self) -> Iterator[torch.Tensor]:
        shuffled = torch.from_numpy(self.order.permutation(len(self.training)))
        return iter(shuffled.to(self.training.codes.device).split(self.settings.batch_size))

    def _augmented(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        codes, targets = self.training.codes[rows], self.training.targets[rows]
        if self.settings.max_shift:
            distance = self.augmentation.integers(
                -self.settings.max_shift, self.settings.max_shift, endpoint=True
            )
            codes = shift(codes, int(distance))
        if self.settings.reverse_complement:
            turned = torch.from_numpy(self.augmentation.random(len(rows)) < 0.5).to(codes.device)
            swapped = self.model.facts.swapped_tracks()
            codes = torch.where(turned[:, None], reverse_complement_of(codes), codes)
            targets = torch.where(turned[:, None, None], other_strand(targets, swapped), targets)
        return codes, targets

    def _validate(self) -> npt.NDArray[np.float64]:
        with evaluation(self.model.module), torch.inference_mode():
            predicted = [
                self.model(codes).cpu().numpy()
                for codes in self.validation.codes.split(self.settings.batch_size)
            ]
        return pearson_per_track(np.concatenate(predicted), self.validation.targets.cpu().numpy())


def _rise_then_cosine(step: int, steps: int) -> float:
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


@contextmanager
def _dropout_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout is all that draws from torch's global generator inside; it is restored after."""
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _digest(codes: Codes, targets: Floats, splits: Sequence[str]) -> str:
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(codes).data)
    digest.update(np.ascontiguousarray(targets).data)
    digest.update("\n".join(splits).encode())
    return digest.hexdigest()


def _refuse_bad_data(
    model: Model, codes: Codes, targets: Floats, splits: Sequence[str], settings: _Settings
) -> None:
    expected = (len(codes), model.facts.bins(codes.shape[1]), len(model.facts.tracks))
    if targets.shape != expected or len(splits) != len(codes):
        raise InputError(
            f"targets of shape {targets.shape} and {len(splits)} splits do not belong to "
            f"{len(codes)} windows of {codes.shape[1]} bp: expected windows x bins x tracks = "
            f"{expected} and one split per window"
        )
    for split in (TRAIN, VALIDATION):
        if split not in splits:
            raise InputError(
                f"no window has the split {split!r} (found: {', '.join(sorted(set(splits)))}): "
                "training needs windows for learning and for choosing the epoch"
            )
    if settings.max_shift >= codes.shape[1]:
        raise InputError(f"max_shift {settings.max_shift} is not below {codes.shape[1]} bp")
    _refuse_bad_targets(model, targets, splits, settings.loss)


def _refuse_bad_targets(model: Model, targets: Floats, splits: Sequence[str], loss: str) -> None:
    bad = ~np.isfinite(targets)
    if loss == "poisson":
        if model.facts.output_scale != "counts":
            raise InputError(
                f"loss 'poisson' needs a model that predicts counts, this one predicts "
                f"{model.facts.output_scale}: use loss 'mse' or another output"
            )
        bad |= targets < 0
    if bad.any():
        window, bin_index, track = (int(index[0]) for index in np.nonzero(bad))
        raise InputError(
            f"target {targets[window, bin_index, track]} in window {window} (from 0), bin "
            f"{bin_index}, track {model.facts.tracks[track].name!r}: loss {loss!r} needs finite "
            f"{'non-negative ' if loss == 'poisson' else ''}values"
        )
    held_out = targets[np.array(splits) == VALIDATION]
    if not np.ptp(held_out.reshape(-1, held_out.shape[-1]), axis=0).any():
        raise InputError("no track varies over the validation windows: no epoch can be chosen")
