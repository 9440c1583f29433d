"""Causal variants by the number of replicates."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seqtrust.figures.style import SETTINGS, new_figure
from seqtrust.uncertainty.causal import METRICS
from seqtrust.uncertainty.eqtl_pairs import SCALES
from seqtrust.uncertainty.eqtls import EVERY

_TITLES = {
    "auroc_causal": "causal or matched\n(AUROC)",
    "auprc_causal": "causal or matched\n(AUPRC)",
    "spearman_size": "|effect| with |beta|\n(Spearman)",
    "auroc_sign": "sign of beta\n(AUROC)",
    "sign_of_mean": "sign of the mean\nis right",
    "majority_of_signs": "majority of signs\nis right",
}
_COLOURS = dict(zip(SCALES, ("#0072B2", "#D55E00"), strict=True))


def causal_figure(table: pd.DataFrame) -> Figure:
    """A row per way of scoring, a panel per metric: value against the number of replicates.

    Bars are 95 % bootstrap intervals over loci, the dashed line is chance.

    Args:
        table: from `seqtrust.figures.eqtls.labelled`, of the tables of causal variants.
    """
    mine = table[table["split"] == EVERY]
    parts = list(mine.groupby(["analysis", "score"], sort=False))
    figure = new_figure(1.5 * len(METRICS), 1.9 * len(parts) + 0.6)
    with mpl.rc_context(SETTINGS):
        grid = figure.subplots(len(parts), len(METRICS), squeeze=False)
        for axes, (_, rows) in zip(grid, parts, strict=True):
            for axis, metric in zip(axes, METRICS, strict=True):
                _panel(axis, rows[rows["metric"] == metric], metric)
            axes[0].set_ylabel(f"{rows['title'].iloc[0]}:\n{rows['score_label'].iloc[0]}")
        for axis, metric in zip(grid[0], METRICS, strict=True):
            axis.set_title(_TITLES[metric])
        for axis in grid[-1]:
            axis.set_xlabel("replicates")
        grid[0][-1].legend(frameon=False, fontsize=6)
    return figure


def _panel(axis: Axes, rows: pd.DataFrame, metric: str) -> None:
    for place, (scale, mine) in enumerate(rows.groupby("scale", sort=False)):
        errors = [mine["value"] - mine["low"], mine["high"] - mine["value"]]
        shift = 0.12 * place
        axis.errorbar(
            mine["replicates"] + shift, mine["value"], np.maximum(errors, 0), fmt="o-",
            markersize=3, linewidth=0.8, color=_COLOURS[str(scale)], label=str(scale),
        )  # fmt: skip
    axis.axhline(_chance(rows, metric), color="#777777", linestyle="--", linewidth=0.8)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _chance(rows: pd.DataFrame, metric: str) -> float:
    if metric == "spearman_size":
        return 0.0
    if metric == "auprc_causal":
        first = rows.iloc[0]
        return float(first["positives"] / (first["positives"] + first["negatives"]))
    return 0.5
