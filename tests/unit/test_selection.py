"""Choosing models by consistency: rules against loops, regret, and populations by construction."""

import numpy as np
import pandas as pd
import pytest
from population_cases import artefact_maps, model, noisy, random_maps
from scipy.stats import pearsonr, rankdata, spearmanr

from seqtrust.attribution.population_report import consistent_pair, population_tables
from seqtrust.attribution.published_scores import (
    accessibility_correlations,
    activation_pairs,
    read_accessibility,
    read_synthetic,
)
from seqtrust.attribution.selection import (
    AVERAGE,
    BEST,
    CONSISTENCIES,
    CONSTRAINED,
    FRONT,
    GENERALISATION,
    Truth,
    pareto_front,
    selection_table,
)
from seqtrust.attribution.selection_correlations import (
    EVERY,
    GOOD,
    OVERALL,
    PARTIAL,
    WITHIN,
    WITHIN_PARTIAL,
    correlation_table,
    correlations,
)
from seqtrust.errors import InputError

RESOURCES = "resources/published/majdandzic2022_{}.tsv"


def population(general, score, snr, activation=None, per_cell=1):
    """A table of models with one consistency score in all columns."""
    count = len(general)
    table = {
        "kind": ["model"] * count,
        "control": [""] * count,
        "ensemble": [f"c{row // per_cell}" for row in range(count)],
        "replicate": [f"r{row % per_cell + 1}" for row in range(count)],
        "activation": activation or ["relu"] * count,
        GENERALISATION: general,
        "snr": snr,
    }
    extra = ("kmer_position_excess", "embedding_published")
    return pd.DataFrame(table | dict.fromkeys((*CONSISTENCIES, *extra), score))


def chosen(table, rule, score, target="snr"):
    mine = table[(table["rule"] == rule) & (table["score"] == score)]
    return mine[mine["target"] == target].iloc[0]


def test_pareto_front_agrees_with_the_definition():
    rng = np.random.default_rng(4)
    for _ in range(20):
        x, y = np.round(rng.random((2, 30)), 1)
        x[3] = np.nan
        front = [
            not np.isnan(x[i])
            and not any(
                x[j] >= x[i] and y[j] >= y[i] and (x[j] > x[i] or y[j] > y[i]) for j in range(30)
            )
            for i in range(30)
        ]
        assert pareto_front(x, y).tolist() == front


def test_rules_choose_by_hand():
    models = population([0.9, 0.95, 0.96, 0.8], [5.0, 3.0, 1.0, 9.0], [2.0, 4.0, 1.0, 3.0])
    values = np.repeat(models["snr"].to_numpy()[:, None], 6, axis=1)
    table = selection_table(models, [Truth("snr", values)], within=0.01, seed=1)
    best = chosen(table, BEST, GENERALISATION)
    assert (best["chosen"], best["value"], best["regret"]) == ("c2/r1", 1.0, 3.0)
    assert chosen(table, BEST, "kmer")["chosen"] == "c3/r1"
    constrained = chosen(table, CONSTRAINED, "kmer")
    # 0.95 is exactly 0.01 below 0.96
    assert (constrained["chosen"], constrained["regret"]) == ("c1/r1", 0.0)
    assert (constrained["best_model"], constrained["generalisation"]) == ("c1/r1", 0.95)
    front = chosen(table, FRONT, "embedding")
    assert (front["models"], front["value"]) == (4, 2.5)
    assert chosen(table, AVERAGE, "")["value"] == 2.5
    # values do not vary over sequences, so neither does a choice that is held
    assert constrained["low"] == constrained["high"] == 0.0


def test_a_front_leaves_out_what_another_model_beats():
    models = population([0.9, 0.95, 0.8], [1.0, 2.0, 3.0], [9.0, 1.0, 2.0])
    table = selection_table(models, [Truth("snr", np.array([[9.0], [1.0], [2.0]]))], 0.0, 1)
    front = chosen(table, FRONT, "kmer")
    assert (front["models"], front["value"], front["regret"]) == (2, 1.5, 7.5)


def test_models_without_a_score_are_never_chosen():
    models = population([0.9, np.nan, 0.8], [1.0, 5.0, np.inf], [1.0, 2.0, 3.0])
    table = selection_table(models, [Truth("snr", np.ones((3, 2)))], 1.0, 1)
    for rule in (BEST, CONSTRAINED):
        assert chosen(table, rule, "kmer")["chosen"] == {BEST: "c1/r1", CONSTRAINED: "c0/r1"}[rule]
    assert chosen(table, FRONT, "kmer")["models"] == 1


