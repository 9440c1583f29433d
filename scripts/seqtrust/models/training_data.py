"""Windows of a split in memory, and data that cannot be trained on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.models.facts import Facts
from seqtrust.models.losses import MULTINOMIAL, MULTINOMIAL_JOINT, refuse_unfit_loss
from seqtrust.models.training_settings import AUROC, PEARSON, TrainingSettings
from seqtrust.models.window_source import Batch, Part, WindowSource, share

TRAIN, VALIDATION = "train", "validation"
_COUNTS = (0.0, np.inf, "finite non-negative values")
_ALLOWED = {
    "poisson": _COUNTS,
    MULTINOMIAL: _COUNTS,
    MULTINOMIAL_JOINT: _COUNTS,
    "bce": (0.0, 1.0, "values between 0 and 1"),
}
_METRICS = {PEARSON: "Pearson r", AUROC: "AUROC"}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Control:
    """Measured tracks that the network reads; the last columns of the targets.

    Attributes:
        names: of the tracks.
        swapped: for every track the index, among these, of the one with its other strand.
    """

    names: tuple[str, ...] = ()
    swapped: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


NO_CONTROL = Control()


@dataclass(frozen=True)
class Windows:
    """A source in memory: codes (N, L) and targets (N, bins, T) of one split, on one device.

    Attributes:
        codes: uint8.
        targets: float32.
        rows: number of every window in the arrays that the split was taken from.
    """

    codes: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor

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
            torch.from_numpy(rows.astype(np.int64)),
        )

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bases, bins and tracks of a window."""
        return self.codes.shape[1], self.targets.shape[1], self.targets.shape[2]

    def digest(self) -> str:
        """SHA-256 of codes and targets."""
        return data_digest(self.codes.cpu().numpy(), self.targets.cpu().numpy(), [])

    def epoch_windows(self, processes: int) -> int:
        """All windows."""
        return len(self)

    def order(self, generator: np.random.Generator) -> torch.Tensor:
        """A permutation of the windows."""
        return torch.from_numpy(generator.permutation(len(self)))

    def batches(
        self, order: torch.Tensor | None, size: int, skip: int, part: Part
    ) -> Iterator[Batch]:
        """Batches as in `WindowSource`; as stored they are views."""
        for first in range(skip, len(self), size):
            mine = share(min(size, len(self) - first), part)
            found = slice(first + mine.start, first + mine.stop)
            if order is None:
                yield Batch(self.codes[found], self.targets[found], self.rows[found])
            else:
                rows = order[found].to(self.codes.device)
                yield Batch(self.codes[rows], self.targets[rows], self.rows[order[found]])


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
    control: Control = NO_CONTROL,
) -> None:
    """Nothing, or an error that says where the data do not fit.

    Raises:
        InputError: arrays that do not fit the model or each other, an empty split, a loss or
            targets that do not go together, or validation windows that choose no epoch.
    """
    columns = len(facts.target_tracks()) + len(control)
    expected = (len(codes), facts.bins(codes.shape[1]), columns)
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
    _refuse_far_shift(facts, codes.shape[1], settings)
    settings.evolution().refuse_unfit(codes.shape[1], expected[1])
    refuse_unfit_loss(settings.loss, facts)
    refuse_bad_targets(facts, targets, range(len(targets)), settings, control)
    measured = targets[..., : columns - len(control)]
    for split in (TRAIN, VALIDATION):
        _refuse_nothing_to_learn(split, measured[np.array(splits) == split], settings)


def refuse_unfit_source(
    facts: Facts, source: WindowSource, split: str, settings: TrainingSettings, control: Control
) -> None:
    """Nothing, or an error that says why windows do not fit the model.

    Raises:
        InputError: no window, too few for the processes, or another number of bins or tracks.
    """
    length, *found = source.shape
    if not source.epoch_windows(settings.processes):
        raise InputError(
            f"the split {split!r} has {len(source)} windows, too few for "
            f"{settings.processes} processes"
        )
    expected = [facts.bins(length), len(facts.target_tracks()) + len(control)]
    if found != expected:
        raise InputError(
            f"{split} windows of {length} bp have targets of bins x tracks = {found}, but the "
            f"model predicts {expected} (control tracks included): use another bin width, crop "
            "or list of tracks"
        )
    _refuse_far_shift(facts, length, settings)
    settings.evolution().refuse_unfit(length, expected[0])
    refuse_unfit_loss(settings.loss, facts)


def _refuse_far_shift(facts: Facts, length: int, settings: TrainingSettings) -> None:
    """Targets stay where windows are moved, so a shift must be small beside a bin."""
    if settings.max_shift >= length:
        raise InputError(f"max_shift {settings.max_shift} is not below {length} bp")
    if settings.max_shift >= facts.bin_width:
        raise InputError(
            f"max_shift {settings.max_shift} moves sequences by whole bins of {facts.bin_width} bp "
            "while their targets stay: use less than a bin, of single bases 0"
        )


def refuse_bad_targets(
    facts: Facts,
    targets: Floats,
    rows: Sequence[int] | npt.NDArray[np.int64],
    settings: TrainingSettings,
    control: Control = NO_CONTROL,
    where: str = "",
) -> None:
    """Nothing, or an error that names the first value that the loss cannot take.

    Args:
        facts: of the model.
        targets: shape (n, bins, T), control tracks last.
        rows: what messages call the windows.
        settings: of the run.
        control: tracks that are inputs, which must be finite.
        where: the end of a window's name.

    Raises:
        InputError: a value that is not allowed.
    """
    lowest, highest, allowed = _ALLOWED.get(settings.loss, (-np.inf, np.inf, "finite values"))
    missing = np.isnan(targets)
    bad = np.isinf(targets) | (targets < lowest) | (targets > highest)
    if not settings.masked:
        bad |= missing
    tracks = len(facts.target_tracks())
    bad[..., tracks:] = ~np.isfinite(targets[..., tracks:])
    if not bad.any():
        return
    window, bin_index, track = (int(index[0]) for index in np.nonzero(bad))
    value = targets[window, bin_index, track]
    place = f"window {int(rows[window])} (from 0){where}, bin {bin_index}, track "
    if track >= tracks:
        name = control.names[track - tracks]
        raise InputError(f"control {value} in {place}{name!r}: inputs must be finite")
    cure = "; missing_targets: mask leaves out what is missing" if np.isnan(value) else ""
    raise InputError(
        f"target {value} in {place}{facts.tracks[facts.target_tracks()[track]].name!r}: loss "
        f"{settings.loss!r} needs {allowed}{cure}"
    )


def _refuse_nothing_to_learn(split: str, targets: Floats, settings: TrainingSettings) -> None:
    values = targets.reshape(-1, targets.shape[-1])
    present = ~np.isnan(values)
    if not present.any():
        raise InputError(nothing_to_learn(split))
    if split == VALIDATION and settings.validation_metric in (PEARSON, AUROC):
        highest = np.where(present, values, -np.inf).max(axis=0)
        lowest = np.where(present, values, np.inf).min(axis=0)
        if not (highest > lowest).any():
            raise InputError(no_track_varies(settings))


def nothing_to_learn(split: str) -> str:
    """What is wrong where all targets of a split are missing."""
    return f"every target of the {split} windows is missing: nothing can be learned"


def no_track_varies(settings: TrainingSettings) -> str:
    """What is wrong where the targets of the validation windows are constant."""
    return (
        "no track varies over the validation windows: no epoch can be chosen by "
        f"{_METRICS[settings.validation_metric]}; use other windows or validation_metric: loss"
    )
