"""Figures of the sequences themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from seqtrust.figures.style import SETTINGS, new_figure

VARIANT_LABELS = {"snvs": "SNVs only", "all": "all variants"}


def haplotype_count_table(
    windows: Sequence[pd.DataFrame], sets: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Distinct haplotypes of every window of several sets.

    Args:
        windows: the tables of windows of the sets, in their order.
        sets: `sequence_sets` entries of the config.
    """
    parts = [
        table[["window", "haplotypes", "distinct"]].assign(
            set=name, length=entry["length"], variants=entry["source"]["haplotypes"]["variants"]
        )
        for table, (name, entry) in zip(windows, sets.items(), strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def haplotype_counts(table: pd.DataFrame) -> Figure:
    """Distinct haplotypes per window against window length, for SNVs only and all variants.

    Windows of one length only are in the table and not in the figure.

    Args:
        table: from `haplotype_count_table`.
    """
    lengths = table.groupby(["window", "variants"])["length"].transform("nunique")
    table = table[lengths > 1]
    kinds = [kind for kind in VARIANT_LABELS if (table["variants"] == kind).any()]
    figure = new_figure(3.2 * len(kinds) + 0.4, 3.0)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
        for axis, kind in zip(axes, kinds, strict=True):
            _panel(axis, table[table["variants"] == kind])
            axis.set_title(VARIANT_LABELS[kind])
            axis.set_xlabel("window length (bp)")
        axes[0].set_ylabel("distinct haplotypes per window")
        axes[0].legend(frameon=False, fontsize=7, loc="lower right")
    return figure


def _panel(axis: Axes, table: pd.DataFrame) -> None:
    for _, rows in table.sort_values("length").groupby("window"):
        axis.plot(
            rows["length"], rows["distinct"], marker="o", markersize=3, linewidth=0.6,
            color="#0072B2", alpha=0.35,
        )  # fmt: skip
    median = table.groupby("length")["distinct"].median()
    axis.plot(
        median.index, median.to_numpy(), marker="o", linewidth=2, color="#D55E00", label="median"
    )
    most = int(table["haplotypes"].max())
    axis.axhline(most, color="#777777", linestyle="--", label=f"{most:,} haplotypes of all people")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_formatter("{x:,.0f}")
        scale.set_minor_formatter(NullFormatter())
