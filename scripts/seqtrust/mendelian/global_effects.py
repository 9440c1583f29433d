"""Global effects: every pair of tasks over all loci, and over the loci of each data split."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.mendelian.analysis import (
    STEIGER,
    Pairs,
    directed,
    exposure_and_outcomes,
    halves,
    of_exposures,
)
from seqtrust.mendelian.diagnostics import benjamini_hochberg
from seqtrust.mendelian.effects import Effects, Estimate
from seqtrust.mendelian.instrument_tables import RULE, Instruments
from seqtrust.mendelian.named_estimators import PER_REPLICATE, MainEstimator, pooled

ALL = "all"
Change = Callable[[Effects, Effects, int, tuple[int, ...]], tuple[Effects, Effects] | None]


def main_effects(
    instruments: Instruments,
    pairs: Pairs,
    main: Callable[[Effects, Effects], Estimate],
    *,
    cross_fit: bool = False,
    bit: int = RULE,
    change: Change | None = None,
    **how: bool,
) -> pd.DataFrame:
    """One global effect per pair.

    Args:
        instruments: of all loci.
        pairs: of tasks.
        main: from effects (..., K, J) to a global effect.
        cross_fit: choose and use instruments by different replicates.
        bit: which rule's instruments.
        change: made to the effects before; pairs of an exposure for which it gives None are left
            out.
        how: as in `Instruments.effects`.

    Returns:
        Columns exposure, outcome, estimate, se, low, high, p, tau, prediction_low,
        prediction_high, loci, left_out, reason.
    """
    parts = []
    for mine, x, ys in of_exposures(instruments, pairs):
        if cross_fit and isinstance(main, MainEstimator):
            places, select = halves(mine, x)
            given = mine.effects(x, places), mine.effects(list(ys), places)
            changed = change(*given, x, ys) if change else given
            if changed is None:
                continue
            made = main.cross_fitted(*changed, select, mine.kind)
        else:
            effects = exposure_and_outcomes(mine, x, ys, bit, **how)
            changed = change(*effects, x, ys) if change else effects
            if changed is None:
                continue
            made = main(*changed)
        parts.append(_rows(instruments, x, ys, made))
    return pd.concat(parts, ignore_index=True) if parts else _rows(instruments, 0, (), None)


def _rows(
    instruments: Instruments, x: int, ys: tuple[int, ...], made: Estimate | None
) -> pd.DataFrame:
    more = {} if made is None else made.diagnostics

    def of(values: Any) -> Any:
        return np.broadcast_to(np.asarray(values), (len(ys),))

    def found(name: str) -> Any:
        return of(more.get(name, np.nan))

    names = ("estimate", "se", "p", "reason")
    plain = {name: of(getattr(made, name) if made else np.nan) for name in names}
    low, high = made.interval if made else (np.nan, np.nan)
    return pd.DataFrame(
        {
            "exposure": instruments.tasks[x],
            "outcome": [instruments.tasks[y] for y in ys],
            "estimate": plain["estimate"],
            "se": plain["se"],
            "low": of(low),
            "high": of(high),
            "p": plain["p"],
            "tau": np.sqrt(found("tau2")),
            "prediction_low": found("prediction_low"),
            "prediction_high": found("prediction_high"),
            "loci": found("loci"),
            "left_out": found("left_out"),
            "reason": plain["reason"],
        }
    )


def pooled_effects(local: pd.DataFrame, method: str, test: str) -> pd.DataFrame:
    """Meta-analysis of local effects per pair, of one estimator; columns as `main_effects`."""
    rows = []
    for (x, y), mine in local.groupby(["exposure", "outcome"], sort=False):
        made = pooled(mine["estimate"].to_numpy(), mine["se"].to_numpy(), method, test)
        found = dict(made.diagnostics)
        rows.append(
            {
                "exposure": x,
                "outcome": y,
                "estimate": made.estimate,
                "se": made.se,
                "low": made.interval[0],
                "high": made.interval[1],
                "p": made.p,
                "tau": np.sqrt(found["tau2"]),
                "prediction_low": found["prediction_low"],
                "prediction_high": found["prediction_high"],
                "loci": np.isfinite(mine["estimate"]).sum(),
                "left_out": (~np.isfinite(mine["estimate"])).sum(),
                "reason": str(made.reason),
            }
        )
    return pd.DataFrame(rows)


def global_effects(
    instruments: Instruments,
    pairs: Pairs,
    local: pd.DataFrame,
    main: MainEstimator,
    *,
    cross_fit: bool = False,
    published: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every pair by every estimator, over all loci and over those of each data split.

    `main` marks the estimator of the headline. Where replicates are there, it and the
    Steiger-filtered effect are estimated within each of them; other rows are meta-analyses of
    local effects. q is over the pairs of one estimator and split.

    Args:
        instruments: of all loci.
        pairs: of tasks.
        local: of `local_effects`, of all loci.
        main: estimator of the headline.
        cross_fit: of the instruments.
        published: values to stand beside, of `read_published`.
    """
    parts = []
    splits = np.array(instruments.splits)
    for split in [ALL, *(sorted(set(instruments.splits)) if len(set(splits)) > 1 else [])]:
        loci = np.ones(len(splits), dtype=bool) if split == ALL else splits == split
        mine = instruments if split == ALL else instruments.of_loci(loci)
        rows = local if split == ALL else local[local["split"] == split]
        for label, part in rows.groupby("estimator", sort=False):
            if label == PER_REPLICATE or (label == STEIGER and main.replicates):
                continue
            table = pooled_effects(part, main.method, main.test)
            is_main = label == main.label and not main.replicates
            parts.append(table.assign(estimator=label, split=split, main=is_main))
        if main.replicates:
            table = main_effects(mine, pairs, main, cross_fit=cross_fit)
            parts.append(table.assign(estimator=main.label, split=split, main=True))
            table = steiger_effects(mine, pairs, main)
            parts.append(table.assign(estimator=STEIGER, split=split, main=False))
    whole = pd.concat([part for part in parts if len(part)], ignore_index=True)
    q = whole.groupby(["estimator", "split", "main"])["p"].transform(benjamini_hochberg)
    whole.insert(list(whole.columns).index("p") + 1, "q", q)
    if published is not None:
        whole = whole.merge(published, how="left", on=["exposure", "outcome"])
    first = ["exposure", "outcome", "estimator", "main", "split"]
    return whole[first + [name for name in whole.columns if name not in first]]


