"""What is known of single windows beside their targets: weights, groups, variances."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.errors import InputError
from seqtrust.models.losses import DISTILLATION, GAUSSIAN_LOSSES
from seqtrust.models.training_settings import TrainingSettings

Floats = npt.NDArray[np.float32]
AnyFloats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PerWindow:
    """Weights, groups and known variances of N windows of all splits.

    Attributes:
        weights: of the windows in the training loss, shape (N,).
        groups: number of every window's group, shape (N,).
        names: of the groups.
        variances: known ones of the targets, shape (N, bins, T); any number where there is no
            target.
    """

    weights: torch.Tensor | None = None
    groups: torch.Tensor | None = None
    names: tuple[str, ...] = ()
    variances: torch.Tensor | None = None

    def to(self, device: torch.device) -> "PerWindow":
        """The same on a device."""
        return PerWindow(
            None if self.weights is None else self.weights.to(device),
            None if self.groups is None else self.groups.to(device),
            self.names,
            None if self.variances is None else self.variances.to(device),
        )

    def digest(self) -> str:
        """SHA-256 of all of it; "" where there is nothing."""
        digest, found = hashlib.sha256(), False
        for name in ("weights", "groups", "variances"):
            tensor = getattr(self, name)
            if tensor is not None:
                found = True
                digest.update(f"{name} {tuple(tensor.shape)} ".encode())
                digest.update(tensor.cpu().contiguous().numpy().data)
        digest.update("\n".join(self.names).encode())
        return digest.hexdigest() if found else ""


NOTHING_KNOWN = PerWindow()


def per_window(
    targets: Floats,
    training: npt.NDArray[np.bool_],
    settings: TrainingSettings,
    *,
    weights: AnyFloats | None = None,
    groups: Sequence[str] | None = None,
    variances: AnyFloats | None = None,
) -> PerWindow:
    """What is known of windows, checked.

    Args:
        targets: shape (N, bins, T), without control tracks.
        training: which windows are for training, shape (N,).
        settings: of the run.
        weights: of the windows, shape (N,); those of validation windows are not used.
        groups: name of every window's group, N of them.
        variances: of the targets, in their shape.

    Raises:
        InputError: other shapes, values that are not allowed, or settings that leave no meaning
            to what is given.
    """
    _refuse_unfit_settings(settings, weights is not None, groups is not None, variances is not None)
    count = len(targets)
    made, known = None, None
    if weights is not None:
        if weights.shape != (count,) or not (np.isfinite(weights) & (weights >= 0)).all():
            raise InputError(
                f"weights of shape {weights.shape}: expected one finite number from 0 for each of "
                f"{count} windows"
            )
        if not weights[training].any():
            raise InputError("every training window has the weight 0: nothing can be learned")
        made = torch.from_numpy(weights.astype(np.float32))
    names: tuple[str, ...] = ()
    numbers = None
    if groups is not None:
        if len(groups) != count:
            raise InputError(f"{len(groups)} groups, but {count} windows: give one for each")
        found, places = np.unique(np.array(groups, dtype=np.str_), return_inverse=True)
        names = tuple(found.tolist())
        trained = set(places[training].tolist())
        if len(names) < 2 or len(trained) < len(names):
            absent = [name for place, name in enumerate(names) if place not in trained]
            raise InputError(
                f"groups {', '.join(map(repr, absent or names))}: "
                + ("no training window is of them" if absent else "there is only one group")
                + ": group DRO needs at least two, each with training windows"
            )
        numbers = torch.from_numpy(places.astype(np.int64))
    if variances is not None:
        if variances.shape != targets.shape:
            raise InputError(
                f"variances of shape {variances.shape}, but targets of {targets.shape}: give one "
                "for each target"
            )
        there = ~np.isnan(targets)
        bad = there & ~(np.isfinite(variances) & (variances >= 0))
        if bad.any():
            window, bin_index, track = (int(index[0]) for index in np.nonzero(bad))
            raise InputError(
                f"variance {variances[window, bin_index, track]} in window {window} (from 0), bin "
                f"{bin_index}, track {track}: a target that is there needs a finite one from 0"
            )
        known = torch.from_numpy(np.where(there, variances, 1.0).astype(np.float32))
    return PerWindow(made, numbers, names, known)


def _refuse_unfit_settings(
    settings: TrainingSettings, weights: bool, groups: bool, variances: bool
) -> None:
    regularisation = settings.regulariser()
    mixing = [name for name in ("mixup", "manifold_mixup") if getattr(regularisation, name)]
    if mixing and (weights or groups or variances):
        raise InputError(
            f"regularisation: {mixing[0]} mixes windows of different weights, groups or variances: "
            "choose one of the two"
        )
    if groups and (settings.processes > 1 or settings.accumulate > 1):
        raise InputError(
            "group DRO weighs the groups of a whole step: leave processes and accumulate at 1"
        )
    if groups and regularisation.adversarial:
        raise InputError("group DRO and adversarial sequences do not go together: choose one")
    if variances and settings.loss not in GAUSSIAN_LOSSES:
        raise InputError(
            f"loss {settings.loss!r} has no use for known variances of targets: use loss "
            f"{', '.join(map(repr, GAUSSIAN_LOSSES))}, or leave them out"
        )
    if settings.loss == DISTILLATION and not variances:
        raise InputError(
            "loss 'distillation' needs the variance of the teacher for every target: give "
            "variances, in a config train: target_sd"
        )


def balanced_weights(
    values: AnyFloats, bins: int = 20, smallest: float = 0.1, largest: float = 10.0
) -> Floats:
    """Weights under which values are spread evenly over the bins that hold any.

    The inverse of a bin's share of the windows, with a mean of 1, then clipped: rare windows would
    otherwise count for hundreds of others, with all of their noise.

    Args:
        values: such as GC content, shape (N,).
        bins: of equal width, from the smallest to the largest value.
        smallest: weight.
        largest: weight.

    Returns:
        Shape (N,).

    Raises:
        InputError: settings that make no sense, or values that are not finite.
    """
    if bins < 2 or not 0 < smallest <= 1 <= largest:
        raise InputError(
            f"balancing with {bins} bins and weights from {smallest} to {largest}: use at least 2 "
            "bins, and limits around 1"
        )
    if not len(values) or not np.isfinite(values).all():
        raise InputError("balancing needs finite values, at least one")
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.ones(len(values), dtype=np.float32)
    places = np.minimum(((values - low) / (high - low) * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    weights = len(values) / np.count_nonzero(counts) / counts[places]
    return np.clip(weights, smallest, largest).astype(np.float32)
