"""Metrics of simulated rounds by hand, their Monte Carlo errors, the figures and the config."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.figures.mr_simulations import PANELS, monte_carlo_bars, shown_tables
from seqtrust.files import read_tsv
from seqtrust.headlines import from_simulation
from seqtrust.mendelian.simulated_study import ROUNDS
from seqtrust.mendelian.simulated_summary import (
    correlation,
    published_comparison,
    root_mean_square,
    slope,
    summary_table,
)

PUBLISHED = "resources/published/malina2022_simulation.tsv"
SCHEMA = load_schema("config/schemas/config.schema.json")


def rounds(**changes):
    """Four rounds of one analysis of networks."""
    plain = {
        "path": "networks", "mode": "none", "law": "clusters", "heterogeneity": 0.0,
        "strength": 1.0, "members": 5, "rule": "strong", "estimator": "per_replicate",
        "calibration": "none", "cluster": "low", "reason": "",
    }  # fmt: skip
    numbers = {
        "round": [1, 2, 3, 4],
        "effect": [1.0, 1.1, 0.9, 1.2],
        "estimate": [1.1, 1.0, 0.9, 1.4],
        "se": [0.1, 0.1, 0.02, 0.05],
        "low": [0.9, 0.8, 0.86, 1.3],
        "high": [1.3, 1.2, 0.94, 1.5],
        "tau": [0.2, 0.2, 0.2, 0.01],
        "truth_loci": [1.0, 1.1, 0.9, 1.2],
        "truth_ensemble": [1.38, 1.0, 0.9, 1.4],
        "further": 5,
        "local_loci": [10, 10, 20, 0],
        "local_loci_covered": [9, 5, 20, 0],
    }
    empty = {
        column.name: np.nan if column.nullable else 0
        for column in ROUNDS.columns
        if column.name not in plain | numbers
    }
    return pd.DataFrame(plain | empty | numbers | changes, index=range(4))


def value_of(table, metric, truth="", cluster="all"):
    mine = table[
        (table["metric"] == metric) & (table["truth"] == truth) & (table["cluster"] == cluster)
    ]
    assert len(mine) == 1
    return mine["value"].iloc[0], mine["mc_se"].iloc[0]


def test_metrics_of_four_rounds_by_hand():
    table = summary_table(rounds())
    error = np.array([0.1, -0.1, 0.0, 0.2])
    assert value_of(table, "bias", "loci") == pytest.approx(
        (0.05, np.std(error, ddof=1) / 2), abs=1e-12
    )
    squares = error**2
    rmse = np.sqrt(0.015)
    assert value_of(table, "rmse", "loci") == pytest.approx(
        (rmse, np.std(squares, ddof=1) / 2 / (2 * rmse))
    )
    assert value_of(table, "coverage", "loci") == pytest.approx((0.75, np.sqrt(0.75 * 0.25 / 4)))
    assert value_of(table, "coverage_2tau", "loci")[0] == 0.75
    assert value_of(table, "coverage_2se", "loci")[0] == 0.75
    assert value_of(table, "power")[0] == 1
    # 1.38 is outside 1.1 +- .2, and inside of what is widened by sqrt(2)
    assert value_of(table, "coverage", "ensemble")[0] == 1
    assert value_of(summary_table(rounds(further=500)), "coverage", "ensemble")[0] == 0.75
    share = 34 / 40
    residuals = np.array([9 - 10 * share, 5 - 10 * share, 20 - 20 * share])
    assert value_of(table, "local_coverage", "loci") == pytest.approx(
        (share, np.sqrt(1.5 * (residuals**2).sum()) / 40)
    )
    x, y = np.array([1.0, 1.1, 0.9, 1.2]), np.array([1.1, 1.0, 0.9, 1.4])
    assert value_of(table, "slope", "loci")[0] == pytest.approx(np.polyfit(x, y, 1)[0])
    assert value_of(table, "r", "loci")[0] == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert not (table["truth"] == "population").any()


def test_type_one_error_is_of_effects_of_zero():
    table = summary_table(rounds(effect=0.0, low=[-0.1, 0.1, -0.2, -0.3]))
    assert value_of(table, "type_I") == pytest.approx((0.25, np.sqrt(0.25 * 0.75 / 4)))
    assert "power" not in set(table["metric"])


def test_a_slope_is_within_a_cluster():
    made = pd.concat(
        [rounds(), rounds(cluster="high", truth_loci=[3.0, 3.1, 3.2, 3.3], estimate=[3.3] * 4)]
    )
    table = summary_table(made)
    assert set(table.loc[table["metric"] == "slope", "cluster"]) == {"low", "high"}
    assert value_of(table, "slope", "loci", "high")[0] == pytest.approx(0)
    assert value_of(table, "r", "loci")[0] > 0.9


def test_rounds_without_an_estimate_are_counted_and_left_out():
    table = summary_table(rounds(estimate=[np.nan, 1.0, 0.9, 1.4]))
    assert value_of(table, "estimated")[0] == 0.75
    assert value_of(table, "bias", "loci")[0] == pytest.approx(0.1 / 3)
    nothing = summary_table(rounds(estimate=np.nan))
    assert value_of(nothing, "estimated")[0] == 0


def test_monte_carlo_errors_are_those_of_repeated_simulation():
    rng = np.random.default_rng(0)
    many = [root_mean_square(rng.normal(0.3, 1, 50)) for _ in range(2000)]
    values, errors, _ = np.array(many).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.05)
    x = rng.normal(size=30)
    many = [slope(x, 2 * x + rng.normal(size=30)) for _ in range(2000)]
    values, errors, _ = np.array(many).T
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.05)
    many = [correlation(x := rng.normal(size=50), x + rng.normal(size=50)) for _ in range(2000)]
    values, errors, _ = np.array(many).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.08)


def test_published_values_stand_beside_the_same_analysis():
    published = read_tsv(PUBLISHED)
    summary = summary_table(
        pd.concat([rounds(estimator="published"), rounds(law="other", estimator="published")])
    )
    found = published_comparison(summary, published, "clusters")
    assert len(found) == len(published)
    bias = found[(found["mode"] == "none") & (found["metric"] == "bias")].iloc[0]
    assert (bias["published"], bias["rounds"]) == (0.011, 4)
    assert bias["here"] == pytest.approx(0.05)
    assert found.loc[found["mode"] != "none", "here"].isna().all()
    with pytest.raises(InputError, match="no column 'quantity'"):
        published_comparison(summary, published.drop(columns="quantity"), "clusters")


@pytest.mark.parametrize("panel", PANELS)
def test_figures_show_one_rule_and_need_no_variation(panel, tmp_path):
    part = [rounds(), rounds(rule="other"), rounds(estimator="published", rule="published_z")]
    made = pd.concat([*part, *(one.assign(path="oracle", truth_population=1.0) for one in part)])
    summary = summary_table(made)
    published = published_comparison(summary, read_tsv(PUBLISHED), "clusters")
    tables = {"rounds": made, "summary": summary, "published": published}
    table = shown_tables(panel, tables)
    assert "other" not in set(table.get("rule", []))
    figure = PANELS[panel](table, "Label")
    figure.savefig(tmp_path / "figure.png")
    assert figure.axes


def faults(**changes):
    config = yaml.safe_load(Path("tests/config/tiny_mr_simulation.yaml").read_text())
    entry = config["mr_simulations"]["tiny"]
    for key, value in changes.items():
        if value is None:
            del entry[key]
        else:
            entry[key] = value
    with pytest.raises(InputError) as refusal:
        checked_config(copy.deepcopy(config), SCHEMA)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oracle": None, "networks": None}, "nothing to analyse: give oracle, networks or both"),
        ({"grid": [{"laws": ["cluster"]}]}, "no law 'cluster'; did you mean 'clusters'?"),
        ({"networks": None}, "the published analysis is of networks: give networks"),
        ({"networks": {"further": 1}}, "1 has no error of its own: give 0, or at least 2"),
        (
            {"laws": {"clusters": {"uniform": [3, 0]}}},
            "laws/clusters/uniform: 3 is above 0: give lowest and highest",
        ),
        (
            {"laws": {"clusters": {"fixed": 1, "clusters": True}}},
            "expected exactly one of clusters, fixed, uniform; found fixed, clusters",
        ),
    ],
)
def test_faults_of_the_config_are_named(changes, message):
    assert message in faults(**changes)


def test_a_config_that_asks_for_nothing_is_refused():
    with pytest.raises(InputError, match="there is nothing to do: give assemblies"):
        checked_config({"run": "x", "title": "y"}, SCHEMA)


def test_headlines_are_shares_of_the_rounds_of_all_cells():
    none = rounds(truth_oracle=[1.0, 1.1, 0.9, 1.2], effect=[1.0] * 4)
    zero = rounds(mode="both", truth_oracle=[1.0, 3.0, 3.0, 3.0], effect=[0.0] * 4)
    other = rounds(estimator="ivw", truth_oracle=[9.0] * 4)
    table = from_simulation("Toy", summary_table(pd.concat([none, zero, other])))
    table = table.set_index("headline")
    held = table.loc["Toy, networks: intervals that hold the truth 'oracle' by per_replicate"]
    # 1.0, 1.1 and 0.9 lie in their intervals and 1.2 does not; of the other cell only 1.0 does
    assert held["value"] == 4 / 8
    assert held["units"] == 8
    assert held["low"] < 4 / 8 < held["high"]
    called = table.loc["Toy, networks: effects of 0 called by per_replicate"]
    assert (called["value"], called["beside"], called["units"]) == (1.0, 0.05, 4)


def test_bars_of_shares_of_rounds_stay_between_0_and_1():
    table = pd.DataFrame(
        {
            "metric": ["coverage", "type_I", "bias"],
            "value": [0.25, 1.0, -0.1],
            "mc_se": [0.22, 0.0, 0.05],
            "rounds": [4, 4, 4],
        }
    )
    left, right = monte_carlo_bars(table, "value")
    # Wilson (1927) of 1 and of 4 out of 4
    np.testing.assert_allclose(0.25 - left[0], 0.0456, atol=1e-4)
    np.testing.assert_allclose(0.25 + right[0], 0.6994, atol=1e-4)
    np.testing.assert_allclose((1 - left[1], right[1]), (0.5101, 0), atol=1e-4)
    np.testing.assert_allclose((left[2], right[2]), 1.96 * 0.05)
