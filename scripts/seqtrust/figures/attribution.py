"""Consistency of attribution maps: scores, nulls, agreement, and how far settings matter."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.accuracy import ENSEMBLE
from seqtrust.attribution.agreement import MEASURES
from seqtrust.attribution.attribution_maps import CORRECTED, PUBLISHED
from seqtrust.attribution.scored_maps import EMBEDDING, KMER, NULL_OF, PAIRING, POSITION
from seqtrust.attribution.sensitivity import rank_agreement
from seqtrust.figures.style import SETTINGS, head_line, labelled_parts, new_figure

# tracks of an entry that are drawn
MOST_TRACKS = 3
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_NULL_NAMES = {PAIRING: "sequences exchanged", POSITION: "positions shuffled"}
_GREY = "#777777"
_COMPARISONS = {"replicates": "pairs of replicates", "single": "one and the mean of the others"}
_KINDS = (*_COMPARISONS, "methods")
_MEASURE_NAMES = {
    "pearson": "Pearson r of maps",
    "spearman": "Spearman r of contributions",
    "overlap": "overlap of the top 10 %",
}


def drawn_tracks(table: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Label, track and rows of the first `MOST_TRACKS` tracks of every entry."""
    return [
        (entry["label"].iloc[0], track, entry[entry["track"] == track])
        for _, entry in table.groupby("entry", sort=False)
        for track in list(dict.fromkeys(entry["track"]))[:MOST_TRACKS]
    ]


def _models(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(map(tuple, table[["method", "replicate"]].to_numpy())))


def _colours(models: Sequence[tuple[str, str]]) -> dict[str, str]:
    methods = dict.fromkeys(method for method, _ in models)
    return {method: COLOURS[place % len(COLOURS)] for place, method in enumerate(methods)}


def _label_models(axis: Axes, models: Sequence[tuple[str, str]]) -> None:
    """Names of methods and replicates along the vertical axis, the first on top."""
    names = [f"{method.replace('_', ' ')}, {replicate}" for method, replicate in models]
    axis.set_yticks(range(len(models)), names, fontsize=6)
    axis.set_ylim(len(models) - 0.4, -0.6)


