"""What shapes a training run: its settings and its seeds, each refused with what is allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np

from seqtrust.errors import InputError, nearest_clause
from seqtrust.models.losses import LOSSES
from seqtrust.models.schedules import SCHEDULES

PEARSON, LOSS = "pearson", "loss"
ERROR, MASK = "error", "mask"
FLOAT32, BFLOAT16 = "float32", "bfloat16"
_CHOICES = {
    "loss": LOSSES,
    "validation_metric": (PEARSON, LOSS),
    "schedule": SCHEDULES,
    "precision": (FLOAT32, BFLOAT16),
    "missing_targets": (ERROR, MASK),
}
_POSITIVE = ("epochs", "batch_size", "learning_rate", "gradient_clip", "threads")
_NOT_NEGATIVE = ("max_shift", "weight_decay")


@dataclass(frozen=True)
class Seeds:
    """The seeds of everything random in training; replicates may share some of them.

    Attributes:
        initialisation: first weights.
        order: order of the windows in each epoch.
        dropout: dropout masks.
        augmentation: reverse complements and shifts.
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
    """The arguments of `train` that shape the weights; see there for their meaning."""

    epochs: int
    batch_size: int
    learning_rate: float
    loss: str
    beta: float
    reverse_complement: bool
    max_shift: int
    weight_decay: float
    gradient_clip: float
    schedule: str
    validation_metric: str
    patience: int | None
    precision: str
    missing_targets: str
    threads: int
    device: str
    keep_weights: bool
    fixed_seeds: Mapping[str, int] = field(default_factory=dict)

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

    @property
    def masked(self) -> bool:
        """Whether targets that are NaN are left out of losses and metrics."""
        return self.missing_targets == MASK