def test_choices_among_drawn_cells_agree_with_a_loop():
    rng = np.random.default_rng(3)
    general, score, snr = rng.random((3, 12))
    models = population(general, score, snr, per_cell=2)
    truth = Truth("snr", np.repeat(snr[:, None], 2, axis=1))
    table = selection_table(models, [truth], 0.3, 7)
    draws = np.random.default_rng(7).multinomial(6, np.full(6, 1 / 6), 500)
    expected = {BEST: [], CONSTRAINED: [], FRONT: [], AVERAGE: []}
    cells = np.repeat(np.arange(6), 2)
    for draw in draws:
        rows = np.repeat(np.arange(12), draw[cells])
        best = snr[rows].max()
        expected[BEST].append(best - snr[rows[score[rows].argmax()]])
        near = rows[general[rows] >= general[rows].max() - 0.3]
        expected[CONSTRAINED].append(best - snr[near[score[near].argmax()]])
        there = np.unique(rows)
        front = there[pareto_front(general[there], score[there])]
        expected[FRONT].append(best - snr[front].mean())
        expected[AVERAGE].append(best - snr[rows].mean())
    for rule, values in expected.items():
        row = chosen(table, rule, "" if rule == AVERAGE else "kmer")
        assert row["over_cells"] == pytest.approx(np.mean(values))
        assert row["over_cells_low"] == pytest.approx(np.percentile(values, 2.5))
        assert row["over_cells_high"] == pytest.approx(np.percentile(values, 97.5))


def test_interval_over_sequences_covers_the_noise_of_few_sequences():
    """Two models of equal truth: the choice costs nothing, and the interval says how unsure."""
    rng = np.random.default_rng(8)
    values = rng.normal(1, 1, (2, 40))
    models = population([0.9, 0.8], [1.0, 2.0], [1.0, 1.0])
    row = chosen(selection_table(models, [Truth("snr", values)], 0.0, 1), BEST, "kmer")
    assert row["regret"] == pytest.approx(values.mean(axis=1).max() - values[1].mean())
    assert 0 <= row["low"] <= row["regret"] <= row["high"]
    assert row["high"] > 0.1


@pytest.mark.parametrize("statistic", ["pearson", "spearman"])
def test_weighted_correlations_are_those_of_repeated_models(statistic):
    rng = np.random.default_rng(2)
    x, y, z = np.round(rng.normal(size=(3, 15)), 1)
    y = y + x
    groups = np.arange(15) % 3
    weights = rng.integers(0, 4, (6, 15)).astype(float)
    whole = np.zeros(15, dtype=int)
    found = correlations([x, y], weights, whole, statistic)
    within = correlations([x, y], weights, groups, statistic)
    partial = correlations([x, y, z], weights, whole, statistic)
    for place, times in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(15), times)
        test = pearsonr if statistic == "pearson" else spearmanr
        a, b, c = x[rows], y[rows], z[rows]
        assert found[place] == pytest.approx(test(a, b).statistic)
        if statistic == "spearman":
            a, b, c = rankdata(a), rankdata(b), rankdata(c)
        rest = [one - np.polyval(np.polyfit(c, one, 1), c) for one in (a, b)]
        assert partial[place] == pytest.approx(pearsonr(*rest).statistic)
        centred = []
        for one in (x[rows], y[rows]):
            part = np.empty(len(rows))
            for group in range(3):
                mine = groups[rows] == group
                own = rankdata(one[mine]) if statistic == "spearman" else one[mine]
                part[mine] = own - own.mean()
            centred.append(part)
        assert within[place] == pytest.approx(pearsonr(*centred).statistic)


def test_a_column_that_does_not_vary_has_no_correlation():
    weights, groups = np.ones((1, 4)), np.zeros(4, dtype=int)
    same = np.full(4, 0.1) * 3
    assert np.isnan(correlations([same, np.arange(4.0)], weights, groups, "pearson")).all()
    explained = correlations([np.arange(4.0), np.array([1.0, 3, 2, 5]), np.arange(4.0)], weights,
                             groups, "pearson")  # fmt: skip
    assert np.isnan(explained).all()


def simpson(count=40):
    """Classes differ in score and truth; within them the two know nothing of each other."""
    rng = np.random.default_rng(6)
    exponential = np.arange(count) % 2
    score = 2 * exponential + 0.2 * rng.normal(size=count)
    snr = 3 * exponential + 0.3 * rng.normal(size=count)
    names = ["exponential" if one else "relu" for one in exponential]
    return population(0.9 + 0.01 * rng.random(count), score, snr, names)


