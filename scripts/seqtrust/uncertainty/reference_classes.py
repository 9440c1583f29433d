"""Class fractions of bins per track, with intervals and reference levels (figure 1C)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from seqtrust import reference_levels
from seqtrust.consistency import CORRELATED, INDEPENDENT, OBSERVED, PERMUTED
from seqtrust.reference_levels import Fractions
from seqtrust.tables import Column, Sink, TableSchema
from seqtrust.uncertainty.reference import Judged, ReferenceRun
from seqtrust.uncertainty.track_store import Floats, Integers
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT

ALL_BINS, PEAKS, TSS_PEAKS = "all bins", "true peaks", "true peaks at a TSS"
CLASSES = (CORRECT, INCONSISTENT, INCORRECT)
_GIVEN = {
    ALL_BINS: reference_levels.EVERY,
    PEAKS: reference_levels.TRUE_POSITIVE,
    TSS_PEAKS: reference_levels.TRUE_POSITIVE,
}
ROUNDS = 1000
_KEPT_ROUNDS = 200

SCHEMA = TableSchema(
    name="reference_classes",
    version=1,
    path="reference/{reference}.classes.parquet",
    description=(
        "Class fractions of the bins of reference windows, per track, with the levels that they "
        "stand beside. Every bin has a call of every replicate: there are no ties."
    ),
    columns=(
        Column("track", pa.string(), "track of the model"),
        Column("assay", pa.string(), "panel of the track"),
        Column("caller", pa.string(), "how peaks of predictions were called: matched or poisson"),
        Column("subset", pa.string(), f"{ALL_BINS}, {PEAKS} or {TSS_PEAKS}"),
        Column("split", pa.string(), "data split of the windows, or all"),
        Column("level", pa.string(), f"{OBSERVED}, {PERMUTED}, {CORRELATED} or {INDEPENDENT}"),
        Column("class", pa.string(), ", ".join(CLASSES)),
        Column("count", pa.int64(), "bins of the class", nullable=True),
        Column("total", pa.int64(), "bins of the subset"),
        Column("fraction", pa.float64(), "of the subset's bins"),
        Column("low", pa.float64(), "2.5 % point over resampled windows", nullable=True),
        Column("high", pa.float64(), "97.5 % point over resampled windows", nullable=True),
    ),
)

SUMMARY = (
    "assay", "caller", "subset", "split", "level", "class",
    "median", "q25", "q75", "low", "high", "tracks", "left_out", "bins",
)  # fmt: skip


class ClassFractions:
    """Takes the calls of every track and writes its class fractions.

    Call `finish` after the last track, then `summary`.
    """

    def __init__(
        self,
        run: ReferenceRun,
        panels: Sequence[str],
        at_tss: npt.NDArray[np.bool_] | None,
        sink: Sink,
        seed: int,
    ) -> None:
        """Start with no track.

        Args:
            run: the analysis.
            panels: assay of every track.
            at_tss: judged bins that hold a TSS, shape (U,); None: no such subset.
            sink: takes rows of `SCHEMA`.
            seed: seed of the resampled windows.
        """
        self.run = run
        self.panels = panels
        self.at_tss = at_tss
        self.sink = sink
        self.subsets = [ALL_BINS, PEAKS] + ([TSS_PEAKS] if at_tss is not None else [])
        # one draw for all tracks of a split, so that a median over tracks has an interval too
        self.draws = {
            split: window_draws(int(run.windows_of(split).sum()), seed) for split in run.splits
        }
        self.kept: dict[tuple[str, str, str, str], list[npt.NDArray[np.float32]]] = {}
        self.totals: dict[tuple[str, str, str, str], list[int]] = {}
        self.levels: dict[tuple[str, ...], list[float]] = {}

    def __call__(self, judged: Judged) -> None:
        """Add one track and caller."""
        window = self.run.bins.window[judged.bins]
        named = self.run.files.output.track_names[judged.track]
        place = {"track": named, "assay": self.panels[judged.track], "caller": judged.caller}
        rows: list[dict[str, Any]] = []
        for subset in self.subsets:
            member, base = self._members(judged, subset)
            sums = class_counts(judged, member, window, len(self.run.split))
            for split in self.run.splits:
                mine = self.run.windows_of(split)
                where = {**place, "subset": subset, "split": split}
                found = self._rows(judged, where, sums[mine], base & mine[window])
                rows += [{**where, **row} for row in found]
        self.sink({name: [row[name] for row in rows] for name in SCHEMA.arrow().names})

    def _members(
        self, judged: Judged, subset: str
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Bins of a subset, and the bins that its levels are made of; shape (n,) each."""
        every = np.full(len(judged.bins), True)
        if subset == ALL_BINS:
            return every, every
        base = every
        if subset == TSS_PEAKS and self.at_tss is not None:
            base = self.at_tss[judged.bins]
        return base & judged.truth, base

    def _rows(
        self,
        judged: Judged,
        where: Mapping[str, str],
        sums: Integers,
        base: npt.NDArray[np.bool_],
    ) -> Iterator[dict[str, Any]]:
        counts = sums.sum(axis=0)
        total = int(counts.sum())
        key = where["assay"], where["caller"], where["subset"], where["split"]
        resampled = fractions_of(self.draws[where["split"]] @ sums.astype(np.float64))
        self.kept.setdefault(key, []).append(resampled[:_KEPT_ROUNDS].astype(np.float32))
        self.totals.setdefault(key, []).append(total)
        low, high = percentiles(resampled)
        if total == 0:
            return
        observed = Fractions(*(counts / total))
        levels = {OBSERVED: observed} | reference_rows(
            judged, base, self.run.bins.window[judged.bins], self.run.bins.column[judged.bins],
            _GIVEN[where["subset"]],
        )  # fmt: skip
        for level, fractions in levels.items():
            values = fractions.correct, fractions.inconsistent, fractions.incorrect
            for index, (name, value) in enumerate(zip(CLASSES, values, strict=True)):
                self.levels.setdefault((*key, where["track"], level, name), []).append(value)
                mine = level == OBSERVED
                yield {
                    "level": level,
                    "class": name,
                    "count": int(counts[index]) if mine else None,
                    "total": total,
                    "fraction": value,
                    "low": low[index] if mine else None,
                    "high": high[index] if mine else None,
                }

    def summary(self, least: Mapping[str, int]) -> pd.DataFrame:
        """Medians over the tracks of each panel.

        Intervals are over resampled windows, the same for all tracks.

        Args:
            least: per subset, the smallest number of bins that a track needs to count.
        """
        rows: list[tuple[Any, ...]] = []
        for key, totals in self.totals.items():
            enough = np.array(totals) >= max(least.get(key[2], 0), 1)
            left_out = int((~enough).sum())
            if not enough.any():
                rows.append((*key, OBSERVED, "", *[np.nan] * 5, 0, left_out, 0))
                continue
            resampled = np.stack(self.kept[key])[enough]
            # rounds in which a track has no such bin say nothing of the median
            there = np.isfinite(resampled).all(axis=(0, 2))
            low, high = percentiles(np.median(resampled[:, there], axis=0).astype(np.float64))
            used = [name for name, ok in zip(self._tracks(key), enough, strict=True) if ok]
            bins = int(np.array(totals)[enough].sum())
            for level in (OBSERVED, PERMUTED, CORRELATED, INDEPENDENT):
                for index, name in enumerate(CLASSES):
                    values = [
                        value
                        for track in used
                        for value in self.levels.get((*key, track, level, name), [])
                    ]
                    if values:
                        q25, median, q75 = np.percentile(values, [25, 50, 75])
                        between = (low[index], high[index]) if level == OBSERVED else (np.nan,) * 2
                        rows.append(
                            (*key, level, name, median, q25, q75, *between, len(values),
                             left_out, bins)
                        )  # fmt: skip
        return pd.DataFrame(rows, columns=list(SUMMARY))

    def _tracks(self, key: tuple[str, str, str, str]) -> list[str]:
        names = self.run.files.output.track_names
        return [name for name, panel in zip(names, self.panels, strict=True) if panel == key[0]]


