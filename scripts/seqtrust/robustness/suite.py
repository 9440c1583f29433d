"""What shifts do to data, before any model: GC content, activity and noise of every condition."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.robustness.shift_summary import UNSHIFTED
from seqtrust.robustness.world_tables import WorldTable

Floats = npt.NDArray[np.float64]

# quantity of a condition, and what it is called; those of the truth are simulated only
QUANTITIES = {
    "gc": "GC content", "activity": "activity", "sd": "sd of noise", "observed": "measurement",
}  # fmt: skip


def suite_table(worlds: list[WorldTable], numbers: list[int]) -> pd.DataFrame:
    """Mean, sd, 5 % and 95 % points of every quantity, per world and condition.

    `same` is the correlation with the activity without a shift where the sequences are the same
    (what rewiring leaves of a program), and empty where they are not, or no truth is known.

    Args:
        worlds: with their data sets.
        numbers: of the worlds.
    """
    rows = [
        {"world": number, **row}
        for number, world in zip(numbers, worlds, strict=True)
        for row in _rows(world)
    ]
    return pd.DataFrame(rows)


def _rows(world: WorldTable) -> Iterator[dict[str, Any]]:
    before = world.condition(UNSHIFTED) if UNSHIFTED in world.conditions else None
    for name in world.conditions:
        condition, shift = world.condition(name), world.shifts[name]
        same = np.nan
        known = getattr(condition, "activity", None)
        if (
            before is not None
            and known is not None
            and np.array_equal(before.molecules, condition.molecules)
        ):
            same = float(np.corrcoef(before.activity, known)[0, 1])
        for quantity in QUANTITIES:
            values = getattr(condition, quantity, None)
            if values is None or not np.isfinite(values).any():
                continue
            found: Floats = np.asarray(values)[np.isfinite(values)]
            yield {
                "data_set": name, "shift": shift.name, "severity": shift.severity,
                "type": shift.type, "quantity": quantity, "mean": float(found.mean()),
                "spread": float(found.std()), "low": float(np.quantile(found, 0.05)),
                "high": float(np.quantile(found, 0.95)), "same": same, "rows": len(found),
            }  # fmt: skip