def test_correlation_that_is_all_between_classes_is_exposed():
    table = correlation_table(simpson(), ["snr"], "activation", None, [], 1)
    mine = table[(table["score"] == "kmer") & (table["against"] == "snr")]
    by_level = mine[mine["statistic"] == "pearson"].set_index("level")
    assert by_level.loc[OVERALL, "value"] > 0.95
    assert by_level.loc[OVERALL, "low"] > 0.9
    for level in (WITHIN, "activation = relu", "activation = exponential"):
        assert abs(by_level.loc[level, "value"]) < 0.4
        assert by_level.loc[level, "low"] < 0 < by_level.loc[level, "high"]


def test_correlation_that_generalisation_explains_is_exposed():
    rng = np.random.default_rng(9)
    general = rng.random(60)
    models = population(general, general + 0.1 * rng.random(60), general + 0.1 * rng.random(60))
    table = correlation_table(models, ["snr"], None, None, [], 1)
    mine = table[(table["score"] == "embedding") & (table["against"] == "snr")]
    by_level = mine[mine["statistic"] == "pearson"].set_index("level")["value"]
    assert by_level[OVERALL] > 0.95
    assert abs(by_level[PARTIAL]) < 0.3
    assert WITHIN not in by_level
    assert WITHIN_PARTIAL not in by_level


def test_seeds_of_one_cell_widen_the_interval():
    """Twenty cells with five equal seeds know no more than twenty models."""
    rng = np.random.default_rng(12)
    x = rng.random(20)
    y = x + 0.4 * rng.random(20)
    single = population([0.9] * 20, x, y)
    fivefold = population([0.9] * 100, np.repeat(x, 5), np.repeat(y, 5), per_cell=5)
    found = []
    for models in (single, fivefold):
        table = correlation_table(models, ["snr"], None, None, [], 1)
        row = table[(table["score"] == "kmer") & (table["against"] == "snr")].iloc[0]
        found.append(row["high"] - row["low"])
    assert found[1] == pytest.approx(found[0], rel=0.15)


def test_few_cells_have_a_correlation_without_an_interval():
    models = simpson(10)
    table = correlation_table(models, ["snr"], "activation", None, [], 1).set_index("level")
    whole, half = table.loc[OVERALL], table.loc["activation = relu"]
    assert np.isfinite(whole["low"]).all()
    assert (half["cells"] == 5).all()
    assert half["low"].isna().all()
    assert half["high"].isna().all()
    assert np.isfinite(half["value"]).all()


def test_floor_of_generalisation_and_published_values():
    models = simpson()
    published = [
        {"score": "kmer", "against": "snr", "value": 0.6177, "models": 327, "source": "paper"}
    ]
    floor = float(models[GENERALISATION].median())
    table = correlation_table(models, ["snr"], "activation", floor, published, 1)
    counts = table.groupby("subset")["models"].max()
    assert (counts[EVERY], counts[GOOD]) == (40, 20)
    beside = table[table["published"].notna()]
    assert set(beside["score"]) == {
        "kmer", "kmer_pairing_excess", "kmer_position_excess", "kmer_published"
    }  # fmt: skip
    assert set(beside["level"]) == {OVERALL}
    assert set(beside["published_models"]) == {327}


def test_without_a_truth_scores_stand_beside_generalisation():
    models = simpson().drop(columns="snr")
    table = correlation_table(models, [], "activation", None, [], 1)
    assert set(table["against"]) == {GENERALISATION, "embedding", "embedding_published",
                                     "embedding_published_wide"}  # fmt: skip
    assert GENERALISATION not in set(table["score"])
    selection = selection_table(models, [], 0.01, 1)
    assert selection["regret"].isna().all()
    assert selection.loc[selection["rule"] == CONSTRAINED, "chosen"].str.len().all()


def test_published_chromatin_models():
    """Correlations that follow from the printed table; the publication does not print them."""
    table = read_accessibility(RESOURCES.format("accessibility"))
    assert len(table) == 26
    found = accessibility_correlations(table).set_index(["models", "first", "second"])
    assert found.loc[("all", "embedding", "pearson_r"), "pearson"] == pytest.approx(
        -0.487, abs=5e-4
    )
    assert found.loc[("all", "kmer", "pearson_r"), "pearson"] == pytest.approx(-0.200, abs=5e-4)
    both = found.loc[("all", "kmer", "embedding")]
    assert (both["pearson"], both["spearman"]) == pytest.approx((0.586, 0.727), abs=5e-4)
    clean = found.loc[("without NaN maps", "kmer", "embedding")]
    assert (clean["pearson"], clean["spearman"]) == pytest.approx((0.890, 0.916), abs=6e-4)
    assert clean["count"] == 24
    pairs = activation_pairs(table)
    assert len(pairs) == 12
    assert (pairs["embedding"] > 0).all()
    assert pairs.loc[pairs["kmer"] <= 0, "nan_maps"].tolist() == [True]


