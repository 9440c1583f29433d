"""What figures of the robustness benchmark share: models, ladders of shifts, grids of panels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.figures.style import SETTINGS, new_figure

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C510A", "#000000",
)  # fmt: skip
TYPE_COLOURS = {
    "none": "#000000", "covariate": "#0072B2", "mixed": "#CC79A7", "concept": "#D55E00",
    "technical": "#009E73",
}  # fmt: skip
GREY = "#888888"
# intervals of two worlds have one degree of freedom, and say nothing
LEAST_WORLDS = 3
_TYPES = list(TYPE_COLOURS)
NO_TRUTH = "not known of measured data"


@dataclass(frozen=True)
class Ladder:
    """A shift with its steps.

    Attributes:
        name: of the shift.
        type: none, covariate, mixed, concept or technical.
        conditions: by severity.
        steps: severity of each, from 1.
    """

    name: str
    type: str
    conditions: tuple[str, ...]
    steps: tuple[int, ...]

    @property
    def strongest(self) -> str:
        """The condition of the last step."""
        return self.conditions[-1]


def ladders(table: pd.DataFrame) -> list[Ladder]:
    """Shifts by type, in the order of the table within a type; data without a shift are none.

    Args:
        table: with data_set, shift, severity and type.
    """
    known = table.drop_duplicates("data_set")
    known = known[known["severity"] > 0]
    found = []
    for name, part in known.groupby("shift", sort=False):
        steps = part.sort_values("severity", kind="stable")
        numbers = tuple(steps["severity"].astype(int))
        kind = str(steps["type"].iloc[0])
        found.append(Ladder(str(name), kind, tuple(steps["data_set"]), numbers))
    return sorted(found, key=lambda one: _TYPES.index(one.type))


def unshifted(table: pd.DataFrame) -> str:
    """The condition without a shift."""
    return str(table.loc[table["severity"] == 0, "data_set"].iloc[0])


def condition_order(table: pd.DataFrame) -> dict[str, str]:
    """Type of every condition, without a shift first, then by ladder and step."""
    return {unshifted(table): "none"} | {
        name: one.type for one in ladders(table) for name in one.conditions
    }


def strongest_conditions(table: pd.DataFrame) -> dict[str, str]:
    """Type of the condition without a shift and of the last step of every ladder."""
    return {unshifted(table): "none"} | {one.strongest: one.type for one in ladders(table)}


def styles(entry: Mapping[str, Any], table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """How the shown models and the references of a table are drawn."""
    present = set(table["model"])
    found: dict[str, dict[str, Any]] = {
        model: {"color": colour, "linewidth": 1.1}
        for model, colour in zip(entry["show"], COLOURS, strict=False)
        if model in present
    }
    for reference, style in (("oracle", ":"), ("ideal", "--")):
        if reference in present:
            found[reference] = {"color": GREY, "linewidth": 1.0, "linestyle": style}
    return found


def grid(
    count: int, columns: int, width: float, height: float, legend: float = 0.4
) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels in rows; panels that are left over are hidden."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(width * columns, height * rows + legend)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel().tolist()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def blank(reason: str) -> Figure:
    """A figure that says why there is nothing to show."""
    figure = new_figure(5.0, 1.2)
    figure.text(0.5, 0.5, reason, ha="center", va="center", fontsize=8, color=GREY)
    return figure


def say_unknown(axis: Axes) -> None:
    """Say in an empty panel that the truth is not known."""
    said = axis.text(0.03, 0.5, NO_TRUTH, transform=axis.transAxes, color=GREY, fontsize=7)
    said.set_in_layout(False)
    axis.set_yticks([])


def line_with_bars(
    axis: Axes, x: Sequence[float] | npt.NDArray[np.float64], table: pd.DataFrame, **style: Any
) -> None:
    """A line through values with their intervals, where there are any worth showing."""
    axis.plot(x, table["value"], marker="o", markersize=2, **style)
    known = (table["worlds"] >= LEAST_WORLDS).to_numpy()
    axis.vlines(
        np.asarray(x)[known],
        table["low"][known],
        table["high"][known],
        color=style.get("color"),
        linewidth=0.6,
        alpha=0.6,
    )


def clipped(table: pd.DataFrame) -> pd.DataFrame:
    """The table with intervals of coverages that end at 0 and 1."""
    shares = table["metric"] == "cov90"
    ends = {end: table[end].where(~shares, table[end].clip(0, 1)) for end in ("low", "high")}
    return table.assign(**ends)


def legend_below(figure: Figure, axis: Axes) -> None:
    """One legend for all panels, below them, in as many columns as fit beside a note."""
    handles, names = axis.get_legend_handles_labels()
    widest = 0.45 + 0.065 * max(map(len, names), default=1)
    columns = max(1, int((figure.get_figwidth() - 1.4) / widest))
    figure.legend(
        handles, names, loc="outside lower left", ncols=columns, fontsize=7, frameon=False
    )


def panel_title(axis: Axes, name: str, kind: str) -> None:
    """The name of a shift in the colour of its type."""
    axis.set_title(name, loc="left", fontsize=8, color=TYPE_COLOURS[kind])


def conditions_down(axis: Axes, kinds: Mapping[str, str]) -> None:
    """A line per condition from the top, named in the colour of its type."""
    coloured_labels(axis, kinds, "y")
    axis.invert_yaxis()


def coloured_labels(axis: Axes, kinds: Mapping[str, str], along: str) -> None:
    """Names of conditions at the ticks of an axis, in the colours of their types."""
    places = np.arange(len(kinds))
    if along == "x":
        axis.set_xticks(places, list(kinds), rotation=90, fontsize=6)
        labels = axis.get_xticklabels()
    else:
        axis.set_yticks(places, list(kinds), fontsize=6)
        labels = axis.get_yticklabels()
    for label, kind in zip(labels, kinds.values(), strict=True):
        label.set_color(TYPE_COLOURS[kind])
