"""The loop over epochs and steps, which can be left and entered again at any step."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from seqtrust.bases import UNKNOWN
from seqtrust.errors import InputError
from seqtrust.models import schedules
from seqtrust.models.distributed import Group
from seqtrust.models.losses import held_out_loss, make_loss
from seqtrust.models.model import Model
from seqtrust.models.optimisers import clip_gradients, make_optimiser
from seqtrust.models.per_window import NOTHING_KNOWN, PerWindow
from seqtrust.models.training_checkpoint import Checkpoint, TrainingState
from seqtrust.models.training_data import (
    TRAIN,
    Control,
    nothing_to_learn,
    refuse_bad_targets,
)
from seqtrust.models.training_history import History
from seqtrust.models.training_settings import Seeds, TrainingSettings
from seqtrust.models.training_step import GradientStep
from seqtrust.models.training_validation import Validation
from seqtrust.models.window_source import Batch, WindowSource

_LOG_EVERY_SECONDS = 60.0


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
        model: on the device of the group.
        training: windows to learn from.
        validation: windows to choose the epoch by.
        seeds: of the order and of augmentation; dropout draws from torch's own generator.
        settings: of the run.
        report: gets a line per epoch, and one a minute within long ones.
        checkpoint: where the state is kept, if at all.
        run: digest of what the run is.
        control: tracks that the network reads; the last columns of the targets.
        group: of processes.
        checked: whether all targets have been looked at; those of a stream have not.
        known: weights, groups and variances by the windows' numbers.
    """

    def __init__(
        self,
        model: Model,
        training: WindowSource,
        validation: WindowSource,
        seeds: Seeds,
        settings: TrainingSettings,
        report: Callable[[str], None],
        checkpoint: Checkpoint | None,
        run: str,
        control: Control,
        group: Group,
        checked: bool,
        known: PerWindow = NOTHING_KNOWN,
    ) -> None:
        self.model = model
        self.training = training
        self.settings = settings
        self.report = report if group.rank == 0 else _silent
        self.checkpoint = checkpoint
        self.run_digest = run
        self.control = control
        self.group = group
        self.checked = checked
        loss, judged = (
            make_loss(
                name,
                model.facts,
                beta=settings.beta,
                masked=settings.masked,
                count_weight=settings.count_weight,
                evidence_weight=settings.evidence_weight,
                smallest_spread=settings.smallest_spread,
            )
            for name in (settings.loss, held_out_loss(settings.loss))
        )
        here = known.to(group.device)
        self.gradients = GradientStep(
            model, loss, seeds, settings, control, group, self._example(), here
        )
        self.judge = Validation(
            model, validation, judged, settings, control, group, here, self._refuse_bad
        )
        self.generators = {
            "order": np.random.default_rng(seeds.order),
            "augmentation": self.gradients.augmentation,
        }
        self.optimiser = make_optimiser(
            settings.optimiser,
            model.module.parameters(),
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
            epsilon=settings.epsilon,
        )
        self.windows = training.epoch_windows(group.processes)
        self.gradients.norms.refuse_lone_windows(settings, self.windows)
        per_epoch = math.ceil(self.windows / settings.batch_size)
        whole = settings.epochs * per_epoch
        self.steps = whole if settings.steps is None else min(whole, settings.steps)
        self.epochs = math.ceil(self.steps / per_epoch)
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
            if not self.place.weight:
                raise InputError(nothing_to_learn(TRAIN))
            train_loss = self.place.total / self.place.weight
            self.history.add(train_loss, *self.judge(), self.model.module)
            self.place = _Place(step=self.place.step)
            self.order = self.order[:0]
            self._save()
            self.report(f"{self.history.line(self.epochs)}, {self._pace()}")
        self.model.module.load_state_dict(self.history.best_weights)
        self.gradients.regulariser.fold()
        return self.history

    def _example(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A window of unknown bases, with targets of zero."""
        length, bins, tracks = self.training.shape
        device = self.group.device
        codes = torch.full((1, length), UNKNOWN, dtype=torch.uint8, device=device)
        return codes, torch.zeros((1, bins, tracks), device=device)

    def _finished(self) -> bool:
        scores = self.history.scores
        if self.place.position:
            return False
        if schedules.stops(scores, self.settings.patience):
            self.report(
                f"stopped after epoch {len(scores)}: none was better in the "
                f"{self.settings.patience} after epoch {self.history.best_epoch}"
            )
            return True
        return self.place.step >= self.steps

    def _train_epoch(self) -> None:
        self.model.module.train()
        if not len(self.order):
            self.order = self.training.order(self.generators["order"])
        batches = self.training.batches(
            self.order, self.settings.batch_size, self.place.position, self.group.part
        )
        while self.place.position < self.windows and self.place.step < self.steps:
            self._take_step(next(batches))
            now = time.monotonic()
            if self.checkpoint and now - self.saved >= 60 * self.checkpoint.minutes:
                self._save()
            if now - self.logged >= _LOG_EVERY_SECONDS:
                self.logged = now
                self.report(
                    f"epoch {len(self.history.scores) + 1}: {self.place.position:,} of "
                    f"{self.windows:,} windows, {self._pace()}"
                )

    def _take_step(self, batch: Batch) -> None:
        settings, place = self.settings, self.place
        self._refuse_bad(batch, TRAIN)
        windows = min(settings.batch_size, self.windows - place.position)
        value, weight = self.gradients(batch, place.step, windows)
        if not math.isfinite(value):
            raise InputError(
                f"the training loss became {value} in epoch {len(self.history.scores) + 1}: lower "
                f"the learning rate (now {settings.learning_rate}) or look for outliers in "
                "the targets"
            )
        rate = settings.learning_rate * schedules.rate_factor(
            settings.schedule,
            place.step,
            self.steps,
            self.history.scores,
            warm_up=settings.warm_up,
            plateau_epochs=settings.plateau_epochs,
            plateau_factor=settings.plateau_factor,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        clip_gradients(
            self.model.module.parameters(), settings.gradient_clip, settings.gradient_clip_of
        )
        self.optimiser.step()
        place.step += 1
        place.position += windows
        place.total += value * weight
        place.weight += weight
        self.shown += windows

    def _refuse_bad(self, batch: Batch, split: str) -> None:
        if self.checked:
            return
        targets = batch.targets.cpu().numpy()
        where = f" of the split {split!r}"
        refuse_bad_targets(
            self.model.facts, targets, batch.rows.numpy(), self.settings, self.control, where
        )

    def _pace(self) -> str:
        """Windows per second and the time left, from what this process has done."""
        # a run that goes on from the end of an epoch has shown nothing yet
        rate = max(1, self.shown) / (time.monotonic() - self.began)
        epochs = self.settings.epochs - len(self.history.scores)
        windows = epochs * self.windows - self.place.position
        if self.settings.steps is not None:
            windows = min(windows, (self.steps - self.place.step) * self.settings.batch_size)
        return f"{rate:.0f} windows/s, {windows / rate:.0f} s left"

    def _resume(self) -> None:
        if not self.checkpoint:
            return
        state = self.checkpoint.read(self.run_digest, self.report)
        everywhere = self.group.total(float(state is not None)) == self.group.processes
        if state is None or not everywhere:
            return
        self.model.module.load_state_dict(state.part("weights"))
        self._load_optimiser(state.part("optimiser"))
        self.place = _Place(**state.plain["place"])
        self.history = History(
            self.settings.validation_metric,
            **state.plain["history"],
            best_weights=state.part("best"),
        )
        self.order = state.tensors["order"]
        if self.gradients.group_weights is not None:
            self.gradients.group_weights.restore(state.plain["group_weights"])
        for name, generator in self.generators.items():
            generator.bit_generator.state = state.plain["generators"][name]
        torch.set_rng_state(state.tensors["dropout"])
        if self.model.device.type == "cuda":
            torch.cuda.set_rng_state(state.tensors["dropout_cuda"], self.model.device)
        self.report(
            f"training goes on from {self.place.position:,} windows into epoch "
            f"{len(self.history.scores) + 1}, from {self.checkpoint.path}"
        )

    def _save(self) -> None:
        if not self.checkpoint or self.group.rank:
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
        plain: dict[str, Any] = {
            "place": asdict(self.place),
            "history": self.history.plain(),
            "generators": {
                name: generator.bit_generator.state for name, generator in self.generators.items()
            },
        }
        if self.gradients.group_weights is not None:
            plain["group_weights"] = self.gradients.group_weights.plain()
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


def _silent(_: str) -> None:
    """Only the first process reports."""


def _named(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