def steiger_effects(instruments: Instruments, pairs: Pairs, main: MainEstimator) -> pd.DataFrame:
    """Effects from instruments that move the exposure more than the outcome."""

    def change(
        exposure: Effects, outcome: Effects, x: int, ys: tuple[int, ...]
    ) -> tuple[Effects, Effects] | None:
        return directed(instruments, exposure, outcome, x, ys)

    return main_effects(instruments, pairs, main, change=change)


def directions(table: pd.DataFrame) -> pd.DataFrame:
    """Both directions of every pair of tasks, from disjoint instruments.

    Args:
        table: of `global_effects`.

    Returns:
        Columns first, second; estimate, low, high and q of `forward` (first on second) and
        `reverse`; and `called`: forward, reverse, both or none at q < .05.
    """
    rows = table[(table["estimator"] == STEIGER) & (table["split"] == ALL)]
    by_pair = {(row["exposure"], row["outcome"]): row for row in rows.to_dict("records")}
    names = ("estimate", "low", "high", "q")
    made: list[dict[str, Any]] = []
    for (x, y), forward in by_pair.items():
        reverse = by_pair.get((y, x))
        if reverse is None or (made and (y, x) in {(row["first"], row["second"]) for row in made}):
            continue
        called = forward["q"] < 0.05, reverse["q"] < 0.05
        words = {(True, True): "both", (True, False): "forward", (False, True): "reverse"}
        made.append(
            {"first": x, "second": y}
            | {f"forward_{name}": forward[name] for name in names}
            | {f"reverse_{name}": reverse[name] for name in names}
            | {"called": words.get(called, "none")}
        )
    columns = ["first", "second", *(f"{way}_{n}" for way in ("forward", "reverse") for n in names)]
    return pd.DataFrame(made, columns=[*columns, "called"])


def read_published(path: str) -> pd.DataFrame:
    """Values to stand beside: exposure, outcome, estimate; low, high, loci, source if known.

    Raises:
        InputError: a column is missing, or a pair stands twice.
    """
    table = read_input_table(path)
    needed = ["exposure", "outcome", "estimate"]
    for name in needed:
        if name not in table.columns:
            raise InputError(f"{path}: there is no column {name!r}; it needs {', '.join(needed)}")
    twice = table.duplicated(["exposure", "outcome"])
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise InputError(f"{path}, line {row + 2}: the pair stands twice")
    shown = ["estimate", "low", "high", "loci", "source"]
    names: Mapping[str, str] = {name: f"published_{name}" for name in shown}
    kept = [name for name in (*needed, *shown[1:]) if name in table.columns]
    return table[kept].rename(columns=names)
