"""Attributes by class, against loops and statistics that are counted by hand."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from seqtrust.errors import InputError
from seqtrust.uncertainty.attributes import (
    attribute_summary,
    attribute_tests,
    in_order,
    locus_means,
)
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, TIE


def _drawn(seed: int, units: int = 60):
    rng = np.random.default_rng(seed)
    classes = rng.choice([INCORRECT, CORRECT, INCONSISTENT], units)
    values = rng.normal(size=units).round(1)
    values[rng.random(units) < 0.1] = np.nan
    return classes, values, rng.choice([f"g{i}" for i in range(15)], units).tolist()


def test_summary_is_that_of_a_loop():
    classes, values, _ = _drawn(1)
    table = attribute_summary(classes, {"x": values}).set_index("class")
    assert list(table.index) == [CORRECT, INCONSISTENT, INCORRECT]
    for kind in table.index:
        mine = [v for c, v in zip(classes, values, strict=True) if c == kind and not np.isnan(v)]
        assert table.loc[kind, "count"] == len(mine)
        assert table.loc[kind, "median"] == pytest.approx(np.median(mine))
        assert table.loc[kind, "q25"] == pytest.approx(np.quantile(mine, 0.25))


def test_tests_are_those_of_a_loop_over_pairs():
    classes, values, loci = _drawn(2)
    table = attribute_tests(classes, {"x": values}, loci)
    assert [tuple(pair) for pair in table[["class_a", "class_b"]].to_numpy()] == [
        (CORRECT, INCONSISTENT),
        (CORRECT, INCORRECT),
        (INCONSISTENT, INCORRECT),
    ]
    for row in table.to_dict("records"):
        by_class: dict[str, list[float]] = {row["class_a"]: [], row["class_b"]: []}
        per_locus: dict[str, dict[str, list[float]]] = {name: {} for name in by_class}
        for kind, value, locus in zip(classes, values, loci, strict=True):
            if kind in by_class and not np.isnan(value):
                by_class[kind].append(value)
                per_locus[kind].setdefault(locus, []).append(value)
        a, b = by_class.values()
        wins = sum(x > y for x in a for y in b) - sum(x < y for x in a for y in b)
        assert row["rank_biserial"] == pytest.approx(wins / (len(a) * len(b)))
        assert row["p"] == pytest.approx(mannwhitneyu(a, b).pvalue)
        means = [[np.mean(found) for found in per_locus[kind].values()] for kind in by_class]
        assert row["p_loci"] == pytest.approx(mannwhitneyu(*means).pvalue)
        assert (row["n_a"], row["n_b"]) == (len(a), len(b))
        assert (row["loci_a"], row["loci_b"]) == tuple(map(len, means))


def test_q_is_over_all_tests_of_the_call():
    classes, values, loci = _drawn(3)
    table = attribute_tests(classes, {"x": values, "y": values[::-1]}, loci)
    ordered = table.sort_values("p_loci")
    scaled = ordered["p_loci"].to_numpy() * len(table) / np.arange(1, len(table) + 1)
    assert ordered["q"].to_numpy() == pytest.approx(
        np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    )


def test_rows_of_one_locus_count_once():
    """Thirty copies of one locus are no evidence, though the row test says so."""
    classes = np.array([CORRECT] * 30 + [INCORRECT] * 4)
    values = np.concatenate([np.full(30, 1.0), [0.0, 0.1, 0.2, 0.3]])
    table = attribute_tests(classes, {"x": values}, ["a"] * 30 + ["b", "c", "d", "e"])
    assert table["p"][0] < 1e-4
    assert table["p_loci"][0] > 0.3


def test_a_class_without_values_has_no_test_and_a_count_of_nothing():
    classes = np.array([CORRECT, CORRECT, TIE])
    values = np.array([1.0, 2.0, np.nan])
    assert attribute_tests(classes, {"x": values}, ["a", "b", "c"]).empty
    summary = attribute_summary(classes, {"x": values}).set_index("class")
    assert summary.loc[TIE, "count"] == 0
    assert np.isnan(summary.loc[TIE, "median"])


def test_classes_are_ordered_from_correct_to_incorrect():
    assert in_order(np.array(["other", INCORRECT, CORRECT])) == [CORRECT, INCORRECT, "other"]


def test_means_of_loci():
    means = locus_means(np.array([1.0, 5.0, 3.0]), np.array(["b", "a", "b"]))
    assert means.tolist() == [5.0, 2.0]


def test_an_attribute_of_another_length_is_refused():
    with pytest.raises(InputError, match=r"'x' has shape \(2,\).*each of the 3 units"):
        attribute_summary(np.array(["a", "b", "c"]), {"x": np.zeros(2)})
