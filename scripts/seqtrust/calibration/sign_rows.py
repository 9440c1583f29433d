"""Signs of effects that replicates call, as rows with a stated probability of plus."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit, stdtr

from seqtrust.calibration.grouping import Floats, Groups
from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.verdicts import OUT_OF_REACH, TIE

SPREAD, VOTES = "spread", "votes"
PROBABILITIES = (SPREAD, VOTES)
Z, EFFECT, UNANIMITY = "z", "effect", "unanimity"
ORDERS = (Z, EFFECT, UNANIMITY)

UNKNOWN_TRUTH = "unknown_truth"
# a score must be finite: log odds of the spread end here
_LEAST = 1e-6


@dataclass(frozen=True)
class SignRows:
    """The n rows of one track that can be judged.

    Attributes:
        mean: mean effect of the replicates, shape (n,), on the model's scale.
        sd: standard deviation between replicates (ddof 1), shape (n,), same scale.
        positive: replicates that say plus, a tie counting one half, shape (n,).
        replicates: number of replicates R.
        labels: 1 where the true sign is plus, else 0, shape (n,).
        groups: rows of one group are not independent, shape (n,).
        splits: data split of each row, shape (n,).
        counts: rows that are not judged, by reason.
    """

    mean: Floats
    sd: Floats
    positive: Floats
    replicates: int
    labels: Floats
    groups: Groups
    splits: Groups
    counts: Mapping[str, int]

    @property
    def one_sign(self) -> bool:
        """Whether all true signs are equal, as of activators: then plus is a convention."""
        return bool((self.labels == self.labels[:1]).all())

    def probability(self, kind: str) -> Floats:
        """Stated probability of plus, shape (n,).

        Args:
            kind: `spread`: that one more replicate says plus, of a Student t distribution with
                R - 1 degrees of freedom around the mean with scale sd (1 + 1/R)^1/2; `votes`:
                the fraction of replicates that say plus.
        """
        if kind == VOTES:
            return self.positive / self.replicates
        with np.errstate(divide="ignore", invalid="ignore"):
            t = self.mean / (self.sd * np.sqrt(1 + 1 / self.replicates))
        certain = (np.sign(self.mean) + 1) / 2
        return np.where(self.sd > 0, stdtr(self.replicates - 1, t), certain)

    def score(self, kind: str) -> Floats:
        """Log odds of plus for methods that fit to a score, shape (n,); odd in the sign.

        Votes k of R have the odds (k + 1/2) / (R - k + 1/2), which are finite.
        """
        if kind == VOTES:
            return np.log(self.positive + 0.5) - np.log(self.replicates - self.positive + 0.5)
        # of the less likely sign, so that mirrored rows have the same odds to the last bit
        unlikely = replace(self, mean=-np.abs(self.mean)).probability(SPREAD)
        return -np.sign(self.mean) * logit(np.maximum(unlikely, _LEAST))

    def uncertainty(self, order: str) -> Floats:
        """What rows are left out by, the largest first, shape (n,).

        Args:
            order: `z`: |mean| / sd (as |mean| / (mean^2 + sd^2)^1/2, which has the same order and
                is finite); `effect`: |mean|; `unanimity`: share of the replicates that say what
                most say.
        """
        if order == EFFECT:
            return -np.abs(self.mean)
        if order == UNANIMITY:
            return -np.maximum(self.positive, self.replicates - self.positive)
        size = np.hypot(self.mean, self.sd)
        return -np.divide(np.abs(self.mean), size, out=np.zeros_like(size), where=size > 0)

    @property
    def wrong(self) -> Floats:
        """1 where the mean effect has the wrong sign, 1/2 where it is 0, shape (n,)."""
        called = (np.sign(self.mean) + 1) / 2
        return np.abs(called - self.labels)


def sign_rows(table: pd.DataFrame, group_of: Mapping[str, str] | None = None) -> SignRows:
    """The rows of one track of a verdicts table that can be judged.

    Ties, rows out of reach and rows without a known truth are counted.

    Args:
        table: of the verdicts table, one track.
        group_of: group of every locus; without, a locus is a group.

    Raises:
        InputError: there is one replicate, or a locus has no group.
    """
    reason = table["class"].where(table["class"].isin([TIE, OUT_OF_REACH]))
    reason = reason.mask(reason.isna() & table["truth"].isna(), UNKNOWN_TRUTH)
    counts = Counter(reason.dropna())
    mine = table[reason.isna()]
    replicates = len(table["scores"].iloc[0])
    effects = np.array(mine["scores"].tolist(), dtype=np.float64).reshape(-1, replicates)
    if replicates < 2:
        raise InputError(
            "one replicate has no spread and no votes: signs are calibrated of two replicates or "
            "more"
        )
    loci = mine["locus"].astype(str)
    if group_of is not None:
        missing = [locus for locus in loci if locus not in group_of]
        if missing:
            raise InputError(
                f"{len(missing)} rows have a locus without a group, the first is {missing[0]!r}: "
                "add a row for each to the table of groups"
            )
        loci = loci.map(group_of)
    positive = mine["n_positive"].to_numpy(dtype=float) + mine["n_tie"].to_numpy(dtype=float) / 2
    return SignRows(
        effects.mean(axis=1),
        effects.std(axis=1, ddof=1),
        positive,
        replicates,
        (mine["truth"].to_numpy(dtype=float) > 0).astype(np.float64),
        loci.to_numpy(dtype=np.str_),
        mine["split"].to_numpy(dtype=np.str_),
        {name: counts.get(name, 0) for name in (TIE, OUT_OF_REACH, UNKNOWN_TRUTH)},
    )


def locus_groups(path: str | Path) -> dict[str, str]:
    """Groups (LD blocks, genes) by locus, from a TSV with the columns `locus` and `group`.

    Raises:
        InputError: the table cannot be read, lacks a column or a value, or has a locus twice.
    """
    table = read_input_table(path, {"locus": str, "group": str})
    for column in ("locus", "group"):
        if column not in table.columns:
            raise InputError(f"{path} has no column {column!r}; it has {list(table.columns)}")
    empty = np.flatnonzero(table[["locus", "group"]].isna().any(axis=1))
    if empty.size:
        raise InputError(f"{path}, line {int(empty[0]) + 2}: expected a locus and a group")
    repeated = table["locus"][table["locus"].duplicated()]
    if len(repeated):
        raise InputError(f"{path}: locus {repeated.iloc[0]!r} has two rows, expected one group")
    return dict(zip(table["locus"], table["group"], strict=True))
