"""The figures of attribution maps by name: the table behind each, and what draws it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from seqtrust.attribution.drawn_maps import LOGOS, SPECTRA, SPHERES
from seqtrust.attribution.motif_tables import MOTIFS
from seqtrust.figures import attribution as drawn
from seqtrust.figures.attribution_kmers import kmer_table, kmers_figure
from seqtrust.figures.attribution_logos import logo_table, logos_figure
from seqtrust.figures.attribution_motifs import motifs_figure, motifs_table
from seqtrust.figures.attribution_spheres import sphere_table, spheres_figure
from seqtrust.figures.style import labelled_parts
from seqtrust.files import read_tsv
from seqtrust.tables import read_table

FIGURES: Mapping[str, tuple[Callable[..., pd.DataFrame], Callable[[pd.DataFrame], Figure]]] = {
    "consistency": (labelled_parts, drawn.consistency_figure),
    "nulls": (drawn.null_table, drawn.nulls_figure),
    "agreement": (labelled_parts, drawn.agreement_figure),
    "logos": (logo_table, logos_figure),
    "spheres": (sphere_table, spheres_figure),
    "kmers": (kmer_table, kmers_figure),
    "motifs": (motifs_table, motifs_figure),
    "sensitivity": (drawn.sensitivity_table, drawn.sensitivity_figure),
}
_SCHEMAS = {"spectra": SPECTRA, "spheres": SPHERES, "logos": LOGOS, "motifs": MOTIFS}


def read_part(path: str | Path) -> pd.DataFrame:
    """A table of an entry: TSV, or Parquet whose kind its name ends with."""
    path = Path(path)
    if path.suffix == ".tsv":
        return read_tsv(path)
    return read_table(path, _SCHEMAS[path.name.split(".")[1]]).to_pandas()


def attribution_figure(
    name: str, inputs: Sequence[Sequence[str | Path]], labels: Mapping[str, Any]
) -> tuple[Figure, pd.DataFrame]:
    """A figure of all entries and the table behind it.

    Args:
        name: key of `FIGURES`.
        inputs: tables of every entry, kind by kind, as the figure's table needs them.
        labels: label of each entry by name, in the same order.
    """
    prepare, draw = FIGURES[name]
    table = prepare(*([read_part(path) for path in paths] for paths in inputs), labels)
    return draw(table), table
