"""Every figure of Deep MR draws what its tables hold."""

import numpy as np
import pandas as pd
import pytest
from deep_mr_cases import instruments

from seqtrust.figures.deep_mr_loci import MOST, forest_rows
from seqtrust.figures.deep_mr_panels import panel
from seqtrust.files import write_tsv
from seqtrust.mendelian import ivw
from seqtrust.mendelian.analysis import (
    DIAGNOSTICS,
    LOCAL,
    chosen_pairs,
    diagnostics,
    local_effects,
)
from seqtrust.mendelian.control_effects import controlled, local_q
from seqtrust.mendelian.global_effects import directions, global_effects
from seqtrust.mendelian.named_estimators import MainEstimator, named_estimators
from seqtrust.mendelian.published_choices import changes
from seqtrust.mendelian.spacing import spacing_effects
from seqtrust.mendelian.stage import scatter_table
from seqtrust.mendelian.verdict_tables import verdict_table
from seqtrust.tables import write_table

MAIN = MainEstimator("per_replicate", ivw, True)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The tables of one analysis by kind."""
    folder = tmp_path_factory.mktemp("figures")
    rng = np.random.default_rng(5)
    made = instruments(rng, loci=6, number=12, spread=0.2)
    pairs = chosen_pairs(made)
    estimators = named_estimators({"ivw": {}, "egger": {}, "weighted_median": {"draws": 20}})
    local = local_q(local_effects(made, pairs, estimators, MAIN))
    table, found = global_effects(made, pairs, local, MAIN), diagnostics(made, pairs)
    settings = {"no_path": [["x", "z"]], "shuffled_heads": 2, "reversed": True}
    run = controlled(made, pairs, MAIN, table, local, directions(table), settings, 1)
    few = chosen_pairs(made, pairs=[["x", "y"]])
    spans = {"x": [np.array([[0, 10]])] * 6, "y": [np.array([[20, 30]])] * 6}
    level = pd.DataFrame({"level": [0.1, 0.9], "observed": [0.2, 0.8], "task": "x",
                          "miscalibration": 0.1, "windows": 40})  # fmt: skip
    tables = {
        "effects": table,
        "verdicts": verdict_table(table, found, run.no_path, run.shuffled),
        "controls": run.table,
        "control_effects": run.effects,
        "scatter": scatter_table(made, local, [("x", "y"), ("x", "z")], 2),
        "changes": changes(made, few, MAIN),
        "spacing": spacing_effects(made, few, MAIN, spans),
        "reliability": pd.concat([level.assign(when="before"), level.assign(when="after")]),
    }
    paths = {}
    for kind, rows in tables.items():
        paths[kind] = [str(folder / f"{kind}.tsv")]
        write_tsv(paths[kind][0], rows)
    for kind, rows, schema in (("local", local, LOCAL), ("diagnostics", found, DIAGNOSTICS)):
        paths[kind] = [str(folder / f"{kind}.parquet")]
        write_table(paths[kind][0], schema, rows)
    return paths


NEEDED = {
    "effects": ["effects", "verdicts"],
    "forest": ["local", "effects", "scatter"],
    "loci": ["scatter", "local"],
    "diagnostics": ["diagnostics"],
    "controls": ["controls", "control_effects"],
    "changes": ["changes"],
    "spacing": ["spacing"],
    "reliability": ["reliability"],
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_figure_is_drawn_of_its_tables(files, name, tmp_path):
    given = {kind: files[kind] for kind in NEEDED[name]}
    figure, table = panel(name, given, {"case": "A case"})
    figure.savefig(tmp_path / "figure.png")
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert all(axis.has_data() or axis.texts for axis in shown)
    assert (table["entry"] == "case").all()
    assert len(table)


def test_every_cell_of_the_heat_map_has_its_value_and_interval(files):
    figure, table = panel("effects", {k: files[k] for k in NEEDED["effects"]}, {"case": "A case"})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == len(table) == 6
    row = table.iloc[0]
    star = "*" if row["q"] < 0.05 else ""
    wanted = f"{row['estimate']:.2f}{star}\n[{row['low']:.2f}, {row['high']:.2f}]"
    assert wanted in texts


def test_a_forest_keeps_the_extremes_of_many_loci(files):
    names = ["x", "y"]
    many = pd.DataFrame({"locus": [f"l{at}" for at in range(200)], "estimate": np.arange(200.0)})
    many = many.assign(entry="case", label="A case", exposure=names[0], outcome=names[1],
                       estimator="ivw", reason="", split="test", low=0.0, high=1.0,
                       instruments=9)  # fmt: skip
    row = {"entry": "case", "label": "A case", "exposure": "x", "outcome": "y"}
    pair = pd.DataFrame([row])
    whole = pd.DataFrame([row | {"estimator": "ivw", "main": True, "split": "all", "estimate": 1.0,
                                 "low": 0.0, "high": 2.0, "prediction_low": -1.0,
                                 "prediction_high": 3.0, "loci": 200}])  # fmt: skip
    rows = forest_rows(many, whole, pair)
    assert len(rows) == MOST + 1
    assert rows["estimate"].iloc[0] == 0
    assert rows["estimate"].iloc[MOST - 1] == 199
    assert rows["locus"].iloc[-1] == "global"
