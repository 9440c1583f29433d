"""What personal genomes say in all: gene table, class fractions, mean correlations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import false_discovery_control, rankdata

from seqtrust.consistency import OBSERVED, PERMUTED_PEOPLE, permuted_people
from seqtrust.genome import SPLITS, UNKNOWN_SPLIT
from seqtrust.statistics import locus_bootstrap, wilson
from seqtrust.uncertainty.people_correlations import (
    METHODS,
    PEARSON,
    SPEARMAN,
    Bools,
    Floats,
    correlations,
    known_pairs,
    pair_correlations,
    pair_names,
)
from seqtrust.uncertainty.people_null import Null, people_null
from seqtrust.uncertainty.people_tables import GENES, People
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, TIE, classify

ALL_GENES = "all genes"
BY_LINEAR = "chosen by the cis-SNP predictor"
BY_EQTLS = "chosen by eQTLs in other people"
CHOICES = {BY_LINEAR: "chosen_linear", BY_EQTLS: "chosen_eqtl"}
ENSEMBLE = "ensemble"
CLASSES = ("subset", "split", "level", "class", "count", "total", "fraction", "low", "high")
STATISTICS = ("statistic", "subset", "split", "value", "low", "high", "genes")
CROSS_GENE = ("replicate", "method", "split", "r", "low", "high", "genes")
DRIVER_STATISTICS = ("statistic", "split", "value", "low", "high", "count", "total")

_ROUNDS = 1000


def pair_table(people: People, covariates: Floats | None = None) -> pd.DataFrame:
    """A row per gene and pair of replicates: do they order people alike, right or wrong?"""
    pairs = pair_names(len(people.replicates))
    ties = people.ties
    by_method = {m: pair_correlations(people.values, m, covariates) for m in METHODS}
    names = np.array(people.replicates)
    genes = len(people.genes)
    return pd.DataFrame(
        {
            "gene": np.repeat(people.genes["gene"].to_numpy(), len(pairs)),
            "split": np.repeat(people.genes["split"].to_numpy(), len(pairs)),
            "replicate_a": np.tile(names[[a for a, _ in pairs]], genes),
            "replicate_b": np.tile(names[[b for _, b in pairs]], genes),
            **{method: values.T.ravel() for method, values in by_method.items()},
            "tie": np.stack([ties[a] | ties[b] for a, b in pairs], axis=1).ravel(),
        }
    )


def gene_table(
    people: People,
    pairs: pd.DataFrame,
    measured: Floats | None,
    populations: Sequence[int],
    rounds: int,
    seed: int,
    covariates: Floats | None = None,
    linear: pd.DataFrame | None = None,
    eqtl_p: Mapping[str, float] | None = None,
    fdr: float = 0.05,
) -> tuple[pd.DataFrame, Null | None]:
    """The columns of the table of genes, and calls with people permuted.

    Args:
        people: predictions across people.
        pairs: from `pair_table`.
        measured: expression, shape (G, N); None: there is none.
        populations: number of each person's population.
        rounds: permutations of people.
        seed: seed of the permutations.
        covariates: shape (N, K), regressed out of predictions and expression.
        linear: from `people_linear.linear_table`.
        eqtl_p: p-value per gene, from other people.
        fdr: false discovery rate of the choice of genes.
    """
    table = people.genes[["gene", "contig", "anchor", "split"]].copy()
    known = known_pairs(people.values, measured)
    table["people"] = known.sum(axis=1).astype(np.int32)
    table["tie"] = list(people.ties.T)
    grouped = pairs.groupby("gene", sort=False)
    for method in METHODS:
        table[f"pair_{method}"] = grouped[method].mean().reindex(table["gene"]).to_numpy()
    decided = pairs[~pairs["tie"]]
    agreeing = (decided[SPEARMAN] > 0).groupby(decided["gene"]).mean()
    table["pair_agreement"] = agreeing.reindex(table["gene"]).to_numpy(dtype=np.float64)
    for column in GENES.columns:
        if column.name not in table:
            table[column.name] = None
    null = None
    if measured is not None:
        null = _correlated(table, people, measured, populations, rounds, seed, covariates)
    if linear is not None:
        mine = linear.set_index("gene").reindex(table["gene"])
        for name in mine.columns.drop("variants"):
            table[name] = mine[name].to_numpy()
        table["chosen_linear"] = _significant(mine["linear_p"].to_numpy(dtype=np.float64), fdr)
    if eqtl_p is not None:
        p = np.array([eqtl_p.get(gene, np.nan) for gene in table["gene"]])
        table["eqtl_p"], table["chosen_eqtl"] = p, _significant(p, fdr)
    return table, null


def _correlated(
    table: pd.DataFrame,
    people: People,
    measured: Floats,
    populations: Sequence[int],
    rounds: int,
    seed: int,
    covariates: Floats | None,
) -> Null:
    """Fill in the columns that need expression."""
    mean = people.values.mean(axis=0, keepdims=True)
    stacked = np.concatenate([people.values, mean])
    judged = np.arange(len(stacked)) < len(people.values)
    null = people_null(stacked, measured, populations, SPEARMAN, rounds, seed, covariates, judged)
    pearson = correlations(stacked, measured, PEARSON, covariates)
    p = np.where(null.observed == 0, 1.0, null.p_values)
    q = np.stack([false_discovery_control(row) for row in p])
    for name, values in ((PEARSON, pearson), (SPEARMAN, null.observed), ("p", p), ("q", q)):
        table[name] = list(values[:-1].T)
        table[f"{ENSEMBLE}_{name}"] = values[-1]
    table["class"] = gene_classes(null)
    return null


def gene_classes(null: Null) -> npt.NDArray[np.str_]:
    """The class of every gene by the signs of its replicates' correlations."""
    calls = np.sign(null.observed[:-1]).T.astype(np.int8)
    truth = np.ones(len(calls), dtype=np.int8)
    return classify(calls, truth, np.zeros(len(calls), dtype=bool))


