"""Augmentation of training windows by changes that evolution makes (EvoAug, Lee et al. 2023).

The measurement stays while the sequence changes, which is only nearly true: a second stage of
training on unchanged sequences takes back what the changes have taught wrongly. Windows keep their
length. Every draw follows from the seed and the step alone, and is made for all windows of a step
whatever the number of processes, so that a run goes on from its state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import Codes, reverse_complement
from seqtrust.errors import InputError
from seqtrust.models.parameters import known_settings, refuse_negative

Integers = npt.NDArray[np.int64]

_LENGTHS = ("deletion", "insertion", "translocation", "inversion")
# in the order in which they are made where a sequence gets several
_KINDS = (*_LENGTHS, "mutation", "noise")
_CHANGES, _NOISE = 2, 3


@dataclass(frozen=True)
class FineTuning:
    """The second stage, on unchanged sequences.

    Attributes:
        epochs: of the stage.
        learning_rate: of the stage, at the top of the schedule.
    """

    epochs: int = 5
    learning_rate: float = 1e-4


@dataclass(frozen=True)
class Evolution:
    """How sequences are changed; what is 0 is left out.

    Attributes:
        mutation: expected fraction of the bases that become others.
        deletion: longest stretch that is cut out, bp; random bases fill both ends.
        insertion: longest random stretch that is put in, bp; both ends lose as many.
        translocation: farthest that a sequence is turned in a ring, bp, to either side.
        inversion: longest stretch that is reverse complemented, bp.
        noise: standard deviation of noise on the one-hot input.
        per_sequence: kinds of change that every sequence gets, drawn without repeats.
        fewer: their number is drawn from 1 to `per_sequence`.
        finetune: the second stage, if any.
    """

    mutation: float = 0.0
    deletion: int = 0
    insertion: int = 0
    translocation: int = 0
    inversion: int = 0
    noise: float = 0.0
    per_sequence: int = 1
    fewer: bool = False
    finetune: FineTuning | None = None

    def __post_init__(self) -> None:
        refuse_negative(self, _KINDS, "augmentation")
        if self.mutation > 0.75:
            raise InputError(
                f"augmentation: mutation is {self.mutation}, but at .75 nothing is left of a "
                "sequence: use less"
            )
        if self.kinds and not 1 <= self.per_sequence <= len(self.kinds):
            raise InputError(
                f"augmentation: per_sequence is {self.per_sequence}, but must be from 1 to the "
                f"number of kinds that are on, {len(self.kinds)} ({', '.join(self.kinds)})"
            )
        if self.finetune and not self.kinds:
            raise InputError(
                "augmentation: finetune without a change has nothing to take back: give mutation, "
                "deletion or another, or leave finetune out"
            )
        if self.finetune and not (self.finetune.epochs >= 1 and self.finetune.learning_rate > 0):
            raise InputError("augmentation: finetune needs positive epochs and learning_rate")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Changes that are made."""
        return tuple(name for name in _KINDS if getattr(self, name))

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Evolution":
        """From the entry of a config.

        Raises:
            InputError: an unknown name or a value that is not allowed.
        """
        settings = known_settings(cls, plain, "augmentation")
        if (stage := settings.get("finetune")) is not None:
            parts = known_settings(FineTuning, stage, "augmentation: finetune")
            settings["finetune"] = FineTuning(**parts)
        return cls(**settings)

    def refuse_unfit(self, length: int, bins: int) -> None:
        """Nothing, or an error where windows cannot be changed like this.

        Args:
            length: of a window, bp.
            bins: that it has targets for.

        Raises:
            InputError: a change is longer than a window, or moves bases while bins stay.
        """
        for name in _LENGTHS:
            size = getattr(self, name)
            if size and bins > 1:
                raise InputError(
                    f"augmentation: {name} moves bases, but the {bins} bins of a window stay: use "
                    "mutation and noise alone, or a model with one value per sequence"
                )
            if size >= length:
                raise InputError(
                    f"augmentation: {name} of {size} bp leaves nothing of windows of {length} bp: "
                    "use fewer"
                )