def test_published_synthetic_models():
    table = read_synthetic(RESOURCES.format("synthetic"))
    good, bad = table.iloc[0], table.iloc[1]
    assert abs(good["auroc"] - bad["auroc"]) < 0.001
    assert good["snr"] > 7 * bad["snr"]
    with pytest.raises(InputError, match="expected the columns model, activation, auroc"):
        read_synthetic(RESOURCES.format("accessibility"))


def test_pair_of_figures_predicts_equally_well():
    models = population([0.95, 0.949, 0.94, 0.5, 0.9505], [1.0, 4.0, 9.0, 99.0, 2.0], [0.0] * 5)
    # the third is 0.01 away, the fourth is in the worse half
    assert consistent_pair(models, 0.002) == (1, 0)
    assert consistent_pair(models, 0.0) is None
    # no two of the better half are so close, so the worse ones are shown
    apart = population([0.9, 0.8, 0.7, 0.601, 0.6], [5.0, 4.0, 3.0, 2.0, 1.0], [0.0] * 5)
    assert consistent_pair(apart, 0.01) == (3, 4)


@pytest.fixture(scope="module")
def built():
    """Twelve models of growing noise, generalisation unrelated, and three that know nothing."""
    rng = np.random.default_rng(1)
    rows, values = [], {}
    for place, level in enumerate(np.geomspace(0.05, 2.0, 12)):
        about = {"ensemble": f"c{place}", "seed": place, "activation": "ab"[place % 2]}
        row, own = model(noisy(level), 0.9 + 0.01 * rng.random(), about)
        rows.append(row)
        values[about["ensemble"]] = own
    return pd.DataFrame(rows), values


def test_consistency_tells_the_true_maps_where_noise_is_all_that_differs(built):
    rows, values = built
    found = population_tables([rows], values, "activation", 0.02, None, [], 1)
    table = found.correlations
    # the strong positions, and so the k-mers, are the same under little noise
    for score, least in (("embedding", 0.95), ("kmer_pairing_excess", 0.8)):
        mine = table[(table["score"] == score) & (table["against"] == "truth_cosine")]
        by_level = mine[mine["statistic"] == "spearman"].set_index("level")
        assert by_level.loc[OVERALL, "value"] > least
        assert by_level.loc[WITHIN, "value"] > least - 0.1
    at_random = chosen(found.selection, AVERAGE, "", "truth_cosine")
    for score, share in (("embedding", 0.02), ("kmer_pairing_excess", 0.2)):
        for rule in (BEST, CONSTRAINED):
            row = chosen(found.selection, rule, score, "truth_cosine")
            assert row["regret"] <= share * at_random["regret"]
            assert row["over_cells"] <= share * at_random["over_cells"]
    shown = found.models.set_index("shown")
    assert shown.loc["consistent", "snr"] > shown.loc["inconsistent", "snr"]
    assert found.models["front_embedding"].any()


def test_controls_stand_where_they_should(built):
    rows, _ = built
    about = {"ensemble": "x", "activation": "a"}
    artefact, _ = model(artefact_maps, 0.9, about)
    nothing, _ = model(random_maps, 0.5, about)
    good = rows.iloc[3]
    # consistent, and wrong
    assert artefact["embedding"] > good["embedding"]
    assert artefact["kmer_pairing_excess"] > good["kmer_pairing_excess"]
    assert artefact["truth_cosine"] < 0.1 < good["truth_cosine"]
    assert artefact["snr"] < 0.3 * good["snr"]
    # knows nothing: no score is far from its null
    assert abs(nothing["kmer_pairing_excess"]) < 0.1 * good["kmer_pairing_excess"]
    assert abs(nothing["embedding"]) < 0.1 * good["embedding"]
    assert nothing["truth_auroc"] == pytest.approx(0.5, abs=0.03)


def test_a_population_of_one_model_is_refused(built):
    rows, values = built
    with pytest.raises(InputError, match="a population of 1 model has nothing to choose"):
        population_tables([rows.head(1)], values, None, 0.1, None, [], 1)
