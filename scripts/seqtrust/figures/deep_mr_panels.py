"""Which tables every figure of Deep MR is made of."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from seqtrust.figures import deep_mr, deep_mr_loci
from seqtrust.figures.style import labelled_parts
from seqtrust.files import read_tsv
from seqtrust.mendelian.analysis import DIAGNOSTICS, LOCAL
from seqtrust.tables import read_table

SCHEMAS = {"local": LOCAL, "diagnostics": DIAGNOSTICS}


def panel(
    name: str, files: Mapping[str, Sequence[str]], labels: Mapping[str, str]
) -> tuple[Figure, pd.DataFrame]:
    """A figure and the numbers behind it.

    Args:
        name: of the figure.
        files: tables by kind, one per entry.
        labels: of the entries, in the same order.
    """
    tables = {kind: _read(kind, paths, labels) for kind, paths in files.items()}
    if name == "effects":
        table = deep_mr.joined_effects(tables["effects"], tables["verdicts"])
        return deep_mr.effects_figure(table), table
    if name == "forest":
        given = tables["local"], tables["effects"], tables["scatter"]
        table = deep_mr_loci.forest_rows(*given)
        return deep_mr_loci.forest_figure(table), table
    if name == "loci":
        table = deep_mr_loci.lines_of(tables["scatter"], tables["local"])
        return deep_mr_loci.loci_figure(table), table
    if name == "diagnostics":
        table = deep_mr_loci.diagnostic_rows(tables["diagnostics"])
        return deep_mr_loci.diagnostics_figure(table), table
    if name == "controls":
        table = tables["controls"]
        return deep_mr.controls_figure(table, tables["control_effects"]), table
    draw = {
        "changes": deep_mr.changes_figure,
        "spacing": deep_mr.spacing_figure,
        "reliability": deep_mr.reliability_figure,
    }[name]
    return draw(tables[name]), tables[name]


def _read(kind: str, paths: Sequence[str], labels: Mapping[str, str]) -> pd.DataFrame:
    schema = SCHEMAS.get(kind)
    parts = [read_tsv(path) if schema is None else read_table(path, schema).to_pandas()
             for path in paths]  # fmt: skip
    return labelled_parts(parts, labels)
