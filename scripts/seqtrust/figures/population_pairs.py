"""A consistent and an inconsistent model of a population that predict about equally well."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtrust.attribution.attribution_maps import Floats
from seqtrust.attribution.drawn_maps import LOGOS, SPECTRA, SPHERES
from seqtrust.attribution.population_report import CONSISTENT, INCONSISTENT
from seqtrust.bases import decode
from seqtrust.figures.attribution_kmers import kmer_shares, spectrum_panel
from seqtrust.figures.attribution_logos import logo_panel
from seqtrust.figures.attribution_spheres import sphere_cells, sphere_panel
from seqtrust.figures.style import SETTINGS, new_figure
from seqtrust.tables import TableSchema

TRUTH = "truth"
NO_PAIR = "no two models predict equally well"
# positions of a logo
WIDTH = 75
PARTS = {"spheres": SPHERES, "kmers": SPECTRA, "logos": LOGOS}
_LOGOS = ["entry", "label", "shown", "model", "sequence_id", "position", "base", "A", "C", "G",
          "T"]  # fmt: skip


def pair_of(models: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Ensemble and replicate of the two models that figures show."""
    found = {}
    for shown in (CONSISTENT, INCONSISTENT):
        row = models[models["shown"] == shown]
        if len(row):
            found[shown] = str(row["ensemble"].iloc[0]), str(row["replicate"].iloc[0])
    return found


