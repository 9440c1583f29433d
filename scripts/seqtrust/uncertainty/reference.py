"""Replicates on reference sequences: accuracy, correlation of pairs, and classes of peaks.

Bajwa et al. 2024, figures S1, 1A, 1C and S2. Every bin has a call (peak or none) of every
replicate, so there are no ties and no unit is out of reach.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.errors import InputError
from seqtrust.genome import SPLITS, UNKNOWN_SPLIT
from seqtrust.models.facts import Facts
from seqtrust.sequence_set import SequenceSet
from seqtrust.targets import MeasuredTracks, strand_pairs, with_strands
from seqtrust.uncertainty.bins import Bins
from seqtrust.uncertainty.peaks import CALLERS, Flags, called_peaks, fast_poisson_peaks
from seqtrust.uncertainty.track_store import (
    BYTES_AT_ONCE,
    Integers,
    Moments,
    PredictionFiles,
    Singles,
    scratch,
)

ENSEMBLE = "ensemble"
ALL = "all"
_TRACKS_AT_ONCE = 64

ACCURACY = ("track", "assay", "split", "replicate", "pearson_r", "bins")
PAIRS = ("track", "assay", "split", "replicate_a", "replicate_b", "pearson_r", "bins")


@dataclass(frozen=True)
class Judged:
    """Calls on one track.

    Attributes:
        track: position among the kept tracks.
        caller: how peaks of the predictions were called.
        bins: which of the judged bins were measured, shape (n,).
        predictions: shape (R, n).
        target: measured values, shape (n,).
        truth: true peaks, shape (n,).
        calls: peaks of each replicate, shape (R, n).
    """

    track: int
    caller: str
    bins: Integers
    predictions: Singles
    target: Singles
    truth: Flags
    calls: Flags

    @property
    def n_positive(self) -> Integers:
        """Replicates that call a peak, shape (n,)."""
        return self.calls.sum(axis=0)

    @property
    def n_correct(self) -> Integers:
        """Replicates that call the truth, shape (n,)."""
        positive = self.n_positive
        return np.where(self.truth, positive, len(self.calls) - positive)

    @property
    def n_agree(self) -> Integers:
        """Replicates of the majority, shape (n,)."""
        return np.maximum(self.n_positive, len(self.calls) - self.n_positive)


@dataclass
class ReferenceRun:
    """What one pass over the predictions of an ensemble gives.

    Attributes:
        files: the predictions.
        bins: the judged bins.
        split: data split of every window, shape (W,).
        fdr: false discovery rate of the Poisson caller.
        raw: moments of all bins per split: the replicates' predictions, then the target.
        logs: moments of all bins per split: log2(p + 1) of the replicates.
    """

    files: PredictionFiles
    bins: Bins
    split: npt.NDArray[np.str_]
    fdr: float
    raw: dict[str, Moments] = field(default_factory=dict)
    logs: dict[str, Moments] = field(default_factory=dict)

    @property
    def replicates(self) -> list[str]:
        """Names of the replicates."""
        return list(self.files.shards)

    @property
    def splits(self) -> list[str]:
        """`all`, and every data split if there is more than one."""
        present = [s for s in (*SPLITS, UNKNOWN_SPLIT) if (self.split == s).any()]
        return [ALL, *(present if len(present) > 1 else [])]

    def windows_of(self, split: str) -> npt.NDArray[np.bool_]:
        """Windows of a split, shape (W,)."""
        return np.full(len(self.split), True) if split == ALL else self.split == split

    def judge(
        self,
        sequences: SequenceSet,
        targets: MeasuredTracks,
        facts: Facts,
        receive: Iterable[Callable[[Judged], None]],
        bytes_at_once: int = BYTES_AT_ONCE,
    ) -> None:
        """Read all predictions once, then hand on the calls of every track and caller.

        Args:
            sequences: the set.
            targets: measured tracks, by the names that the model's tracks have; NaN where a
                bin was not measured.
            facts: of the model.
            receive: each is called with every track and caller, in order.
            bytes_at_once: what is held of the predictions at one time.

        Raises:
            InputError: a track was not measured, a window has no prediction, or a
                prediction is not above -1.
        """
        targets = with_strands(targets, strand_pairs(facts))
        columns = _measured_columns(targets, self.files.output.track_names)
        tracks, replicates = len(columns), len(self.replicates)
        shape = (replicates + 1, tracks, len(self.bins))
        with ExitStack() as stack:
            values = stack.enter_context(scratch(shape))
            self._fill(values, sequences, targets, facts, columns, bytes_at_once)
            block = max(1, bytes_at_once // (4 * shape[0] * shape[2]))
            for first in range(0, tracks, block):
                held = np.array(values[:, first : first + block])
                for track in range(held.shape[1]):
                    for judged in self._calls(first + track, held[:, track]):
                        for one in receive:
                            one(judged)

    def _calls(self, track: int, values: Singles) -> Iterator[Judged]:
        there = np.flatnonzero(np.isfinite(values[-1]))
        if not there.size:
            name = self.files.output.track_names[track]
            raise InputError(f"track {name!r} was measured in none of the judged bins")
        predictions, target = values[:-1, there], values[-1, there]
        truth = fast_poisson_peaks(target, self.fdr)
        for caller in CALLERS:
            calls = called_peaks(predictions, truth, caller, self.fdr)
            yield Judged(track, caller, there, predictions, target, truth, calls)

    def _fill(
        self,
        values: Singles,
        sequences: SequenceSet,
        targets: MeasuredTracks,
        facts: Facts,
        columns: Sequence[int],
        bytes_at_once: int,
    ) -> None:
        rows = {key: row for row, key in enumerate(self.bins.ids)}
        windows = [sequences.windows[index] for index in sequences.window_indices()]
        kept = list(self.files.output.bins)
        bounds = np.searchsorted(self.bins.window, np.arange(len(rows) + 1))
        variables = len(self.replicates) + 1
        present = list(dict.fromkeys(self.split.tolist()))
        raw = {split: Moments(len(columns), variables) for split in present}
        logs = {split: Moments(len(columns), variables - 1) for split in present}
        seen = 0
        for ids, predicted in self.files.together(bytes_at_once // 8):
            if unknown := [key for key in ids if key not in rows]:
                raise InputError(f"sequence {unknown[0]!r} is not in the set: predict it again")
            places = [rows[key] for key in ids]
            measured = [targets.of_window(windows[row], facts.crop) for row in places]
            every = np.stack([*predicted, np.stack([m[kept][:, columns].T for m in measured])])
            for split in present:
                mine = np.flatnonzero(self.split[places] == split)
                if mine.size:
                    self._add(raw[split], logs[split], every[:, mine])
            for index, row in enumerate(places):
                here = slice(bounds[row], bounds[row + 1])
                values[:, :, here] = every[:, index][:, :, self.bins.column[here]]
            seen += len(ids)
        if seen != len(rows):
            raise InputError(
                f"{len(rows) - seen} of {len(rows)} windows have no prediction: predict the set "
                "again"
            )
        self.raw = {ALL: Moments.joined(list(raw.values())), **raw}
        self.logs = {ALL: Moments.joined(list(logs.values())), **logs}

    def _add(self, raw: Moments, logs: Moments, every: Singles) -> None:
        """Add values of shape (R + 1, windows, tracks, bins)."""
        for first in range(0, every.shape[2], _TRACKS_AT_ONCE):
            tracks = slice(first, min(first + _TRACKS_AT_ONCE, every.shape[2]))
            part = every[:, :, tracks].transpose(2, 0, 1, 3).astype(np.float64)
            part = part.reshape(part.shape[0], part.shape[1], -1)
            raw.add(tracks, part, np.isfinite(part[:, -1]))
            least = part[:, :-1].min()
            if least <= -1:
                raise InputError(
                    f"output {self.files.output.name!r} has a prediction of {least:.3g}: pairs of "
                    "replicates are compared as log2(p + 1), which needs predictions above -1"
                )
            logs.add(tracks, np.log2(part[:, :-1] + 1))

    def accuracy(self, panels: Sequence[str]) -> pd.DataFrame:
        """Pearson r of every replicate, and of their mean, with each measured track."""
        return pd.DataFrame(self._accuracy_rows(panels), columns=list(ACCURACY))

    def _accuracy_rows(self, panels: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        target = len(self.replicates)
        for split in self.splits:
            moments = self.raw[split].with_mean_of(range(target))
            found = moments.correlations()
            for track, name in enumerate(self.files.output.track_names):
                measured = int(moments.count[track])
                for index, replicate in enumerate([*self.replicates, None, ENSEMBLE]):
                    if replicate is not None:
                        r = found[track, index, target]
                        yield name, panels[track], split, replicate, r, measured

    def pairs(self, panels: Sequence[str]) -> pd.DataFrame:
        """Pearson r of log2(p + 1) of every pair of replicates, per track."""
        rows = []
        for split in self.splits:
            moments = self.logs[split]
            found = moments.correlations()
            for track, name in enumerate(self.files.output.track_names):
                for a, b in combinations(range(len(self.replicates)), 2):
                    of = self.replicates[a], self.replicates[b]
                    number = int(moments.count[track])
                    rows.append((name, panels[track], split, *of, found[track, a, b], number))
        return pd.DataFrame(rows, columns=list(PAIRS))


def _measured_columns(targets: MeasuredTracks, tracks: Sequence[str]) -> list[int]:
    column = {name: index for index, name in enumerate(targets.tracks)}
    missing = [track for track in tracks if track not in column]
    if missing:
        raise InputError(
            f"the targets have no track {missing[0]!r}; they have: "
            f"{', '.join(targets.tracks[:12])}{', ...' if len(targets.tracks) > 12 else ''}"
        )
    return [column[track] for track in tracks]


def windows_by_split(splits: Mapping[str, str], ids: Sequence[str]) -> npt.NDArray[np.str_]:
    """The data split of every window, in the order of the ids."""
    return np.array([splits[key] for key in ids])
