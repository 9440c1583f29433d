"""May Deep MR be applied to a pair of tasks: one verdict each, with its reasons."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.mendelian.analysis import NUMBERS
from seqtrust.mendelian.control_effects import control_p
from seqtrust.mendelian.diagnostics import Limits, LocusDiagnostics, applicability
from seqtrust.mendelian.effects import Estimate
from seqtrust.mendelian.global_effects import ALL

ONE_NETWORK = "one network: what replicates would disagree by is not known"
FOUND = ("loci", "F", "I2_GX", "pleiotropic", "curved", "turned", "control_error")


def verdict_table(
    table: pd.DataFrame,
    diagnostics: pd.DataFrame,
    no_path: pd.DataFrame,
    shuffled: pd.DataFrame,
    limits: Mapping[str, Any] | None = None,
    *,
    one_network: bool = False,
) -> pd.DataFrame:
    """One row per pair.

    Args:
        table: of `global_effects`.
        diagnostics: of all loci.
        no_path: global effects of controls without a path.
        shuffled: of shuffled outcomes.
        limits: other limits than the usual.
        one_network: there are no replicates to tell how sure its effects are, so that it may not
            be applied.

    Returns:
        exposure, outcome, applicable, called (main effect at q < .05), estimate, low, high, q,
        what was found for every limit, and the reasons.
    """
    limit = Limits(**(limits or {}))
    rows = []
    main = table[(table["split"] == ALL) & table["main"]]
    for row in main.to_dict("records"):
        x, y = row["exposure"], row["outcome"]
        mine = diagnostics[(diagnostics["exposure"] == x) & (diagnostics["outcome"] == y)]
        found = applicability(
            LocusDiagnostics(
                **{name: mine[name].to_numpy(dtype=np.float64) for name in NUMBERS},
                reason=mine["reason"].to_numpy(dtype=str),
            ),
            _extremes(mine),
            control_p(x, y, no_path, shuffled),
            limit,
        )
        reasons = [ONE_NETWORK] if one_network else []
        reasons += found.reasons
        if row["reason"]:
            reasons.append(f"no effect: {row['reason']}")
        rows.append(
            {
                "exposure": x,
                "outcome": y,
                "applicable": not reasons,
                "called": bool(row["q"] < 0.05),
                **{name: row[name] for name in ("estimate", "low", "high", "q")},
                **{f"found_{name}": found.found.get(name, np.nan) for name in FOUND},
                "reasons": "; ".join(reasons),
            }
        )
    return pd.DataFrame(rows)


def _extremes(diagnostics: pd.DataFrame) -> Estimate | None:
    """The smallest and largest effects without a position, (K, 2), as if they were all."""
    ends = diagnostics[["left_out_least", "left_out_most"]].to_numpy(dtype=np.float64)
    if not np.isfinite(ends).any():
        return None
    nothing = np.full(ends.shape, np.nan)
    reason = np.full(ends.shape, "")
    return Estimate(ends, nothing, (nothing, nothing), nothing, nothing, reason)
