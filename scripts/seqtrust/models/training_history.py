"""What happened in each finished epoch of a run."""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.models import schedules
from seqtrust.models.training_settings import AUROC, PEARSON


@dataclass
class History:
    """What happened in each finished epoch, and the weights of the best one.

    Attributes:
        metric: what the best epoch is chosen by.
        train_loss: mean loss per epoch.
        validation_loss: mean `held_out_loss` per epoch; None where it is not finite.
        validation_r: mean Pearson r over target tracks per epoch.
        validation_auroc: mean AUROC over target tracks per epoch, where it is the metric.
        best_r: Pearson r of every target track in the best epoch.
        best_weights: the network's state in the best epoch.
    """

    metric: str
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)
    validation_r: list[float] = field(default_factory=list)
    validation_auroc: list[float] = field(default_factory=list)
    best_r: list[float | None] = field(default_factory=list)
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def scores(self) -> list[float]:
        """What the best epoch is chosen by, larger is better."""
        if self.metric == PEARSON:
            return self.validation_r
        if self.metric == AUROC:
            return self.validation_auroc
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
        aurocs: npt.NDArray[np.float64] | None,
        module: torch.nn.Module,
    ) -> None:
        """Note an epoch; keep its weights where it is the best so far.

        Args:
            train_loss: mean over its steps.
            validation_loss: mean over the validation windows.
            per_track: Pearson r, NaN where a track does not vary; it counts as 0.
            aurocs: per track, where it is the metric; tracks of one class have no part in it.
            module: the network.
        """
        self.train_loss.append(train_loss)
        self.validation_loss.append(validation_loss if math.isfinite(validation_loss) else None)
        self.validation_r.append(float(np.mean(np.nan_to_num(per_track))))
        if aurocs is not None:
            known = aurocs[~np.isnan(aurocs)]
            self.validation_auroc.append(float(known.mean()) if len(known) else 0.5)
        if self.best_epoch == len(self.scores):
            self.best_weights = copy.deepcopy(module.state_dict())
            self.best_r = [None if math.isnan(r) else float(r) for r in per_track]

    def plain(self) -> dict[str, Any]:
        """All but the weights, as plain types."""
        names = ("train_loss", "validation_loss", "validation_r", "validation_auroc", "best_r")
        return {name: getattr(self, name) for name in names}

    def line(self, epochs: int) -> str:
        """The last epoch in words.

        Args:
            epochs: of the run, at most.
        """
        loss, best = self.validation_loss[-1], self.best_epoch - 1
        shown = self.validation_auroc if self.metric == AUROC else self.validation_r
        name = "AUROC" if self.metric == AUROC else "r"
        return (
            f"epoch {len(self.scores)}/{epochs}: training loss {self.train_loss[-1]:.4f}, "
            f"validation loss {'not finite' if loss is None else f'{loss:.4f}'}, validation "
            f"{name} {shown[-1]:.3f} (best epoch {best + 1} with {name} {shown[best]:.3f})"
        )