def class_counts(
    judged: Judged, member: npt.NDArray[np.bool_], window: Integers, windows: int
) -> Integers:
    """Bins of each class per window, shape (W, 3), among the members."""
    correct = judged.n_correct
    masks = (
        correct == len(judged.calls),
        (correct > 0) & (correct < len(judged.calls)),
        correct == 0,
    )
    return np.stack(
        [np.bincount(window[member & mask], minlength=windows) for mask in masks], axis=1
    )


def window_draws(windows: int, seed: int, rounds: int = ROUNDS) -> Floats:
    """How often each window is drawn, with replacement, in every round; (rounds, windows)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(windows, np.full(windows, 1 / windows), rounds).astype(np.float64)


def fractions_of(counts: Floats) -> Floats:
    """Counts over their sum along the last axis; NaN where there are none."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def percentiles(rounds: Floats) -> tuple[Floats, Floats]:
    """2.5 and 97.5 % points over the first axis, of rounds that are not NaN; NaN if all are."""
    there = rounds[np.isfinite(rounds).all(axis=1)]
    if not len(there):
        return np.full(rounds.shape[1], np.nan), np.full(rounds.shape[1], np.nan)
    low, high = np.percentile(there, [2.5, 97.5], axis=0)
    return low, high


def reference_rows(
    judged: Judged,
    base: npt.NDArray[np.bool_],
    window: Integers,
    column: Integers,
    given: str,
) -> dict[str, Fractions]:
    """The reference levels of one track.

    Args:
        judged: its calls.
        base: bins that the levels are made of, shape (n,).
        window: window of each bin, shape (n,).
        column: place of each bin in its window, shape (n,).
        given: which bins the fractions are of: `EVERY` or `TRUE_POSITIVE` of
            `seqtrust.reference_levels`.
    """
    calls, truth = judged.calls[:, base], judged.truth[base]
    levels = {PERMUTED: expected_permuted(calls, truth, column[base], given)}
    scores = judged.predictions[:, base].T.astype(np.float64)
    correlation = reference_levels.replicate_correlation(scores, calls_are_signs=False)
    if np.isfinite(correlation):
        levels[CORRELATED] = reference_levels.implied_by_correlation(
            correlation,
            [float(rate) for rate in calls.mean(axis=1)],
            float((calls == truth).mean()),
            float(truth.mean()),
            given,
        )
    levels[INDEPENDENT] = reference_levels.independent_replicates(len(calls), given)
    return {name: value for name, value in levels.items() if value is not None}


def expected_permuted(
    calls: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], column: Integers, given: str
) -> Fractions:
    """Mean over all permutations of the windows' truths of what is then right and wrong.

    A bin receives the truth of the bin at its place of another window, or its own, all equally
    likely; this is the limit of `seqtrust.reference_levels.permuted_truth` for many rounds.

    Args:
        calls: shape (R, n).
        truth: shape (n,).
        column: place of each bin in its window, shape (n,).
        given: as in `reference_rows`.
    """
    positive = calls.all(axis=0)
    negative = ~calls.any(axis=0)
    places = np.bincount(column)
    share = np.bincount(column, weights=truth)[column] / places[column]
    right, wrong = positive @ share, negative @ share
    total = share.sum()
    if given == reference_levels.EVERY:
        right += negative @ (1 - share)
        wrong += positive @ (1 - share)
        total = float(len(truth))
    return Fractions(right / total, 1 - (right + wrong) / total, wrong / total)
