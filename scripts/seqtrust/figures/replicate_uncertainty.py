"""Figures beside those of Bajwa et al. 2024."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.consistency import (
    CORRELATED,
    INDEPENDENT,
    OBSERVED,
    PERMUTED,
    PERMUTED_PEOPLE,
)
from seqtrust.figures.style import CLASS_COLOURS, CLASS_LABELS, SETTINGS, new_figure
from seqtrust.genome import SPLITS
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, OUT_OF_REACH, TIE, UNANIMOUS

PUBLISHED = "published"
_TITLE_WIDTH = 30  # characters above a panel
_LEVEL_STYLE: dict[str, dict[str, Any]] = {
    PERMUTED: {"marker": "_", "color": "#000000", "markersize": 16, "markeredgewidth": 2.0},
    PERMUTED_PEOPLE: {"marker": "_", "color": "#E69F00", "markersize": 16, "markeredgewidth": 2.0},
    CORRELATED: {"marker": "D", "color": "#0072B2", "markersize": 5, "fillstyle": "none"},
    INDEPENDENT: {"marker": "x", "color": "#777777", "markersize": 6},
    PUBLISHED: {"marker": "*", "color": "#CC79A7", "markersize": 9},
}
_SPLIT_MARKERS = {"train": "^", "validation": "s", "test": "v"}


def class_fraction_table(
    fractions: Sequence[pd.DataFrame], verdicts: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """The class fractions of several verdicts, with labels and published values.

    Args:
        fractions: tables of `seqtrust.consistency.class_fractions`.
        verdicts: the `verdicts` of the config.
    """
    table = pd.concat(fractions, ignore_index=True)
    rows = [
        {"verdict": name, "subset": entry["published"]["subset"], "split": "all",
         "level": PUBLISHED, "class": kind, "fraction": value}
        for name, entry in verdicts.items()
        if "published" in entry
        for kind, value in entry["published"]["fractions"].items()
    ]  # fmt: skip
    if rows:
        table = pd.concat([table, pd.DataFrame(rows)], ignore_index=True)
    table.insert(0, "label", [verdicts[name]["label"] for name in table["verdict"]])
    return table


def class_fractions(table: pd.DataFrame, verdicts: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Class fractions per verdict and subset, beside their reference levels.

    Bars are all decided units with 95 % Wilson intervals, triangles and squares the data
    splits, the other marks the reference levels and published values.

    Args:
        table: from `class_fraction_table`.
        verdicts: the `verdicts` of the config.
    """
    panels = list(table[["verdict", "subset"]].drop_duplicates().itertuples(index=False))
    columns = min(len(panels), 4)
    rows = -(-len(panels) // columns)
    figure = new_figure(2.5 * columns + 0.4, 3.1 * rows + 0.9)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axis, (verdict, subset) in zip(axes, panels, strict=False):
            mine = table[(table["verdict"] == verdict) & (table["subset"] == subset)]
            _panel(axis, mine)
            axis.set_title(_title(verdicts[verdict]["label"], subset, mine))
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for axis in axes[::columns]:
            axis.set_ylabel("fraction of decided units")
        _legend(figure, list(axes[: len(panels)]))
    return figure


def _panel(axis: Axes, table: pd.DataFrame) -> None:
    judged = table["class"].isin([CORRECT, INCORRECT]).any()
    classes = [CORRECT, INCONSISTENT, INCORRECT] if judged else [UNANIMOUS, INCONSISTENT]
    for place, name in enumerate(classes):
        rows = table[table["class"] == name]
        whole = rows[(rows["split"] == "all") & (rows["level"] == OBSERVED)].iloc[0]
        below, above = whole["fraction"] - whole["low"], whole["high"] - whole["fraction"]
        error = [[max(below, 0)], [max(above, 0)]]
        axis.bar(place, whole["fraction"], 0.8, color=CLASS_COLOURS[name], alpha=0.55)
        axis.errorbar(
            place - 0.28,
            whole["fraction"],
            error,
            color="#333333",
            capsize=2,
            linewidth=1.2,
            label="all loci, 95 % Wilson interval",
        )
        _marks(axis, place, rows)
    axis.set_xticks(range(len(classes)), [CLASS_LABELS[name] for name in classes])
    axis.set_ylim(-0.02, 1.02)


def _marks(axis: Axes, place: int, rows: pd.DataFrame) -> None:
    for index, split in enumerate(SPLITS):
        for _, row in rows[(rows["split"] == split) & (rows["level"] == OBSERVED)].iterrows():
            axis.plot(
                place - 0.1 + 0.1 * index,
                row["fraction"],
                linestyle="none",
                marker=_SPLIT_MARKERS[split],
                color="#333333",
                markersize=4,
                label=f"{split} loci",
            )
    for level, style in _LEVEL_STYLE.items():
        for _, row in rows[(rows["split"] == "all") & (rows["level"] == level)].iterrows():
            label = "independent replicates (fair coins)" if level == INDEPENDENT else level
            axis.plot(place + 0.27, row["fraction"], linestyle="none", label=label, **style)


def _title(label: str, subset: str, table: pd.DataFrame) -> str:
    observed = table[(table["split"] == "all") & (table["level"] == OBSERVED)]
    counts = observed.set_index("class")["count"].astype(int)
    total = int(observed["total"].max())
    undecided = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in (TIE, OUT_OF_REACH)
                 if counts[name]]  # fmt: skip
    where = "" if subset == "all" else f"{subset}\n"
    count = f"n = {total:,}" + (f" ({', '.join(undecided)})" if undecided else "")
    return f"{fill(label, _TITLE_WIDTH)}\n{where}{fill(count, _TITLE_WIDTH)}"


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=7,
    )