def chosen_rows(models: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of the truth, if it is there, and of the two models, the consistent one first.

    Args:
        models: of one population, with the column `shown`.
        tables: one of the tables that figures draw, by ensemble; the true maps' as `truth`.

    Returns:
        Rows with the columns `shown` and `model` (ensemble and replicate, or `truth`).
    """
    pair = pair_of(models)
    parts = []
    if pair and TRUTH in tables:
        parts.append(tables[TRUTH].assign(shown=TRUTH, model=TRUTH))
    for shown, (ensemble, replicate) in pair.items():
        table = tables[ensemble]
        mine = table[table["replicate"] == replicate]
        parts.append(mine.assign(shown=shown, model=f"{ensemble}/{replicate}"))
    empty = next(iter(tables.values())).head(0).assign(shown="", model="")
    return pd.concat(parts, ignore_index=True) if parts else empty


def _grid(
    parts: Sequence[pd.DataFrame], labels: Mapping[str, str], height: float
) -> tuple[Figure, list[tuple[Axes, Any]]]:
    """A line per population and a panel per model, with the row that it shows."""
    columns = max((len(part) for part in parts), default=1) or 1
    figure = new_figure(3.6 * columns, height * len(parts) + 0.2)
    axes = figure.subplots(len(parts), columns, squeeze=False, sharey="row")
    panels = []
    for line, part, (entry, label) in zip(axes, parts, labels.items(), strict=True):
        for axis in line:
            axis.set_axis_off()
        for axis, row in zip(line, part.to_dict("records"), strict=False):
            axis.set_axis_on()
            model = "" if row["shown"] == TRUTH else row["model"].removeprefix(f"{entry}_")
            panels.append((axis, row | {"title": f"{label}: {row['shown']}\n{model}"}))
        if part.empty:
            line[0].text(0, 0.5, f"{label}: {NO_PAIR}")
    return figure, panels


def _named(
    parts: Sequence[pd.DataFrame], labels: Mapping[str, str], cells: Callable[[Any], Any]
) -> pd.DataFrame:
    """The table behind a figure: what `cells` makes of every row, with names."""
    found = []
    for (entry, label), part in zip(labels.items(), parts, strict=True):
        for row in part.to_dict("records"):
            about = {"entry": entry, "label": label, "shown": row["shown"], "model": row["model"]}
            found.append(pd.DataFrame(about | {"score": row["score"]} | cells(row)))
    names = ["entry", "label", "shown", "model", "score"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=names)


def spheres(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> tuple[Figure, Any]:
    """Directions of the two models' attributions, and the table behind the figure.

    Args:
        parts: from `chosen_rows` of `attribution_spheres`, a table per population.
        labels: label of each population by name, in the same order.
    """
    with mpl.rc_context(SETTINGS):
        figure, panels = _grid(parts, labels, 2.4)
        for axis, row in panels:
            density = np.reshape(sphere_cells(row)["density"], (row["rows"], row["columns"]))
            title = f"{row['title']}\nscore {row['score']:.3f}, {row['vectors']:,} vectors"
            image = sphere_panel(axis, density, float(density.max()), title)
            axis.set_xlabel("azimuth (degrees)")
            figure.colorbar(image, ax=axis, shrink=0.8)
        for axis in figure.axes[:1]:
            axis.set_ylabel("cosine to the pole")
    return figure, _named(parts, labels, sphere_cells)


def kmers(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> tuple[Figure, Any]:
    """K-mers under the two models' attributions, and the table behind the figure.

    Args:
        parts: from `chosen_rows` of `attribution_spectra`, a table per population.
        labels: label of each population by name, in the same order.
    """
    with mpl.rc_context(SETTINGS):
        figure, panels = _grid(parts, labels, 2.6)
        for axis, row in panels:
            title = f"{row['title']}\nscore {row['score']:.3f}, {row['kmers']:,} k-mers"
            spectrum_panel(axis, np.asarray(row["spectrum"]), np.asarray(row["prior"]), title)
            axis.set_xlabel("k-mer")
        for axis in figure.axes[:1]:
            axis.set_ylabel("share (below 0: all sequences)")
    return figure, _named(parts, labels, kmer_shares)


def best_stretch(table: pd.DataFrame, width: int) -> int:
    """Where to cut maps of one sequence: the most is at stake there in the first row's map.

    Args:
        table: rows of `attribution_logos` of one sequence; the truth, or the consistent model.
        width: positions of the stretch.
    """
    sizes = np.abs(np.reshape(table["map"].iloc[0], (-1, 4))).sum(axis=1)
    width = min(width, len(sizes))
    summed = np.concatenate([[0.0], np.cumsum(sizes)])
    return int(np.argmax(summed[width:] - summed[:-width]))


def logo_table(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> pd.DataFrame:
    """Heights of letters, a row per position.

    The truth shows all letters of the true map; models show that of the base that is there.

    Args:
        parts: from `chosen_rows` of `attribution_logos`, a table per population.
        labels: label of each population by name, in the same order.
    """
    found = []
    for (entry, label), part in zip(labels.items(), parts, strict=True):
        for name, mine in part.groupby("sequence_id", sort=False):
            start = best_stretch(mine, WIDTH)
            for row in mine.to_dict("records"):
                cut = slice(start, start + WIDTH)
                codes = np.frombuffer(row["bases"], dtype=np.uint8)[cut]
                heights = np.reshape(row["map"], (-1, 4))[cut]
                if row["shown"] != TRUTH:
                    heights = heights * np.eye(5)[codes][:, :4]
                about = {"entry": entry, "label": label, "shown": row["shown"],
                         "model": row["model"], "sequence_id": name}  # fmt: skip
                places = {"position": row["start"] + start + np.arange(len(codes)),
                          "base": list(decode(codes))}  # fmt: skip
                letters = dict(zip("ACGT", heights.T, strict=True))
                found.append(pd.DataFrame(about | places | letters))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=_LOGOS)


def logos(parts: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> tuple[Figure, Any]:
    """Maps of the same sequences: the truth, the consistent and the inconsistent model."""
    table = logo_table(parts, labels)
    panels = list(table.groupby(["entry", "sequence_id", "shown"], sort=False))
    figure = new_figure(8.5, 0.95 * max(len(panels), 1) + 0.2)
    with mpl.rc_context(SETTINGS | {"font.size": 6}):
        axes = figure.subplots(max(len(panels), 1), 1, squeeze=False)[:, 0]
        for axis, ((_, name, shown), part) in zip(axes, panels, strict=False):
            first = part.iloc[0]
            heights: Floats = part[list("ACGT")].to_numpy(dtype=np.float64)
            logo_panel(axis, heights, int(first["position"]))
            model = "" if shown == TRUTH else f", {first['model']}"
            axis.set_title(f"{first['label']}, {name}: {shown}{model}", loc="left", fontsize=7,
                           pad=2)  # fmt: skip
            axis.tick_params(length=2, pad=1)
        if not panels:
            axes[0].set_axis_off()
            axes[0].text(0, 0.5, NO_PAIR)
    return figure, table


FIGURES: dict[str, Callable[..., tuple[Figure, Any]]] = {
    "spheres": spheres,
    "kmers": kmers,
    "logos": logos,
}


def schema_of(figure: str) -> TableSchema:
    """The table of cells that a figure draws."""
    return PARTS[figure]