def _grid(
    rows: Sequence[tuple[str, str, pd.DataFrame]], columns: int
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a line of panels per track, as high as its models need."""
    heights = [0.14 * len(_models(part)) + 0.75 for *_, part in rows] or [1.0]
    figure = new_figure(2.2 + 2.1 * columns, sum(heights) + 0.5)
    axes = figure.subplots(max(len(rows), 1), columns, squeeze=False, sharey="row",
                           height_ratios=heights)  # fmt: skip
    return figure, [list(line) for line in axes]


def consistency_figure(table: pd.DataFrame) -> Figure:
    """A line per entry and track; panels are the scores, corrected and published.

    Dots have jackknife intervals, diamonds are ensembles' mean maps; grey lines are means of the
    null that fits the score.

    Args:
        table: scores of all entries, from `labelled_parts`.
    """
    rows = drawn_tracks(table)
    panels = [(score, mode) for score in (KMER, EMBEDDING) for mode in (CORRECTED, PUBLISHED)]
    with mpl.rc_context(SETTINGS):
        figure, axes = _grid(rows, len(panels))
        for line, (label, track, part) in zip(axes, rows, strict=False):
            models = _models(part)
            for axis, (score, mode) in zip(line, panels, strict=True):
                mine = part[(part["score"] == score) & (part["mode"] == mode)]
                mine = mine[mine["null"] == NULL_OF[score]]
                _scores(axis, mine, models)
                axis.set_title(f"{score}, {mode}", loc="left", fontsize=8)
            _label_models(line[0], models)
            head_line(line[0], f"{label}, {track}")
        for axis in axes[-1]:
            axis.set_xlabel("score (nats)")
    return figure


def _scores(axis: Axes, table: pd.DataFrame, models: Sequence[tuple[str, str]]) -> None:
    colours = _colours(models)
    for row in table.to_dict("records"):
        place = models.index((row["method"], row["replicate"]))
        colour, mark = colours[row["method"]], "D" if row["replicate"] == ENSEMBLE else "o"
        if pd.isna(row["value"]):
            axis.text(0.02, place, "no score", transform=axis.get_yaxis_transform(), fontsize=5,
                      va="center", color=_GREY)  # fmt: skip
            continue
        if pd.notna(row["null_mean"]):
            axis.plot(row["null_mean"], place, "|", color=_GREY, markersize=6)
        if pd.notna(row["low"]):
            axis.plot([row["low"], row["high"]], [place] * 2, color=colour, linewidth=1)
        axis.plot(row["value"], place, mark, color=colour, markersize=3.5)
    axis.axvline(0, color="#cccccc", linewidth=0.5, zorder=0)


def null_table(
    parts: Sequence[pd.DataFrame], scores: Sequence[pd.DataFrame], labels: Mapping[str, str]
) -> pd.DataFrame:
    """Draws of the corrected scores' nulls that fit them and, in round 0, what was observed.

    Args:
        parts: the draws, a table per entry.
        scores: the scores of the same entries.
        labels: label of each entry by name, in the same order.
    """
    joined = [
        pd.concat([score.assign(round=0)[list(part.columns)], part], ignore_index=True)
        for part, score in zip(parts, scores, strict=True)
    ]
    table = labelled_parts(joined, labels)
    fits = table["null"] == table["score"].map(NULL_OF)
    chosen = fits & (table["mode"] == CORRECTED) & table["value"].notna()
    return table[chosen].reset_index(drop=True)


def nulls_figure(table: pd.DataFrame) -> Figure:
    """A line per entry and track; panels are nulls: grey draws, and what was observed.

    Args:
        table: from `null_table`.
    """
    rows = drawn_tracks(table)
    panels = list(NULL_OF.items())
    with mpl.rc_context(SETTINGS):
        figure, axes = _grid(rows, len(panels))
        for line, (label, track, part) in zip(axes, rows, strict=False):
            models = _models(part)
            colours = _colours(models)
            for axis, (score, null) in zip(line, panels, strict=True):
                mine = part[(part["score"] == score) & (part["null"] == null)]
                places = np.array([models.index(one) for one in _pairs(mine)], dtype=float)
                values, drawn = mine["value"].to_numpy(), (mine["round"] > 0).to_numpy()
                axis.plot(values[drawn], places[drawn], "|", color=_GREY, markersize=5, alpha=0.6)
                dots = [colours[method] for method in mine.loc[~drawn, "method"]]
                axis.scatter(values[~drawn], places[~drawn], c=dots, s=14, zorder=3)
                axis.set_title(f"{score}, {_NULL_NAMES[null]}", loc="left", fontsize=8)
            _label_models(line[0], models)
            head_line(line[0], f"{label}, {track}")
        for axis in axes[-1]:
            axis.set_xlabel("corrected score (nats)")
    return figure


def _pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(map(tuple, table[["method", "replicate"]].to_numpy()))


def _agreement_groups(table: pd.DataFrame) -> pd.Series:
    """What two maps differ in, as a line of the figure."""
    named = table[["method", "other_method"]].apply(lambda one: one.str.replace("_", " "))
    lines = named["method"] + ": " + table["comparison"].map(_COMPARISONS)
    between = named["method"] + " and " + named["other_method"]
    return lines.where(table["comparison"] != "methods", between)


def agreement_figure(table: pd.DataFrame) -> Figure:
    """A line of panels per entry and track: how like the maps of two models are.

    A dot is a pair of models with its interval over sequences; a diamond compares mean maps.

    Args:
        table: agreement of all entries, from `labelled_parts`.
    """
    rows = [
        (label, track, part.assign(line=_agreement_groups(part)))
        for label, track, part in drawn_tracks(table)
    ]
    heights = [0.24 * part["line"].nunique() + 0.75 for *_, part in rows]
    figure = new_figure(9.5, sum(heights) + 0.3)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(rows), len(MEASURES), squeeze=False, sharey="row",
                               height_ratios=heights)  # fmt: skip
        for line, (label, track, part) in zip(axes, rows, strict=True):
            names = list(dict.fromkeys(part["line"]))
            for axis, measure in zip(line, MEASURES, strict=True):
                for place, name in enumerate(names):
                    _pairs_of_models(axis, place, part[part["line"] == name], measure)
                axis.set_title(_MEASURE_NAMES[measure], loc="left", fontsize=8)
                axis.axvline(0, color="#cccccc", linewidth=0.5, zorder=0)
                axis.set_xlim(right=1.02)
            line[0].set_yticks(range(len(names)), names, fontsize=6)
            line[0].set_ylim(len(names) - 0.4, -0.6)
            head_line(line[0], f"{label}, {track}, {int(part['sequences'].max())} sequences")
    return figure


def _pairs_of_models(axis: Axes, place: int, table: pd.DataFrame, measure: str) -> None:
    """Pairs of models beside each other along one line of the figure."""
    offsets = place + np.linspace(-0.25, 0.25, len(table) + 2)[1:-1]
    for offset, row in zip(offsets, table.to_dict("records"), strict=True):
        colour = COLOURS[_KINDS.index(row["comparison"])]
        mark = "D" if row["replicate"] == ENSEMBLE else "o"
        axis.plot([row[f"{measure}_low"], row[f"{measure}_high"]], [offset] * 2, color=colour,
                  linewidth=0.7)  # fmt: skip
        axis.plot(row[measure], offset, mark, color=colour, markersize=2.5)


def sensitivity_table(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> pd.DataFrame:
    """Kendall's tau of the order of models between settings, of every entry's first track.

    Args:
        parts: scores under a grid of settings, a table per entry.
        labels: label of each entry by name, in the same order.
    """
    found = []
    for (entry, label), part in zip(labels.items(), parts, strict=True):
        if part.empty:
            continue
        track = part["track"].iloc[0]
        mine = part[part["track"] == track]
        scores = mine.pivot(index="setting", columns=["method", "replicate"], values="value")
        tau = rank_agreement(scores.loc[list(dict.fromkeys(mine["setting"]))]).kendall
        wide = tau.rename_axis(index="setting").reset_index()
        long = wide.melt("setting", var_name="other", value_name="kendall")
        about = {"entry": entry, "label": label, "track": track, "models": scores.shape[1]}
        found.append(long.assign(**about)[[*about, *long.columns]])
    columns = ["entry", "label", "track", "models", "setting", "other", "kendall"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def sensitivity_figure(table: pd.DataFrame) -> Figure:
    """A panel per entry: how far two settings of the scores agree on the order of models.

    Args:
        table: from `sensitivity_table`.
    """
    entries = list(table.groupby("entry", sort=False))
    count = max(len(entries), 1)
    figure = new_figure(7.5, 5.6 * count)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(count, 1, squeeze=False)[:, 0]
        for axis, (_, part) in zip(axes, entries, strict=False):
            settings = list(dict.fromkeys(part["setting"]))
            tau = part.pivot(index="setting", columns="other", values="kendall")
            shown = tau.loc[settings, settings].to_numpy()
            image = axis.imshow(shown, vmin=-1, vmax=1, cmap="RdBu", interpolation="nearest")
            names = [setting.removesuffix(f" {CORRECTED}") for setting in settings]
            axis.set_yticks(range(len(settings)), names, fontsize=4)
            axis.set_xticks([])
            first = part.iloc[0]
            text = f"{first['label']}, {first['track']}: order of {first['models']} models"
            axis.set_title(text, loc="left")
            figure.colorbar(image, ax=axis, label="Kendall's tau", shrink=0.6)
        if not entries:
            axes[0].set_axis_off()
    return figure
