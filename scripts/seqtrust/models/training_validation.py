"""How a network does on the validation windows, from which the epoch is chosen."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.errors import InputError
from seqtrust.models.distributed import Group
from seqtrust.models.group_weights import group_sums
from seqtrust.models.loss import Loss
from seqtrust.models.model import Model, evaluation
from seqtrust.models.per_window import PerWindow
from seqtrust.models.streaming_metrics import AurocValues, PearsonSums
from seqtrust.models.training_data import (
    VALIDATION,
    Control,
    no_track_varies,
    nothing_to_learn,
)
from seqtrust.models.training_settings import AUROC, LOSS, TrainingSettings
from seqtrust.models.training_step import split_control, target_weight
from seqtrust.models.window_source import Batch, WindowSource

Floats = npt.NDArray[np.float64]


class Validation:
    """Loss and metrics of a network on held-out windows, whose weights all are 1.

    Args:
        model: on the device of the group.
        source: validation windows.
        loss: that models are judged by.
        settings: of the run.
        control: tracks that the network reads; the last columns of the targets.
        group: of processes.
        known: groups and variances by the windows' numbers.
        refuse_bad: ends the run where a streamed batch has a bad target.
    """

    def __init__(
        self,
        model: Model,
        source: WindowSource,
        loss: Loss,
        settings: TrainingSettings,
        control: Control,
        group: Group,
        known: PerWindow,
        refuse_bad: Callable[[Batch, str], None],
    ) -> None:
        self.model = model
        self.source = source
        self.loss = loss
        self.settings = settings
        self.control = control
        self.group = group
        self.known = known
        self.refuse_bad = refuse_bad

    def __call__(self) -> tuple[float, Floats, Floats | None]:
        """Mean loss (of groups the worst one's), Pearson r and, if it chooses, AUROC per track.

        In float32, as at inference; memory does not grow with the windows (but for AUROC).

        Raises:
            InputError: all targets are missing, or none varies.
        """
        means = list(self.model.facts.target_tracks())
        pearson = PearsonSums(len(means), self.group.device)
        aurocs = AurocValues(len(means)) if self.settings.validation_metric == AUROC else None
        count = max(1, len(self.known.names))
        sums, weights = np.zeros(count), np.zeros(count)
        size = -(-self.settings.batch_size // self.settings.accumulate)
        with evaluation(self.model.module), torch.inference_mode():
            for batch in self.source.batches(None, size, 0, self.group.part):
                if not len(batch.codes):
                    continue
                self.refuse_bad(batch, VALIDATION)
                measured = batch.targets.to(self.group.device)
                targets, read = split_control(measured, self.control)
                values = self.model(batch.codes.to(self.group.device), read)
                for total, found in zip(
                    (sums, weights), self._losses(values, targets, batch), strict=True
                ):
                    total += found
                pearson.add(values[..., means], targets)
                if aurocs is not None:
                    aurocs.add(values[..., means], targets)
        loss = self._mean(sums, weights)
        pearson.merge(self.group)
        if self.settings.validation_metric != LOSS and not pearson.varied():
            raise InputError(no_track_varies(self.settings))
        if aurocs is None:
            return loss, pearson.per_track(), None
        aurocs.merge(self.group)
        return loss, pearson.per_track(), aurocs.per_track()

    def _losses(
        self, values: torch.Tensor, targets: torch.Tensor, batch: Batch
    ) -> tuple[Floats, Floats]:
        """Sums of losses and of weights of a batch, per group."""
        rows = batch.rows.to(self.group.device)
        variances = None if self.known.variances is None else self.known.variances[rows]
        if self.known.groups is None:
            weight = target_weight(self.loss, targets)
            loss = self.loss.weighted(values, targets, variances=variances)
            return np.array([float(loss) * weight]), np.array([weight])
        losses, shares = self.loss.of_windows(values, targets, variances)
        return group_sums(losses, shares, self.known.groups[rows], len(self.known.names))

    def _mean(self, sums: Floats, weights: Floats) -> float:
        """Over processes; of several groups the largest."""
        totals = [self.group.total(float(one)) for one in sums]
        counts = [self.group.total(float(one)) for one in weights]
        if not any(counts):
            raise InputError(nothing_to_learn(VALIDATION))
        return max(total / count for total, count in zip(totals, counts, strict=True) if count)
