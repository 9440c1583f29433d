"""Means over worlds of what every fit was scored with, with intervals, for any table of scores."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from seqtrust.robustness.shift_summary import hierarchical_interval

CONDITION_COLUMNS = ("data_set", "shift", "severity", "type")


def over_worlds(
    fits: pd.DataFrame, keys: Sequence[str], info: Sequence[str], seed: int
) -> pd.DataFrame:
    """Means over worlds of means over replicates, with the intervals of the summary.

    Args:
        fits: one row per model, world, replicate and key, with the column `value`.
        keys: columns that name a score; none of them is empty.
        info: further columns, the same in every fit.
        seed: of the bootstrap.

    Returns:
        model, `keys`, `info`, worlds, fits, value, low and high, in the order of `fits`.
    """
    parts = []
    for model, mine in fits.groupby("model", sort=False):
        named = mine.drop_duplicates(list(keys)).set_index(list(keys))[list(info)]
        wide = mine.set_index([*keys, "world", "replicate"])["value"]
        table = wide.unstack(["world", "replicate"]).reindex(named.index).sort_index(axis=1)
        worlds = table.columns.get_level_values("world").nunique()
        values = table.to_numpy(dtype=np.float64).reshape(len(table), worlds, -1)
        found = hierarchical_interval(values, seed)
        parts.append(
            named.reset_index().assign(
                worlds=found.worlds, fits=found.fits, value=found.value, low=found.low,
                high=found.high,
            )
        )  # fmt: skip
        parts[-1].insert(0, "model", model)
    return pd.concat(parts, ignore_index=True)
