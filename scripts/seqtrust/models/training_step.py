"""One step: windows are augmented, shown to the network, and their gradients summed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from seqtrust.models.distributed import Group
from seqtrust.models.evolution import Evolver
from seqtrust.models.group_weights import GroupWeights
from seqtrust.models.loss import Loss
from seqtrust.models.losses import for_training
from seqtrust.models.model import Model, other_strand, shift
from seqtrust.models.model import reverse_complement as reverse_complement_of
from seqtrust.models.per_window import NOTHING_KNOWN, PerWindow
from seqtrust.models.regularisation import Draws, Regulariser
from seqtrust.models.training_data import Control, swapped_targets
from seqtrust.models.training_norms import WindowNorms
from seqtrust.models.training_settings import BFLOAT16, Seeds, TrainingSettings
from seqtrust.models.window_source import Batch, share


@dataclass
class _Piece:
    """Windows that go through the network together.

    Attributes:
        codes: uint8 (n, L).
        control: float32 (n, bins, K), or None where the network reads none.
        targets: float32 (n, bins, T), mixed where the windows will be.
        variances: known ones of the targets, or None.
        rows: number of every window, for what is known of it.
        noise: adds the noise of augmentation to one-hot inputs.
        draws: of the regularisers.
    """

    codes: torch.Tensor
    control: torch.Tensor | None
    targets: torch.Tensor
    variances: torch.Tensor | None
    rows: torch.Tensor
    noise: Callable[[torch.Tensor], torch.Tensor] | None
    draws: Draws | None


class GradientStep:
    """Gradients of the mean loss over the windows of a step.

    A step's windows are shared by the processes, and a process's part is cut into pieces
    (gradient accumulation). Every piece counts by its targets, so that the gradient is that of
    one batch, up to rounding and to what a network computes over a batch (norms).

    Args:
        model: on the device of the group.
        loss: of predictions and targets.
        seeds: of augmentation and dropout.
        settings: of the run.
        control: tracks that the network reads.
        group: of processes.
        example: windows (1, L) and targets (1, bins, T) for a look at the network.
        known: weights, groups and variances by the windows' numbers.
    """

    def __init__(
        self,
        model: Model,
        loss: Loss,
        seeds: Seeds,
        settings: TrainingSettings,
        control: Control,
        group: Group,
        example: tuple[torch.Tensor, torch.Tensor],
        known: PerWindow = NOTHING_KNOWN,
    ) -> None:
        self.model = model
        self.known = known
        self.group_weights = (
            GroupWeights(len(known.names), settings.group_step) if known.names else None
        )
        self.evolver = Evolver(settings.evolution(), seeds.augmentation, group.rank)
        self.module, self.loss = for_training(model.module, loss)
        self.seeds = seeds
        self.settings = settings
        self.control = control
        self.group = group
        self.swapped = swapped_targets(model.facts)
        self.augmentation = np.random.default_rng(seeds.augmentation)
        codes, targets = example
        _, read = split_control(targets, control)
        inputs = (model.encode(codes),) if read is None else (model.encode(codes), read)
        self.regulariser = Regulariser(
            settings.regulariser(), model.module, seeds.augmentation, group.rank, inputs
        )
        self.norms = WindowNorms(model.module, inputs)

    def __call__(self, batch: Batch, step: int, windows: int) -> tuple[float, float]:
        """Leave the gradients of a step in the network.

        Args:
            batch: this process's part of the step.
            step: number of the step, from 0.
            windows: of the step, over all processes.

        Returns:
            Mean loss and the number of windows that it stands for, over all processes.
        """
        if not self.group.alone:
            self._seed_dropout(step)
        pieces = self._pieces(batch, step, windows)
        weights = [
            target_weight(self.loss, piece.targets, self._weights(piece)) for piece in pieces
        ]
        total = self.group.total(sum(weights))
        self.model.module.zero_grad()
        value = 0.0
        for piece, weight in zip(pieces, weights, strict=True):
            with self.norms.shown(len(piece.codes)):
                loss = self._loss(piece)
            fraction = weight / total if total else 0.0
            value += float(loss.detach()) * fraction
            (loss if fraction == 1 else loss * fraction).backward()
        self.group.add_gradients(self.model.module)
        self.regulariser.add_l2()
        return self.group.total(value), total

    def _seed_dropout(self, step: int) -> None:
        """Processes drop other units, and no generator of theirs has to be kept."""
        key = np.random.SeedSequence(self.seeds.dropout, spawn_key=(self.group.rank, step))
        torch.manual_seed(int(key.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _augmented(
        self, batch: Batch, step: int, windows: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """All processes draw for all windows of the step and use their part.

        Returns:
            Codes; targets with the control and the known variances behind them; which windows get
            noise, if any do.
        """
        device = self.group.device
        codes, targets = batch.codes.to(device), batch.targets.to(device)
        if self.known.variances is not None:
            known = self.known.variances[batch.rows.to(device)]
            targets = torch.cat([targets, known], dim=-1)
        mine = share(windows, self.group.part)
        codes, noisy = self.evolver.changed(codes, step, windows, mine)
        if self.settings.max_shift:
            distance = self.augmentation.integers(
                -self.settings.max_shift, self.settings.max_shift, endpoint=True
            )
            codes = shift(codes, int(distance))
        if self.settings.reverse_complement:
            drawn = self.augmentation.random(windows)[mine] < 0.5
            turned = torch.from_numpy(drawn).to(device)
            codes = torch.where(turned[:, None], reverse_complement_of(codes), codes)
            targets = torch.where(
                turned[:, None, None], other_strand(targets, self._swapped_columns()), targets
            )
        return codes, targets, noisy

    def _swapped_columns(self) -> tuple[int, ...]:
        first = len(self.swapped)
        swapped = self.swapped + tuple(first + index for index in self.control.swapped)
        if self.known.variances is None:
            return swapped
        return swapped + tuple(len(swapped) + index for index in self.swapped)

    def _pieces(self, batch: Batch, step: int, windows: int) -> list[_Piece]:
        codes, targets, noisy = self._augmented(batch, step, windows)
        pieces = []
        places = torch.arange(len(codes))
        for number, found in enumerate(places.tensor_split(self.settings.accumulate)):
            if not len(found):
                continue
            part = slice(int(found[0]), int(found[-1]) + 1)
            draws = self.regulariser.draw(step, number, len(found))
            values, variances = targets[part], None
            if self.known.variances is not None:
                last = values.shape[-1] - len(self.swapped)
                values, variances = values[..., :last], values[..., last:]
            measured, read = split_control(values, self.control)
            if draws is not None:
                measured = draws.mixed(measured)
                read = None if read is None else draws.mixed(read)
            noise = (
                None
                if noisy is None
                else partial(self.evolver.noise, noisy=noisy[part], step=step, piece=number)
            )
            rows = batch.rows[part]
            pieces.append(_Piece(codes[part], read, measured, variances, rows, noise, draws))
        return pieces

    def _weights(self, piece: _Piece) -> torch.Tensor | None:
        weights = self.known.weights
        return None if weights is None else weights[piece.rows.to(weights.device)]

    def _loss(self, piece: _Piece) -> torch.Tensor:
        inputs = self.model.encode(piece.codes)
        if piece.noise is not None:
            inputs = piece.noise(inputs)
        if piece.draws is not None:
            inputs = self.regulariser.shown(inputs, piece.draws)
        loss = self._loss_of(piece)
        with self.regulariser.hooked(piece.draws):
            clean = loss(inputs)
        if self.regulariser.settings.adversarial is None:
            return clean
        perturbed = self.regulariser.perturbed(inputs, loss)
        with self.regulariser.hooked(piece.draws):
            return (clean + loss(perturbed)) / 2

    def _loss_of(self, piece: _Piece) -> Callable[[torch.Tensor], torch.Tensor]:
        """The loss of a piece's targets as a function of one-hot inputs."""

        def loss(inputs: torch.Tensor) -> torch.Tensor:
            with torch.autocast(
                self.group.device.type,
                dtype=torch.bfloat16,
                enabled=self.settings.precision == BFLOAT16,
            ):
                predictions = (
                    self.module(inputs)
                    if piece.control is None
                    else self.module(inputs, piece.control)
                )
            return self._mean(predictions.float(), piece)

        return loss

    def _mean(self, predictions: torch.Tensor, piece: _Piece) -> torch.Tensor:
        """The loss of a piece, by the weights of its windows or of their groups."""
        weights = self._weights(piece)
        if self.group_weights is None or self.known.groups is None:
            return self.loss.weighted(predictions, piece.targets, weights, piece.variances)
        losses, shares = self.loss.of_windows(predictions, piece.targets, piece.variances)
        groups = self.known.groups[piece.rows.to(losses.device)]
        return self.group_weights.loss(
            losses, shares if weights is None else shares * weights, groups
        )


def split_control(
    targets: torch.Tensor, control: Control
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Targets (N, bins, T) and the control input (N, bins, K) that stands behind them."""
    if not len(control):
        return targets, None
    tracks = targets.shape[-1] - len(control)
    return targets[..., :tracks], targets[..., tracks:]


def target_weight(loss: Loss, targets: torch.Tensor, weights: torch.Tensor | None = None) -> float:
    """Windows that a mean loss stands for, by their weights and less the part that is missing."""
    if weights is None:
        if not loss.masked:
            return float(len(targets))
        return len(targets) * float(loss.present(targets).double().mean())
    if not loss.masked:
        return float(weights.double().sum())
    shares = loss.present(targets).flatten(1).double().mean(dim=1)
    return float((shares * weights).sum())
