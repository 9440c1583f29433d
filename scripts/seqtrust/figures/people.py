"""Figures of personal genomes: correlations across people, classes, agreement, drivers."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.consistency import OBSERVED, PERMUTED_PEOPLE
from seqtrust.figures.style import CLASS_COLOURS, CLASS_LABELS, SETTINGS, new_figure
from seqtrust.genome import SPLITS
from seqtrust.uncertainty.people_correlations import PEARSON, SPEARMAN
from seqtrust.uncertainty.people_summary import ALL_GENES, ENSEMBLE, sign_agreement
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, TIE

Entries = Mapping[str, Mapping[str, Any]]

PUBLISHED = "published"
_CLASSES = (CORRECT, INCONSISTENT, INCORRECT)
_SPLIT_MARKERS = {"train": "^", "validation": "s", "test": "v"}
_LINEAR, _CEILING = "#0072B2", "#CC79A7"
_TIE_COLOUR = "#000000"
_SHARES = {
    "replicates have one first driver": "one first driver\nin all replicates",
    "replicates have one first driver and one sign": "... and one sign",
    "first driver supported by the eQTL, any replicate": "sign of the eQTL,\nany replicate",
    "first driver supported by the eQTL, every replicate": "sign of the eQTL,\nevery replicate",
}
_MANY = 15  # labels of pairs below an axis


def joined(tables: Sequence[pd.DataFrame], entries: Entries) -> pd.DataFrame:
    """Tables of several analyses as one, with the names and labels of the entries."""
    parts = []
    for (name, entry), table in zip(entries.items(), tables, strict=True):
        part = table.copy()
        part.insert(0, "label", entry["label"])
        part.insert(0, "analysis", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def correlation_table(genes: Sequence[pd.DataFrame], entries: Entries) -> pd.DataFrame:
    """Per gene the range of the replicates' Spearman r, and what stands beside it, sorted.

    Args:
        genes: tables of genes, with expression.
        entries: the analyses.
    """
    parts = []
    for table in genes:
        r = np.array(table[SPEARMAN].tolist(), dtype=np.float64)
        part = table[["gene", "split", "class", f"{ENSEMBLE}_{SPEARMAN}", "linear_r",
                      "linear_tie", "ceiling"]].copy()  # fmt: skip
        part.insert(2, "lowest", r.min(axis=1))
        part.insert(3, "mean", r.mean(axis=1))
        part.insert(4, "highest", r.max(axis=1))
        parts.append(part.sort_values(["mean", "gene"], kind="stable"))
    return joined(parts, entries)


def correlations(table: pd.DataFrame, entries: Entries) -> Figure:
    """Spearman r of prediction and expression per gene, sorted, with the replicates' range.

    Args:
        table: from `correlation_table`.
        entries: the analyses.
    """
    figure = new_figure(7.0, 3.4 * len(entries) + 0.5)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(entries), 1, squeeze=False)[:, 0]
        for axis, (name, entry) in zip(axes, entries.items(), strict=True):
            mine = table[table["analysis"] == name].reset_index(drop=True)
            place = np.arange(len(mine))
            axis.axhline(0, color="#000000", linewidth=0.6)
            for column, colour, label in (
                ("ceiling", _CEILING, "heritability ceiling"),
                ("linear_r", _LINEAR, "cis-SNP predictor (Pearson, out of fold)"),
            ):
                values = mine[column].to_numpy(dtype=np.float64)
                axis.plot(place, values, ".", color=colour, alpha=0.45, markersize=3, label=label)
            for kind in (*_CLASSES, TIE):
                rows = mine[mine["class"] == kind]
                if len(rows):
                    label = CLASS_LABELS.get(kind, kind).replace("\n", " ")
                    colour = CLASS_COLOURS.get(kind, _TIE_COLOUR)
                    axis.vlines(rows.index, rows["lowest"], rows["highest"], color=colour,
                                linewidth=0.9, alpha=0.7)  # fmt: skip
                    axis.plot(rows.index, rows["mean"], "_", color=colour, markersize=3,
                              label=f"{label}, mean and range of replicates")  # fmt: skip
            axis.set_xlabel("genes, sorted by the mean of replicates")
            axis.set_ylabel("r across people")
            axis.set_title(f"{entry['label']}, n = {len(mine):,} genes")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False,
                      fontsize=7, markerscale=2)  # fmt: skip
    return figure


def class_table(tables: Sequence[pd.DataFrame], entries: Entries) -> pd.DataFrame:
    """Class fractions of all analyses with published values."""
    table = joined(tables, entries)
    rows = [
        {"analysis": name, "label": entry["label"], "subset": ALL_GENES, "split": "all",
         "level": PUBLISHED, "class": kind, "fraction": value}
        for name, entry in entries.items()
        if "published" in entry
        for kind, value in entry["published"]["fractions"].items()
    ]  # fmt: skip
    return pd.concat([table, pd.DataFrame(rows)], ignore_index=True) if rows else table


def classes(table: pd.DataFrame, entries: Entries) -> Figure:
    """Class fractions of all and of chosen genes, with people permuted beside them.

    Args:
        table: from `class_table`.
        entries: the analyses.
    """
    panels = list(table[["analysis", "subset"]].drop_duplicates().itertuples(index=False))
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = new_figure(2.7 * columns + 0.4, 2.9 * rows + 0.8)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        handles: dict[str, Any] = {}
        for axis, (name, subset) in zip(axes, panels, strict=False):
            mine = table[(table["analysis"] == name) & (table["subset"] == subset)]
            _class_panel(axis, mine)
            seen = mine[(mine["split"] == "all") & (mine["level"] == OBSERVED)]
            counts = seen.set_index("class")
            title = f"{entries[name]['label']}\n{subset}\nn = {int(counts['total'].max()):,}"
            ties = int(counts.loc[TIE, "count"])
            axis.set_title(title + (f" ({ties:,} ties)" if ties else ""))
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for axis in axes[::columns]:
            axis.set_ylabel("fraction of genes without ties")
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3,
                      frameon=False, fontsize=7)  # fmt: skip
    return figure


def _class_panel(axis: Axes, table: pd.DataFrame) -> None:
    for place, kind in enumerate(_CLASSES):
        rows = table[table["class"] == kind]
        seen = rows[(rows["level"] == OBSERVED) & (rows["split"] == "all")].iloc[0]
        axis.bar(place, seen["fraction"], 0.8, color=CLASS_COLOURS[kind], alpha=0.55)
        _point(axis, place - 0.28, seen, "all loci, 95 % Wilson interval", color="#333333")
        for index, split in enumerate(SPLITS):
            for _, row in rows[(rows["split"] == split) & (rows["level"] == OBSERVED)].iterrows():
                axis.plot(place - 0.1 + 0.1 * index, row["fraction"], linestyle="none",
                          marker=_SPLIT_MARKERS[split], color="#333333", markersize=4,
                          label=f"{split} loci")  # fmt: skip
        whole = rows[rows["split"] == "all"]
        for _, row in whole[whole["level"] == PERMUTED_PEOPLE].iterrows():
            _point(axis, place + 0.25, row, f"{PERMUTED_PEOPLE}, 95 % of rounds", color="#E69F00",
                   marker="_", markersize=9, markeredgewidth=2)  # fmt: skip
        for _, row in whole[whole["level"] == PUBLISHED].iterrows():
            axis.plot(place + 0.33, row["fraction"], linestyle="none", marker="*",
                      color=_CEILING, markersize=9, label=PUBLISHED)  # fmt: skip
    axis.set_xticks(range(len(_CLASSES)), [CLASS_LABELS[kind] for kind in _CLASSES])
    axis.set_ylim(-0.02, 1.02)


def _point(axis: Axes, place: float, row: Any, label: str, **style: Any) -> None:
    """A value with its interval."""
    value = row["value"] if "value" in row else row["fraction"] if "fraction" in row else row["r"]
    error = [[max(value - row["low"], 0)], [max(row["high"] - value, 0)]]
    axis.errorbar(place, value, error, linestyle="none", capsize=2, linewidth=1.2, label=label,
                  **style)  # fmt: skip


def pairs(table: pd.DataFrame, genes: Sequence[pd.DataFrame], entries: Entries) -> Figure:
    """Do replicates order people alike, right or wrong? Per pair, and per gene.

    Args:
        table: tables of pairs of all analyses, joined.
        genes: their tables of genes.
        entries: the analyses.
    """
    figure = new_figure(7.4, 2.9 * len(entries) + 0.3)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(entries), 2, squeeze=False, width_ratios=(3, 2))
        for (left, right), (name, entry), of_genes in zip(
            axes, entries.items(), genes, strict=True
        ):
            mine = table[(table["analysis"] == name) & ~table["tie"].astype(bool)]
            boxes = {f"{a}\n{b}": rows[SPEARMAN].to_numpy()
                     for (a, b), rows in mine.groupby(["replicate_a", "replicate_b"], sort=False)
                     }  # fmt: skip
            left.axhline(0, color="#000000", linewidth=0.6)
            if boxes:
                left.boxplot(list(boxes.values()), showfliers=False, widths=0.6,
                             medianprops={"color": "#D55E00"})  # fmt: skip
                labels = list(boxes) if len(boxes) <= _MANY else [""] * len(boxes)
                left.set_xticks(range(1, len(boxes) + 1), labels)
            left.set_xlabel("pair of replicates")
            left.set_ylabel("Spearman r across people")
            genes_shown, ties = (
                mine["gene"].nunique(),
                int(table[table["analysis"] == name]["tie"].sum()),
            )
            left.set_title(f"{entry['label']}\nn = {genes_shown:,} genes; {ties:,} ties left out")
            _agreement_panel(right, of_genes)
    return figure


def _agreement_panel(axis: Axes, genes: pd.DataFrame) -> None:
    shares = genes["pair_agreement"].dropna().to_numpy(dtype=np.float64)
    values, counts = np.unique(np.round(shares, 6), return_counts=True)
    axis.bar(values, counts / max(len(shares), 1), 0.07, color="#0072B2", alpha=0.7)
    axis.set_xlim(-0.06, 1.06)
    axis.set_xlabel("share of pairs that order people alike (r > 0)")
    axis.set_ylabel("fraction of genes")
    mean = f"mean {shares.mean():.2f}" if len(shares) else "no gene without ties"
    title = f"Agreement per gene, {mean}"
    if genes["class"].notna().any():
        title += f"\none sign with expression: {_sign_agreement(genes):.2f} of pairs"
    axis.set_title(title)


def _sign_agreement(genes: pd.DataFrame) -> float:
    return float(np.nanmean(sign_agreement(np.array(genes[SPEARMAN].tolist(), dtype=np.float64))))


def driver_table(
    drivers: Sequence[pd.DataFrame], statistics: Sequence[pd.DataFrame], entries: Entries
) -> pd.DataFrame:
    """Quartiles over genes of r2 per replicate, and the shares of genes, of all analyses.

    Args:
        drivers: tables of drivers of every analysis.
        statistics: their statistics.
        entries: the analyses.
    """
    parts = []
    for table, summary in zip(drivers, statistics, strict=True):
        rows: list[dict[str, Any]] = []
        for replicate, mine in table.groupby("replicate", sort=True):
            last = mine.loc[mine.groupby("gene")["step"].idxmax()]
            by_kind = {
                "r2 of the first driver": mine.loc[mine["step"] == 1, "r2"],
                "r2 of all drivers": last["r2"],
                "adjusted r2 of all variants": last["r2_all"].dropna(),
            }
            rows += [
                {"statistic": f"{kind}, {replicate}", "split": "all", "value": values.median(),
                 "low": values.quantile(0.25), "high": values.quantile(0.75),
                 "total": len(values), "interval": "quartiles over genes"}
                for kind, values in by_kind.items() if len(values)
            ]  # fmt: skip
        parts.append(pd.concat([pd.DataFrame(rows), summary], ignore_index=True))
    return joined(parts, entries)


def drivers(table: pd.DataFrame, entries: Entries) -> Figure:
    """How few variants carry a prediction, and whether replicates and eQTLs agree on them.

    Args:
        table: from `driver_table`.
        entries: the analyses.
    """
    figure = new_figure(7.8, 3.0 * len(entries) + 0.4)
    kinds = {"r2 of the first driver": "#0072B2", "r2 of all drivers": "#009E73",
             "adjusted r2 of all variants": "#999999"}  # fmt: skip
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(len(entries), 2, squeeze=False)
        for (left, right), (name, entry) in zip(axes, entries.items(), strict=True):
            mine = table[(table["analysis"] == name) & (table["split"] == "all")]
            names: dict[str, int] = {}
            for shift, (kind, colour) in enumerate(kinds.items()):
                rows = mine[mine["statistic"].str.startswith(f"{kind}, ")]
                for _, row in rows.iterrows():
                    place = names.setdefault(row["statistic"].rsplit(", ", 1)[1], len(names))
                    _point(left, place + 0.2 * (shift - 1), row, kind, color=colour, marker="o",
                           markersize=4)  # fmt: skip
            left.set_xticks(range(len(names)), list(names))
            left.set_ylim(0, 1.02)
            left.set_ylabel("share of variance across people")
            left.set_title(f"{entry['label']}\nmedian and quartiles over genes")
            handles = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
            left.legend(list(handles.values()), list(handles), frameon=False, fontsize=7,
                        loc="lower left")  # fmt: skip
            shown = mine[mine["statistic"].isin(_SHARES) & (mine["total"] > 0)]
            for place, (_, row) in enumerate(shown.iterrows()):
                right.bar(place, row["value"], 0.7, color="#0072B2", alpha=0.5)
                _point(right, place, row, "95 % Wilson interval", color="#333333")
                right.annotate(f"{int(row['count']):,}/{int(row['total']):,}", (place, 0.02),
                               ha="center", fontsize=7)  # fmt: skip
            right.set_xticks(range(len(shown)), [_SHARES[kind] for kind in shown["statistic"]],
                             fontsize=6.5)  # fmt: skip
            right.set_ylim(0, 1.02)
            right.set_ylabel("fraction of genes")
            right.set_title("First driver of a gene")
    return figure


def cross_gene(table: pd.DataFrame, entries: Entries) -> Figure:
    """Correlation over genes of the reference prediction with mean expression, per replicate.

    Args:
        table: tables of all analyses, joined.
        entries: the analyses.
    """
    figure = new_figure(5.2 * len(entries) + 0.4, 3.2)
    colours = {PEARSON: "#0072B2", SPEARMAN: "#D55E00"}
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(1, len(entries), squeeze=False, sharey=True)[0]
        for axis, (name, entry) in zip(axes, entries.items(), strict=True):
            mine = table[(table["analysis"] == name)]
            order = list(dict.fromkeys(mine["replicate"]))
            axis.axhline(0, color="#000000", linewidth=0.6)
            for shift, (method, colour) in zip((-0.12, 0.12), colours.items(), strict=True):
                rows = mine[mine["method"] == method]
                label = f"{method.capitalize()}, all loci, 95 % interval"
                for _, row in rows[rows["split"] == "all"].iterrows():
                    _point(axis, order.index(row["replicate"]) + shift, row, label, color=colour,
                           marker="o", markersize=4)  # fmt: skip
                for _, row in rows[rows["split"] == "test"].iterrows():
                    axis.plot(order.index(row["replicate"]) + shift + 0.08, row["r"], "v",
                              color=colour, markersize=4, fillstyle="none",
                              label=f"{method.capitalize()}, test loci")  # fmt: skip
            axis.set_xticks(range(len(order)), order)
            axis.set_ylabel("r over genes")
            genes = int(mine.loc[mine["split"] == "all", "genes"].max())
            axis.set_title(f"{entry['label']}, n = {genes:,} genes")
        handles = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2,
                      frameon=False, fontsize=7)  # fmt: skip
    return figure
