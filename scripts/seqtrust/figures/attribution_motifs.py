"""Motifs of attribution maps that replicates share, as logos of contributions."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.attribution_logos import BASE_COLOURS, logo_panel
from seqtrust.figures.style import SETTINGS, new_figure

# motifs of an entry and method; the table has all
_MOST = 12
_SHORT = 14  # columns that the narrowest logo is drawn for


def motifs_table(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> pd.DataFrame:
    """Heights of letters, a row per motif, position and base; at most 12 motifs of a method.

    Args:
        parts: rows of `shared_motifs`, a table per entry.
        labels: label of each entry by name, in the same order.
    """
    about = ["method", "motif", "sign", "consensus", "replicates", "of", "seqlets", "similarity",
             "known", "known_similarity", "known_p", "matched"]  # fmt: skip
    names = ["entry", "label", *about, "position", "base", "contribution"]
    found = []
    for (entry, label), part in zip(labels.items(), parts, strict=True):
        for row in part.groupby("method", sort=False).head(_MOST).to_dict("records"):
            heights = np.asarray(row["cwm"]).reshape(-1, len(BASE_COLOURS))
            letters = {
                "position": np.repeat(np.arange(len(heights)), len(BASE_COLOURS)),
                "base": list(BASE_COLOURS) * len(heights),
                "contribution": heights.ravel(),
            }
            facts = {"entry": entry, "label": label} | {name: row[name] for name in about}
            found.append(pd.DataFrame(facts | letters))
    return pd.concat(found, ignore_index=True)[names] if found else pd.DataFrame(columns=names)


def motifs_figure(table: pd.DataFrame) -> Figure:
    """A column per entry and method, motifs of most replicates on top.

    Args:
        table: from `motifs_table`.
    """
    columns = list(table.groupby(["entry", "method"], sort=False))
    tall = [mine["motif"].nunique() for _, mine in columns]
    figure = new_figure(4.4 * max(len(columns), 1), 0.62 * max(tall, default=1) + 0.5)
    with mpl.rc_context(SETTINGS | {"font.size": 7}):
        axes = figure.subplots(max(tall, default=1), max(len(columns), 1), squeeze=False)
        for axis in axes.ravel():
            axis.set_axis_off()
        for column, ((_, method), mine) in enumerate(columns):
            widest = max(int(mine["position"].max()) + 1, _SHORT)
            for axis, (_, motif) in zip(axes[:, column], mine.groupby("motif", sort=False),
                                        strict=False):  # fmt: skip
                _panel(axis, motif, widest)
            head = f"{mine['label'].iloc[0]}, {str(method).replace('_', ' ')}"
            axes[0, column].set_title(head, loc="left", fontsize=8)
        if not columns:
            axes[0, 0].text(0.5, 0.5, "no motif was found", ha="center", va="center")
    return figure


def _panel(axis: Axes, motif: pd.DataFrame, widest: int) -> None:
    heights = motif["contribution"].to_numpy().reshape(-1, len(BASE_COLOURS))
    logo_panel(axis, heights)
    # the right half is for the text: the line at 0 ends where the logo does
    axis.set_xlim(-0.5, 2 * widest - 0.5)
    axis.lines[0].set_xdata([0.0, 0.5 * len(heights) / widest])
    first = motif.iloc[0]
    lines = [f"{first['motif']}: {first['replicates']} of {first['of']} replicates, "
             f"{first['seqlets']} seqlets"]  # fmt: skip
    if first["known"]:
        like = "like" if first["matched"] else "unlike any, nearest"
        lines.append(f"{like} {first['known']} ({first['known_similarity']:.2f})")
    axis.text(0.52, 0.5, "\n".join(lines), transform=axis.transAxes, va="center")
