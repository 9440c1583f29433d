"""Jackknifes, subsets and rank stability of consistency scores."""

import numpy as np
import pytest
from attribution_twins import planted
from scipy.stats import kendalltau, spearmanr
from scipy.stats import t as student

from seqtrust.attribution.consistency_intervals import (
    compare,
    jackknife,
    random_groups,
    score_interval,
    subsets,
)
from seqtrust.attribution.embedding_measure import EmbeddingMeasure
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.attribution.sensitivity import embedding_grid, kmer_grid, sensitivity
from seqtrust.errors import InputError

MEASURES = [
    KmerMeasure(k=3), KmerMeasure(k=3, mode="published"), EmbeddingMeasure(),
    EmbeddingMeasure(mode="published"),
]  # fmt: skip
NAMES = [measure.label for measure in MEASURES]


@pytest.fixture(scope="module")
def motifs():
    return planted(100, 0.2, 1)


@pytest.mark.parametrize("measure", MEASURES, ids=NAMES)
def test_groups_add_up_to_the_score(measure, motifs):
    groups = random_groups(100, 7, 1)
    tally = measure.tally(*motifs, groups)
    expected = measure.score(*motifs)
    assert tally.values(np.ones((1, 7))).score[0] == pytest.approx(expected, abs=1e-12)
    # one set at a time gives what all sets together give
    sets = np.random.default_rng(0).integers(0, 3, (5, 7))
    together = tally.values(sets).score
    np.testing.assert_allclose([tally.values(s[None]).score[0] for s in sets], together, atol=1e-12)


def test_leaving_out_a_group_of_kmers_is_scoring_the_others(motifs):
    maps, sequences = motifs
    measure = KmerMeasure(k=3, merged=True)
    groups = random_groups(100, 4, 2)
    found = measure.tally(maps, sequences, groups).values(1 - np.eye(4))
    for group in range(4):
        kept = groups != group
        assert found.score[group] == pytest.approx(
            measure.score(maps[kept], sequences[kept]), abs=1e-12
        )


def test_leaving_out_a_group_of_vectors_holds_the_cutoff(motifs):
    maps, _ = motifs
    groups = random_groups(100, 20, 3)
    measure = EmbeddingMeasure()
    held = measure.tally(maps, None, groups).values(1 - np.eye(20)).score
    anew = [measure.score(maps[groups != group], None) for group in range(20)]
    np.testing.assert_allclose(held, anew, atol=0.02)


def test_the_jackknife_is_the_textbook_one(motifs):
    groups = random_groups(100, 10, 4)
    measure = KmerMeasure(k=3)
    maps, sequences = motifs
    left = [measure.score(maps[groups != g], sequences[groups != g]) for g in range(10)]
    found = jackknife(measure.tally(maps, sequences, groups))
    se = np.sqrt(9 / 10 * np.sum((np.array(left) - np.mean(left)) ** 2))
    assert found.se == pytest.approx(se)
    assert found.high - found.value == pytest.approx(student.ppf(0.975, 9) * se)
    assert found.value - found.low == pytest.approx(found.high - found.value)
    assert found.extrapolated == pytest.approx(10 * found.value - 9 * np.mean(left))


@pytest.mark.slow
@pytest.mark.parametrize("measure", [MEASURES[0], MEASURES[2]], ids=[NAMES[0], NAMES[2]])
def test_the_standard_error_is_the_spread_of_new_maps(measure):
    found = [score_interval(measure, *planted(100, 0.2, seed)) for seed in range(30)]
    spread = np.std([one.value for one in found], ddof=1)
    assert np.mean([one.se for one in found]) == pytest.approx(spread, rel=0.4)
    truth = np.mean([one.value for one in found])
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.8


@pytest.mark.slow
def test_the_plain_bootstrap_is_biased_and_smaller_samples_extrapolate():
    measure = EmbeddingMeasure(mode="published", isometric=True)
    truth = measure.score(*planted(3000, 0.2, 99))
    whole, bootstrap, extrapolated, drawn_less = [], [], [], []
    for seed in range(6):
        maps, sequences = planted(100, 0.2, seed)
        single = measure.tally(maps, sequences, np.arange(100))
        draws = np.random.default_rng(seed).multinomial(100, np.full(100, 0.01), 50)
        bootstrap.append(single.values(draws).score.mean())
        found = score_interval(measure, maps, sequences)
        whole.append(found.value)
        extrapolated.append(found.extrapolated)
        curve = subsets(measure.tally(maps, sequences, random_groups(100, 20, seed)))
        drawn_less.append(curve.extrapolated)
    # the score of 100 maps is too high, and the bootstrap doubles the error
    assert np.mean(whole) > truth + 0.1
    assert np.mean(bootstrap) > np.mean(whole) + 0.1
    assert min(np.array(bootstrap) - whole) > 0
    assert abs(np.mean(extrapolated) - truth) < 0.3 * (np.mean(whole) - truth)
    assert abs(np.mean(drawn_less) - truth) < 0.5 * (np.mean(whole) - truth)


