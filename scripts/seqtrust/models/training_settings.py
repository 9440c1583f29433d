"""What shapes a training run: its settings and its seeds, each refused with what is allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from seqtrust.errors import InputError, nearest_clause
from seqtrust.models.evolution import Evolution
from seqtrust.models.losses import EVIDENCE_WEIGHT, LOSSES, SMALLEST_SPREAD
from seqtrust.models.optimisers import ALL_WEIGHTS, CLIPPED, OPTIMISERS
from seqtrust.models.regularisation import Regularisation
from seqtrust.models.schedules import PLATEAU_EPOCHS, PLATEAU_FACTOR, SCHEDULES, WARM_UP

PEARSON, AUROC, LOSS = "pearson", "auroc", "loss"
ERROR, MASK = "error", "mask"
FLOAT32, BFLOAT16 = "float32", "bfloat16"
_CHOICES = {
    "loss": LOSSES,
    "validation_metric": (PEARSON, AUROC, LOSS),
    "schedule": SCHEDULES,
    "optimiser": OPTIMISERS,
    "gradient_clip_of": CLIPPED,
    "precision": (FLOAT32, BFLOAT16),
    "missing_targets": (ERROR, MASK),
}
_POSITIVE = (
    "epochs",
    "batch_size",
    "learning_rate",
    "gradient_clip",
    "threads",
    "epsilon",
    "plateau_epochs",
    "accumulate",
    "processes",
    "smallest_spread",
)
_NOT_NEGATIVE = ("max_shift", "weight_decay", "count_weight", "evidence_weight", "group_step")


@dataclass(frozen=True)
class Seeds:
    """The seeds of everything random in training; replicates may share some of them.

    Attributes:
        initialisation: first weights.
        order: order of the windows in each epoch.
        dropout: dropout masks.
        augmentation: reverse complements, shifts, and the changes of `augmentation`.
        data: the bootstrap sample of training windows, where one is drawn.
    """

    initialisation: int
    order: int
    dropout: int
    augmentation: int
    data: int

    @classmethod
    def derive(cls, seed: int) -> "Seeds":
        """Independent seeds from one."""
        children = np.random.SeedSequence(seed).spawn(len(fields(cls)))
        return cls(*(int(child.generate_state(1)[0]) for child in children))

    def with_fixed(self, fixed: Mapping[str, int]) -> "Seeds":
        """The same seeds but for those named, which get the given values.

        Raises:
            InputError: an unknown name, or a seed that is no whole number from 0.
        """
        known = [one.name for one in fields(self)]
        for name, seed in fixed.items():
            if name not in known:
                raise InputError(f"fixed_seeds has no {name!r}{nearest_clause(name, known)}")
            if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
                raise InputError(
                    f"fixed_seeds: {name} is {seed!r}, but must be a whole number from 0"
                )
        return replace(self, **fixed)


@dataclass(frozen=True)
class TrainingSettings:
    """What shapes the weights, beside model, data and seeds.

    Attributes:
        epochs: most passes over the training windows.
        batch_size: windows per step, over all processes.
        learning_rate: at the top of the schedule.
        loss: "poisson" (for models that predict counts), "bce" (probabilities), "mse",
            "gaussian_nll" and "beta_nll" (models that predict variances), "distillation" (those
            that learn an ensemble's), "evidential" and "student_nll" (evidential heads),
            "multinomial_counts" and "multinomial_counts_joint" (counts per base).
        beta: of "beta_nll", between 0 and 1.
        reverse_complement: show each window on a randomly drawn strand.
        max_shift: move each batch by up to so many bp to either side; targets stay.
        weight_decay: decoupled in AdamW, part of the gradient in the other optimisers.
        gradient_clip: largest norm of the gradient.
        gradient_clip_of: the norm is that of "all" weights together, or of "each" tensor of
            weights by itself (Keras's `clipnorm`).
        schedule: "cosine", "plateau" or "constant"; see `seqtrust.models.schedules`.
        validation_metric: the best epoch has the highest "pearson" r or "auroc", averaged over
            target tracks, or the lowest "loss" (of "beta_nll" and "evidential" the likelihood; of
            group DRO that of the worst group), on validation windows.
        patience: stop after so many epochs without a better one; None never stops early.
        precision: "float32", or "bfloat16" for the forward pass of training alone.
        missing_targets: "mask" leaves targets that are NaN out of loss and metrics.
        threads: threads of torch, in each process.
        device: "cpu", "cuda", "cuda:1", ... or "auto".
        keep_weights: start from the model's weights (fine-tuning).
        fixed_seeds: seeds by name that take the place of those derived from `seed`.
        count_weight: of the multinomial losses.
        optimiser: "adamw", "adam", "amsgrad" or "sgd".
        momentum: of "sgd", in Keras's form.
        epsilon: of all optimisers but "sgd".
        warm_up: fraction of the steps in which the rate rises linearly; 0: none.
        plateau_epochs: epochs in a row without a better one that make a plateau.
        plateau_factor: what schedule "plateau" then multiplies the rate with.
        steps: most optimiser steps in all; the schedule ends with them. None: as many as the
            epochs have.
        accumulate: parts that a process's windows of a step are cut into, one after the other.
        processes: that train together, started by torch's launcher.
        regularisation: fields of `Regularisation`.
        augmentation: fields of `Evolution`.
        evidence_weight: of the penalty in "evidential".
        smallest_spread: of "distillation": standard deviations of the teacher below it count as it.
        group_step: of group DRO, where windows have groups: how fast groups gain weight.
    """

    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 1e-2
    loss: str = "poisson"
    beta: float = 0.5
    reverse_complement: bool = True
    max_shift: int = 0
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    gradient_clip_of: str = ALL_WEIGHTS
    schedule: str = "cosine"
    validation_metric: str = PEARSON
    patience: int | None = None
    precision: str = FLOAT32
    missing_targets: str = ERROR
    threads: int = 1
    device: str = "cpu"
    keep_weights: bool = False
    fixed_seeds: Mapping[str, int] = field(default_factory=dict)
    count_weight: float = 1.0
    optimiser: str = "adamw"
    momentum: float = 0.0
    epsilon: float = 1e-8
    warm_up: float = WARM_UP
    plateau_epochs: int = PLATEAU_EPOCHS
    plateau_factor: float = PLATEAU_FACTOR
    steps: int | None = None
    accumulate: int = 1
    processes: int = 1
    regularisation: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    evidence_weight: float = EVIDENCE_WEIGHT
    smallest_spread: float = SMALLEST_SPREAD
    group_step: float = 0.01

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name} {getattr(self, name)!r} is unknown: use one of {', '.join(allowed)}"
                )
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}, but must be positive")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}, but must not be negative")
        if not 0 <= self.beta <= 1:
            raise InputError(f"beta is {self.beta}, but must be between 0 and 1")
        if self.patience is not None and self.patience < 1:
            raise InputError(
                f"patience is {self.patience}, but must be at least 1 epoch, or none at all"
            )
        self._refuse_bad_steps()
        self.regulariser()
        self.evolution()

    def _refuse_bad_steps(self) -> None:
        for name in ("momentum", "warm_up"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, but must be from 0 to below 1")
        if self.momentum and self.optimiser != "sgd":
            raise InputError(f"momentum is of optimiser sgd, not of {self.optimiser!r}")
        if not 0 < self.plateau_factor < 1:
            raise InputError(
                f"plateau_factor is {self.plateau_factor}, but must be between 0 and 1"
            )
        if self.steps is not None and self.steps < 1:
            raise InputError(f"steps is {self.steps}, but must be at least 1, or none at all")
        if self.batch_size % self.processes:
            raise InputError(
                f"batch_size is {self.batch_size}, which {self.processes} processes do not share "
                f"evenly: make it a multiple of {self.processes}"
            )

    @property
    def masked(self) -> bool:
        """Whether targets that are NaN are left out of losses and metrics."""
        return self.missing_targets == MASK

    def evolution(self) -> Evolution:
        """The settings of `augmentation`, with their defaults."""
        return Evolution.of(self.augmentation)

    def regulariser(self) -> Regularisation:
        """The settings of `regularisation`, with their defaults."""
        return Regularisation.of(self.regularisation)
