"""Points to trust: TSS in the bins on which all replicates are right on most tracks."""

import pandas as pd

from seqtrust.errors import InputError
from seqtrust.genes import Point


def agreed_points(table: pd.DataFrame, caller: str, bins: int) -> list[Point]:
    """The points of the best bins of a reference analysis, the best bin first.

    A bin is as good as the number of tracks on which all replicates make the right call, as
    the backgrounds of Bajwa et al. 2024 were chosen; bins that are equally good keep their
    order. A bin may hold several points, and a point lie in bins of several windows.

    Args:
        table: `tss_bins` of a reference analysis.
        caller: `matched` or `poisson`.
        bins: number of bins.

    Returns:
        Points with the fraction of tracks as the score, each once.

    Raises:
        InputError: no bin holds a point.
    """
    if table.empty:
        raise InputError(
            "no judged bin of the reference analysis holds a TSS: its windows are elsewhere, or "
            "its subsample leaves these bins out"
        )
    correct = f"correct_{caller}"
    best = table.sort_values(correct, ascending=False, kind="stable")
    key = best["sequence_id"].astype(str) + ":" + best["bin"].astype(str)
    chosen = best[key.isin(key.drop_duplicates().head(bins))]
    found: dict[str, Point] = {}
    for row in chosen.to_dict("records"):
        name = str(row["point"])
        if name not in found:
            found[name] = Point(
                name,
                str(row["contig"]),
                int(row["position"]),
                str(row["strand"]),
                float(row[correct]) / float(row["tracks"]),
            )
    return list(found.values())
