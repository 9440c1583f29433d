"""What the data sets of an assay are like, without any model: sizes, and how conditions differ."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.shift_summary import UNSHIFTED
from seqtrust.robustness.world_tables import WorldTable

Floats = npt.NDArray[np.float64]

COLUMNS = (
    "data_set", "shift", "severity", "type", "splits", "rows", "groups", "gc", "mean", "sd",
    "noise", "correlation", "offset", "gain", "unexplained",
)  # fmt: skip


def conditions_table(worlds: Sequence[WorldTable]) -> pd.DataFrame:
    """Every data set, means over splits.

    `noise` is the mean variance of a measurement, where the assay tells it. Of measurements of the
    sequences of the unshifted data also their correlation with those, and the line that predicts
    them from those: `offset` (difference of means), `gain` (slope) and `unexplained` (variance
    about it over their own), which no offset and gain mends.

    Args:
        worlds: splits of the assay.
    """
    rows = []
    for world in worlds:
        unshifted = world.condition(UNSHIFTED)
        for name, shift in world.shifts.items():
            found = world.condition(name)
            rows.append(
                {
                    "data_set": name, "shift": shift.name, "severity": shift.severity,
                    "type": shift.type, "rows": len(found.observed),
                    "groups": len(np.unique([] if found.groups is None else found.groups)),
                    "gc": found.gc.mean(), "mean": found.observed.mean(),
                    "sd": found.observed.std(), "noise": float(np.mean(found.sd**2)),
                    **(_beside(unshifted, found) if name in world.conditions else {}),
                }
            )  # fmt: skip
    table = pd.DataFrame(rows)
    keys = ["data_set", "shift", "severity", "type"]
    groups = table.groupby(keys, sort=False)
    means = groups.mean().assign(splits=groups.size()).reset_index()
    return means.reindex(columns=list(COLUMNS))


def _beside(unshifted: Condition, found: Condition) -> dict[str, float]:
    if not np.array_equal(unshifted.sequences, found.sequences):
        return {}
    before, after = unshifted.observed, found.observed
    correlation = float(np.corrcoef(before, after)[0, 1])
    return {
        "correlation": correlation,
        "offset": float(after.mean() - before.mean()),
        "gain": correlation * float(after.std() / before.std()),
        "unexplained": 1 - correlation**2,
    }