def test_a_line_in_one_over_n_is_extrapolated_exactly(motifs):
    tally = KmerMeasure(k=3).tally(*motifs, random_groups(100, 20, 1))
    found = subsets(tally, (0.3, 0.6), rounds=40)
    assert found.sizes.tolist() == [0.3, 0.6, 1.0]
    slope, start = np.polyfit(1 / found.sizes, found.means, 1)
    assert found.extrapolated == pytest.approx(start)
    assert found.means[2] == pytest.approx(KmerMeasure(k=3).score(*motifs))
    assert (found.sds[:2] > 0).all()
    assert found.sds[0] > found.sds[1]
    assert slope != 0


def test_models_are_compared_on_the_maps_that_all_have():
    first, sequences = planted(100, 0.2, 5)
    rng = np.random.default_rng(5)
    second = first + 0.1 * rng.normal(size=first.shape)
    third = first.copy()
    second[3], third[8, 0, 0] = 0, np.nan
    models = {"first": first, "second": second, "third": third}
    for measure in (MEASURES[0], MEASURES[2]):
        found = compare(measure, models, sequences)
        assert found.models == ("first", "second", "third")
        assert (found.maps, found.dropped.tolist()) == (98, [3, 8])
        assert {name: own.tolist() for name, own in found.dropped_by.items()} == {
            "first": [], "second": [3], "third": [8],
        }  # fmt: skip
        kept = np.delete(np.arange(100), [3, 8])
        expected = measure.score(first[kept], sequences[kept])
        assert found.scores["first"].value == pytest.approx(expected)
        same = found.differences["first", "third"]
        assert (same.value, same.se) == (0, 0)
        other = found.differences["first", "second"]
        assert other.value == pytest.approx(
            found.scores["first"].value - found.scores["second"].value
        )
        # maps are paired, so the difference is surer than either score
        assert other.se < np.hypot(found.scores["first"].se, found.scores["second"].se)
        assert other.low > 0


def test_groups_may_be_given(motifs):
    maps, sequences = motifs
    names = np.array(["chr1", "chr2", "chr3", "chr4"])[np.arange(100) % 4]
    found = score_interval(KmerMeasure(k=3), maps, sequences, names)
    expected = jackknife(KmerMeasure(k=3).tally(maps, sequences, np.arange(100) % 4))
    assert found == expected
    assert found.groups == 4


@pytest.mark.slow
def test_ranks_of_models_under_settings():
    models = {f"noise {noise}": planted(60, noise, 6)[0] for noise in (0.05, 0.2, 0.4, 1.6)}
    sequences = planted(60, 0.05, 6)[1]
    grid = [*kmer_grid((2, 3), (0.9,)), *embedding_grid((1, 3), (0.04, 0.1), (0.2,))]
    found = sensitivity(grid, models, sequences)
    assert found.scores.shape == (6, 4)
    for a, first in found.scores.iterrows():
        for b, second in found.scores.iterrows():
            assert found.kendall.loc[a, b] == pytest.approx(kendalltau(first, second).statistic)
            assert found.spearman.loc[a, b] == pytest.approx(spearmanr(first, second).statistic)
    for measure in grid:
        expected = measure.score(models["noise 0.2"], sequences)
        assert found.scores.loc[measure.label, "noise 0.2"] == pytest.approx(expected)
    stable = found.stability()
    assert stable.index.is_unique
    assert (stable["least_kendall"] <= stable["mean_kendall"]).all()
    own = found.kendall.loc[stable.index[0]].drop(stable.index[0])
    assert stable["mean_kendall"].iloc[0] == pytest.approx(own.mean())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, s: compare(KmerMeasure(), {}, s), "no model to compare"),
        (lambda m, s: compare(KmerMeasure(), {"a": m, "b": m[:5]}, s), "maps of 'b' have shape"),
        (lambda m, s: compare(KmerMeasure(), {"a": m, "b": 0 * m}, s), "all of the models a, b"),
        (lambda m, s: score_interval(KmerMeasure(), m, s, 1), "at least two groups"),
        (lambda m, s: score_interval(KmerMeasure(), m, s, [1, 2]), r"shape \(2,\), expected one"),
        (lambda m, s: sensitivity(kmer_grid((2,), (0.9,)), {"a": m}, s), "1 settings and 1 models"),
        (
            lambda m, s: subsets(KmerMeasure(k=2).tally(m, s, np.arange(6)), (0.5, 0.7)),
            "of 6 groups: expected at least 8",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(call, message):
    maps, sequences = planted(6, 0.1, 7)
    with pytest.raises(InputError, match=message):
        call(maps, sequences)
