"""Attribution maps as sequence logos: methods by models, on the same stretches."""

from collections.abc import Mapping, Sequence
from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from seqtrust.attribution.attribution_maps import Floats, contributions
from seqtrust.bases import decode
from seqtrust.figures.style import SETTINGS, new_figure

# A, C, G, T of Okabe and Ito's palette
BASE_COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}
_COLUMNS = ["entry", "label", "method", "track", "replicate", "sequence_id", "position", "base",
            "contribution"]  # fmt: skip


def logo_table(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> pd.DataFrame:
    """Letters and their heights, a row per position; of the first track of every entry.

    Args:
        parts: rows of `attribution_logos`, a table per entry.
        labels: label of each entry by name, in the same order.
    """
    found = []
    for (entry, label), part in zip(labels.items(), parts, strict=True):
        for row in part[part["track"] == next(iter(part["track"]), "")].to_dict("records"):
            codes = np.frombuffer(row["bases"], dtype=np.uint8)
            heights = contributions(np.reshape(row["map"], (1, -1, 4)), codes[None])[0]
            about = {"entry": entry, "label": label} | {name: row[name] for name in _COLUMNS[2:6]}
            letters = {
                "position": row["start"] + np.arange(len(codes)),
                "base": list(decode(codes)),
                "contribution": heights,
            }
            found.append(pd.DataFrame(about | letters))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=_COLUMNS)


@cache
def letter_path(base: str) -> Path:
    """The outline of a letter, as wide as its place allows and 1 high, its middle at x = 0."""
    font = FontProperties(family="DejaVu Sans", weight="bold")
    outline, widest = (TextPath((0, 0), text, size=1, prop=font) for text in (base, "E"))
    box = outline.get_extents()
    stretch = min(1 / box.width, 1 / widest.get_extents().width)
    middle = box.x0 + box.width / 2
    moved = Affine2D().translate(-middle, -box.y0).scale(stretch, 1 / box.height)
    return moved.transform_path(outline)


def letter_bottoms(heights: Floats) -> Floats:
    """Where letters of heights (L, 4) begin: stacked in order of height, the line between signs."""
    order = np.argsort(heights, axis=1)
    sizes = np.abs(np.take_along_axis(heights, order, axis=1))
    stacked = np.minimum(heights, 0).sum(axis=1, keepdims=True) + np.cumsum(sizes, axis=1) - sizes
    bottoms = np.empty_like(stacked)
    np.put_along_axis(bottoms, order, stacked, axis=1)
    return bottoms


def logo_panel(axis: Axes, heights: Floats, start: int = 0) -> None:
    """Letters as high as their numbers, upside down below the line where negative.

    As logomaker draws them, in one path per base: its patch per letter takes half a minute for
    a figure of 36 panels.

    Args:
        axis: where to draw.
        heights: of A, C, G, T, shape (L, 4); a letter of height 0 is not drawn.
        start: position of the first letter.
    """
    bottoms = letter_bottoms(heights)
    for column, (base, colour) in enumerate(BASE_COLOURS.items()):
        outline = letter_path(base)
        letters = []
        for place in np.flatnonzero(heights[:, column]).tolist():
            height, bottom = heights[place, column], bottoms[place, column]
            # a negative letter hangs from its top
            foot = bottom if height > 0 else bottom - height
            scaled = Affine2D().scale(1, height).translate(start + place, foot)
            letters.append(scaled.transform_path(outline))
        if letters:
            drawn = Path.make_compound_path(*letters)
            axis.add_patch(PathPatch(drawn, facecolor=colour, linewidth=0))
    axis.axhline(0, color="black", linewidth=0.4)
    axis.set_xlim(start - 0.5, start + len(heights) - 0.5)
    low, high = np.minimum(heights, 0).sum(axis=1).min(), np.maximum(heights, 0).sum(axis=1).max()
    if high > low:
        axis.set_ylim(low, high)


def logos_figure(table: pd.DataFrame) -> Figure:
    """Columns are models; rows are sequences by methods, every panel on its own scale.

    Args:
        table: from `logo_table`.
    """
    lines = [
        (method == part["method"].iloc[0], list(mine.groupby("replicate", sort=False)))
        for _, part in table.groupby(["entry", "sequence_id"], sort=False)
        for method, mine in part.groupby("method", sort=False)
    ]
    rows, columns = max(len(lines), 1), max((len(models) for _, models in lines), default=1)
    width = max((len(part) for _, models in lines for _, part in models), default=0)
    figure = new_figure(columns * max(2.0, 0.075 * width), 0.85 * rows + 0.4)
    with mpl.rc_context(SETTINGS | {"font.size": 6}):
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.ravel():
            axis.set_axis_off()
        for line, (is_first, models) in zip(axes, lines, strict=False):
            for axis, (name, part) in zip(line, models, strict=False):
                first = part.iloc[0]
                title = f"{first['method'].replace('_', ' ')}, {name}"
                if is_first and axis is line[0]:
                    title = f"{first['label']}, {first['track']}: {first['sequence_id']}\n{title}"
                axis.set_axis_on()
                shown = part["base"].to_numpy()[:, None] == np.array(list(BASE_COLOURS))
                logo_panel(
                    axis, part["contribution"].to_numpy()[:, None] * shown, first["position"]
                )
                axis.set_title(title, loc="left", fontsize=7, pad=2)
                axis.tick_params(length=2, pad=1)
    return figure
