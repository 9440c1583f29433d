"""Figures of the robustness benchmark: what they show, and what they say without a truth."""

import itertools

import numpy as np
import pandas as pd
import pytest

from seqtrust.figures.robustness import FIGURES
from seqtrust.figures.robustness_panels import (
    NO_TRUTH,
    condition_order,
    ladders,
    strongest_conditions,
)
from seqtrust.robustness.few_label_repair import REPAIRS

CONDITIONS = [
    ("ID", "ID", 0, "none"),
    ("NOISE-A-1", "NOISE-A", 1, "technical"),
    ("GC-1", "GC", 1, "covariate"),
    ("GC-3", "GC", 3, "covariate"),
    ("NOISE-A-3", "NOISE-A", 3, "technical"),
]
MODELS = ("cnn", "prior", "oracle")
TRUTHS = ("relative_excess", "error_noise")
ENTRY = {
    "label": "L", "show": ["cnn", "prior"], "calibrator": "variance_scaling", "level": 0.05,
    "watched": {"detection": "cnn", "repair": "cnn"}, "priors": {"prior": "cnn"},
}  # fmt: skip


def rows(*keys):
    """One row per condition and combination of keys, with values that grow with severity."""
    names = [name for name, _ in keys]
    found = []
    for data_set, shift, severity, kind in CONDITIONS:
        for place, values in enumerate(itertools.product(*(part for _, part in keys))):
            found.append(
                {"data_set": data_set, "shift": shift, "severity": severity, "type": kind,
                 **dict(zip(names, values, strict=True)), "value": 0.3 + 0.1 * severity
                 + 0.01 * place, "worlds": 3, "fits": 3}
            )  # fmt: skip
    table = pd.DataFrame(found)
    return table.assign(low=table["value"] - 0.05, high=table["value"] + 0.05)


def summary_rows(truth=True):
    metrics = ["mse", "cov90", "vr", "width90", "nll", "relative_excess", "error_noise",
               "error_offset", "error_gain", "error_residual"]  # fmt: skip
    table = rows(
        ("model", MODELS), ("calibrator", ["none", "variance_scaling"]), ("metric", metrics)
    )
    table = table.assign(by="", base="cnn", to_base=0.1, to_base_low=0.0, to_base_high=0.2)
    return table if truth else table[~table["metric"].isin(TRUTHS)]


def table_of(figure, truth=True):
    if figure == "suite":
        quantities = ["gc", "activity", "sd", "observed"] if truth else ["gc", "observed"]
        table = rows(("quantity", quantities)).rename(columns={"value": "mean"})
        return table.assign(world=1, spread=0.1, same=0.5 if truth else np.nan, rows=10)
    if figure in ("reliability", "selection"):
        return rows(
            ("model", MODELS), ("curve", ["reliability", "risk_coverage"]),
            ("calibrator", ["none"]), ("x", [0.5, 0.9, 1.0]),
        ).assign(by="", group="")  # fmt: skip
    if figure in ("detection", "delay"):
        batch = rows(("model", ["cnn"]), ("test", ["classifier", "mmd"]),
                     ("looks_at", ["sequences", "stated"]), ("samples", [50]),
                     ("metric", ["detected"]))  # fmt: skip
        streams = rows(("model", ["cnn"]), ("test", ["cusum_mean", "cusum_spread", "martingale"]),
                       ("looks_at", ["labels"]), ("samples", [100]),
                       ("metric", ["detected", "delay"]))  # fmt: skip
        return pd.concat([batch, streams], ignore_index=True)
    if figure in ("repair", "labels"):
        metrics = ["cov90", "width90", "mse", "mended"]
        before = rows(("model", ["cnn"]), ("repair", ["nothing"]), ("labels", [0]),
                      ("metric", metrics))  # fmt: skip
        after = rows(("model", ["cnn"]), ("repair", list(REPAIRS)), ("labels", [20, 50]),
                     ("metric", metrics))  # fmt: skip
        return pd.concat([before, after], ignore_index=True)
    return summary_rows(truth)


def texts(figure):
    titles = [axis.get_title() for axis in figure.axes]
    said = [text.get_text() for axis in figure.axes for text in axis.texts]
    return [*titles, *said, *(text.get_text() for text in figure.texts)]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("truth", [True, False])
def test_every_figure_is_drawn_with_and_without_a_truth(name, truth):
    figure, table = FIGURES[name](table_of(name, truth), ENTRY)
    figure.draw_without_rendering()
    assert len(table) > 0
    said = NO_TRUTH in " ".join(texts(figure))
    assert said == (not truth and name in ("suite", "severity", "priors"))


def test_parts_without_a_truth_say_where_the_noise_is():
    figure, _ = FIGURES["errors"](summary_rows(truth=False), ENTRY)
    assert figure.axes[0].get_title(loc="left") == "cnn (noise is part of the residual)"
    nothing = summary_rows()
    nothing = nothing[~nothing["metric"].str.startswith("error_")]
    assert NO_TRUTH in " ".join(texts(FIGURES["errors"](nothing, ENTRY)[0]))


def test_without_a_prior_the_figure_says_so():
    figure, table = FIGURES["priors"](summary_rows(), ENTRY | {"priors": {}})
    assert texts(figure) == ["no model with a structural prior"]
    assert table.empty


def test_ladders_stand_by_type_and_keep_their_steps():
    table = summary_rows()
    assert [(one.name, one.steps) for one in ladders(table)] == [
        ("GC", (1, 3)),
        ("NOISE-A", (1, 3)),
    ]
    assert list(condition_order(table)) == ["ID", "GC-1", "GC-3", "NOISE-A-1", "NOISE-A-3"]
    assert strongest_conditions(table) == {
        "ID": "none", "GC-3": "covariate", "NOISE-A-3": "technical",
    }  # fmt: skip


def test_lines_stand_at_the_steps_of_their_ladder():
    figure, _ = FIGURES["severity"](summary_rows(), ENTRY)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 1, 3]
    expected = summary_rows().query(
        "model == 'cnn' and metric == 'mse' and calibrator == 'none' and data_set == 'GC-3'"
    )
    assert line.get_ydata()[2] == expected["value"].iloc[0]


def test_risk_is_over_that_of_all():
    _, table = FIGURES["selection"](table_of("selection"), ENTRY)
    assert (table.loc[table["x"] == 1, "value"] == 1).all()
    assert not table.loc[table["x"] == 0.5, "value"].eq(1).any()


def test_shares_of_an_error_add_up():
    figure, _ = FIGURES["errors"](summary_rows(), ENTRY)
    bars = figure.axes[0].patches
    total = sum(bar.get_width() for bar in bars if round(bar.get_y() + bar.get_height() / 2) == 0)
    assert total == pytest.approx(1)
