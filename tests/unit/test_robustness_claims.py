"""Scores over worlds, and the verdicts of T1 to T8 on tables made by hand."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from seqtrust.config import checked_config, load_schema
from seqtrust.robustness.benchmark_plan import model_plans
from seqtrust.robustness.claims import claims_table, within_world_correlation, worlds_needed
from seqtrust.robustness.shift_summary import (
    draw_weights,
    hierarchical_interval,
    holm,
    summary_table,
)

# what the paper says, in scores of a model
CLAIMED = {
    ("ID", "mse"): 1.0, ("ID", "cov90"): 0.9, ("ID", "vr"): 1.0, ("ID", "nll"): 1.0,
    ("ID", "excess"): 0.3, ("ID", "r50"): 0.8, ("ID", "r20"): 0.7,
    **{(f"GC-{step}", metric): value for step in (1, 2, 3) for metric, value in
       (("mse", 1.05), ("cov90", 0.89), ("excess", 0.3), ("r50", 0.8), ("r20", 0.7))},
    **{(f"{ladder}-{step}", metric): value for ladder in ("REW", "NOISE-A", "NOISE-M", "DEPTH")
       for step, values in enumerate(((0.8, 0.8), (0.5, 0.7), (0.3, 0.5)), start=1)
       for metric, value in zip(("vr", "cov90"), values, strict=True)},
    **{(f"{ladder}-{step}", "r50"): 0.8 + 0.05 * step for ladder in ("NOISE-A", "DEPTH")
       for step in (1, 2, 3)},
    ("REW-1", "excess"): 0.4, ("CELL-2", "excess"): 0.4,
    ("BATCH-3", "r20"): 1.8, ("REW-4", "r20"): 1.5,
}  # fmt: skip
ENTRY = {
    "label": "x",
    "worlds": {"seeds": [1, 2, 3, 4, 5]},
    "models": {
        "cnn": {"architecture": "pooled_cnn", "replicates": 3},
        "prior": {"architecture": "pooled_cnn", "prior": {"kind": "scans"}, "replicates": 3},
    },
}


@pytest.fixture(scope="module")
def entry():
    config = {"run": "x", "title": "x", "toy": False, "seed": 1, "robustness": {"x": ENTRY}}
    schema = load_schema("config/schemas/config.schema.json")
    return checked_config(config, schema)["robustness"]["x"]


def fits_of(models, worlds=5, replicates=3, noise=0.004, seed=1):
    """Scores of models by name, {(condition, metric): value}, with noise between fits."""
    rng = np.random.default_rng(seed)
    rows = []
    for model, scores in models.items():
        for (condition, metric), value in scores.items():
            name, _, step = condition.rpartition("-")
            rows += [
                {
                    "model": model, "world": world, "replicate": replicate, "data_set": condition,
                    "shift": name or "ID", "severity": int(step) if name else 0, "type": "none",
                    "calibrator": "none", "metric": metric, "by": "",
                    "value": value + noise * rng.normal(),
                }
                for world in range(1, worlds + 1)
                for replicate in range(1, replicates + 1)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def verdicts(entry, models, toy=False, **made):
    table = claims_table(fits_of(models, **made), model_plans(entry), entry["tests"], 1, toy)
    together = table[table["part"] == "all"]
    return table, dict(zip(zip(together["test"], together["model"], strict=True),
                           together["verdict"], strict=True))  # fmt: skip


PRIOR = CLAIMED | {key: 0.7 * value for key, value in CLAIMED.items() if key[1] == "excess"}


def test_claims_that_hold_pass(entry):
    table, found = verdicts(entry, {"cnn": CLAIMED, "prior": PRIOR})
    for test in ("T1", "T2a", "T2b", "T6", "T7", "T8"):
        assert found[test, "cnn"] == "pass", table[table["test"] == test].to_string()
    assert found["T4", "prior"] == "pass"
    assert ("T4", "cnn") not in found


@pytest.mark.parametrize(
    ("test", "changed"),
    [
        ("T1", {("GC-2", "mse"): 1.4}),
        ("T1", {("GC-1", "cov90"): 0.8}),
        ("T2a", {("REW-3", "cov90"): 0.85}),
        ("T2b", {("DEPTH-2", "vr"): 0.9}),
        ("T6", {("GC-3", "r50"): 1.1}),
        ("T7", {("NOISE-A-3", "r50"): 0.7}),
        ("T8", {("REW-4", "r20"): 0.9}),
    ],
)
def test_claims_that_do_not_hold_fail(entry, test, changed):
    _, found = verdicts(entry, {"cnn": CLAIMED | changed})
    assert found[test, "cnn"] == "fail"


def test_a_prior_that_mends_noise_fails_t5(entry):
    keys = (("NOISE-A-3", "cov90"), ("NOISE-M-3", "cov90"))
    _, found = verdicts(entry, {"cnn": CLAIMED, "prior": PRIOR})
    assert found["T5", "prior"] == "pass"
    _, found = verdicts(entry, {"cnn": CLAIMED, "prior": PRIOR | dict.fromkeys(keys, 0.8)})
    assert found["T5", "prior"] == "fail"


def test_what_is_not_known_is_not_powered(entry):
    table, found = verdicts(entry, {"cnn": CLAIMED}, toy=True)
    assert set(found.values()) == {"not powered"}
    assert (table.loc[table["value"].notna(), "reason"] == "a toy").all()
    table, found = verdicts(entry, {"cnn": CLAIMED}, worlds=2)
    assert set(found.values()) == {"not powered"}
    assert "2 of at least 3 worlds" in set(table["reason"])
    left_out = {key: value for key, value in CLAIMED.items() if key[0] != "BATCH-3"}
    table, found = verdicts(entry, {"cnn": left_out})
    assert found["T8", "cnn"] == "not powered"
    assert "the config leaves this out" in set(table.loc[table["test"] == "T8", "reason"])
    table, found = verdicts(entry, {"cnn": CLAIMED | {("REW-4", "r20"): 1.001}})
    assert found["T8", "cnn"] == "not powered"
    row = table[(table["condition"] == "REW-4") & (table["test"] == "T8")].iloc[0]
    assert row["needs"].startswith("about ")
    assert row["low"] < 1 < row["high"]


def test_the_loss_under_shift_needs_many_fits(entry):
    names = ("REW-3", "NOISE-A-3", "NOISE-M-3")
    models = {"cnn": CLAIMED | {(name, "nll"): 2.0 for name in names}}
    table, found = verdicts(entry, models)
    assert found["T3", ""] == "not powered"
    assert "15 of at least 24 fits" in set(table["reason"])
    models["prior"] = {key: -value for key, value in models["cnn"].items()}
    table, found = verdicts(entry, models)
    # the likelihoods of both models change sign together, so that one tells the other
    assert found["T3", ""] == "fail"


def test_correlation_is_that_within_worlds():
    rng = np.random.default_rng(2)
    offset = 10 * np.arange(5)[:, None]
    first, second = rng.normal(size=(2, 5, 20))
    value, low, high = within_world_correlation(first + offset, second + offset)
    assert low < 0 < high
    assert abs(value) < 0.35
    value, low, high = within_world_correlation(first + offset, first - offset)
    assert value == pytest.approx(1)
    assert low > 0.99


def test_worlds_that_are_needed_shrink_with_the_distance():
    assert worlds_needed(1.0, 0.5, 0.75, 4) == "about 17 worlds"
    assert worlds_needed(1.0, 0.5, 0.5, 4) == "about 5 worlds"
    assert worlds_needed(1.0, 0.5, 1.0, 4).startswith("no number")


def test_bootstrap_weights_are_those_of_a_naive_loop():
    weights = draw_weights(3, 2, 200, np.random.default_rng(1))
    assert weights.sum(axis=(1, 2)) == pytest.approx(1)
    rng = np.random.default_rng(1)
    chosen = rng.integers(3, size=(200, 3))
    inner = rng.integers(2, size=(200, 3, 2))
    for number in range(200):
        expected = np.zeros((3, 2))
        for place, world in enumerate(chosen[number]):
            for replicate in inner[number, place]:
                expected[world, replicate] += 1 / 6
        assert weights[number] == pytest.approx(expected)


@pytest.mark.parametrize(("worlds", "replicates"), [(3, 1), (5, 3)])
def test_intervals_cover_a_planted_value(worlds, replicates):
    rng = np.random.default_rng(3)
    trials = 2000
    values = 0.7 + rng.normal(size=(trials, worlds, 1))
    values = values + 0.5 * rng.normal(size=(trials, worlds, replicates))
    found = hierarchical_interval(values, seed=1)
    covered = np.mean((found.low <= 0.7) & (found.high >= 0.7))
    assert 0.93 < covered < 0.985
    null = hierarchical_interval(values - 0.7, seed=1)
    assert np.mean(null.p < 0.05) < 0.07
    assert np.array_equal(null.p < 0.05, (null.low > 0) | (null.high < 0))


def test_one_world_has_no_interval_and_what_is_missing_does_not_count():
    values = np.array([[[1.0, 3.0]], [[np.inf, 3.0]], [[np.nan, np.nan]]])
    found = hierarchical_interval(values, seed=1)
    assert found.value[:2].tolist() == [2, 3]
    assert np.isnan(found.value[2])
    assert np.isnan(found.low).all()
    assert np.isnan(found.p).all()
    assert found.fits.tolist() == [2, 1, 0]
    assert found.worlds.tolist() == [1, 1, 0]


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(4).uniform(0, 0.2, 20)
    expected = multipletests(p, method="holm")[1]
    gaps = np.insert(p, 3, np.nan)
    assert np.delete(holm(gaps), 3) == pytest.approx(expected)
    assert np.isnan(holm(gaps)[3])


def test_summary_pairs_differences_within_fits(entry):
    fits = fits_of({"cnn": CLAIMED, "prior": CLAIMED}, noise=0.3)
    # the same noise in both: the paired difference is exact, the values are not
    first = fits[fits["model"] == "cnn"]
    fits = pd.concat([first, first.assign(model="prior", value=first["value"] + 0.25)])
    table = summary_table(fits, model_plans(entry), seed=1)
    mine = table[table["model"] == "prior"]
    assert mine["to_base"].to_numpy() == pytest.approx(0.25)
    assert (mine["to_base_high"] - mine["to_base_low"]).to_numpy() == pytest.approx(0, abs=1e-9)
    assert ((mine["high"] - mine["low"]) > 0.05).all()
    assert (table.loc[table["model"] == "cnn", "base"] == "").all()
    shifted = table[(table["model"] == "cnn") & (table["data_set"] == "REW-3")]
    row = shifted[shifted["metric"] == "cov90"].iloc[0]
    wide = first.pivot_table(index=["world", "replicate"], columns=["data_set", "metric"],
                             values="value")  # fmt: skip
    assert row["to_id"] == pytest.approx((wide["REW-3", "cov90"] - wide["ID", "cov90"]).mean())
    assert table.loc[table["data_set"] == "ID", "to_id"].isna().all()
    assert (table["to_id_holm"].dropna() >= table["to_id_p"].dropna()).all()
