"""Populations of models: consistency, generalisation, truth, and what a choice costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.attribution.populations import ARTEFACT, CONTROL, MODEL, RANDOMISED, SHUFFLED
from seqtrust.attribution.selection import AVERAGE, BEST, CONSTRAINED, FRONT, GENERALISATION
from seqtrust.attribution.selection_correlations import EVERY, OVERALL, PEARSON, SPEARMAN, WITHIN
from seqtrust.figures.population_pairs import TRUTH
from seqtrust.figures.style import SETTINGS, head_line, labelled_parts, new_figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vP*X"
_MARKS = {RANDOMISED: "x", SHUFFLED: "+", ARTEFACT: "1", TRUTH: "2"}
_GREY, _FRONT = "#777777", "#000000"
NAMES = {
    GENERALISATION: "generalisation",
    "kmer": "k-mer score (nats)",
    "embedding": "embedding score (nats)",
    "snr": "signal to noise",
    "truth_cosine": "cosine with the truth",
    "truth_auroc": "AUROC of motif positions",
}
SCORES = {"kmer": "pairing", "embedding": "position"}
# scores that rules choose by, as figures say it
_BY = {
    "kmer": "k-mer",
    "kmer_pairing_excess": "k-mer over its null",
    "embedding": "embedding",
    "embedding_position_excess": "embedding over its null",
    "kmer_published": "k-mer, published",
    "embedding_published_wide": "embedding, published",
}


@dataclass(frozen=True)
class Population:
    """What figures show of one population.

    Attributes:
        name: in the config.
        entry: its entry of the config.
        models: its models and controls.
        selection: what rules choose.
        correlations: of scores and truth.
    """

    name: str
    entry: Mapping[str, Any]
    models: pd.DataFrame
    selection: pd.DataFrame
    correlations: pd.DataFrame

    def of_kind(self, kind: str) -> pd.DataFrame:
        """Its models, or its controls."""
        return self.models[self.models["kind"] == kind]

    @property
    def metric(self) -> str:
        """Generalisation, with its measure."""
        return {"auroc": "AUROC", "pearson": "Pearson r"}[self.entry["selection"]["metric"]]

    def colours(self) -> dict[str, str]:
        """Colour of every level of the class."""
        factor = self.entry.get("class")
        levels = self.entry["factors"][factor] if factor else {"": None}
        return dict(zip(levels, COLOURS * len(levels), strict=False))

    def markers(self) -> tuple[str | None, dict[str, str]]:
        """The first factor that is not the class, and a marker of each of its levels."""
        others = [name for name in self.entry["factors"] if name != self.entry.get("class")]
        if not others:
            return None, {"": MARKERS[0]}
        return others[0], dict(
            zip(self.entry["factors"][others[0]], MARKERS * len(self.entry["factors"][others[0]]),
                strict=False)
        )  # fmt: skip

    def groups(self) -> list[tuple[str, str, str, pd.DataFrame]]:
        """Label, colour, marker and rows of models that are drawn alike."""
        models, (other, markers) = self.of_kind(MODEL), self.markers()
        factor = self.entry.get("class")
        found = []
        for level, colour in self.colours().items():
            for value, marker in markers.items():
                mine = models[models[factor].astype(str) == level] if factor else models
                mine = mine[mine[other].astype(str) == value] if other else mine
                label = ", ".join(name for name in (level, value) if name)
                found.append((label, colour, marker, mine))
        return found

    def chosen(self, rule: str, score: str) -> str:
        """Ensemble and replicate that a rule chooses."""
        mine = self.selection
        row = mine[(mine["rule"] == rule) & (mine["score"] == score)]
        return str(row["chosen"].iloc[0]) if len(row) else ""


def table_of(populations: Sequence[Population], part: str) -> pd.DataFrame:
    """One of the tables of all populations with their labels."""
    labels = {one.name: one.entry["label"] for one in populations}
    return labelled_parts([getattr(one, part) for one in populations], labels)


def _panels(populations: Sequence[Population], columns: int, height: float) -> tuple[Figure, Any]:
    figure = new_figure(1.4 + 2.7 * columns, (height + 0.5) * len(populations))
    return figure, figure.subplots(len(populations), columns, squeeze=False)


def scores_figure(populations: Sequence[Population]) -> Figure:
    """Consistency against generalisation: Pareto front, the constrained choice, and controls."""
    with mpl.rc_context(SETTINGS):
        figure, axes = _panels(populations, len(SCORES), 2.8)
        for line, one in zip(axes, populations, strict=True):
            for axis, score in zip(line, SCORES, strict=True):
                _scores(axis, one, score)
            line[0].legend(fontsize=6, frameon=False)
            line[0].set_title(one.entry["label"], loc="left")
    return figure


def _scores(axis: Axes, one: Population, score: str) -> None:
    models = one.of_kind(MODEL)
    for label, colour, marker, mine in one.groups():
        _bars(axis, mine, GENERALISATION, score)
        axis.plot(mine[GENERALISATION], mine[score], marker, color=colour, markersize=3.5,
                  label=label)  # fmt: skip
    front = models[models[f"front_{score}"].astype(bool)].sort_values(GENERALISATION)
    axis.plot(front[GENERALISATION], front[score], color=_FRONT, linewidth=0.7, label="front")
    axis.axvline(models[GENERALISATION].max() - one.entry["within"], color=_GREY, linestyle=":",
                 linewidth=0.8)  # fmt: skip
    names = models["ensemble"] + "/" + models["replicate"].astype(str)
    best = models[names == one.chosen(CONSTRAINED, score)]
    axis.plot(best[GENERALISATION], best[score], "o", color=_FRONT, fillstyle="none", markersize=8,
              label="chosen")  # fmt: skip
    low, high = models[GENERALISATION].min(), models[GENERALISATION].max()
    margin = 0.08 * (high - low) + 1e-6
    axis.set_xlim(low - 2 * margin, high + margin)
    edges = low - 1.5 * margin, high + 0.7 * margin
    _controls(axis, one.of_kind(CONTROL), score, edges)
    axis.set(xlabel=one.metric, ylabel=NAMES[score])


def _bars(axis: Axes, table: pd.DataFrame, x: str, y: str) -> None:
    """95 % intervals of both values, where there are any."""
    for row in table.to_dict("records"):
        for ends, along in (((f"{x}_low", f"{x}_high"), "x"), ((f"{y}_low", f"{y}_high"), "y")):
            low, high = (row.get(name, np.nan) for name in ends)
            place = ([low, high], [row[y]] * 2) if along == "x" else ([row[x]] * 2, [low, high])
            axis.plot(*place, color="#cccccc", linewidth=0.6, zorder=0)


def _controls(axis: Axes, controls: pd.DataFrame, score: str, edges: tuple[float, float]) -> None:
    """Controls by name; those that generalise unlike all models stand at an edge."""
    for place, (name, mine) in enumerate(controls.groupby("control", sort=False)):
        general, values = mine[GENERALISATION], mine[score]
        if general.isna().all():
            axis.axhline(values.mean(), color=_GREY, linestyle="--", linewidth=0.8)
            axis.annotate(str(name), (1, values.mean()), xycoords=("axes fraction", "data"),
                          ha="right", va="bottom", fontsize=6, color=_GREY)  # fmt: skip
            continue
        places = general.clip(*edges)
        axis.plot(places, values, "x", color=_GREY, markersize=4)
        text = str(name) if places.equals(general) else f"{name} ({general.mean():.3f})"
        right = places.iloc[0] > sum(edges) / 2
        shift = -4 if right else 4, (4, -4)[place % 2]
        axis.annotate(text, (places.iloc[0], values.iloc[0]), xytext=shift,
                      textcoords="offset points", ha="right" if right else "left", va="center",
                      fontsize=6, color=_GREY)  # fmt: skip


def nulls_figure(populations: Sequence[Population]) -> Figure:
    """Scores of all models and controls in order, beside the null of each (two sd)."""
    with mpl.rc_context(SETTINGS):
        figure, axes = _panels(populations, len(SCORES), 2.5)
        for line, one in zip(axes, populations, strict=True):
            for axis, (score, null) in zip(line, SCORES.items(), strict=True):
                _nulls(axis, one, score, null)
                axis.legend(fontsize=6, frameon=False)
            line[0].set_title(one.entry["label"], loc="left")
    return figure


def _nulls(axis: Axes, one: Population, score: str, null: str) -> None:
    table = one.models.dropna(subset=[score]).sort_values(score).reset_index(drop=True)
    excess, z = table[f"{score}_{null}_excess"], table[f"{score}_{null}_z"]
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.abs(excess / z)
    mean = table[score] - excess
    axis.vlines(table.index, mean - 2 * sd, mean + 2 * sd, color="#bbbbbb", linewidth=2)
    axis.plot(
        table.index,
        mean,
        "_",
        color=_GREY,
        markersize=4,
        label={"pairing": "sequences exchanged", "position": "positions shuffled"}[null],
    )
    factor = one.entry.get("class")
    for level, colour in one.colours().items():
        mine = table[(table["kind"] == MODEL) & (table[factor].astype(str) == level if factor
                                                  else True)]  # fmt: skip
        axis.plot(mine.index, mine[score], "o", color=colour, markersize=3, label=level or "models")
    for name, mark in _MARKS.items():
        mine = table[(table["kind"] == CONTROL) & (table["control"] == name)]
        if len(mine):
            axis.plot(mine.index, mine[score], mark, color=_FRONT, markersize=5, label=name)
    axis.set(xlabel="models and controls, by score", ylabel=NAMES[score], xticks=[])
    axis.margins(y=0.15)


def truth_figure(populations: Sequence[Population]) -> Figure:
    """Generalisation and both scores against the signal-to-noise ratio of maps."""
    shown = [one for one in populations if "judging" in one.entry]
    columns = (GENERALISATION, *SCORES)
    with mpl.rc_context(SETTINGS):
        figure, axes = _panels(shown, len(columns), 2.8)
        for line, one in zip(axes, shown, strict=True):
            for axis, score in zip(line, columns, strict=True):
                for label, colour, marker, mine in one.groups():
                    _bars(axis, mine, score, "snr")
                    axis.plot(mine[score], mine["snr"], marker, color=colour, markersize=3.5,
                              label=label)  # fmt: skip
                if score != GENERALISATION:
                    _marked_controls(axis, one.of_kind(CONTROL), score)
                axis.set(xlabel=one.metric if score == GENERALISATION else NAMES[score],
                         ylabel=NAMES["snr"])  # fmt: skip
                axis.set_title(_said(one, score), loc="left", fontsize=6)
            line[1].legend(fontsize=6, frameon=False)
            head_line(line[0], one.entry["label"], fontsize=6)
    return figure


def _marked_controls(axis: Axes, controls: pd.DataFrame, score: str) -> None:
    """Controls by marks that the legend names: they often lie upon each other near 0."""
    for name, mark in _MARKS.items():
        mine = controls[controls["control"] == name].dropna(subset=[score, "snr"])
        if len(mine):
            axis.plot(mine[score], mine["snr"], mark, color=_FRONT, markersize=5, label=name)


def _said(one: Population, score: str) -> str:
    """Correlations with signal to noise: over all models, and within classes."""
    table = one.correlations
    mine = table[
        (table["score"] == score) & (table["against"] == "snr") & (table["subset"] == EVERY)
    ]
    lines = []
    for level, words in ((OVERALL, "all"), (WITHIN, "within classes")):
        parts = []
        for statistic, sign in ((PEARSON, "r"), (SPEARMAN, "rho")):
            row = mine[(mine["level"] == level) & (mine["statistic"] == statistic)]
            if len(row):
                first = row.iloc[0]
                interval = f" [{first['low']:.2f}, {first['high']:.2f}]"
                known = pd.notna(first["low"])
                parts.append(f"{sign} {first['value']:.2f}{interval if known else ''}")
        if parts:
            lines.append(f"{words}: {', '.join(parts)}")
    return "\n".join(lines)


def rule_name(rule: str, score: str) -> str:
    """A selection rule in words."""
    if rule == AVERAGE:
        return rule
    if score == GENERALISATION:
        return "best generalisation"
    return {
        BEST: "most consistent: {}",
        CONSTRAINED: "most consistent of the best: {}",
        FRONT: "mean of the front: {}",
    }[rule].format(_BY[score])


def regret_figure(populations: Sequence[Population]) -> Figure:
    """Regret of every rule: of its choice, and of its choices among cells drawn anew."""
    shown = [one for one in populations if "judging" in one.entry]
    targets = ("snr", "truth_cosine", "truth_auroc")
    with mpl.rc_context(SETTINGS):
        figure, axes = _panels(shown, len(targets), 3.4)
        for line, one in zip(axes, shown, strict=True):
            for axis, target in zip(line, targets, strict=True):
                mine = one.selection[one.selection["target"] == target]
                mine = mine.dropna(subset=["regret"]).reset_index(drop=True)
                axis.hlines(mine.index - 0.13, mine["low"], mine["high"], color=COLOURS[0])
                axis.plot(mine["regret"], mine.index - 0.13, "o", color=COLOURS[0], markersize=3.5,
                          label="this choice")  # fmt: skip
                axis.hlines(mine.index + 0.17, mine["over_cells_low"], mine["over_cells_high"],
                            color=COLOURS[4], linewidth=0.9)  # fmt: skip
                axis.plot(mine["over_cells"], mine.index + 0.17, "D", color=COLOURS[4],
                          markersize=2.5, label="choices among cells drawn anew")  # fmt: skip
                axis.axvline(0, color=_GREY, linewidth=0.6)
                names = [rule_name(*pair) for pair in
                         zip(mine["rule"], mine["score"].fillna(""), strict=True)]  # fmt: skip
                axis.set_yticks(mine.index, names if axis is line[0] else [""] * len(mine),
                                fontsize=6)  # fmt: skip
                axis.invert_yaxis()
                best = mine["best"].iloc[0] if len(mine) else float("nan")
                axis.set_title(f"{NAMES[target]}, best {best:.3f}", loc="left", fontsize=7)
                axis.set_xlabel("regret")
            head_line(line[0], one.entry["label"], fontsize=7)
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=2, fontsize=6, frameon=False)
    return figure


# figure by name, and the table behind it
FIGURES = {
    "scores": (scores_figure, "models"),
    "nulls": (nulls_figure, "models"),
    "truth": (truth_figure, "models"),
    "regret": (regret_figure, "selection"),
}
