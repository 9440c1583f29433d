"""Statistics over the effects of an analysis, as papers print them, with published ones beside."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from seqtrust.errors import InputError, nearest_clause
from seqtrust.files import read_input_table
from seqtrust.mendelian.global_effects import ALL
from seqtrust.statistics import Floats

KEYS = ("statistic", "exposure", "outcome")
STATISTICS = {
    "pairs": "global effects",
    "pairs_positive": "global effects above 0",
    "pairs_surely_positive": "global effects whose 95 % interval lies above 0",
    "loci": "local effects",
    "loci_negative": "local effects below 0",
    "local_q25": "lower quartile of local effects",
    "local_median": "median of local effects",
    "local_q75": "upper quartile of local effects",
}


def effect_statistics(
    table: pd.DataFrame, local: pd.DataFrame, published: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Counts and quartiles by estimator, over all pairs and of each.

    Args:
        table: of `global_effects`.
        local: local effects of all loci.
        published: values to stand beside, of `read_statistics`.

    Returns:
        Columns estimator, statistic, what, exposure, outcome (both empty over all pairs), value;
        published_value and published_source where they are given.
    """
    whole = table[table["split"] == ALL]
    rows = []
    for label, mine in local.groupby("estimator", sort=False):
        of_all = whole[whole["estimator"] == label]
        groups = [("", "", of_all, mine)]
        for (x, y), part in mine.groupby(["exposure", "outcome"], sort=False):
            pair = of_all[(of_all["exposure"] == x) & (of_all["outcome"] == y)]
            groups.append((str(x), str(y), pair, part))
        for x, y, pairs, loci in groups:
            for name, value in _statistics(pairs, loci["estimate"].dropna().to_numpy()):
                rows.append((label, name, STATISTICS[name], x, y, value))
    made = pd.DataFrame(rows, columns=["estimator", "statistic", "what", *KEYS[1:], "value"])
    return made if published is None else made.merge(published, how="left", on=list(KEYS))


def _statistics(pairs: pd.DataFrame, effects: Floats) -> Iterator[tuple[str, float]]:
    known = pairs[pairs["estimate"].notna()]
    if len(known):
        yield "pairs", len(known)
        yield "pairs_positive", (known["estimate"] > 0).sum()
        yield "pairs_surely_positive", (known["low"] > 0).sum()
    yield "loci", len(effects)
    yield "loci_negative", (effects < 0).sum()
    if len(effects):
        quartiles = np.quantile(effects, (0.25, 0.5, 0.75))
        yield from zip(("local_q25", "local_median", "local_q75"), quartiles, strict=True)


def read_statistics(path: str) -> pd.DataFrame:
    """Published statistics: columns statistic, exposure, outcome, value; source if known.

    Exposure and outcome are empty where a statistic is over all pairs.

    Raises:
        InputError: a column is missing, a statistic is unknown, or one stands twice.
    """
    table = read_input_table(path, {"exposure": str, "outcome": str})
    needed = [*KEYS, "value"]
    for name in needed:
        if name not in table.columns:
            raise InputError(f"{path}: there is no column {name!r}; it needs {', '.join(needed)}")
    table[list(KEYS[1:])] = table[list(KEYS[1:])].fillna("")
    for row, name in enumerate(table["statistic"]):
        if name not in STATISTICS:
            nearest = nearest_clause(str(name), STATISTICS)
            raise InputError(f"{path}, line {row + 2}: no statistic is called {name!r}{nearest}")
    twice = table.duplicated(list(KEYS))
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise InputError(f"{path}, line {row + 2}: the statistic stands twice")
    kept = [name for name in (*needed, "source") if name in table.columns]
    names = {name: f"published_{name}" for name in ("value", "source")}
    return table[kept].rename(columns=names)
