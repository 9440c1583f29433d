"""Class fractions and headline numbers against loops and the published counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust.consistency import (
    CORRELATED,
    FRACTIONS,
    HEADLINES,
    INDEPENDENT,
    OBSERVED,
    PERMUTED,
    PERMUTED_PEOPLE,
    class_fractions,
    headline_numbers,
)
from seqtrust.statistics import wilson
from seqtrust.verdicts import (
    CORRECT,
    INCONSISTENT,
    INCORRECT,
    OUT_OF_REACH,
    TIE,
    UNANIMOUS,
    verdict_columns,
)

# replicate-uncertainty.md, 1.4: pooled CAGE, 8545 eQTLs by the number of correct replicates
PUBLISHED = {5: 2458, 4: 1365, 3: 1212, 2: 1087, 1: 1070, 0: 1353}


def verdict_table(calls, truth, scores=None, out=None, **labels):
    units = len(calls)
    calls = np.asarray(calls, dtype=np.int8)
    defaults = {"split": "test", "stratum": "", "context": "x"}
    columns = {name: labels.get(name, [value] * units) for name, value in (defaults | {}).items()}
    columns["locus"] = labels.get("locus", [f"g{row}" for row in range(units)])
    columns = verdict_columns(
        columns,
        calls,
        np.asarray(calls if scores is None else scores, dtype=float),
        np.asarray(truth, dtype=np.int8),
        np.zeros(units, dtype=bool) if out is None else np.asarray(out),
    )
    plain = {
        name: column.to_pylist() if hasattr(column, "to_pylist") else list(column)
        for name, column in columns.items()
    }
    return pd.DataFrame(plain)


def published_table():
    """The published counts, both signs of truth in turn, in loci of about 17 eQTLs."""
    calls, truth = [], []
    for correct, count in PUBLISHED.items():
        for unit in range(count):
            sign = 1 if unit % 2 else -1
            calls.append([sign] * correct + [-sign] * (5 - correct))
            truth.append(sign)
    loci = [f"g{unit % 500}" for unit in range(len(calls))]
    scores = np.array(calls) * np.random.default_rng(1).random((len(calls), 5))
    return verdict_table(calls, truth, scores, locus=loci)


def lookup(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture(scope="module")
def published():
    table = published_table()
    return class_fractions(table, "cage", "signs", 1), headline_numbers(table, "cage", "signs", 1)


@pytest.mark.slow
def test_the_published_fractions(published):
    fractions, _ = published
    assert list(fractions.columns) == list(FRACTIONS)
    for name, count, fraction in (
        (CORRECT, 2458, 0.2877),
        (INCONSISTENT, 4734, 0.5540),
        (INCORRECT, 1353, 0.1583),
    ):
        row = lookup(fractions, level=OBSERVED, **{"class": name}, split="all")
        assert (row["count"], row["total"]) == (count, 8545)
        assert row["fraction"] == pytest.approx(fraction, abs=5e-5)
        assert (row["low"], row["high"]) == wilson(count, 8545)
    coins = lookup(fractions, level=INDEPENDENT, **{"class": INCONSISTENT}, split="all")
    assert coins["fraction"] == 0.9375


@pytest.mark.slow
def test_the_published_headline_numbers(published):
    _, headlines = published
    assert list(headlines.columns) == list(HEADLINES)
    value = {row["statistic"]: row["value"] for row in headlines.to_dict("records")}
    right_calls = sum(correct * count for correct, count in PUBLISHED.items())
    agreeing = sum((c * (c - 1) + (5 - c) * (4 - c)) // 2 * count for c, count in PUBLISHED.items())
    assert value["unanimous"] == pytest.approx((2458 + 1353) / 8545)
    assert value["pairwise_agreement"] == pytest.approx(agreeing / (10 * 8545))
    assert value["single_replicate_accuracy"] == pytest.approx(right_calls / (5 * 8545))
    assert value["accuracy_if_unanimous"] == pytest.approx(2458 / (2458 + 1353))
    assert value["gain_of_unanimity"] == pytest.approx(
        value["accuracy_if_unanimous"] - value["single_replicate_accuracy"]
    )
    for row in headlines.to_dict("records"):
        assert row["low"] < row["value"] < row["high"]
        assert (row["units"], row["loci"]) == (8545, 500)


@st.composite
def tables(draw):
    units, replicates = draw(st.integers(1, 14)), draw(st.integers(1, 4))
    calls = draw(arrays(np.int8, (units, replicates), elements=st.integers(-1, 1)))
    truth = draw(arrays(np.int8, units, elements=st.sampled_from([-1, 1])))
    if draw(st.booleans()):
        truth[:] = 0
    some = {
        name: draw(st.lists(st.sampled_from(values), min_size=units, max_size=units))
        for name, values in {
            "split": ["train", "test"],
            "stratum": ["near", "far"],
            "locus": ["a", "b", "c"],
        }.items()
    }
    return verdict_table(calls, truth, out=draw(arrays(bool, units)), **some)


@pytest.mark.slow
@given(tables())
@settings(max_examples=20)
def test_counts_of_classes_against_a_loop(table):
    found = class_fractions(table, "v", "signs", 1)
    observed = found[found["level"] == OBSERVED]
    assert not observed.duplicated(["subset", "split", "class"]).any()
    for (subset, split), rows in observed.groupby(["subset", "split"]):
        mine = table[(table["stratum"] == subset) | (subset == "all")]
        mine = mine[(mine["split"] == split) | (split == "all")]
        counts = mine["class"].value_counts()
        undecided = counts.get(TIE, 0) + counts.get(OUT_OF_REACH, 0)
        by_class = rows.set_index("class")
        for name, row in by_class.iterrows():
            apart = name in (TIE, OUT_OF_REACH)
            assert row["count"] == counts.get(name, 0)
            assert row["total"] == len(mine) - (0 if apart else undecided)
        # the classes of decided units are all there, and all of them
        assert by_class["count"].sum() == len(mine)
        decided = by_class.drop([TIE, OUT_OF_REACH])
        assert len(decided) == 0 or decided["fraction"].sum() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:All-NaN slice")
@given(tables())
@settings(max_examples=20)
def test_headlines_against_a_loop(table):
    found = headline_numbers(table, "v", "signs", 1)
    for row in found.to_dict("records"):
        mine = table[(table["stratum"] == row["subset"]) | (row["subset"] == "all")]
        mine = mine[(mine["split"] == row["split"]) | (row["split"] == "all")]
        mine = mine[~mine["class"].isin([TIE, OUT_OF_REACH])]
        assert (row["units"], row["loci"]) == (len(mine), mine["locus"].nunique())
        calls = [list(one) for one in mine["calls"]]
        if row["statistic"] == "unanimous":
            expected = np.mean([len(set(one)) == 1 for one in calls])
        elif row["statistic"] == "pairwise_agreement":
            pairs = [a == b for one in calls for i, a in enumerate(one) for b in one[:i]]
            expected = np.mean(pairs) if pairs else np.nan
        elif row["statistic"] == "single_replicate_accuracy":
            truths = mine["truth"]
            pairs = zip(calls, truths, strict=True)
            expected = np.mean([call == truth for one, truth in pairs for call in one])
        else:
            continue
        assert row["value"] == pytest.approx(expected, nan_ok=True)
        if not np.isnan(row["value"]):
            assert row["low"] - 1e-9 <= row["value"] <= row["high"] + 1e-9


def test_without_a_truth_units_are_unanimous_or_not():
    table = verdict_table([[1, 1], [-1, -1], [1, -1], [0, 0]], [0] * 4, split=["unknown"] * 4)
    found = class_fractions(table, "v", "threshold", 1)
    whole = found[(found["subset"] == "all") & (found["level"] == OBSERVED)].set_index("class")
    assert whole["count"].to_dict() == {TIE: 1, OUT_OF_REACH: 0, UNANIMOUS: 2, INCONSISTENT: 1}
    assert set(found["level"]) >= {OBSERVED, INDEPENDENT}
    assert PERMUTED not in set(found["level"])
    called = found[found["subset"] == "called by a replicate"].set_index(["level", "class"])
    assert called.loc[(OBSERVED, UNANIMOUS), "count"] == 1
    # of the three ways in which one of two coins shows a head, one shows both
    assert called.loc[(INDEPENDENT, UNANIMOUS), "fraction"] == pytest.approx(1 / 3)
    statistics = set(headline_numbers(table, "v", "threshold", 1)["statistic"])
    assert statistics == {"unanimous", "pairwise_agreement"}


def test_true_peaks_are_reported_apart():
    calls = [[1, 1], [1, -1], [-1, -1], [-1, -1], [1, 1], [-1, -1]]
    table = verdict_table(calls, [1, 1, 1, -1, -1, -1])
    found = class_fractions(table, "v", "peaks", 1)
    peaks = found[(found["subset"] == "true peaks") & (found["level"] == OBSERVED)]
    counts = peaks.set_index("class")["count"].to_dict()
    assert [counts[name] for name in (CORRECT, INCONSISTENT, INCORRECT)] == [1, 1, 1]


def test_nothing_but_ties_and_units_out_of_reach():
    table = verdict_table([[0, 0], [1, 1]], [1, 1], out=[False, True])
    found = class_fractions(table, "v", "signs", 1)
    assert found.set_index("class")["fraction"].to_dict() == {TIE: 0.5, OUT_OF_REACH: 0.5}
    assert headline_numbers(table, "v", "signs", 1).empty


def gaussian_replicates(units, correlation, seed):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(units, 1))
    noise = rng.normal(size=(units, 5))
    return np.sqrt(correlation) * factor + np.sqrt(1 - correlation) * noise


@pytest.mark.slow
def test_the_levels_beside_replicates_that_know_nothing():
    """Then what correlation implies, the permuted truth and the observation are one."""
    scores = gaussian_replicates(1500, 0.65, 3)
    calls = np.where(scores > 0, 1, -1)
    truth = np.where(np.arange(1500) % 2, 1, -1)
    found = class_fractions(verdict_table(calls, truth, scores), "v", "signs", 1)
    value = found.set_index(["level", "class"])["fraction"]
    # statistics.md, section 1
    for level in (OBSERVED, CORRELATED, PERMUTED):
        assert value[level, INCONSISTENT] == pytest.approx(0.55, abs=0.035)
        assert value[level, CORRECT] == pytest.approx(0.225, abs=0.035)
    row = lookup(found, level=PERMUTED, **{"class": CORRECT})
    assert row["low"] < row["fraction"] < row["high"]


def test_the_levels_of_a_stratum_are_made_from_its_own_units():
    scores = np.concatenate([gaussian_replicates(300, rho, 6) for rho in (0.2, 0.9)])
    strata = ["0 to 60 bp"] * 300 + ["over 60 bp"] * 300
    table = verdict_table(np.where(scores > 0, 1, -1), [0] * 600, scores, stratum=strata)
    found = class_fractions(table, "v", "signs", 1).set_index(["subset", "level", "class"])
    for stratum in set(strata):
        implied = found.loc[(stratum, CORRELATED, INCONSISTENT), "fraction"]
        observed = found.loc[(stratum, OBSERVED, INCONSISTENT), "fraction"]
        assert observed == pytest.approx(implied, abs=0.08)


@pytest.mark.slow
def test_replicates_that_know_something_lie_above_the_permuted_level():
    scores = gaussian_replicates(800, 0.65, 4)
    truth = np.where(scores.mean(axis=1) + np.random.default_rng(5).normal(size=800) > 0, 1, -1)
    table = verdict_table(np.where(scores > 0, 1, -1), truth, scores)
    found = class_fractions(table, "v", "signs", 1).set_index(["level", "class"])
    assert found.loc[(OBSERVED, CORRECT), "low"] > found.loc[(PERMUTED, CORRECT), "high"]
    # the correlated level knows the accuracy of one replicate, so it is not a null of the truth
    implied = found.loc[(CORRELATED, CORRECT), "fraction"]
    assert found.loc[(OBSERVED, CORRECT), "fraction"] == pytest.approx(implied, abs=0.04)


def test_people_stand_beside_people_permuted_and_not_a_truth_that_has_no_other_order():
    rng = np.random.default_rng(12)
    calls = rng.choice([-1, 1], (60, 3))
    calls[5] = 0
    splits = ["train"] * 40 + ["test"] * 20
    table = verdict_table(calls, np.ones(60), split=splits)
    unanimous = rng.choice([-1, 0, 1], (60, 30)).astype(np.int8)
    found = class_fractions(table, "v", "people", 1, unanimous)
    assert PERMUTED not in set(found["level"])
    rows = found[found["level"] == PERMUTED_PEOPLE].set_index(["split", "class"])
    for split in ("all", "train", "test"):
        mine = [i for i in range(60) if i != 5 and (split == "all" or splits[i] == split)]
        by_round = [np.mean(unanimous[mine, k] == 1) for k in range(30)]
        row = rows.loc[(split, CORRECT)]
        assert row["fraction"] == pytest.approx(np.mean(by_round))
        assert [row["low"], row["high"]] == pytest.approx(np.percentile(by_round, [2.5, 97.5]))
        total = sum(
            rows.loc[(split, name), "fraction"] for name in (CORRECT, INCONSISTENT, INCORRECT)
        )
        assert total == pytest.approx(1)
