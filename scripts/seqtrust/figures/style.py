"""What all figures share: fonts, colours, and files that are the same at every run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from seqtrust.files import whole_file, write_tsv
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, UNANIMOUS

# Okabe and Ito's palette: told apart also with deficient colour vision
CLASS_COLOURS = {
    CORRECT: "#009E73",
    UNANIMOUS: "#0072B2",
    INCONSISTENT: "#999999",
    INCORRECT: "#D55E00",
}
CLASS_LABELS = {
    CORRECT: "consistently\ncorrect",
    UNANIMOUS: "unanimous",
    INCONSISTENT: "inconsistent",
    INCORRECT: "consistently\nincorrect",
}
TOY_NOTE = "simulated toy inputs"

SETTINGS: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.hashsalt": "seqtrust",
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in the project's style; sizes in inches."""
    with mpl.rc_context(SETTINGS):
        return Figure(figsize=(width, height), layout="constrained")


def log_scale(axis: Axes, which: str) -> None:
    """A logarithmic axis with plain numbers, also at 2 and 5 where it holds few decades.

    Args:
        axis: with its data drawn.
        which: "x" or "y".
    """
    scale: XAxis | YAxis = axis.xaxis if which == "x" else axis.yaxis
    axis.set(**{f"{which}scale": "log"})
    low, high = scale.get_view_interval()
    scale.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 50 * low else (1.0,)))
    scale.set_major_formatter("{x:g}")
    scale.set_minor_formatter(NullFormatter())


def head_line(axis: Axes, text: str, fontsize: float = 8) -> None:
    """What a line of panels shows, above the left title of its first one.

    Titles may be wider than their panel; other texts would push the columns apart.
    """
    axis.set_title(f"{text}\n{axis.get_title(loc='left')}", loc="left", fontsize=fontsize)


def labelled_parts(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> pd.DataFrame:
    """The tables of all entries of a config, with their names and labels in the first columns.

    Args:
        parts: a table per entry.
        labels: label of each entry by name, in the same order.
    """
    named = []
    for (name, label), part in zip(labels.items(), parts, strict=True):
        part = part.copy()
        part.insert(0, "label", label)
        part.insert(0, "entry", name)
        named.append(part)
    return pd.concat(named, ignore_index=True)


def save_figure(
    figure: Figure, paths: Sequence[str | Path], table: pd.DataFrame, toy: bool
) -> None:
    """Write a figure as PNG and PDF and the table behind it as TSV.

    Args:
        figure: the figure.
        paths: one path each that ends in .png, .pdf and .tsv.
        table: the numbers that the figure shows.
        toy: say in the figure that the inputs are simulated.
    """
    if toy:
        figure.supxlabel(TOY_NOTE, fontsize=7, color="#777777", x=0.99, ha="right")
    by_suffix = {Path(path).suffix: path for path in paths}
    with mpl.rc_context(SETTINGS):
        for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
            with whole_file(by_suffix[suffix]) as temporary:
                figure.savefig(temporary, format=suffix[1:], metadata=metadata)
    write_tsv(by_suffix[".tsv"], table)
