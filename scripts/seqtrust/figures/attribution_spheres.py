"""Directions of attribution vectors: the most and the least consistent model side by side."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from seqtrust.accuracy import ENSEMBLE
from seqtrust.attribution.attribution_maps import CORRECTED, Floats
from seqtrust.attribution.embedding import ISOMETRIC
from seqtrust.attribution.scored_maps import EMBEDDING, NULL_OF
from seqtrust.attribution.sphere import FRAMES
from seqtrust.figures.style import SETTINGS, new_figure

MOST, LEAST = "most consistent", "least consistent"
_ABOUT = ["method", "track", "replicate", "score", "excess", "vectors", "rows", "columns"]
_COLUMNS = ["entry", "label", "shown", *_ABOUT, "row", "column", "density"]


def extremes(table: pd.DataFrame, scores: pd.DataFrame, score: str) -> dict[str, pd.Series]:
    """The most and the least consistent replicate of an entry's first method and track.

    By the score, since all are scored on the same sequences: a null also moves with how peaked a
    map is, so that the excess does not rank models. Of one replicate there is only the most
    consistent one.

    Args:
        table: rows of `attribution_spheres` or `attribution_spectra`.
        scores: the scores of the entry.
        score: `KMER` or `EMBEDDING`.

    Returns:
        Rows of the table with a column `excess`.
    """
    fits = (scores["score"] == score) & (scores["mode"] == CORRECTED)
    null = scores[fits & (scores["null"] == NULL_OF[score])]
    names = ["method", "track", "replicate"]
    single = table[table["replicate"] != ENSEMBLE].merge(null[[*names, "excess"]], "left", names)
    if single.empty:
        return {}
    first = single[["method", "track"]].eq(single.loc[0, ["method", "track"]]).all(axis=1)
    single = single[first]
    most, least = int(single["score"].argmax()), int(single["score"].argmin())
    chosen = {MOST: single.iloc[most]}
    return chosen | ({LEAST: single.iloc[least]} if least != most else {})


def name_of(row: Mapping[str, Any]) -> str:
    """Method, replicate and track of a model, as titles say them."""
    return f"{row['method']}, {row['replicate']}, {row['track']}".replace("_", " ")


def score_of(row: Mapping[str, Any]) -> str:
    """The score of a model and, where there is a null, its excess."""
    excess = f", excess {row['excess']:.3f}" if pd.notna(row["excess"]) else ""
    return f"score {row['score']:.3f}{excess}"


def extremes_table(
    parts: Sequence[pd.DataFrame],
    scores: Sequence[pd.DataFrame],
    labels: Mapping[str, str],
    score: str,
    about: Sequence[str],
    cells: Callable[[Any], Mapping[str, Any]],
) -> pd.DataFrame:
    """The table behind a figure of the chosen models of all entries.

    Args:
        parts: rows of what the figure draws, a table per entry.
        scores: the scores of the same entries.
        labels: label of each entry by name, in the same order.
        score: `KMER` or `EMBEDDING`.
        about: columns that are kept of a model.
        cells: the rest of a model's rows.
    """
    found = []
    for (entry, label), part, all_scores in zip(labels.items(), parts, scores, strict=True):
        for shown, model in extremes(part, all_scores, score).items():
            named = {"entry": entry, "label": label, "shown": shown}
            kept = {name: model[name] for name in about}
            found.append(pd.DataFrame(named | kept | dict(cells(model))))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def sphere_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """Cells of a row of `attribution_spheres`; density 1 is that of the uniform distribution."""
    density = np.asarray(row["histogram"]) * len(row["histogram"])
    places, columns = np.divmod(np.arange(len(density)), row["columns"])
    return {"row": places, "column": columns, "density": density}


def sphere_table(
    parts: Sequence[pd.DataFrame], scores: Sequence[pd.DataFrame], labels: Mapping[str, str]
) -> pd.DataFrame:
    """Cells of the chosen models of all entries, from `attribution_spheres`."""
    table = extremes_table(parts, scores, labels, EMBEDDING, _ABOUT, sphere_cells)
    return table.reindex(columns=_COLUMNS)


def base_directions() -> dict[str, tuple[float, float]]:
    """Azimuth in degrees and cosine to the pole of a vector of one base alone."""
    turned = (FRAMES[0] @ ISOMETRIC.T).T
    x, y, pole = (turned / np.linalg.norm(turned, axis=1, keepdims=True)).T
    azimuth = np.degrees(np.arctan2(y, x)) % 360
    return dict(zip("ACGT", zip(azimuth.tolist(), pole.tolist(), strict=True), strict=True))


def sphere_panel(axis: Axes, density: Floats, highest: float, title: str) -> AxesImage:
    """The sphere in an equal-area projection: azimuth by cosine to the pole.

    Args:
        axis: where to draw.
        density: of every cell over that of the uniform distribution, shape (rows, columns); the
            middle of the first column is at azimuth 0.
        highest: density at the end of the colour scale.
        title: of the panel.
    """
    half = 180 / density.shape[1]
    image = axis.imshow(
        density,
        origin="lower",
        extent=(-half, 360 - half, -1, 1),
        aspect="auto",
        cmap="magma",
        norm=PowerNorm(0.5, vmin=0, vmax=highest),
        interpolation="nearest",
    )
    for base, (azimuth, pole) in base_directions().items():
        # what takes away a base points the other way
        opposite = (azimuth + 180) % 360, -pole
        for (x, y), text in (((azimuth, pole), base), (opposite, f"-{base}")):
            axis.text(x, y, text, ha="center", va="center", color="#56B4E9", fontsize=7)
    axis.set_title(title, loc="left", fontsize=8)
    axis.set_xticks([0, 90, 180, 270])
    axis.set_yticks([-1, 0, 1])
    return image


def spheres_figure(table: pd.DataFrame) -> Figure:
    """A row per entry: directions of its most and its least consistent model.

    Args:
        table: from `sphere_table`.
    """
    entries = list(dict.fromkeys(table["entry"]))
    figure = new_figure(7.5, 2.4 * max(len(entries), 1) + 0.3)
    with mpl.rc_context(SETTINGS):
        axes = figure.subplots(max(len(entries), 1), 2, squeeze=False)
        for line in axes:
            for axis in line:
                axis.set_axis_off()
        for line, entry in zip(axes, entries, strict=False):
            mine = table[table["entry"] == entry]
            highest = float(mine["density"].max())
            image = None
            for axis, (shown, cells) in zip(line, mine.groupby("shown", sort=False), strict=False):
                first = cells.iloc[0]
                density = cells["density"].to_numpy().reshape(first["rows"], first["columns"])
                title = f"{first['label']}: {shown}\n{name_of(first)}, {score_of(first)}"
                axis.set_axis_on()
                image = sphere_panel(axis, density, highest, title)
                axis.set_xlabel("azimuth (degrees)")
            line[0].set_ylabel("cosine to the pole")
            if image is not None:
                figure.colorbar(image, ax=list(line), label="density over uniform", shrink=0.8)
    return figure
