"""Repairs from a few labels, curves, and summaries over worlds."""

import numpy as np
import pandas as pd
import pytest
from robustness_benchmark import values_of, written_world

from seqtrust.calibration.conformal import conformal_quantile
from seqtrust.errors import InputError
from seqtrust.robustness.few_label_repair import (
    NOTHING,
    REPAIRS,
    Repair,
    fit_repair,
    judged,
    labels_needed,
    repair_scores,
)
from seqtrust.robustness.findings import (
    claims_page,
    needed_table,
    repair_table,
    robustness_headlines,
)
from seqtrust.robustness.over_worlds import over_worlds
from seqtrust.robustness.shift_curves import RELIABILITY, RISK, shift_curves
from seqtrust.robustness.shift_scores import shift_scores
from seqtrust.robustness.shift_summary import hierarchical_interval
from seqtrust.robustness.stated_tables import ideal, oracle
from seqtrust.robustness.suite import suite_table

SHIFTS = {"GC": [2], "REW": [4], "NOISE-A": [3], "BATCH": [2, 3]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return written_world(folder / "1.parquet", shifts=SHIFTS, sizes=(600, 100, 800, 900))


@pytest.fixture(scope="module")
def scores(world):
    """Of the ideal model: {(data set, repair, labels, metric): value}."""
    stated = ideal(world, world.names(taught=False))
    return values_of(repair_scores(world, stated, labels=[20, 200], draws=12, seed=1))


def line_data(rng, count=4000, offset=0.7, gain=1.6, scale=2.0):
    mean = rng.standard_normal(count)
    sd = rng.uniform(0.5, 1.5, count)
    return mean, sd, offset + gain * mean + scale * sd * rng.standard_normal(count)


def test_a_repair_finds_what_was_changed():
    mean, sd, observed = line_data(np.random.default_rng(1))
    whole = fit_repair("offset_gain_scale", mean, sd, observed)
    assert whole.offset == pytest.approx(0.7, abs=0.1)
    assert whole.gain == pytest.approx(1.6, abs=0.1)
    assert whole.scale == pytest.approx(2.0, rel=0.05)
    line = fit_repair("offset_gain", mean, sd, observed)
    assert (line.offset, line.gain, line.scale) == (whole.offset, whole.gain, 1.0)
    assert fit_repair("offset", mean, sd, observed).gain == 1.0
    assert fit_repair(NOTHING, mean, sd, observed) == Repair()


def test_the_line_is_weighted_least_squares():
    mean, sd, observed = line_data(np.random.default_rng(2), count=40)
    found = fit_repair("offset_gain", mean, sd, observed)
    slope, intercept = np.polyfit(mean, observed, 1, w=1 / sd)
    assert (found.gain, found.offset) == pytest.approx((slope, intercept))
    constant = fit_repair("offset_gain", np.full(40, 2.0), sd, observed)
    assert constant.gain == 1.0
    assert constant.offset == pytest.approx(np.average(observed, weights=sd**-2) - 2.0)


def test_a_conformal_repair_is_the_conformal_quantile_and_covers():
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(300):
        mean, sd, observed = line_data(rng, count=120, offset=0.0, gain=1.0, scale=3.0)
        found = fit_repair("conformal", mean[:20], sd[:20], observed[:20])
        scores = np.abs(observed[:20] - mean[:20]) / sd[:20]
        assert found.z == conformal_quantile(scores[:, None], [0.9])[0, 0]
        covered.append(judged(found.apply(mean[20:], sd[20:]), observed[20:])["cov90"])
    # 19 of 21 in expectation; the sd over draws of the labels is .065
    assert np.mean(covered) == pytest.approx(19 / 21, abs=0.012)


def test_nothing_is_fitted_to_too_few_labels_or_by_an_unknown_name():
    with pytest.raises(InputError, match=r"no repair 'ofset'; did you mean 'offset'"):
        fit_repair("ofset", np.ones(5), np.ones(5), np.ones(5))
    with pytest.raises(InputError, match="from 2 labelled samples: give 3 or more"):
        fit_repair("scale", np.ones(2), np.ones(2), np.ones(2))


def test_a_batch_is_mended_by_a_line_and_rewiring_is_not(scores):
    for name, shrinks in (("BATCH-3", 0.4), ("BATCH-2", 0.7)):
        before = scores[name, NOTHING, 0, "mse"]
        assert scores[name, "offset_gain", 200, "mse"] < shrinks * before
        assert scores[name, "offset_gain_scale", 200, "cov90"] > 0.86
    # rewiring keeps less than the full error: what the old program still says
    before = scores["REW-4", NOTHING, 0, "mse"]
    noise = scores["ID", NOTHING, 0, "mse"]
    assert scores["REW-4", "offset_gain", 200, "mse"] > 3 * noise
    assert scores["REW-4", "offset_gain", 200, "mse"] < before


def test_coverage_is_mended_by_width_under_every_shift(scores):
    for name in ("REW-4", "NOISE-A-3", "BATCH-3"):
        assert scores[name, NOTHING, 0, "cov90"] < 0.6
        for repair in ("conformal", "scale", "offset_gain_scale"):
            assert scores[name, repair, 200, "cov90"] > 0.85
        assert scores[name, "conformal", 200, "width90"] > scores[name, NOTHING, 0, "width90"]
        assert scores[name, "conformal", 20, "mended"] <= scores[name, "conformal", 200, "mended"]
    assert scores["NOISE-A-3", "offset_gain", 200, "cov90"] < 0.6


def test_more_labels_are_better_and_the_oracle_needs_none(world, scores):
    for name in ("BATCH-3", "ID"):
        few, many = (scores[name, "offset_gain_scale", count, "mse"] for count in (20, 200))
        assert many < few
    stated = oracle(world, world.names(taught=False))
    rows = list(repair_scores(world, stated, labels=[20], draws=3, seed=1))
    covered = [row.value for row in rows if (row.repair, row.metric) == (NOTHING, "cov90")]
    assert np.allclose(covered, 0.9, atol=0.05)
    assert {row.labels for row in rows} == {0, 20}
    small = list(repair_scores(world, stated, labels=[20, 500], draws=1, seed=1))
    assert {row.labels for row in small} == {0, 20}


def test_labels_needed_are_those_after_which_it_stays_mended():
    assert labels_needed({20: 0.5, 50: 0.95, 100: 0.8, 200: 0.97}) == 200
    assert labels_needed({20: 0.95, 50: 0.99}) == 20
    assert labels_needed({20: 0.95, 50: 0.5}) == np.inf
    rows = [("a", "X-1", NOTHING, 0, 0.2), ("a", "X-1", "scale", 20, 0.5),
            ("a", "X-1", "scale", 50, 1.0), ("a", "ID", NOTHING, 0, 1.0),
            ("a", "ID", "scale", 20, 0.5), ("a", "ID", "scale", 50, 1.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "data_set", "repair", "labels", "value"])
    table = table.assign(metric="mended", shift="X", severity=1, type="concept")
    needed = needed_table(table).set_index("data_set")["labels_needed"]
    assert needed.to_dict() == {"X-1": 50, "ID": 0}


# curves


def test_curves_meet_the_scores(world):
    stated = ideal(world, world.names(taught=False))
    points = pd.DataFrame([vars(point) for point in shift_curves(world, stated)])
    scores = pd.DataFrame([vars(one) for one in shift_scores(world, stated, ["none"], 1)])
    plain = scores[(scores["by"] == "") & (scores["calibrator"] == "none")]
    value = plain.set_index(["data_set", "metric"])["value"]
    whole = (
        points[points["by"] == ""]
        .set_index(["data_set", "curve", "calibrator", "x"])["value"]
        .sort_index()
    )
    for name in world.conditions:
        assert whole[name, RELIABILITY, "none", 0.9] == pytest.approx(value[name, "cov90"])
        risk = whole[name, RISK, "none"]
        assert risk[1.0] == pytest.approx(value[name, "mse"])
        assert risk[0.5] / risk[1.0] == pytest.approx(value[name, "r50"])
        reliability = whole[name, RELIABILITY, "variance_scaling"]
        assert (np.diff(reliability) >= 0).all()
    groups = points[points["by"] != ""]
    assert groups["rows"].min() >= 30
    worst = plain_worst(scores, "gc_decile")
    at_90 = groups[(groups["curve"] == RELIABILITY) & np.isclose(groups["x"], 0.9)
                   & (groups["calibrator"] == "none") & (groups["by"] == "gc_decile")]  # fmt: skip
    gaps = (at_90["value"] - 0.9).abs().groupby(at_90["data_set"]).max()
    assert gaps["REW-4"] == pytest.approx(worst["REW-4"])


def plain_worst(scores, by):
    mine = scores[(scores["metric"] == "worst_gap90") & (scores["by"] == by)]
    return mine[mine["calibrator"] == "none"].set_index("data_set")["value"]


# over worlds


def test_means_over_worlds_are_those_of_the_summary():
    rng = np.random.default_rng(5)
    rows = [
        {"model": model, "world": world, "replicate": replicate, "data_set": name,
         "metric": metric, "shift": "X", "value": rng.standard_normal()}
        for model in ("b", "a") for world in (2, 5, 9) for replicate in (1, 2)
        for name in ("Z", "A") for metric in ("q", "p")
    ]  # fmt: skip
    fits = pd.DataFrame(rows)
    table = over_worlds(fits, ["data_set", "metric"], ["shift"], seed=4)
    assert list(table["model"].unique()) == ["b", "a"]
    assert list(table["data_set"][:4]) == ["Z", "Z", "A", "A"]
    mine = fits[(fits["model"] == "a") & (fits["data_set"] == "Z") & (fits["metric"] == "p")]
    values = mine.pivot(index="world", columns="replicate", values="value").to_numpy()
    expected = hierarchical_interval(values[None], seed=4)
    row = table[(table["model"] == "a") & (table["data_set"] == "Z") & (table["metric"] == "p")]
    assert row["value"].iloc[0] == pytest.approx(values.mean())
    assert row["low"].iloc[0] == pytest.approx(expected.low[0])
    assert (row["worlds"].iloc[0], row["fits"].iloc[0]) == (3, 6)


def test_headlines_say_the_strongest_steps(world, scores):
    rows = [
        {"model": "ideal", "world": 1, "replicate": 1, "data_set": name, "repair": repair,
         "labels": labels, "metric": metric, "value": value,
         "shift": world.shifts[name].name, "severity": world.shifts[name].severity,
         "type": world.shifts[name].type}
        for (name, repair, labels, metric), value in scores.items()
    ]  # fmt: skip
    repair = repair_table(pd.DataFrame(rows), seed=1)
    summary = repair[repair["repair"] == NOTHING].drop(columns=["repair", "labels"])
    expected = summary[summary["metric"] == "cov90"].assign(metric="expected_cov90", value=0.5)
    summary = pd.concat([summary, expected]).assign(calibrator="variance_scaling")
    nothing = pd.DataFrame(columns=["model", "metric", "test", "looks_at"])
    table = robustness_headlines("L", "ideal", "variance_scaling", summary, nothing, repair)
    said = " ".join(table["headline"])
    assert "BATCH-3" in said
    assert "BATCH-2" not in said
    assert "conformal quantile of 200" in said
    first = table.set_index("headline").loc["L, ideal: coverage of 90 % intervals under REW-4"]
    assert first["value"] == pytest.approx(scores["REW-4", NOTHING, 0, "cov90"])
    assert (first["beside"], first["units"]) == (0.5, 1)


def test_the_page_of_tests_has_every_verdict_and_escapes_names():
    row = {"test": "T1", "part": "all", "model": "a", "statement": "x < y", "verdict": "pass",
           "reason": "4 pass"}  # fmt: skip
    part = row | {"part": "change", "condition": "GC-1", "metric": "mse", "criterion": "< 0.15",
                  "value": 0.02, "low": 0.01, "high": 0.03, "worlds": 3, "fits": 9}  # fmt: skip
    tests = pd.DataFrame([row, row | {"model": "b", "verdict": "fail"}, part])
    for column in ("condition", "metric", "criterion", "needs"):
        tests[column] = tests.get(column, pd.Series(dtype=object))
    page = claims_page("A & B", tests, ["a note"])
    assert "A &amp; B" in page
    assert "x &lt; y" in page
    assert "a note" in page
    assert page.count("class='pass'") == page.count("class='fail'") == 1
    assert "0.01 to 0.03" in page


def test_the_suite_knows_what_a_shift_leaves_alone(world):
    table = suite_table([world], [1]).set_index(["data_set", "quantity"])
    assert table.loc[("BATCH-3", "gc"), "same"] == pytest.approx(1)
    assert abs(table.loc[("REW-4", "gc"), "same"]) < 0.5
    assert np.isnan(table.loc[("GC-2", "gc"), "same"])
    gc = table["mean"].xs("gc", level="quantity")
    assert gc["GC-2"] > gc["ID"] + 0.04
    assert gc["REW-4"] == gc["ID"]
    noise = table["mean"].xs("sd", level="quantity")
    assert noise["NOISE-A-3"] > 2 * noise["ID"]
    assert set(REPAIRS) == {"offset", "offset_gain", "scale", "conformal", "offset_gain_scale"}
