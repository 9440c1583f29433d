"""Consistency: class fractions with intervals, the levels they stand beside, headline numbers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd

from seqtrust import reference_levels
from seqtrust.genome import SPLITS, UNKNOWN_SPLIT
from seqtrust.reference_levels import Calls, Floats, Fractions, unanimous_call
from seqtrust.statistics import locus_bootstrap, wilson
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, OUT_OF_REACH, TIE, UNANIMOUS

OBSERVED = "observed"
PERMUTED = "truth permuted over loci"
PERMUTED_PEOPLE = "people permuted within population"
CORRELATED = "implied by replicate correlation"
INDEPENDENT = "independent replicates"

TRUE_PEAKS = "true peaks"
CALLED = "called by a replicate"
_GIVEN = {TRUE_PEAKS: reference_levels.TRUE_POSITIVE, CALLED: reference_levels.CALLED}

FRACTIONS = (
    "verdict", "subset", "split", "level", "class", "count", "total", "fraction", "low", "high",
)  # fmt: skip
HEADLINES = ("verdict", "subset", "split", "statistic", "value", "low", "high", "units", "loci")


class _Judged:
    """Decided units (neither ties nor out of reach) as arrays."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        self.calls: Calls = np.array(table["calls"].tolist(), dtype=np.int8)
        self.scores: Floats = np.array(table["scores"].tolist(), dtype=np.float64)
        self.has_truth = bool(table["truth"].notna().all())
        self.truth: Calls = table["truth"].fillna(0).to_numpy(dtype=np.int8)
        self.replicates = self.calls.shape[1]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that a decided unit can have."""
        if self.has_truth:
            return CORRECT, INCONSISTENT, INCORRECT
        return UNANIMOUS, INCONSISTENT

    @property
    def accuracy(self) -> float:
        """Mean over replicates and units of whether a call is right."""
        return float((self.calls == self.truth[:, None]).mean())


def class_fractions(
    verdicts: pd.DataFrame,
    verdict: str,
    kind: str,
    seed: int,
    unanimous: Calls | None = None,
) -> pd.DataFrame:
    """Class fractions with intervals and reference levels, per subset and data split.

    Fractions of the three classes are among decided units; those of ties and units out of
    reach are among all. Observed fractions have Wilson intervals, the permuted level the
    2.5 and 97.5 % points of its rounds.

    Args:
        verdicts: the verdicts table.
        verdict: name of the verdict, for the first column.
        kind: `signs`, `people`, `peaks` or `threshold`; decides the subsets.
        seed: seed of the permutations.
        unanimous: of `people`, the call that all replicates make in every permutation of
            people, shape (N, rounds). The truth, always +, has no other order to be put in.
    """
    rows: list[tuple[Any, ...]] = []
    for subset, split, units in _subsets(verdicts, kind):
        place = verdict, subset, split
        undecided = units["class"].isin([TIE, OUT_OF_REACH])
        for name in (TIE, OUT_OF_REACH):
            count = int((units["class"] == name).sum())
            rows.append((*place, OBSERVED, name, *_with_interval(count, len(units))))
        if undecided.all():
            continue
        judged = _Judged(units[~undecided])
        for name in judged.classes:
            count = int((judged.table["class"] == name).sum())
            rows.append((*place, OBSERVED, name, *_with_interval(count, len(judged.table))))
        whole = _Judged(_decided(verdicts, split))
        rows += [
            (*place, level, name, None, len(judged.table), *value)
            for level, name, value in _level_rows(judged, whole, kind, subset, seed)
        ]
        if unanimous is not None:
            found = permuted_people(unanimous[judged.table.index])
            rows += [(*place, PERMUTED_PEOPLE, name, None, len(judged.table), *value)
                     for name, value in found.items()]  # fmt: skip
    return pd.DataFrame(rows, columns=list(FRACTIONS))


def _decided(verdicts: pd.DataFrame, split: str) -> pd.DataFrame:
    mine = ~verdicts["class"].isin([TIE, OUT_OF_REACH])
    return verdicts[mine if split == "all" else mine & (verdicts["split"] == split)]


def _subsets(verdicts: pd.DataFrame, kind: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(subset, data split, rows): all, then what is reported apart; each for every split."""
    parts = {"all": verdicts}
    if kind == "peaks":
        parts[TRUE_PEAKS] = verdicts[verdicts["truth"] == 1]
    elif kind == "threshold":
        parts[CALLED] = verdicts[verdicts["n_positive"] > 0]
    elif verdicts["stratum"].nunique() > 1:
        strata = {str(stratum): rows for stratum, rows in verdicts.groupby("stratum")}
        parts |= {name: strata[name] for name in sorted(strata, key=_first_number)}
    for subset, rows in _by_truth(parts):
        present = [s for s in (*SPLITS, UNKNOWN_SPLIT) if (rows["split"] == s).any()]
        if len(rows):
            yield subset, "all", rows
        if len(present) > 1:
            for split in present:
                yield subset, split, rows[rows["split"] == split]


