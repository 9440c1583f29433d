"""Intervals of peaks: against scores without weights, drawn rows, and by hand."""

import numpy as np
import pandas as pd
import pytest
from measured_assay import assay, tables_of, written_split

from seqtrust.calibration.forecasts import Forecasts
from seqtrust.robustness import measured_peaks
from seqtrust.robustness.benchmark_plan import ModelPlan
from seqtrust.robustness.few_label_repair import unseen_rows
from seqtrust.robustness.measured_claims import measured_claims
from seqtrust.robustness.measured_peaks import (
    draws_of,
    group_weights,
    peak_draws,
    read_peaks,
    write_peaks,
)
from seqtrust.robustness.measured_summary import Fits, PeakScores, measured_summary
from seqtrust.robustness.score_tables import read_scores, write_scores
from seqtrust.robustness.shift_scores import shift_scores
from seqtrust.robustness.stated_tables import Stated

CALIBRATORS = ("none", "variance_scaling", "split", "normalised", "weighted_gc")
TESTS = {"calibrator": "variance_scaling", "T1": {"mse": 0.15, "cov90": 0.03},
         "T2a": {"vr": 0.5, "cov90": 0.8}, "T2b": {"vr": 0.5, "cov90": 0.8}, "T4": {"gain": 0},
         "T5": {"cov90": 0.03}, "T6": {"ratio": 1.0}, "T8": {"ratio": 1.0}}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp("peaks") / "1.parquet"
    return written_split(path, assay(), tables_of())


def stated_by(world, error):
    """Predictions whose error is `error` sds and whose sd depends on GC content."""
    found = {}
    for name in world.names(taught=False):
        condition = world.condition(name)
        sd = 0.4 + condition.gc
        noise = np.random.default_rng(len(name)).normal(size=len(sd))
        found[name] = Stated.gaussian(condition.observed + error * sd * noise, sd)
    return found


def test_equal_weights_give_the_scores(world, monkeypatch):
    monkeypatch.setattr(
        measured_peaks, "group_weights", lambda groups, rounds, _: np.ones((rounds, len(groups)))
    )
    stated = stated_by(world, 0.8)
    scores = {
        (one.data_set, one.calibrator, one.metric): one.value
        for one in shift_scores(world, stated, CALIBRATORS, seed=1)
        if not one.by
    }
    drawn = list(peak_draws(world, stated, CALIBRATORS, 1, rounds=2))
    assert {one.calibrator for one in drawn} == set(CALIBRATORS)
    for one in drawn:
        np.testing.assert_allclose(
            one.draws, scores[one.data_set, one.calibrator, one.metric], rtol=1e-6, atol=1e-9
        )


def test_a_group_weighs_the_same_wherever_it_stands():
    first = group_weights(np.array(["a", "a", "b", "c"]), 50, 3)
    second = group_weights(np.array(["c", "b"]), 50, 3)
    np.testing.assert_array_equal(first[:, 0], first[:, 1])
    np.testing.assert_allclose(first[:, 3] / first[:, 2], second[:, 0] / second[:, 1])
    np.testing.assert_allclose(first.mean(axis=1), 1)


