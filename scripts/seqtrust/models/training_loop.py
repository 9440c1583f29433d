"""The loop over epochs and steps, which can be left and entered again at any step."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.errors import InputError
from seqtrust.models import schedules
from seqtrust.models.losses import held_out_loss, make_loss
from seqtrust.models.model import Model, evaluation, other_strand, shift
from seqtrust.models.model import reverse_complement as reverse_complement_of
from seqtrust.models.training_checkpoint import Checkpoint, TrainingState
from seqtrust.models.training_data import Windows, swapped_targets
from seqtrust.models.training_settings import BFLOAT16, PEARSON, Seeds, TrainingSettings

_LOG_EVERY_SECONDS = 60.0


def pearson_per_track(
    predicted: npt.NDArray[np.floating[Any]], target: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float64]:
    """Pearson r over windows and bins of every track, in double precision.

    Args:
        predicted: shape (N, bins, tracks).
        target: the same shape; NaN where missing, which leaves out the value.

    Returns:
        Shape (tracks,); NaN where a track or its prediction does not vary.
    """
    tracks = target.shape[-1]
    x = predicted.reshape(-1, tracks).astype(np.float64)
    y = target.reshape(-1, tracks).astype(np.float64)
    missing = np.isnan(y)
    if missing.any():
        parts = [
            pearson_per_track(x[there, track, None], y[there, track, None])
            for track, there in enumerate(~missing.T)
        ]
        return np.concatenate(parts)
    if not len(y):
        return np.full(tracks, np.nan)
    x -= x.mean(axis=0)
    y -= y.mean(axis=0)
    scale = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return np.divide((x * y).sum(axis=0), scale, out=np.full(tracks, np.nan), where=scale > 0)


@dataclass
class History:
    """What happened in each finished epoch, and the weights of the best one.

    Attributes:
        metric: what the best epoch is chosen by.
        train_loss: mean loss per epoch.
        validation_loss: mean `held_out_loss` per epoch; None where it is not finite.
        validation_r: mean Pearson r over target tracks per epoch.
        best_r: Pearson r of every target track in the best epoch.
        best_weights: the network's state in the best epoch.
    """

    metric: str
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)
    validation_r: list[float] = field(default_factory=list)
    best_r: list[float | None] = field(default_factory=list)
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def scores(self) -> list[float]:
        """What the best epoch is chosen by, larger is better."""
        if self.metric == PEARSON:
            return self.validation_r
        return [-math.inf if loss is None else -loss for loss in self.validation_loss]

    @property
    def best_epoch(self) -> int:
        """From 1."""
        return schedules.best_epoch(self.scores)

    def add(
        self,
        train_loss: float,
        validation_loss: float,
        per_track: npt.NDArray[np.float64],
        module: torch.nn.Module,
    ) -> None:
        """Note an epoch; keep its weights where it is the best so far."""
        self.train_loss.append(train_loss)
        self.validation_loss.append(validation_loss if math.isfinite(validation_loss) else None)
        self.validation_r.append(float(np.mean(np.nan_to_num(per_track))))
        if self.best_epoch == len(self.scores):
            self.best_weights = copy.deepcopy(module.state_dict())
            self.best_r = [None if math.isnan(r) else float(r) for r in per_track]

    def plain(self) -> dict[str, Any]:
        """All but the weights, as plain types."""
        names = ("train_loss", "validation_loss", "validation_r", "best_r")
        return {name: getattr(self, name) for name in names}


@dataclass
class _Place:
    """Where a run stands.

    Attributes:
        step: steps done in all epochs.
        position: windows of the current epoch that are done.
        total: sum of the losses of the current epoch, weighted.
        weight: sum of the weights, which are windows.
    """

    step: int = 0
    position: int = 0
    total: float = 0.0
    weight: float = 0.0


class Trainer:
    """One run: its network, optimiser, generators and history.

    Args:
        model: on the device of the windows.
        training: windows to learn from.
        validation: windows to choose the epoch by.
        seeds: of the order and of augmentation; dropout draws from torch's own generator.
        settings: of the run.
        report: gets a line per epoch, and one a minute within long ones.
        checkpoint: where the state is kept, if at all.
        run: digest of what the run is.
    """

    def __init__(
        self,
        model: Model,
        training: Windows,
        validation: Windows,
        seeds: Seeds,
        settings: TrainingSettings,
        report: Callable[[str], None],
        checkpoint: Checkpoint | None,
        run: str,
    ) -> None:
        self.model = model
        self.training = training
        self.validation = validation
        self.settings = settings
        self.report = report
        self.checkpoint = checkpoint
        self.run_digest = run
        self.generators = {
            "order": np.random.default_rng(seeds.order),
            "augmentation": np.random.default_rng(seeds.augmentation),
        }
        self.loss, self.held_out_loss = (
            make_loss(name, model.facts, beta=settings.beta, masked=settings.masked)
            for name in (settings.loss, held_out_loss(settings.loss))
        )
        self.swapped = swapped_targets(model.facts)
        self.optimiser = torch.optim.AdamW(
            model.module.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.steps = settings.epochs * math.ceil(len(training) / settings.batch_size)
        self.history = History(settings.validation_metric)
        self.place = _Place()
        self.order = torch.empty(0, dtype=torch.int64)
        self.began = self.saved = self.logged = time.monotonic()
        self.shown = 0

    def run(self) -> History:
        """Train until the last epoch or until patience ends; put the best weights back."""
        self._resume()
        while not self._finished():
            self._train_epoch()
            train_loss = self.place.total / self.place.weight
            self.history.add(train_loss, *self._validate(), self.model.module)
            self.place = _Place(step=self.place.step)
            self.order = self.order[:0]
            self._save()
            self.report(self._epoch_line())
        self.model.module.load_state_dict(self.history.best_weights)
        return self.history

    def _finished(self) -> bool:
        scores = self.history.scores
        if schedules.stops(scores, self.settings.patience):
            self.report(
                f"stopped after epoch {len(scores)}: none was better in the "
                f"{self.settings.patience} after epoch {self.history.best_epoch}"
            )
            return True
        return len(scores) == self.settings.epochs

    def _train_epoch(self) -> None:
        self.model.module.train()
        if not len(self.order):
            self.order = torch.from_numpy(
                self.generators["order"].permutation(len(self.training))
            ).to(self.training.codes.device)
        while (first := self.place.position) < len(self.training):
            self._take_step(self.order[first : first + self.settings.batch_size])
            now = time.monotonic()
            if self.checkpoint and now - self.saved >= 60 * self.checkpoint.minutes:
                self._save()
            if now - self.logged >= _LOG_EVERY_SECONDS:
                self.logged = now
                self.report(
                    f"epoch {len(self.history.scores) + 1}: {self.place.position:,} of "
                    f"{len(self.training):,} windows, {self._pace()}"
                )

    def _take_step(self, rows: torch.Tensor) -> None:
        sequences, targets = self._augmented(rows)
        with torch.autocast(
            self.model.device.type,
            dtype=torch.bfloat16,
            enabled=self.settings.precision == BFLOAT16,
        ):
            predictions = self.model(sequences)
        loss = self.loss(predictions.float(), targets)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(
                f"the training loss became {value} in epoch {len(self.history.scores) + 1}: lower "
                f"the learning rate (now {self.settings.learning_rate}) or look for outliers in "
                "the targets"
            )
        rate = self.settings.learning_rate * schedules.rate_factor(
            self.settings.schedule, self.place.step, self.steps, self.history.scores
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.module.parameters(), self.settings.gradient_clip)
        self.optimiser.step()
        weight = self._weight(targets)
        self.place.step += 1
        self.place.position += len(rows)
        self.place.total += value * weight
        self.place.weight += weight
        self.shown += len(rows)

    def _augmented(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        codes, targets = self.training.codes[rows], self.training.targets[rows]
        augmentation = self.generators["augmentation"]
        if self.settings.max_shift:
            distance = augmentation.integers(
                -self.settings.max_shift, self.settings.max_shift, endpoint=True
            )
            codes = shift(codes, int(distance))
        if self.settings.reverse_complement:
            turned = torch.from_numpy(augmentation.random(len(rows)) < 0.5).to(codes.device)
            codes = torch.where(turned[:, None], reverse_complement_of(codes), codes)
            targets = torch.where(
                turned[:, None, None], other_strand(targets, self.swapped), targets
            )
        return codes, targets

    def _weight(self, targets: torch.Tensor) -> float:
        """Windows that a batch's mean loss stands for, less the part that is missing."""
        if not self.settings.masked:
            return float(len(targets))
        return len(targets) * float((~torch.isnan(targets)).double().mean())

    def _validate(self) -> tuple[float, npt.NDArray[np.float64]]:
        """Mean loss and Pearson r per target track, in float32 as at inference."""
        means = list(self.model.facts.target_tracks())
        total = weights = 0.0
        predicted = []
        batches = zip(
            self.validation.codes.split(self.settings.batch_size),
            self.validation.targets.split(self.settings.batch_size),
            strict=True,
        )
        with evaluation(self.model.module), torch.inference_mode():
            for codes, targets in batches:
                values = self.model(codes)
                weight = self._weight(targets)
                total += float(self.held_out_loss(values, targets)) * weight
                weights += weight
                predicted.append(values[..., means].cpu().numpy())
        r = pearson_per_track(np.concatenate(predicted), self.validation.targets.cpu().numpy())
        return total / weights, r

    def _epoch_line(self) -> str:
        history = self.history
        loss = history.validation_loss[-1]
        return (
            f"epoch {len(history.scores)}/{self.settings.epochs}: training loss "
            f"{history.train_loss[-1]:.4f}, validation loss "
            f"{'not finite' if loss is None else f'{loss:.4f}'}, validation r "
            f"{history.validation_r[-1]:.3f} (best epoch {history.best_epoch} with r "
            f"{history.validation_r[history.best_epoch - 1]:.3f}), {self._pace()}"
        )

    def _pace(self) -> str:
        """Windows per second and the time left, from what this process has done."""
        # a run that goes on from the end of an epoch has shown nothing yet
        rate = max(1, self.shown) / (time.monotonic() - self.began)
        epochs = self.settings.epochs - len(self.history.scores)
        left = (epochs * len(self.training) - self.place.position) / rate
        return f"{rate:.0f} windows/s, {left:.0f} s left"

    def _resume(self) -> None:
        if not self.checkpoint:
            return
        state = self.checkpoint.read(self.run_digest, self.report)
        if state is None:
            return
        self.model.module.load_state_dict(state.part("weights"))
        self._load_optimiser(state.part("optimiser"))
        self.place = _Place(**state.plain["place"])
        self.history = History(
            self.settings.validation_metric,
            **state.plain["history"],
            best_weights=state.part("best"),
        )
        self.order = state.tensors["order"].to(self.training.codes.device)
        for name, generator in self.generators.items():
            generator.bit_generator.state = state.plain["generators"][name]
        torch.set_rng_state(state.tensors["dropout"])
        if self.model.device.type == "cuda":
            torch.cuda.set_rng_state(state.tensors["dropout_cuda"], self.model.device)
        self.report(
            f"training goes on from {self.place.position:,} windows into epoch "
            f"{len(self.history.scores) + 1}, from {self.checkpoint.path}"
            if self.checkpoint
            else ""
        )

    def _save(self) -> None:
        if not self.checkpoint:
            return
        tensors = {
            **_named("weights", self.model.module.state_dict()),
            **_named("best", self.history.best_weights),
            **_named("optimiser", self._optimiser_tensors()),
            "order": self.order,
            "dropout": torch.get_rng_state(),
        }
        if self.model.device.type == "cuda":
            tensors["dropout_cuda"] = torch.cuda.get_rng_state(self.model.device)
        plain = {
            "place": asdict(self.place),
            "history": self.history.plain(),
            "generators": {
                name: generator.bit_generator.state for name, generator in self.generators.items()
            },
        }
        self.checkpoint.write(self.run_digest, TrainingState(tensors, plain))
        self.saved = time.monotonic()

    def _optimiser_tensors(self) -> dict[str, torch.Tensor]:
        return {
            f"{index}.{name}": tensor
            for index, moments in self.optimiser.state_dict()["state"].items()
            for name, tensor in moments.items()
        }

    def _load_optimiser(self, tensors: dict[str, torch.Tensor]) -> None:
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            index, moment = name.split(".")
            state.setdefault(int(index), {})[moment] = tensor
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": state})


def _named(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
