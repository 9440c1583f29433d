"""Training curves of the replicates of every ensemble."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seqtrust.figures.style import SETTINGS, new_figure

METRIC_COLUMNS = {
    "pearson": "validation_r",
    "auroc": "validation_auroc",
    "loss": "validation_loss",
}
METRIC_LABELS = {
    "pearson": "validation r",
    "auroc": "validation AUROC",
    "loss": "validation loss",
}
_CURVE, _BEST = "#0072B2", "#D55E00"


def training_table(
    records: Sequence[Mapping[str, Any]], replicates: Sequence[Sequence[str]]
) -> pd.DataFrame:
    """Losses and validation metrics of every epoch.

    Args:
        records: of replicates that were trained in the run, from their cards.
        replicates: (ensemble, replicate) of each.

    Returns:
        Per ensemble, replicate and epoch (from 1): training_loss, validation_loss,
        validation_r, validation_auroc (where it chose the epoch), the metric that the best epoch
        is chosen by, its loss function, and whether the epoch is the best one.
    """
    parts = [
        pd.DataFrame(
            {
                "ensemble": ensemble,
                "replicate": replicate,
                "epoch": range(1, record["epochs"] + 1),
                "loss": record["settings"]["loss"],
                "metric": record["settings"]["validation_metric"],
                "training_loss": record["train_loss"],
                "validation_loss": pd.Series(record["validation_loss"], dtype=float),
                "validation_r": record["validation_r"],
                "validation_auroc": record.get("validation_auroc") or np.nan,
                "best": [epoch == record["best_epoch"] for epoch in range(1, record["epochs"] + 1)],
            }
        )
        for record, (ensemble, replicate) in zip(records, replicates, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def training_curves(table: pd.DataFrame) -> Figure:
    """Training loss and validation metric per epoch: a row of panels per ensemble.

    A line per replicate; a dot marks the epoch whose weights were kept.

    Args:
        table: from `training_table`.
    """
    ensembles = list(table["ensemble"].unique())
    figure = new_figure(6.4, 2.4 * len(ensembles) + 0.4)
    with mpl.rc_context(SETTINGS):
        rows = figure.subplots(len(ensembles), 2, squeeze=False)
        for (left, right), ensemble in zip(rows, ensembles, strict=True):
            mine = table[table["ensemble"] == ensemble]
            metric = mine["metric"].iloc[0]
            _panel(left, mine, "training_loss", f"training loss ({mine['loss'].iloc[0]})")
            _panel(right, mine, METRIC_COLUMNS[metric], METRIC_LABELS[metric])
            count = mine["replicate"].nunique()
            left.set_title(f"{ensemble}, {count} replicate{'s' if count > 1 else ''}")
        rows[0][1].legend(frameon=False, fontsize=7)
    return figure


def _panel(axis: Axes, table: pd.DataFrame, column: str, label: str) -> None:
    for number, (_, curve) in enumerate(table.groupby("replicate", sort=False)):
        best = curve[curve["best"]]
        axis.plot(
            curve["epoch"], curve[column], color=_CURVE, linewidth=1.0, alpha=0.6,
            label="replicate" if number == 0 else None,
        )  # fmt: skip
        axis.plot(
            best["epoch"], best[column], marker="o", markersize=4, linestyle="none", color=_BEST,
            label="best epoch" if number == 0 else None, zorder=3,
        )  # fmt: skip
    axis.set_xlabel("epoch")
    axis.set_ylabel(label)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