def _significant(p: Floats, fdr: float) -> Bools:
    """Benjamini-Hochberg over the genes that have a p-value; the others are not chosen."""
    found = np.zeros(len(p), dtype=bool)
    known = np.isfinite(p)
    if known.any():
        found[known] = false_discovery_control(p[known]) < fdr
    return found


def subsets(table: pd.DataFrame) -> Iterator[tuple[str, str, Bools]]:
    """(subset, split, mask): all and chosen genes, together and per data split."""
    masks = {ALL_GENES: np.ones(len(table), dtype=bool)}
    for name, column in CHOICES.items():
        if table[column].notna().any():
            masks[name] = table[column].fillna(False).to_numpy(dtype=bool)
    splits = table["split"].to_numpy()
    for name, mask in masks.items():
        yield name, "all", mask
        present = [split for split in (*SPLITS, UNKNOWN_SPLIT) if (splits == split).any()]
        if len(present) > 1:
            for split in present:
                yield name, split, mask & (splits == split)


def class_table(table: pd.DataFrame, null: Null) -> pd.DataFrame:
    """Class fractions, observed (Wilson intervals) and with people permuted, per subset.

    Fractions of the three classes are among genes that are not ties. The interval of the
    permuted level is that of a single round.
    """
    rows: list[tuple[Any, ...]] = []
    for subset, split, mask in subsets(table):
        mine = table["class"].to_numpy()[mask]
        decided = mask & (table["class"] != TIE).to_numpy()
        for name in (TIE, CORRECT, INCONSISTENT, INCORRECT):
            total = len(mine) if name == TIE else int(decided.sum())
            count = int((mine == name).sum())
            share = count / total if total else float("nan")
            interval = wilson(count, total)
            rows.append((subset, split, OBSERVED, name, count, total, share, *interval))
        if decided.any():
            for name, value in permuted_people(null.unanimous[decided]).items():
                total = int(decided.sum())
                rows.append((subset, split, PERMUTED_PEOPLE, name, None, total, *value))
    return pd.DataFrame(rows, columns=list(CLASSES))