def test_weights_of_peaks_spread_scores_as_drawn_peaks_do():
    """The naive twin draws peaks with replacement, all their rows with them."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(150).astype(str), 3)
    shared = np.repeat(rng.normal(size=150), 3)
    observed = shared + 0.3 * rng.normal(size=450)
    sd = 0.7 + 0.6 * rng.random(450)
    tested = Forecasts(np.zeros((450, 1)), sd[:, None], observed[:, None], groups)
    weights = group_weights(groups, 600, 1)
    found = draws_of(tested, np.ones((600, 450)), tested, weights)
    twins = {"mse": [], "cov90": [], "vr": []}
    for _ in range(600):
        chosen = rng.integers(150, size=150)
        rows = (chosen[:, None] * 3 + np.arange(3)).ravel()
        square = observed[rows] ** 2
        twins["mse"].append(square.mean())
        twins["cov90"].append((np.abs(observed[rows]) <= 1.6448536 * sd[rows]).mean())
        twins["vr"].append((sd[rows] ** 2).mean() / square.mean())
    for metric, drawn in twins.items():
        assert found["none", metric].std() == pytest.approx(np.std(drawn), rel=0.15)
    # rows taken for independent would say much less
    alone = draws_of(tested, np.ones((600, 450)), tested,
                     group_weights(np.arange(450).astype(str), 600, 1))  # fmt: skip
    assert alone["none", "mse"].std() < 0.7 * np.std(twins["mse"])


def test_errors_hold_what_splits_share_and_what_seeds_add():
    rng = np.random.default_rng(1)
    shared = rng.normal(size=4000)
    # three splits of the same peaks are no better than one
    same = Fits(np.zeros((3, 1)), np.broadcast_to(shared, (3, 1, 4000)))
    assert same.error() == pytest.approx(1, rel=0.05)
    apart = Fits(np.zeros((3, 1)), rng.normal(size=(3, 1, 4000)))
    assert apart.error() == pytest.approx(3**-0.5, rel=0.05)
    seeds = Fits(np.array([[0.0, 2.0], [1.0, 3.0]]), np.zeros((2, 2, 10)))
    # variance 2 in both splits: (2 / 2 + 2 / 2) / 4
    assert seeds.error() == pytest.approx(0.5**0.5)
    assert seeds.value == 1.5
    two, one = seeds, Fits(np.array([[0.5], [1.0]]), np.zeros((2, 1, 10)))
    np.testing.assert_allclose(two.minus(one).values, [[0.5], [1.0]])
    np.testing.assert_allclose(two.over(one).values, [[2.0], [2.0]])
    assert same.minus(same).error() == 0


@pytest.fixture(scope="module")
def tables(world, tmp_path_factory):
    """Scores and draws of a good and a bad model in two splits."""
    folder = tmp_path_factory.mktemp("tables")
    fits, peaks = [], []
    for split in (1, 2):
        for model, error in (("good", 0.8), ("bad", 2.5)):
            stated = stated_by(world, error)
            write_scores(folder / "s.parquet", world, shift_scores(world, stated, CALIBRATORS, 1))
            write_peaks(folder / "p.parquet", peak_draws(world, stated, CALIBRATORS, 1, 60))
            fits.append(read_scores(folder / "s.parquet", model, split, 1))
            peaks.append(read_peaks(folder / "p.parquet", model, split, 1))
    return pd.concat(fits, ignore_index=True), pd.concat(peaks, ignore_index=True)


PLANS = {"good": ModelPlan("good", "kmers", "", 1, ""),
         "bad": ModelPlan("bad", "kmers", "", 1, "good", {"prior": {"kind": "gc"}})}  # fmt: skip


def test_the_summary_has_intervals_of_peaks(tables):
    fits, peaks = tables
    scores = PeakScores(fits, peaks)
    table = measured_summary(fits, scores, PLANS, seed=1)
    assert len(table) == len(fits) / 2
    keyed = table.set_index(["model", "data_set", "calibrator", "metric", "by"])
    own = keyed.loc[("bad", "mutant", "none", "mse", "")]
    named = "model == 'bad' and data_set == 'mutant' and calibrator == 'none' and metric == 'mse'"
    draws = peaks.query(named)["draws"]
    half = 1.959964 * np.stack(draws.to_list()).mean(axis=0).std(ddof=1)
    assert own["high"] - own["value"] == pytest.approx(half, rel=1e-5)
    assert own["low"] < own["value"] < own["high"]
    assert own["to_base"] == pytest.approx(
        own["value"] - keyed.loc[("good", "mutant", "none", "mse", ""), "value"]
    )
    assert own["to_base_low"] > 0
    assert own["to_base_p"] < 1e-3 <= 1
    assert np.isnan(keyed.loc[("bad", "ID", "none", "mse", ""), "to_id_p"])
    # worst groups are not drawn
    assert keyed.loc[("bad", "ID", "none", "worst_mse", "gc_decile"), "low"] != own["low"]
    assert keyed.xs("worst_mse", level="metric")["low"].isna().all()
    assert "excess" not in set(table["metric"])


def test_claims_are_judged_by_type_of_shift(tables):
    fits, peaks = tables
    scores = PeakScores(fits, peaks)
    conditions = fits.drop_duplicates("data_set").query("type != 'none'")
    found = measured_claims(conditions, scores, PLANS, TESTS, toy=False)
    parts = found[found["part"] != "all"].set_index(["test", "model", "condition", "metric"])
    assert set(found["test"]) == {"T1", "T2a", "T2b", "T4", "T5", "T6", "T8"}
    assert set(parts.loc["T2a"].index.get_level_values("condition")) == {"mutant"}
    assert set(parts.loc["T2b"].index.get_level_values("condition")) == {"tenth"}
    assert set(parts.loc["T4"].index.get_level_values("model")) == {"bad"}
    # the bad model is ten times worse: its prior, as it were, gains nothing
    assert (parts.loc["T4"]["verdict"] == "fail").all()
    # stated sds were scaled: nothing collapses
    assert (parts.loc["T2a"]["verdict"] != "pass").all()
    row = parts.loc[("T1", "good", "GC_high", "mse")].iloc[0]
    ratio = scores.get("good", "GC_high", "mse").value / scores.get("good", "ID", "mse").value
    assert row["value"] == pytest.approx(ratio - 1)
    toy = measured_claims(conditions, scores, PLANS, TESTS, toy=True)
    assert set(toy["verdict"]) == {"not powered"}


def test_labelled_rows_share_no_peak_with_judged_ones():
    groups = np.array(["a", "a", "b", "b", "c", "c"])
    order = np.array([4, 0, 1, 2, 3, 5])
    assert unseen_rows(order, 2, groups).tolist() == [2, 3]
    assert unseen_rows(order, 2, None).tolist() == [1, 2, 3, 5]
