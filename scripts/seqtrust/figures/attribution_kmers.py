"""K-mers under strong attributions: the most and the least consistent model side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.attribution.attribution_maps import Floats
from seqtrust.attribution.scored_maps import KMER
from seqtrust.bases import decode
from seqtrust.figures.attribution_spheres import extremes_table, name_of, score_of
from seqtrust.figures.style import SETTINGS, new_figure

_ABOUT = ["method", "track", "replicate", "score", "excess", "kmers"]
_COLUMNS = ["entry", "label", "shown", *_ABOUT, "kmer", "share", "prior"]
_SHARE, _PRIOR = "#0072B2", "#999999"


def words(k: int) -> list[str]:
    """All k-mers in the order of spectra: A, C, G, T, the first base changes last."""
    numbers = np.arange(4**k)
    digits = [(numbers >> (2 * place)) % 4 for place in reversed(range(k))]
    return [decode(row) for row in np.stack(digits, axis=1).astype(np.uint8)]


def kmer_shares(row: Mapping[str, Any]) -> dict[str, Any]:
    """A k-mer per row, of a row of `attribution_spectra`."""
    k = (len(row["spectrum"]).bit_length() - 1) // 2
    return {"kmer": words(k), "share": row["spectrum"], "prior": row["prior"]}


def kmer_table(
    parts: Sequence[pd.DataFrame], scores: Sequence[pd.DataFrame], labels: Mapping[str, str]
) -> pd.DataFrame:
    """Spectra of the chosen models of all entries, a row per k-mer, of `attribution_spectra`."""
    table = extremes_table(parts, scores, labels, KMER, _ABOUT, kmer_shares)
    return table.reindex(columns=_COLUMNS)


def spectrum_panel(
    axis: Axes, spectrum: Floats, prior: Floats, title: str, labelled: int = 8
) -> None:
    """Shares of all k-mers as lines from 0, the prior's mirrored below, the largest ones named.

    Args:
        axis: where to draw.
        spectrum: shares under strong attributions, shape (4^k,).
        prior: shares in all sequences, shape (4^k,).
        title: of the panel.
        labelled: so many k-mers get their name.
    """
    k = (len(spectrum).bit_length() - 1) // 2
    places = np.arange(len(spectrum))
    axis.vlines(places, 0, spectrum, color=_SHARE, linewidth=0.6)
    axis.vlines(places, -prior, 0, color=_PRIOR, linewidth=0.6)
    axis.axhline(0, color="black", linewidth=0.5)
    names = words(k)
    largest = np.argsort(-spectrum, kind="stable")[:labelled]
    least = -np.inf
    for place in np.sort(largest[spectrum[largest] > 0]).tolist():
        # names of neighbours must not overlap
        least = max(place, least + len(spectrum) / 28)
        axis.annotate(
            names[place],
            (least, spectrum[place]),
            (0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=90,
            fontsize=6,
        )
    # room for names
    axis.update_datalim([(0, 1.45 * float(spectrum.max()))])
    axis.autoscale_view()
    axis.set_title(title, loc="left", fontsize=8)
    axis.set_xticks(np.arange(4) * len(spectrum) // 4, [f"{base}..." for base in "ACGT"])
    axis.margins(x=0.02)


def kmers_figure(table: pd.DataFrame) -> Figure:
    """A row per entry: spectra of its most and its least consistent model.

    Args:
        table: from `kmer_table`.
    """
    entries = list(dict.fromkeys(table["entry"]))
    figure = new_figure(8.5, 2.3 * max(len(entries), 1) + 0.3)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(max(len(entries), 1), 2, squeeze=False, sharey="row")
        for line in axes:
            for axis in line:
                axis.set_axis_off()
        for line, entry in zip(axes, entries, strict=False):
            mine = table[table["entry"] == entry]
            for axis, (shown, part) in zip(line, mine.groupby("shown", sort=False), strict=False):
                first = part.iloc[0]
                counted = f"{score_of(first)}, {first['kmers']:,} k-mers"
                title = f"{first['label']}: {shown}\n{name_of(first)}, {counted}"
                axis.set_axis_on()
                spectrum_panel(axis, part["share"].to_numpy(), part["prior"].to_numpy(), title)
                axis.set_xlabel("k-mer")
            line[0].set_ylabel("share (below 0: all sequences)")
    return figure
