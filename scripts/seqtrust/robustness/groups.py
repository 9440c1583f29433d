"""Groups of sequences for worst-group and conditional statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.calibration.grouping import Groups
from seqtrust.robustness.conditions import Condition

Floats = npt.NDArray[np.float64]

# sequences with more instances than this are one group
MOST_SITES = 6


@dataclass(frozen=True)
class GroupEdges:
    """Where GC deciles and activity tertiles end.

    Attributes:
        gc: 9 inner edges.
        activity: 2 inner edges, log2; none where the truth is not known.
    """

    gc: Floats
    activity: Floats

    @classmethod
    def of(cls, condition: Condition) -> "GroupEdges":
        """Edges that cut a condition into groups of equal size."""
        thirds = [1 / 3, 2 / 3] if condition.known else []
        return cls(
            np.quantile(condition.gc, np.arange(1, 10) / 10),
            np.quantile(condition.activity, thirds),
        )


def group_columns(condition: Condition, edges: GroupEdges | None = None) -> dict[str, Groups]:
    """Names of the groups of every row, shape (N,) per column.

    Args:
        condition: the data.
        edges: of deciles and tertiles; the condition's own if None. With those of the training
            data, groups mean the same in every condition, but their sizes differ.

    Returns:
        `gc_decile` (1 to 10); where the truth is known also `activity_tertile` (low, middle,
        high), `motif_count` (0 to 6, the last with all larger numbers) and `cell` (0-based).
    """
    known = GroupEdges.of(condition) if edges is None else edges
    decile = np.searchsorted(known.gc, condition.gc, side="left") + 1
    found: dict[str, Groups] = {"gc_decile": decile.astype(np.str_)}
    if not condition.known:
        return found
    tertile = np.searchsorted(known.activity, condition.activity, side="left")
    sites = np.minimum(condition.planted.sum(axis=1), MOST_SITES)
    names = np.array([*map(str, range(MOST_SITES)), f"{MOST_SITES}+"])
    return found | {
        "activity_tertile": np.array(["low", "middle", "high"])[tertile],
        "motif_count": names[sites],
        "cell": condition.cells.astype(np.str_),
    }


def crossed(columns: dict[str, Groups], names: Sequence[str]) -> Groups:
    """Groups by several columns at a time, shape (N,): `3 high 2`.

    Args:
        columns: from `group_columns`.
        names: columns to cross.
    """
    return np.array([" ".join(row) for row in zip(*(columns[name] for name in names), strict=True)])
