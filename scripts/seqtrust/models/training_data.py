"""Windows of a split on the training device, and data that cannot be trained on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.models.facts import Facts
from seqtrust.models.losses import refuse_unfit_loss
from seqtrust.models.training_settings import PEARSON, TrainingSettings

TRAIN, VALIDATION = "train", "validation"
_ALLOWED = {
    "poisson": (0.0, np.inf, "finite non-negative values"),
    "bce": (0.0, 1.0, "values between 0 and 1"),
}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Windows:
    """Codes (N, L) and targets (N, bins, target tracks) of one split, on the training device."""

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
    ) -> "Windows":
        """The windows of one split."""
        rows = np.flatnonzero(np.array(splits) == split)
        return cls(
            torch.from_numpy(codes[rows]).to(device),
            torch.from_numpy(targets[rows].astype(np.float32)).to(device),
        )

    def __len__(self) -> int:
        return len(self.codes)


def data_digest(codes: Codes, targets: Floats, splits: Sequence[str]) -> str:
    """SHA-256 of all that is trained and validated on, and of what is left out."""
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(codes).data)
    digest.update(np.ascontiguousarray(targets).data)
    digest.update("\n".join(splits).encode())
    return digest.hexdigest()


def swapped_targets(facts: Facts) -> tuple[int, ...]:
    """For every target track the index, among targets, of the one that holds its other strand.

    Raises:
        InputError: the other strand of a target track is a variance.
    """
    swapped = facts.swapped_tracks()
    place = {track: index for index, track in enumerate(facts.target_tracks())}
    for track in place:
        if swapped[track] not in place:
            raise InputError(
                f"track {facts.tracks[track].name!r} has a variance for its other strand"
            )
    return tuple(place[swapped[track]] for track in place)


def refuse_bad_data(
    facts: Facts,
    codes: Codes,
    targets: Floats,
    splits: Sequence[str],
    settings: TrainingSettings,
) -> None:
    """Nothing, or an error that says where the data do not fit.

    Raises:
        InputError: arrays that do not fit the model or each other, an empty split, a loss or
            targets that do not go together, or validation windows that choose no epoch.
    """
    expected = (len(codes), facts.bins(codes.shape[1]), len(facts.target_tracks()))
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
    refuse_unfit_loss(settings.loss, facts)
    _refuse_bad_targets(facts, targets, settings)
    for split in (TRAIN, VALIDATION):
        _refuse_nothing_to_learn(split, targets[np.array(splits) == split], settings)


def _refuse_bad_targets(facts: Facts, targets: Floats, settings: TrainingSettings) -> None:
    lowest, highest, allowed = _ALLOWED.get(settings.loss, (-np.inf, np.inf, "finite values"))
    missing = np.isnan(targets)
    bad = np.isinf(targets) | (targets < lowest) | (targets > highest)
    if not settings.masked:
        bad |= missing
    if not bad.any():
        return
    window, bin_index, track = (int(index[0]) for index in np.nonzero(bad))
    value = targets[window, bin_index, track]
    cure = "; missing_targets: mask leaves out what is missing" if np.isnan(value) else ""
    raise InputError(
        f"target {value} in window {window} (from 0), bin {bin_index}, track "
        f"{facts.tracks[facts.target_tracks()[track]].name!r}: loss {settings.loss!r} needs "
        f"{allowed}{cure}"
    )


def _refuse_nothing_to_learn(split: str, targets: Floats, settings: TrainingSettings) -> None:
    values = targets.reshape(-1, targets.shape[-1])
    present = ~np.isnan(values)
    if not present.any():
        raise InputError(f"every target of the {split} windows is missing: nothing can be learned")
    if split == VALIDATION and settings.validation_metric == PEARSON:
        highest = np.where(present, values, -np.inf).max(axis=0)
        lowest = np.where(present, values, np.inf).min(axis=0)
        if not (highest > lowest).any():
            raise InputError(
                "no track varies over the validation windows: no epoch can be chosen by Pearson "
                "r; use other windows or validation_metric: loss"
            )
