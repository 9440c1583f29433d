"""What the rounds of a Deep MR simulation say, each number with its Monte Carlo error.

A row per cell, analysis, metric and truth:

- `bias`, `rmse`: of the estimate;
- `coverage`: of the estimator's 95 % interval, with the truth `ensemble` widened by the error of
  the further networks; `coverage_z`: of REML with normal quantiles;
- `type_I`: share of rounds whose interval leaves out 0 where the planted effect is 0 at all loci;
  `power` elsewhere;
- `local_coverage`: of the intervals of loci, each with the truth of its own locus; `mispaired`:
  matched by row, as published;
- `prediction_coverage`: share of the true effects of other loci in the prediction interval;
- `slope`, `r`: of the estimate on the truth over rounds, `slope` within a cluster of effects;
- `coverage_2tau`, `coverage_2se`: of estimate +- 2 tau, the published "coverage", and +- 2 se;
- `exposure_r`, `outcome_r`: effects of mutations in the networks with the true ones;
- `estimated`: share of rounds with an estimate.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from seqtrust.errors import InputError
from seqtrust.mendelian.simulated_study import TRUTHS
from seqtrust.statistics import Floats

CELL = ["path", "mode", "law", "heterogeneity", "strength"]
ANALYSIS = ["members", "rule", "estimator", "calibration"]
COLUMNS = [*CELL, *ANALYSIS, "cluster", "metric", "truth", "value", "mc_se", "rounds"]
BESIDE = ["mode", "estimator", "metric", "cluster"]
PUBLISHED = (*BESIDE, "quantity", "value", "source")
EVERY = "all"
LEAST = 3  # rounds of a line


def summary_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """All metrics of all analyses.

    Args:
        rounds: rows of `seqtrust.mendelian.simulated_study.ROUNDS`.
    """
    rows = []
    for key, mine in rounds.groupby([*CELL, *ANALYSIS], sort=False):
        names = dict(zip([*CELL, *ANALYSIS], key, strict=True))
        parts = [(EVERY, mine)]
        if set(mine["cluster"]) != {EVERY}:
            clusters = sorted(set(mine["cluster"]))
            parts += [(cluster, mine[mine["cluster"] == cluster]) for cluster in clusters]
        for cluster, part in parts:
            for metric, truth, value, error, count in metrics(part, whole=cluster == EVERY):
                found = {"metric": metric, "truth": truth, "value": value, "mc_se": error}
                rows.append(names | {"cluster": cluster} | found | {"rounds": count})
    return pd.DataFrame(rows, columns=COLUMNS)


def metrics(
    rounds: pd.DataFrame, *, whole: bool = True
) -> Iterator[tuple[str, str, float, float, int]]:
    """Metric, truth, value, Monte Carlo error and rounds of one analysis.

    Args:
        rounds: of one cell and analysis.
        whole: all clusters of effects together, where a slope would be that between clusters.
    """
    known = rounds[rounds["estimate"].notna()]
    yield "estimated", "", *share(rounds["estimate"].notna().to_numpy())
    estimate, low, high = (known[name].to_numpy(float) for name in ("estimate", "low", "high"))
    called = (low > 0) | (high < 0)
    null = ((rounds["effect"] == 0) & (rounds["heterogeneity"] == 0)).all()
    yield "type_I" if null else "power", "", *share(called)
    for truth in TRUTHS:
        values = known[f"truth_{truth}"].to_numpy(float)
        there = np.isfinite(values)
        if not there.any():
            continue
        error = (estimate - values)[there]
        yield "bias", truth, *mean(error)
        yield "rmse", truth, *root_mean_square(error)
        widening = _widening(known, truth)
        inside = _inside(values, estimate, low, high, widening)
        yield "coverage", truth, *share(inside[there])
        z_low, z_high = (known[name].to_numpy(float) for name in ("z_low", "z_high"))
        if np.isfinite(z_low).all():
            inside = _inside(values, estimate, z_low, z_high, widening)
            yield "coverage_z", truth, *share(inside[there])
        if there.sum() >= LEAST and np.ptp(values[there]) > 0:
            x, y = values[there], estimate[there]
            single = known["cluster"].nunique() == 1
            if single:
                yield "slope", truth, *slope(x, y)
            if whole and np.ptp(y) > 0:
                yield "r", truth, *correlation(x, y)
        if truth == "loci":
            for name, half in (("coverage_2tau", "tau"), ("coverage_2se", "se")):
                widths = 2 * known[half].to_numpy(float)
                held = np.abs(estimate - values) <= widths
                yield name, truth, *share(held[there])
    for metric, truth, count in (
        ("local_coverage", "oracle", "local_oracle"),
        ("local_coverage", "loci", "local_loci"),
        ("mispaired", "loci", "local_mispaired"),
        ("prediction_coverage", "loci", "predicted"),
    ):
        yield from _pooled(known, metric, truth, count)
    for name in ("exposure_r", "outcome_r"):
        if known[name].notna().any():
            yield name, "", *mean(known[name].dropna().to_numpy(float))


def mean(values: Floats) -> tuple[float, float, int]:
    """Mean, sd / sqrt(n) (NaN of one round), n."""
    number = len(values)
    error = values.std(ddof=1) / np.sqrt(number) if number > 1 else np.nan
    return float(values.mean()) if number else np.nan, float(error), number


def root_mean_square(errors: Floats) -> tuple[float, float, int]:
    """Root of the mean square; its error by the delta method."""
    value, error, number = mean(errors**2)
    root = np.sqrt(value)
    return float(root), float(error / (2 * root)) if root > 0 else np.nan, number


def share(flags: np.ndarray) -> tuple[float, float, int]:
    """A share and sqrt(p (1 - p) / n), which is 0 at shares of 0 and 1."""
    number = len(flags)
    if not number:
        return np.nan, np.nan, 0
    p = float(np.mean(flags))
    return p, float(np.sqrt(p * (1 - p) / number)), number


def slope(truth: Floats, estimate: Floats) -> tuple[float, float, int]:
    """Least-squares slope of estimates on truths and its standard error."""
    x = truth - truth.mean()
    squares = float(x @ x)
    value = float(x @ estimate) / squares
    rest = estimate - estimate.mean() - value * x
    number = len(x)
    error = np.sqrt(rest @ rest / (number - 2) / squares) if number > 2 else np.nan
    return value, float(error), number


def correlation(first: Floats, second: Floats) -> tuple[float, float, int]:
    """Pearson r; its error (1 - r^2) / sqrt(n - 1)."""
    r = float(np.corrcoef(first, second)[0, 1])
    return r, float((1 - r**2) / np.sqrt(max(len(first) - 1, 1))), len(first)


def _widening(rounds: pd.DataFrame, truth: str) -> Floats:
    """Factor of the half widths: the further networks' estimate has an error of its own."""
    if truth != "ensemble":
        return np.ones(len(rounds))
    return np.sqrt(1 + rounds["members"] / rounds["further"]).to_numpy(float)


