"""Class fractions of eQTLs per tissue and pooled, agreement beside correctness, two scores."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.consistency import OBSERVED, class_fractions
from seqtrust.errors import InputError
from seqtrust.statistics import Floats, locus_bootstrap, wilson
from seqtrust.uncertainty.eqtls import (
    POOLED,
    POSITIVES,
    decided,
    score_parts,
    split_parts,
    stacked,
    tissue_parts,
)
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, OUT_OF_REACH, TIE

BY_ROW, BY_VARIANT, BY_TISSUE = "rows", "variants", "tissues"
MEAN_OF_TISSUES = "mean of tissues"
CLASSES = (CORRECT, INCONSISTENT, INCORRECT)
_ALL = (*CLASSES, TIE, OUT_OF_REACH)

TABLE = (
    "score", "tissue", "split", "weighting", "level", "class", "count", "total", "fraction",
    "low", "high", "boot_low", "boot_high", "loci",
)  # fmt: skip
AGREEMENT = (
    "score", "split", "n_agree", "n_correct", "count", "total", "share", "positive_beta",
    "low", "high",
)  # fmt: skip
TRACKS = (
    "first", "second", "split", "level", "value_first", "value_second", "count", "total",
    "share", "low", "high",
)  # fmt: skip


def correct_counts(units: pd.DataFrame) -> pd.DataFrame:
    """Units by the number of correct replicates, per score, tissue and data split.

    Units on which a replicate makes no call have no place on this scale and are left out; they
    are counted as `with_tie`.

    Returns:
        Columns score, tissue, split, n, correct_0 to correct_R and with_tie.
    """
    rows = []
    for score, mine in score_parts(units):
        for split, part in split_parts(decided(mine)):
            for tissue, here in tissue_parts(part):
                counts = distribution(here)
                named = {f"correct_{k}": int(count) for k, count in enumerate(counts)}
                n = int(counts.sum())
                rows.append({"score": score, "tissue": tissue, "split": split, "n": n, **named,
                             "with_tie": len(here) - n})  # fmt: skip
    return pd.DataFrame(rows)


def distribution(units: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Units by the number of correct replicates among those without a tie, shape (R + 1,)."""
    calls = stacked(units, "calls")
    whole = (calls != 0).all(axis=1)
    return np.bincount(units["n_correct"].to_numpy()[whole], minlength=calls.shape[1] + 1)


def fractions_of_counts(counts: Floats) -> Floats:
    """Fractions consistently correct, inconsistent and consistently incorrect.

    Args:
        counts: units by the number of correct replicates, shape (..., R + 1).

    Returns:
        Shape (..., 3).
    """
    total = counts.sum(axis=-1)
    correct, incorrect = counts[..., -1] / total, counts[..., 0] / total
    return np.stack([correct, 1 - correct - incorrect, incorrect], axis=-1)


def pooled_value(values: Floats, n: Floats) -> Floats:
    """The value of all rows together, from that of every tissue, shape (T,) or (T, K)."""
    return np.average(values, axis=0, weights=n)


