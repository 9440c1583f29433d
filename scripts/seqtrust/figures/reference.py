"""Figures of replicates on reference sequences: S1, 1A, 1C and S2 of Bajwa et al. 2024."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.consistency import CORRELATED, OBSERVED, PERMUTED
from seqtrust.figures.style import CLASS_COLOURS, CLASS_LABELS, SETTINGS, new_figure
from seqtrust.uncertainty.peaks import MATCHED, POISSON
from seqtrust.uncertainty.reference import ALL
from seqtrust.uncertainty.reference_classes import CLASSES
from seqtrust.uncertainty.track_store import Floats

PUBLISHED = "published"
HELD_OUT = ("test", "validation")
MARKS: dict[str, dict[str, Any]] = {
    PERMUTED: {"marker": "_", "color": "#000000", "markersize": 10, "markeredgewidth": 1.8},
    CORRELATED: {"marker": "D", "color": "#0072B2", "markersize": 4, "fillstyle": "none"},
    PUBLISHED: {"marker": "*", "color": "#CC79A7", "markersize": 9},
}
_CALLERS = {
    MATCHED: "as many peaks as measured",
    POISSON: "Poisson caller, as published",
}
_BOXED = 12  # fewer tracks are shown one by one
_STARS = ((1e-4, "****"), (1e-3, "***"), (1e-2, "**"), (0.05, "*"))


def joined(tables: Sequence[pd.DataFrame], analyses: Mapping[str, Any]) -> pd.DataFrame:
    """Tables of several analyses as one, with the name of each in the first column."""
    parts = [table.assign(analysis=name) for table, name in zip(tables, analyses, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    return table[["analysis", *(name for name in table if name != "analysis")]]


def held_out(table: pd.DataFrame) -> pd.DataFrame:
    """Per analysis the rows of test windows, else of validation windows, else of all."""
    parts = []
    for _, mine in table.groupby("analysis", sort=False):
        present = set(mine["split"])
        split = next((name for name in HELD_OUT if name in present), ALL)
        parts.append(mine[mine["split"] == split])
    return pd.concat(parts, ignore_index=True)


def published_value(entry: Mapping[str, Any], of: str, **where: str | int) -> float | None:
    """A published value of one table, if the config gives it."""
    for row in entry.get("published", {}).get("values", []):
        if row["of"] == of and all(row.get(key) == value for key, value in where.items()):
            return float(row["value"])
    return None


def accuracy_figure(table: pd.DataFrame, analyses: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Pearson r with measured tracks per replicate and of their mean, a panel per assay (S1).

    Args:
        table: accuracy of held-out windows, from `joined` and `held_out`.
        analyses: the entries of the config.
    """
    assays = list(dict.fromkeys(table["assay"]))
    figure = new_figure(1.2 + 2.4 * len(assays), 2.9 * len(analyses))
    with mpl.rc_context(SETTINGS):
        grid = figure.subplots(len(analyses), len(assays), squeeze=False, sharey="row")
        for axes, (name, entry) in zip(grid, analyses.items(), strict=True):
            for axis, assay in zip(axes, assays, strict=True):
                mine = table[(table["analysis"] == name) & (table["assay"] == assay)]
                names = list(dict.fromkeys(mine["replicate"]))
                for place, replicate in enumerate(names):
                    of = mine.loc[mine["replicate"] == replicate, "pearson_r"].to_numpy()
                    spread(axis, place, of, "#0072B2" if place == len(names) - 1 else "#777777")
                value = published_value(entry, "accuracy", assay=assay)
                if value is not None:
                    axis.axhline(value, color="#CC79A7", linestyle="--", label=PUBLISHED)
                    axis.legend(frameon=False, fontsize=7, loc="lower left")
                axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
                axis.set_title(f"{assay}\n{_tracks(mine['track'].nunique())}")
            split = table.loc[table["analysis"] == name, "split"].iloc[0]
            axes[0].set_ylabel(f"Pearson r over bins,\n{split} windows")
            _name(axes[0], entry["label"], len(analyses))
    return figure