def _by_truth(parts: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Units with and without a truth apart, where a part has both: they have other classes."""
    for subset, rows in parts.items():
        known = rows["truth"].notna()
        if known.any() and not known.all():
            yield subset, rows[known]
            yield f"{subset}, no truth", rows[~known]
        else:
            yield subset, rows


def _first_number(stratum: str) -> tuple[bool, int]:
    """Order of strata: distances by their first number, what is over the last one last."""
    numbers = re.findall(r"\d+", stratum)
    return stratum.startswith("over"), int(numbers[0]) if numbers else 0


def _with_interval(count: int, total: int) -> tuple[int, int, float, float, float]:
    fraction = count / total if total else float("nan")
    return (count, total, fraction, *wilson(count, total))


def _level_rows(
    judged: _Judged, whole: _Judged, kind: str, subset: str, seed: int
) -> Iterator[tuple[str, str, tuple[float, float, float]]]:
    """(level, class, (fraction, low, high)) of the reference levels.

    A subset that is chosen by the truth or by the calls has neither the rates nor the
    correlation of all units: its levels are those of all units (`whole`), given the choice.
    """
    given = _GIVEN.get(subset, reference_levels.EVERY)
    base = judged if given == reference_levels.EVERY else whole
    levels = {
        CORRELATED: _implied(base, kind == "signs", given),
        INDEPENDENT: reference_levels.independent_replicates(judged.replicates, given),
    }
    if judged.has_truth and kind != "people":
        yield from _permuted_rows(base, given, seed)
    for level, fractions in levels.items():
        if fractions is not None:
            correct, inconsistent, incorrect = astuple(fractions)
            by_class = [correct, inconsistent, incorrect]
            if not judged.has_truth:
                by_class = [correct + incorrect, inconsistent]
            for name, value in zip(judged.classes, by_class, strict=True):
                yield level, name, (value, float("nan"), float("nan"))


def _implied(base: _Judged, signs: bool, given: str) -> Fractions | None:
    correlation = reference_levels.replicate_correlation(base.scores, signs)
    if not np.isfinite(correlation):
        return None
    return reference_levels.implied_by_correlation(
        correlation,
        [float(rate) for rate in (base.calls > 0).mean(axis=0)],
        base.accuracy if base.has_truth else None,
        float((base.truth > 0).mean()),
        given,
    )


def permuted_people(unanimous: Calls) -> dict[str, tuple[float, float, float]]:
    """Class fractions with people permuted: per class the mean and the 2.5 and 97.5 % points.

    Args:
        unanimous: the call that all replicates make, or 0, shape (units, rounds).
    """
    correct, incorrect = (unanimous == 1).mean(axis=0), (unanimous == -1).mean(axis=0)
    by_class = {CORRECT: correct, INCONSISTENT: 1 - correct - incorrect, INCORRECT: incorrect}
    found = {}
    for name, values in by_class.items():
        low, high = np.percentile(values, [2.5, 97.5])
        found[name] = float(values.mean()), float(low), float(high)
    return found


def _permuted_rows(
    base: _Judged, given: str, seed: int
) -> Iterator[tuple[str, str, tuple[float, float, float]]]:
    rounds = reference_levels.permuted_truth(
        base.calls,
        base.truth,
        list(base.table["context"]),
        list(base.table["locus"]),
        seed,
        positive_only=given == reference_levels.TRUE_POSITIVE,
    )
    values = np.array([[r.correct, r.inconsistent, r.incorrect] for r in rounds])
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    for column, name in enumerate(base.classes):
        mean = float(values[:, column].mean())
        yield PERMUTED, name, (mean, float(low[column]), float(high[column]))


def headline_numbers(verdicts: pd.DataFrame, verdict: str, kind: str, seed: int) -> pd.DataFrame:
    """Accuracy, what unanimity adds to it, and pairwise agreement, with locus bootstraps.

    `pairwise_agreement` (fraction of pairs of replicates that make the same call) does not
    depend on the number of replicates, unlike unanimity.
    """
    rows: list[tuple[Any, ...]] = []
    for subset, split, units in _subsets(verdicts, kind):
        decided = units[~units["class"].isin([TIE, OUT_OF_REACH])]
        if decided.empty:
            continue
        judged = _Judged(decided)
        loci = list(decided["locus"])
        sums = _sums(judged)
        low, high = locus_bootstrap(sums, loci, _ratios, seed)
        values = _ratios(sums.sum(axis=0))
        for index, (name, needs_truth) in enumerate(_STATISTICS.items()):
            if needs_truth <= judged.has_truth:
                rows.append(
                    (verdict, subset, split, name, values[index], low[index], high[index],
                     len(decided), len(set(loci)))
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(HEADLINES))


_STATISTICS = {
    "unanimous": False,
    "pairwise_agreement": False,
    "single_replicate_accuracy": True,
    "accuracy_if_unanimous": True,
    "gain_of_unanimity": True,
}


def _sums(judged: _Judged) -> Floats:
    """Per unit: 1, unanimous, pairs that agree, pairs, right calls, calls, unanimous and right."""
    replicates = judged.replicates
    unanimous = unanimous_call(judged.calls)
    counts = [(judged.calls == call).sum(axis=1) for call in (-1, 0, 1)]
    agreeing = sum(count * (count - 1) / 2 for count in counts)
    ones = np.ones(len(judged.calls))
    return np.stack(
        [
            ones,
            unanimous != 0,
            np.asarray(agreeing),
            ones * replicates * (replicates - 1) / 2,
            (judged.calls == judged.truth[:, None]).sum(axis=1),
            ones * replicates,
            (unanimous != 0) & (unanimous == judged.truth),
        ],
        axis=1,
    ).astype(np.float64)


def _ratios(sums: Floats) -> Floats:
    units, unanimous, agreeing, pairs, right, calls, both = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy, if_unanimous = right / calls, both / unanimous
        values = [
            unanimous / units,
            agreeing / pairs,
            accuracy,
            if_unanimous,
            if_unanimous - accuracy,
        ]
    return np.stack(values, axis=-1)