def _inside(
    truth: Floats, estimate: Floats, low: Floats, high: Floats, widening: Floats
) -> np.ndarray:
    below, above = (estimate - low) * widening, (high - estimate) * widening
    return (truth >= estimate - below) & (truth <= estimate + above)


def _pooled(
    rounds: pd.DataFrame, metric: str, truth: str, count: str
) -> Iterator[tuple[str, str, float, float, int]]:
    """A share over all units of all rounds; its error takes rounds as units."""
    used = rounds[rounds[count] > 0]
    if len(used):
        total, held = used[count].to_numpy(float), used[f"{count}_covered"].to_numpy(float)
        value = held.sum() / total.sum()
        residual = held - value * total
        number = len(used)
        factor = number / (number - 1) if number > 1 else np.nan
        error = np.sqrt(factor * (residual**2).sum()) / total.sum()
        yield metric, truth, float(value), float(error), number


def published_comparison(summary: pd.DataFrame, published: pd.DataFrame, law: str) -> pd.DataFrame:
    """Published values beside those of the same analysis of this run's networks.

    Args:
        summary: of `summary_table`.
        published: columns mode, quantity, estimator, metric, cluster, value, source; estimator,
            metric and cluster say what of the summary stands beside.
        law: of effects that is the published one.

    Returns:
        The published rows with `published` and, where the run has the mode, `here`, `mc_se` and
        `rounds`.

    Raises:
        InputError: the table lacks a column.
    """
    for name in PUBLISHED:
        if name not in published:
            raise InputError(
                f"the published table of a simulation has no column {name!r}; found: "
                f"{', '.join(map(str, published.columns))}"
            )
    mine = summary[
        (summary["path"] == "networks")
        & summary["truth"].isin(["loci", ""])
        & (summary["law"] == law)
        & (summary["heterogeneity"] == 0)
        & (summary["strength"] == 1)
    ].drop_duplicates(BESIDE)
    mine = mine[[*BESIDE, "value", "mc_se", "rounds"]].rename(columns={"value": "here"})
    return published.rename(columns={"value": "published"}).merge(mine, on=BESIDE, how="left")
