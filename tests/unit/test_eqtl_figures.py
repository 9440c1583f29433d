"""Figures of eQTLs: every table is drawn, and what is drawn is what the table says."""

import pandas as pd
import pytest
from test_eqtls import PUBLISHED, drawn

from seqtrust.figures.eqtls import FIGURES, classes_figure, labelled
from seqtrust.uncertainty.eqtl_report import eqtl_tables, read_published
from seqtrust.uncertainty.eqtls import compared_filters
from seqtrust.uncertainty.states import States

pytestmark = pytest.mark.slow

SETTINGS = {"matched_within": 0.25, "distance_breaks": [1000], "compare": [["s", "z"]],
            "bounds": [9]}  # fmt: skip
ANALYSES = {
    "one": {
        "label": "Toy",
        "scores": {
            "s": {"label": "sum", "positives": "a", "published": {"source": "a paper"}},
            "z": {"label": "other", "positives": "b"},
        },
    }
}
STATES = {"all": States({}, {"promoter": 0.25, "other": 0.75})}


@pytest.fixture(scope="module")
def tables():
    parts = [drawn(score=name) for name in "sz"]
    parts += [drawn(seed=2, kind="negatives", score=name) for name in "sz"]
    units = pd.concat(parts, ignore_index=True).assign(split="test")
    units["state"] = ["promoter", "other"] * (len(units) // 2)
    source = pd.DataFrame({"step": ["rows"], "tissue": ["all"], "before": [160], "after": [160],
                           "changed": [0]})  # fmt: skip
    filters = {"s/positives": source}
    published = {"s": read_published(PUBLISHED, "CAGE")}
    found = eqtl_tables(units, SETTINGS, filters, published, STATES, seed=1)
    assert found["filters"].equals(compared_filters(filters, units))
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_panel_per_score_or_pair_of_scores(tables, name):
    table = labelled([tables[name]], ANALYSES)
    axes = FIGURES[name](table).axes
    text = " ".join(
        [axis.get_title(loc="left") + axis.get_ylabel() + axis.get_xlabel() for axis in axes]
    )
    assert "Toy" in text
    assert "other" in text
    assert all(axis.lines or axis.images or axis.collections or axis.patches for axis in axes)


def test_published_values_stand_beside_their_own_score(tables):
    table = labelled([tables["classes"]], ANALYSES)
    first, second = classes_figure(table).axes
    stars = [line for line in first.lines if line.get_marker() == "*"]
    assert sorted(line.get_ydata()[0] for line in stars) == pytest.approx([0.1583, 0.2877, 0.5540])
    assert not [line for line in second.lines if line.get_marker() == "*"]
    assert "n = " in first.get_xticklabels()[-1].get_text()