def pairs_figure(table: pd.DataFrame, analyses: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Correlation of log2(p + 1) between replicates, per assay (1A).

    A mark is a track, at the mean over all pairs of replicates.

    Args:
        table: pairs of all windows, from `joined`.
        analyses: the entries of the config.
    """
    figure = new_figure(1.2 + 3.2 * len(analyses), 3.2)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(analyses), squeeze=False)[0]
        for axis, (name, entry) in zip(axes, analyses.items(), strict=True):
            mine = table[(table["analysis"] == name) & (table["split"] == ALL)]
            means = mine.groupby(["assay", "track"], sort=False)["pearson_r"].mean()
            assays = list(dict.fromkeys(mine["assay"]))
            for place, assay in enumerate(assays):
                spread(axis, place, means[assay].to_numpy(), "#0072B2")
                value = published_value(entry, "pairs", assay=assay)
                if value is not None:
                    axis.plot(place + 0.3, value, linestyle="none", label=PUBLISHED,
                              **MARKS[PUBLISHED])  # fmt: skip
            labels = [f"{fill(a, 14)}\n{_tracks(len(means[a]))}" for a in assays]
            axis.set_xticks(range(len(assays)), labels)
            axis.set_xlim(-0.6, len(assays) - 0.4)
            pairs = len(mine[["replicate_a", "replicate_b"]].drop_duplicates())
            axis.set_title(f"{entry['label']}\nmean over {pairs} pairs of replicates")
        axes[0].set_ylabel("Pearson r of log2(p + 1) over bins")
        _shared_legend(figure, axes.tolist())
    return figure


def classes_table(
    classes: Sequence[pd.DataFrame],
    assays: Sequence[pd.DataFrame],
    analyses: Mapping[str, Mapping[str, Any]],
) -> pd.DataFrame:
    """Medians over tracks with intervals and levels, and the tracks themselves, of all windows.

    Args:
        classes: class fractions of every track.
        assays: medians over tracks.
        analyses: the entries of the config.
    """
    summary = joined(assays, analyses)
    summary = summary[(summary["split"] == ALL) & (summary["tracks"] > 0)]
    summary = summary.rename(columns={"median": "fraction"}).assign(track="")
    single = joined(classes, analyses)
    single = single[(single["split"] == ALL) & (single["level"] == OBSERVED)]
    least = {"true peaks": "least_peaks", "true peaks at a TSS": "least_tss_bins"}
    limits = [
        analyses[name].get(least.get(subset, ""), 1)
        for name, subset in zip(single["analysis"], single["subset"], strict=True)
    ]
    single = single[single["total"] >= limits]
    columns = ["analysis", "assay", "caller", "subset", "level", "class", "track", "fraction",
               "low", "high", "tracks", "left_out"]  # fmt: skip
    return pd.concat([summary, single], ignore_index=True)[columns]


def classes_figure(table: pd.DataFrame, analyses: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Class fractions per assay of all bins, true peaks and true peaks at a TSS (1C).

    Bars are medians over tracks with 95 % intervals over resampled windows.

    Args:
        table: from `classes_table`.
        analyses: the entries of the config.
    """
    subsets = list(dict.fromkeys(table["subset"]))
    rows = [(name, caller) for name in analyses for caller in _CALLERS]
    assays = table["assay"].nunique()
    figure = new_figure(1.2 + len(subsets) * max(2.4, 0.95 * assays), 2.7 * len(rows) + 0.5)
    with mpl.rc_context(SETTINGS):
        grid = figure.subplots(len(rows), len(subsets), squeeze=False, sharey=True)
        for axes, (name, caller) in zip(grid, rows, strict=True):
            for axis, subset in zip(axes, subsets, strict=True):
                mine = table[
                    (table["analysis"] == name)
                    & (table["caller"] == caller)
                    & (table["subset"] == subset)
                ]
                _classes_panel(axis, mine, analyses[name], caller, subset)
                axis.set_title(f"{subset}\n{_CALLERS[caller]}")
            axes[0].set_ylabel("fraction of bins")
            _name(axes[0], analyses[name]["label"], len(analyses))
        _shared_legend(figure, grid.ravel().tolist())
    return figure


def _classes_panel(
    axis: Axes, table: pd.DataFrame, entry: Mapping[str, Any], caller: str, subset: str
) -> None:
    assays = list(dict.fromkeys(table["assay"]))
    labels = []
    for place, assay in enumerate(assays):
        mine = table[table["assay"] == assay]
        for index, kind in enumerate(CLASSES):
            x = place + 0.26 * (index - 1)
            rows = mine[(mine["class"] == kind)].set_index("level")
            medians = rows[rows["track"] == ""]
            if OBSERVED not in medians.index:
                continue
            seen = medians.loc[OBSERVED]
            axis.bar(x, seen["fraction"], 0.24, color=CLASS_COLOURS[kind], alpha=0.5,
                     label=CLASS_LABELS[kind].replace("\n", " "))  # fmt: skip
            error = [[max(seen["fraction"] - seen["low"], 0)],
                     [max(seen["high"] - seen["fraction"], 0)]]  # fmt: skip
            axis.errorbar(x, seen["fraction"], error, color="#333333", capsize=2, linewidth=1,
                          label="95 % interval over windows")  # fmt: skip
            single = rows[rows["track"] != ""]["fraction"].to_numpy(dtype=float)
            if len(single) > 1:
                _points(axis, x, single, CLASS_COLOURS[kind], 0.16)
            for level in (PERMUTED, CORRELATED):
                if level in medians.index:
                    axis.plot(x, medians.loc[level, "fraction"], linestyle="none", label=level,
                              **MARKS[level])  # fmt: skip
            where = {"assay": assay, "caller": caller, "subset": subset, "class": kind}
            value = published_value(entry, "classes", **where)
            if value is not None:
                axis.plot(x + 0.08, value, linestyle="none", label=PUBLISHED, **MARKS[PUBLISHED])
        counted = mine[(mine["track"] == "") & (mine["level"] == OBSERVED)]
        left = int(counted["left_out"].max()) if len(counted) else 0
        tracks = _tracks(int(counted["tracks"].max()) if len(counted) else 0)
        labels.append(f"{fill(assay, 14)}\n{tracks}" + (f"\n({left} left out)" if left else ""))
    axis.set_xticks(range(len(assays)), labels, fontsize=7)
    axis.set_ylim(-0.02, 1.02)


def agreement_figure(table: pd.DataFrame, analyses: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Replicates that agree against replicates that are right, over true peaks (S2).

    Args:
        table: agreement of all windows, from `joined`.
        analyses: the entries of the config.
    """
    table = table[table["split"] == ALL]
    panels = list(table[["analysis", "track"]].drop_duplicates().itertuples(index=False))
    figure = new_figure(3.4 * len(panels) + 0.4, 2.6 * len(_CALLERS))
    with mpl.rc_context(SETTINGS):
        grid = figure.subplots(len(_CALLERS), len(panels), squeeze=False)
        for axes, caller in zip(grid, _CALLERS, strict=True):
            for axis, (name, track) in zip(axes, panels, strict=True):
                mine = table[
                    (table["analysis"] == name)
                    & (table["track"] == track)
                    & (table["caller"] == caller)
                ]
                _heat_map(axis, mine, analyses[name], caller, track)
                total = int(mine["total"].max())
                head = f"{analyses[name]['label']}: " if len(analyses) > 1 else ""
                axis.set_title(f"{head}{track}, n = {total:,} peaks\n{_CALLERS[caller]}")
            axes[0].set_ylabel("replicates that agree")
        for axis in grid[-1]:
            axis.set_xlabel("replicates that are right")
    return figure


def _heat_map(
    axis: Axes, table: pd.DataFrame, entry: Mapping[str, Any], caller: str, track: str
) -> None:
    wide = 100 * table.pivot(index="n_agree", columns="n_correct", values="fraction")
    axis.imshow(np.ma.masked_invalid(wide.to_numpy()), cmap="Blues", vmin=0, vmax=100,
                aspect="auto")  # fmt: skip
    for row, agree in enumerate(wide.index):
        for column, correct in enumerate(wide.columns):
            value = wide.loc[agree, correct]
            if not np.isfinite(value):
                continue
            where = {"track": track, "caller": caller, "n_agree": agree, "n_correct": correct}
            known = published_value(entry, "agreement", **where)
            text = f"{value:.1f} %" + (f"\n({known:.1f} %)" if known is not None else "")
            dark = "#FFFFFF" if value > 55 else "#333333"
            axis.text(column, row, text, ha="center", va="center", color=dark, fontsize=7)
    axis.set_xticks(range(wide.shape[1]), [str(name) for name in wide.columns])
    axis.set_yticks(range(wide.shape[0]), [str(name) for name in wide.index])
    axis.spines[["top", "right", "left", "bottom"]].set_visible(False)


def attributes_table(
    attributes: Sequence[pd.DataFrame],
    tests: Sequence[pd.DataFrame],
    analyses: Mapping[str, Any],
) -> pd.DataFrame:
    """Quartiles per class and tests between classes, of all windows, one below the other."""
    table = pd.concat([joined(attributes, analyses), joined(tests, analyses)], ignore_index=True)
    return table[table["split"] == ALL].reset_index(drop=True)


def attributes_figure(table: pd.DataFrame, analyses: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Quartiles of the attributes of true peaks by class, with the tests between classes (S2).

    Args:
        table: from `attributes_table`.
        analyses: the entries of the config.
    """
    rows = list(table[["analysis", "track", "caller"]].drop_duplicates().itertuples(index=False))
    names = list(dict.fromkeys(table["attribute"]))
    figure = new_figure(1.0 + 1.75 * len(names), 2.5 * len(rows) + 0.3)
    with mpl.rc_context(SETTINGS):
        grid = figure.subplots(len(rows), len(names), squeeze=False)
        for axes, (analysis, track, caller) in zip(grid, rows, strict=True):
            for axis, name in zip(axes, names, strict=True):
                mine = table[
                    (table["analysis"] == analysis)
                    & (table["track"] == track)
                    & (table["caller"] == caller)
                    & (table["attribute"] == name)
                ]
                _quartiles(axis, mine)
                axis.set_title(name)
            head = f"{analyses[analysis]['label']}: " if len(analyses) > 1 else ""
            axes[0].set_ylabel(f"{head}{track}\n{_CALLERS[caller]}")
        _shared_legend(figure, grid.ravel().tolist())
    return figure


def _quartiles(axis: Axes, table: pd.DataFrame) -> None:
    summaries = table[table["class"].notna()].to_dict("records")
    rows = {str(row["class"]): row for row in summaries}
    boxes = {
        kind: [float(rows[kind][name]) for name in ("q25", "median", "q75", "count")]
        for kind in CLASSES
        if kind in rows and float(rows[kind]["count"]) > 0
    }
    for place, (kind, (q25, median, q75, _)) in enumerate(boxes.items()):
        label = CLASS_LABELS[kind].replace("\n", " ")
        axis.bar(place, q75 - q25, 0.6, bottom=q25, color=CLASS_COLOURS[kind], alpha=0.55,
                 label=label)  # fmt: skip
        axis.plot([place - 0.3, place + 0.3], [median] * 2, color="#000000", linewidth=1.5)
    axis.set_xticks(range(len(boxes)), [f"{int(box[3]):,}" for box in boxes.values()], fontsize=7)
    if not boxes:
        return
    low, high = min(box[0] for box in boxes.values()), max(box[2] for box in boxes.values())
    low -= 0.05 * (high - low)
    step = 0.1 * (high - low)
    there = list(boxes)
    tests = table[table["class_a"].notna()].to_dict("records")
    for level, test in enumerate(tests):
        ends = [there.index(str(test[name])) for name in ("class_a", "class_b")]
        y = high + step * (level + 0.4)
        axis.plot(ends, [y, y], color="#777777", linewidth=0.8)
        axis.text(sum(ends) / 2, y, _stars(float(test["q"])), ha="center", va="bottom", fontsize=7)
    if high > low:
        axis.set_ylim(low, high + step * (len(tests) + 1))


def _stars(q: float) -> str:
    return next((stars for limit, stars in _STARS if q < limit), "ns")


def spread(axis: Axes, x: float, values: Floats, colour: str) -> None:
    """Values one by one with their median, or a box of many."""
    values = values[np.isfinite(values)]
    if not values.size:
        return
    if len(values) > _BOXED:
        axis.boxplot(values, positions=[x], widths=0.5, showfliers=False, manage_ticks=False,
                     medianprops={"color": colour, "linewidth": 1.6})  # fmt: skip
        return
    _points(axis, x, values, colour, 0.3)
    axis.plot([x - 0.25, x + 0.25], [np.median(values)] * 2, color=colour, linewidth=1.8)


def _points(axis: Axes, x: float, values: Floats, colour: str, width: float) -> None:
    """Values beside each other in their order, so that equal ones stay visible."""
    offsets = np.linspace(-width / 2, width / 2, len(values)) if len(values) > 1 else [0.0]
    axis.plot(x + np.asarray(offsets), values, linestyle="none", marker="o", markersize=2.5,
              color=colour, markeredgecolor="#FFFFFF", markeredgewidth=0.3)  # fmt: skip


def _tracks(number: int) -> str:
    return f"{number:,} track{'' if number == 1 else 's'}"


def _name(axis: Axes, label: str, analyses: int) -> None:
    """The analysis' name at the left of its row, where there are several."""
    if analyses > 1:
        axis.set_ylabel(f"{fill(label, 24)}\n{axis.get_ylabel()}")


def _shared_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if not handles:
        return
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4,
                  frameon=False, fontsize=7)  # fmt: skip