def statistics_table(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Means over genes with bootstrap intervals over genes, per subset and data split.

    `sign_agreement` is the share of pairs of replicates whose correlations with expression have
    one sign; `pair_agreement` the share of pairs that are positively correlated with each
    other, which needs no expression.
    """
    values = {name: table[name].to_numpy(dtype=np.float64)
              for name in ("pair_pearson", "pair_spearman", "pair_agreement")}  # fmt: skip
    if table["class"].notna().any():
        values |= _with_expression(table)
    for name in ("linear_r", "ceiling", "heritability", "haseman_elston"):
        if table[name].notna().any():
            values[name] = table[name].to_numpy(dtype=np.float64)
    rows: list[tuple[Any, ...]] = []
    for subset, split, mask in subsets(table):
        for name, column in values.items():
            mine = column[mask & np.isfinite(column)]
            if len(mine):
                rows.append((name, subset, split, *mean_over_genes(mine, seed), len(mine)))
    return pd.DataFrame(rows, columns=list(STATISTICS))


def _with_expression(table: pd.DataFrame) -> dict[str, Floats]:
    found = {}
    for method in METHODS:
        matrix = np.array(table[method].to_list(), dtype=np.float64)
        found[f"{method}, single replicate"] = matrix.mean(axis=1)
        found[f"{method}, {ENSEMBLE}"] = table[f"{ENSEMBLE}_{method}"].to_numpy(dtype=np.float64)
    found["sign_agreement"] = sign_agreement(np.array(table[SPEARMAN].to_list(), dtype=np.float64))
    found["significant, single replicate"] = np.mean(
        np.array(table["q"].to_list(), dtype=np.float64) < 0.05, axis=1
    )
    found[f"significant, {ENSEMBLE}"] = (table[f"{ENSEMBLE}_q"] < 0.05).to_numpy(dtype=np.float64)
    return found


def sign_agreement(correlations: Floats) -> Floats:
    """Share of a gene's pairs of replicates whose correlations have one sign, shape (G,).

    Args:
        correlations: of every replicate with expression, shape (G, R); pairs with a tie do not
            count, and a gene without a pair is NaN.
    """
    positive = (correlations > 0).sum(axis=1)
    negative = (correlations < 0).sum(axis=1)
    alike = positive * (positive - 1) + negative * (negative - 1)
    pairs = (positive + negative) * (positive + negative - 1)
    return np.where(pairs > 0, alike / np.maximum(pairs, 1), np.nan)


def mean_over_genes(values: Floats, seed: int) -> tuple[float, float, float]:
    """Mean and 95 % percentile interval of a bootstrap over genes."""
    sums = np.stack([values, np.ones(len(values))], axis=1)
    low, high = locus_bootstrap(
        sums, range(len(values)), lambda s: (s[..., 0] / s[..., 1])[..., None], seed, _ROUNDS
    )
    return float(values.mean()), float(low[0]), float(high[0])


def cross_gene(people: People, levels: Floats, seed: int) -> pd.DataFrame:
    """Correlation over genes of the reference prediction with the mean expression.

    Args:
        people: predictions.
        levels: mean expression of each gene, shape (G,); NaN where not known.
        seed: seed of the bootstrap over genes; ranks are taken once.
    """
    mean = people.reference.mean(axis=0, keepdims=True)
    said = np.concatenate([people.reference, mean])
    splits = people.genes["split"].to_numpy()
    present = [split for split in (*SPLITS, UNKNOWN_SPLIT) if (splits == split).any()]
    parts = ["all", *present] if len(present) > 1 else ["all"]
    rows: list[tuple[Any, ...]] = []
    for row, name in enumerate((*people.replicates, ENSEMBLE)):
        for split in parts:
            mine = np.isfinite(levels) & np.isfinite(said[row])
            mine &= (splits == split) | (split == "all")
            for method in METHODS:
                found = correlation_over_genes(said[row, mine], levels[mine], method, seed)
                rows.append((name, method, split, *found, int(mine.sum())))
    return pd.DataFrame(rows, columns=list(CROSS_GENE))


def correlation_over_genes(
    x: Floats, y: Floats, method: str, seed: int
) -> tuple[float, float, float]:
    """Correlation and its 95 % percentile interval of a bootstrap over genes."""
    nothing = float("nan"), float("nan"), float("nan")
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return nothing
    if method == SPEARMAN:
        x, y = rankdata(x), rankdata(y)
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    sums = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)
    low, high = locus_bootstrap(sums, range(len(x)), _pearson_of_sums, seed, _ROUNDS)
    return float(_pearson_of_sums(sums.sum(axis=0))[0]), float(low[0]), float(high[0])


def _pearson_of_sums(sums: Floats) -> Floats:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y))
    return r[..., None]


def driver_statistics(drivers: pd.DataFrame, replicates: int, seed: int) -> pd.DataFrame:
    """Shares and means over genes of the table of drivers, per data split.

    Args:
        drivers: rows of `people_tables.DRIVERS`.
        replicates: number of replicates; genes without a driver in one of them do not count
            for agreement.
        seed: seed of the bootstrap over genes.
    """
    splits = ["all", *dict.fromkeys(drivers["split"])]
    rows: list[tuple[Any, ...]] = []
    for split in splits if len(splits) > 2 else splits[:1]:
        mine = drivers if split == "all" else drivers[drivers["split"] == split]
        first = mine[mine["step"] == 1]
        last = mine.loc[mine.groupby(["gene", "replicate"])["step"].idxmax()]
        means = {
            "r2 of the first driver": first.groupby("gene")["r2"].mean(),
            "r2 of all drivers": last.groupby("gene")["r2"].mean(),
            "adjusted r2 of all variants": last.groupby("gene")["r2_all"].mean().dropna(),
            "number of drivers": last.groupby("gene")["step"].mean(),
        }
        for name, values in means.items():
            if len(values):
                found = mean_over_genes(values.to_numpy(dtype=np.float64), seed)
                rows.append((name, split, *found, None, len(values)))
        for name, flags in _driver_shares(first, replicates).items():
            count, total = int(flags.sum()), len(flags)
            share = count / total if total else float("nan")
            rows.append((name, split, share, *wilson(count, total), count, total))
    return pd.DataFrame(rows, columns=list(DRIVER_STATISTICS))


def _driver_shares(first: pd.DataFrame, replicates: int) -> dict[str, Bools]:
    by_gene = first.groupby("gene")
    complete = first[by_gene["replicate"].transform("size") == replicates].groupby("gene")
    one_variant = complete["variant"].nunique() == 1
    one_sign = complete["slope"].agg(lambda slopes: len(set(np.sign(slopes))) == 1)
    shares = {
        "replicates have one first driver": one_variant,
        "replicates have one first driver and one sign": one_variant & one_sign,
    }
    known = first[first["supported"].notna()]
    flags = known["supported"].astype(bool)
    genes = flags.groupby(known["gene"])
    shares["first driver supported by the eQTL, any replicate"] = genes.any()
    shares["first driver supported by the eQTL, every replicate"] = genes.all()
    return {name: values.to_numpy(dtype=bool) for name, values in shares.items()}
