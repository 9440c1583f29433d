"""Figures of inserted motifs: 2A, 2B and S3 of Bajwa et al. 2024."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.consistency import CORRELATED, OBSERVED
from seqtrust.figures.reference import PUBLISHED, published_value
from seqtrust.figures.style import SETTINGS, new_figure
from seqtrust.uncertainty.reference import ALL

_KINDS = {
    "activity": "activity: motif minus background",
    "mutation": "mutation: knocked-out minus motif",
}
_NAMED = 16  # more tracks are not named
_NO_CALL = "#DDDDDD"


def agreement_figure(table: pd.DataFrame, analyses: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Motifs per number of agreeing replicates, tracks sorted by it, a panel per assay (2A, 2B).

    Args:
        table: agreement over all backgrounds, of all analyses.
        analyses: the entries of the config.
    """
    table = table[table["split"] == ALL]
    assays = list(dict.fromkeys(table["assay"]))
    rows = [(name, kind) for name in analyses for kind in _KINDS]
    widths = [table.loc[table["assay"] == assay, "track"].nunique() for assay in assays]
    widths = [min(max(width, 3), 20) for width in widths]
    figure = new_figure(1.6 + 0.32 * sum(widths), 2.6 * len(rows) + 0.6)
    with mpl.rc_context(SETTINGS):
        grid = figure.subplots(len(rows), len(assays), squeeze=False, sharey="row",
                               width_ratios=widths)  # fmt: skip
        handles: dict[str, Any] = {}
        for axes, (name, kind) in zip(grid, rows, strict=True):
            for axis, assay in zip(axes, assays, strict=True):
                mine = table[
                    (table["analysis"] == name)
                    & (table["kind"] == kind)
                    & (table["assay"] == assay)
                ]
                _stacked(axis, mine, analyses[name], kind, assay)
                axis.set_title(assay)
                for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                    handles.setdefault(label, handle)
            head = f"{analyses[name]['label']}\n" if len(analyses) > 1 else ""
            axes[0].set_ylabel(f"{head}{_KINDS[kind].replace(': ', ':' + chr(10))}\nmotifs")
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2,
                      frameon=False, fontsize=7)  # fmt: skip
    return figure


def _stacked(
    axis: Axes, table: pd.DataFrame, entry: Mapping[str, Any], kind: str, assay: str
) -> None:
    observed = table[table["level"] == OBSERVED]
    counts = observed.pivot(index="track", columns="n_agree", values="count")
    replicates = int(counts.columns.max())
    order = counts.sort_values(list(counts.columns)[::-1], kind="stable").index
    counts = counts.loc[order]
    places = np.arange(len(counts))
    below = np.zeros(len(counts))
    axis.set_xlim(-0.6, max(len(counts), 3) - 0.4)
    for level in range(replicates, -1, -1):
        of = counts[level].to_numpy(dtype=float)
        label = f"{level} of {replicates} agree" if level else "no call (tie or out of reach)"
        if 0 < 2 * level < replicates:
            label += ", others: no call"
        if of.any() or 2 * level >= replicates:
            axis.bar(places, of, 0.9, bottom=below, color=_colour(level, replicates), label=label)
        below += of
    implied = table[(table["level"] == CORRELATED) & (table["n_agree"] == replicates)]
    if len(implied):
        expected = (implied["fraction"] * implied["total"]).set_axis(implied["track"])
        axis.plot(places, expected.reindex(order), linestyle="none", marker="D", markersize=4,
                  color="#D55E00", fillstyle="none", clip_on=False,
                  label=f"{replicates} of {replicates}, {CORRELATED}")  # fmt: skip
    value = published_value(entry, "agreement", kind=kind, assay=assay)
    if value is not None:
        axis.axhline(value, color="#CC79A7", linestyle="--", label=PUBLISHED)
    names = [str(name) for name in order] if len(order) <= _NAMED else []
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    if not names:
        axis.set_xlabel(f"{len(order):,} tracks, sorted")


def _colour(level: int, replicates: int) -> Any:
    """Light for disagreement, dark for agreement; told apart also with deficient colour vision."""
    return mpl.colormaps["cividis"](1 - level / replicates) if level else _NO_CALL


def ranks_figure(
    ranks: pd.DataFrame, tests: pd.DataFrame, analyses: Mapping[str, Mapping[str, Any]]
) -> Figure:
    """Motifs from least to most consistent against their knock-out probability (S3).

    Args:
        ranks: of all backgrounds.
        tests: Spearman correlations.
        analyses: the entries of the config.
    """
    figure = new_figure(3.3 * len(_KINDS), 3.1 * len(analyses) + 0.2)
    with mpl.rc_context(SETTINGS):
        grid = figure.subplots(len(analyses), len(_KINDS), squeeze=False, sharey="row")
        for axes, (name, entry) in zip(grid, analyses.items(), strict=True):
            for axis, kind in zip(axes, _KINDS, strict=True):
                where = {"analysis": name, "kind": kind, "split": ALL}
                mine, found = (_where(table, where) for table in (ranks, tests))
                above = entry["probability_above"]
                used = mine["knock_out_probability"] > above
                for part, colour in ((mine[used], "#0072B2"), (mine[~used], "#BBBBBB")):
                    axis.plot(part["rank"], part["knock_out_probability"], linestyle="none",
                              marker="o", markersize=3.5, color=colour)  # fmt: skip
                axis.axhline(above, color="#BBBBBB", linewidth=0.8, linestyle=":")
                axis.set_title(f"{_KINDS[kind]}\n{_result(next(found.itertuples()), entry, kind)}")
                axis.set_xlabel("rank of motif, least to most consistent")
            head = f"{entry['label']}\n" if len(analyses) > 1 else ""
            axes[0].set_ylabel(f"{head}probability of the knock-out base")
    return figure


def _where(table: pd.DataFrame, values: Mapping[str, str]) -> pd.DataFrame:
    return table[(table[list(values)] == pd.Series(values)).all(axis=1)]


def _result(test: Any, entry: Mapping[str, Any], kind: str) -> str:
    if np.isfinite(test.spearman):
        found = (
            f"Spearman {test.spearman:.2f} ({test.low:.2f} to {test.high:.2f})\n"
            f"p = {test.p:.2g}, n = {test.motifs}"
        )
    else:
        found = f"Spearman not defined (equal values; n = {test.motifs})"
    value = published_value(entry, "ranks", kind=kind)
    return found if value is None else f"{found}\n{PUBLISHED}: {value:.2f}"