def eqtl_class_table(units: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Class fractions with two intervals and the reference levels.

    Per tissue and pooled; pooled rows are weighted by the tissues' sizes (`rows`), by variant,
    where one counts once however many tissues it has (`variants`), or by tissue (`tissues`).
    Wilson intervals are of plain fractions; bootstrap intervals are over loci.

    Args:
        units: the units of all scores.
        seed: of bootstrap and permutations.
    """
    tables = []
    for score, mine in score_parts(units):
        known = mine[mine["truth"] != 0]
        if known.empty:
            continue
        tables.append(_with_levels(score, known, seed))
        for split, part in split_parts(known):
            repeated = part["variant"].duplicated().any()
            weighted = [(BY_VARIANT, POOLED)] if repeated else []
            if part["tissue"].nunique() > 1:
                weighted.append((BY_TISSUE, MEAN_OF_TISSUES))
            for weighting, tissue in weighted:
                values, low, high = _bootstrapped(part, weighting, seed)
                totals = [len(decided(part))] * len(CLASSES) + [len(part)] * 2
                rows = [
                    (score, tissue, split, weighting, OBSERVED, name, None, totals[k], value,
                     np.nan, np.nan, low[k], high[k], part["locus"].nunique())
                    for k, (name, value) in enumerate(zip(_ALL, values, strict=True))
                ]  # fmt: skip
                tables.append(pd.DataFrame(rows, columns=list(TABLE)))
    if not tables:
        raise InputError("eqtl_analyses: no unit of any score has a beta with a sign")
    return pd.concat(tables, ignore_index=True)


def _with_levels(score: str, known: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Fractions and levels of `seqtrust.consistency`, with bootstrap intervals of the observed."""
    judged = known.assign(
        stratum=known["tissue"], context=known["tissue"], scores=known["effects"]
    ).reset_index(drop=True)
    table = class_fractions(judged, score, "signs", seed)
    table = table.rename(columns={"verdict": "score", "subset": "tissue"})
    table["tissue"] = table["tissue"].replace({"all": POOLED})
    table["weighting"] = BY_ROW
    intervals = []
    for tissue, here in tissue_parts(known):
        for split, part in split_parts(here):
            _, low, high = _bootstrapped(part, BY_ROW, seed)
            intervals += [
                (tissue, split, OBSERVED, name, low[k], high[k], part["locus"].nunique())
                for k, name in enumerate(_ALL)
            ]
    keys = ["tissue", "split", "level", "class"]
    extra = pd.DataFrame(intervals, columns=[*keys, "boot_low", "boot_high", "loci"])
    return table.merge(extra, on=keys, how="left")[list(TABLE)]


def _bootstrapped(units: pd.DataFrame, weighting: str, seed: int) -> tuple[Floats, Floats, Floats]:
    """Fractions of `_ALL` with bootstrap intervals over loci, shape (5,) each."""
    classes = units["class"].to_numpy()
    indicators = np.stack([classes == name for name in _ALL], axis=1).astype(np.float64)
    counted = indicators[:, :3].sum(axis=1)
    sums = np.column_stack([indicators, counted, np.ones(len(units))])
    if weighting == BY_VARIANT:
        sums /= units.groupby("variant")["variant"].transform("size").to_numpy()[:, None]
    groups = np.zeros(len(units), dtype=np.int64)
    if weighting == BY_TISSUE:
        groups = np.unique(units["tissue"], return_inverse=True)[1]
    number = int(groups.max()) + 1
    wide = np.zeros((len(units), number, sums.shape[1]))
    wide[np.arange(len(units)), groups] = sums

    def fractions(total: Floats) -> Floats:
        total = total.reshape(*total.shape[:-1], number, -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            among_decided = total[..., :3] / total[..., 5:6]
            among_all = total[..., 3:5] / total[..., 6:7]
        return mean_of_known(np.concatenate([among_decided, among_all], axis=-1), axis=-2)

    flat = wide.reshape(len(units), -1)
    low, high = locus_bootstrap(flat, list(units["locus"]), fractions, seed)
    return fractions(flat.sum(axis=0)), low, high


def mean_of_known(values: Floats, axis: int) -> Floats:
    """Mean over an axis of what is not NaN; NaN where nothing is known."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=axis) / known.sum(axis=axis)


def agreement_table(units: pd.DataFrame) -> pd.DataFrame:
    """Units by how many replicates agree and how many are right, and the sign of beta there.

    `n_agree` is the larger of the numbers that call + and -; `positive_beta` the fraction with
    a positive beta, with a Wilson interval.
    """
    rows: list[tuple[Any, ...]] = []
    for score, mine in score_parts(units):
        for split, part in split_parts(decided(mine)):
            calls = stacked(part, "calls")
            agree = np.maximum((calls > 0).sum(axis=1), (calls < 0).sum(axis=1))
            right, positive = part["n_correct"].to_numpy(), part["beta"].to_numpy() > 0
            for n_agree in np.unique(agree):
                for n_correct in np.unique(right[agree == n_agree]):
                    cell = (agree == n_agree) & (right == n_correct)
                    count, above = int(cell.sum()), int(positive[cell].sum())
                    rows.append((
                        score, split, n_agree, n_correct, count, len(part), count / len(part),
                        above / count, *wilson(above, count),
                    ))  # fmt: skip
    return pd.DataFrame(rows, columns=list(AGREEMENT))


def track_table(units: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Two scores of the same eQTLs against each other.

    `level` is `n_correct` (cells of the number of correct replicates) or `class`. Only rows that
    both scores decide are counted; cells of nothing are rows too.

    Raises:
        InputError: the two scores share no decided eQTL.
    """
    rows: list[tuple[Any, ...]] = []
    for split, pair in split_parts(_shared(units, first, second)):
        for level, one, two in _cells(pair, units, first, second):
            count = int(((pair[f"{level}_x"] == one) & (pair[f"{level}_y"] == two)).sum())
            rows.append((first, second, split, level, one, two, count, len(pair),
                         count / len(pair), *wilson(count, len(pair))))  # fmt: skip
    return pd.DataFrame(rows, columns=list(TRACKS))


def _shared(units: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    key = ["variant", "gene", "tissue"]
    mine = units[units["kind"] == POSITIVES]
    one, two = (decided(mine[mine["score"] == name]) for name in (first, second))
    columns = [*key, "n_correct", "class"]
    pair = one[[*columns, "split"]].merge(two[columns], on=key)
    if pair.empty:
        raise InputError(f"scores {first!r} and {second!r} share no decided eQTL")
    return pair


def _cells(
    pair: pd.DataFrame, units: pd.DataFrame, first: str, second: str
) -> Iterator[tuple[str, Any, Any]]:
    replicates = [
        len(units.loc[units["score"] == name, "calls"].iloc[0]) for name in (first, second)
    ]
    for one in range(replicates[0] + 1):
        for two in range(replicates[1] + 1):
            yield "n_correct", one, two
    for name in CLASSES:
        for other in CLASSES:
            yield "class", name, other