class Evolver:
    """The changes of one run.

    Args:
        settings: which ones.
        seed: of all draws.
        rank: of the process; only noise differs between processes.
    """

    def __init__(self, settings: Evolution, seed: int, rank: int) -> None:
        self.settings = settings
        self.seed = seed
        self.rank = rank

    def changed(
        self, codes: torch.Tensor, step: int, windows: int, mine: slice
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Windows after their changes.

        Args:
            codes: uint8 (n, L), those of this process.
            step: number of the step.
            windows: of the step, over all processes.
            mine: which of them `codes` are.

        Returns:
            Codes, and which windows get noise, bool (n,), or None where none does.
        """
        kinds = self.settings.kinds
        if not kinds:
            return codes, None
        rng = self._generator(_CHANGES, step)
        chosen = self._chosen(rng, windows)[mine]
        made = codes.cpu().numpy().copy()
        for place, kind in enumerate(kinds):
            rows = np.flatnonzero(chosen[:, place])
            if kind == "noise":
                continue
            change = _Draws.of(rng, windows, made.shape[1], getattr(self.settings, kind), mine)
            made[rows] = _CHANGE[kind](made[rows], change.of_rows(rows))
        noisy = torch.from_numpy(chosen[:, -1]) if kinds[-1] == "noise" else None
        return (
            torch.from_numpy(made).to(codes.device),
            None if noisy is None else noisy.to(codes.device),
        )

    def noise(
        self, inputs: torch.Tensor, noisy: torch.Tensor, step: int, piece: int
    ) -> torch.Tensor:
        """One-hot inputs (n, 4, L) with noise on the windows that get it.

        Args:
            inputs: of one part of a step.
            noisy: which of its windows get noise, bool (n,).
            step: number of the step.
            piece: number of the part.
        """
        rng = self._generator(_NOISE, self.rank, step, piece)
        generator = torch.Generator(inputs.device).manual_seed(int(rng.integers(2**63)))
        noise = torch.empty_like(inputs).normal_(0, self.settings.noise, generator=generator)
        return inputs + noise * noisy[:, None, None]

    def _chosen(self, rng: np.random.Generator, windows: int) -> npt.NDArray[np.bool_]:
        """Which kinds every window gets, shape (windows, kinds)."""
        ranks = rng.random((windows, len(self.settings.kinds))).argsort(axis=1).argsort(axis=1)
        most = self.settings.per_sequence
        number = rng.integers(1, most + 1, windows)
        return ranks < (number if self.settings.fewer else most + 0 * number)[:, None]

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


@dataclass(frozen=True)
class _Draws:
    """What is drawn for one kind of change of n windows.

    Attributes:
        most: its setting.
        length: bp, from 0 to `most`, shape (n,).
        start: where a stretch may begin, as a fraction of the places, shape (n,).
        side: of every window -1 or 1, shape (n,).
        bases: random ones, shape (n, L).
        order: random numbers by which bases are chosen, shape (n, L).
    """

    most: float
    length: Integers
    start: npt.NDArray[np.float64]
    side: Integers
    bases: Codes
    order: npt.NDArray[np.float32]

    @classmethod
    def of(
        cls, rng: np.random.Generator, windows: int, length: int, most: float, mine: slice
    ) -> "_Draws":
        """Draw for all windows and keep some."""
        return cls(
            most,
            rng.integers(0, int(most) + 1, windows)[mine],
            rng.random(windows)[mine],
            (2 * rng.integers(0, 2, windows) - 1)[mine],
            rng.integers(0, 4, (windows, length), dtype=np.uint8)[mine],
            rng.random((windows, length), dtype=np.float32)[mine],
        )

    def of_rows(self, rows: Integers) -> "_Draws":
        """Those of some windows."""
        return _Draws(
            self.most,
            self.length[rows],
            self.start[rows],
            self.side[rows],
            self.bases[rows],
            self.order[rows],
        )

    def starts(self, places: Integers) -> Integers:
        """First bases of stretches, of so many places each, shape (n, 1)."""
        return np.minimum((self.start * places).astype(np.int64), places - 1)[:, None]


def _deleted(codes: Codes, draws: _Draws) -> Codes:
    length = draws.length[:, None]
    start = draws.starts(codes.shape[1] - draws.length + 1)
    kept = np.arange(codes.shape[1]) - length // 2
    source = np.where(kept < start, kept, kept + length)
    outside = (kept < 0) | (source >= codes.shape[1])
    return _taken(codes, source, outside, draws.bases)


def _inserted(codes: Codes, draws: _Draws) -> Codes:
    length = draws.length[:, None]
    start = draws.starts(np.full(len(codes), codes.shape[1] + 1))
    place = np.arange(codes.shape[1]) + length // 2
    inside = (place >= start) & (place < start + length)
    source = np.where(place < start, place, place - length)
    return _taken(codes, source, inside, draws.bases)


def _translocated(codes: Codes, draws: _Draws) -> Codes:
    places = np.arange(codes.shape[1]) - (draws.side * draws.length)[:, None]
    return np.take_along_axis(codes, places % codes.shape[1], axis=1)


def _inverted(codes: Codes, draws: _Draws) -> Codes:
    length = draws.length[:, None]
    start = draws.starts(codes.shape[1] - draws.length + 1)
    places = np.arange(codes.shape[1])
    inside = (places >= start) & (places < start + length)
    # base p of the reverse complement of a sequence is that of base L - 1 - p
    turned = reverse_complement(codes)
    source = codes.shape[1] - 1 - (2 * start + length - 1 - places)
    return np.where(inside, _taken(turned, source, ~inside, codes), codes)


def _mutated(codes: Codes, draws: _Draws) -> Codes:
    """A random base is the old one in a quarter of cases, so that more are drawn."""
    number = round(draws.most / 0.75 * codes.shape[1])
    ranks = draws.order.argsort(axis=1).argsort(axis=1)
    return np.where(ranks < number, draws.bases, codes)


def _taken(codes: Codes, source: Integers, other: npt.NDArray[np.bool_], instead: Codes) -> Codes:
    """Bases at `source`, but `instead` where `other` says so, shape (n, L)."""
    places = np.clip(source, 0, codes.shape[1] - 1)
    return np.where(other, instead, np.take_along_axis(codes, places, axis=1))


_CHANGE = {
    "deletion": _deleted,
    "insertion": _inserted,
    "translocation": _translocated,
    "inversion": _inverted,
    "mutation": _mutated,
}
