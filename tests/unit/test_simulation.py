"""Grammars, noise, genealogies and fine-mapping against naive twins and known laws."""

import dataclasses
import json
import math

import numpy as np
import pytest

from seqtrust import bases
from seqtrust.simulation import (
    Grammar,
    LinearTrack,
    Pair,
    SaturatingTrack,
    accept,
    coalesce,
    diversity,
    expected_rates,
    noisy_counts,
    occupancy,
    random_motifs,
    single_effect_regression,
)


def random_codes(rng, shape, unknown=0.0):
    codes = rng.integers(0, 4, size=shape).astype(np.uint8)
    codes[rng.random(shape) < unknown] = bases.UNKNOWN
    return codes


def wide_motif(rng, name, width):
    return random_motifs(rng, [name], width, distance=0)[0]


@pytest.fixture
def grammar():
    """Motifs of unequal widths, a pair, a chain of parents and a saturating track."""
    rng = np.random.default_rng(5)
    motifs = tuple(wide_motif(rng, name, width) for name, width in (("A", 4), ("B", 7), ("C", 5)))
    return Grammar(
        motifs,
        (
            LinearTrack("first", {"A": 1.0, "B": -0.5}, pairs=(Pair("A", "B", 0.7, 3, 6),)),
            LinearTrack("second", {"C": 0.8}, parents={"first": 0.5}),
            SaturatingTrack("third", ("first", "second"), ceiling=10.0, half=4.0),
        ),
        background=0.3,
        kernel_width=20.0,
        bin_width=16,
    )


def naive_occupancy(codes, motif, threshold=0.7):
    """Both strands, one site and one column at a time."""
    reverse = motif.bits[::-1, ::-1]
    best = sum(max(column) for column in motif.bits)
    result = np.zeros((2, len(codes)))
    for start in range(len(codes) - motif.width + 1):
        for strand, bits in enumerate((motif.bits, reverse)):
            site = codes[start : start + motif.width]
            if bases.UNKNOWN not in site:
                score = sum(bits[column, base] for column, base in enumerate(site))
                result[strand, start] = 1 / (1 + math.exp(threshold * best - score))
    return result


def naive_log_rates(codes, grammar):
    """Every site on every bin, by the definition."""
    sd = grammar.kernel_width / 2.3548200450309493
    widths = {motif.name: motif.width for motif in grammar.motifs}
    sites = {
        motif.name: naive_occupancy(codes, motif, grammar.threshold).sum(axis=0)
        for motif in grammar.motifs
    }

    def kernel(motif, start, bin_):
        distance = (start + (widths[motif] - 1) / 2) - (bin_ + 0.5) * grammar.bin_width + 0.5
        return math.exp(-0.5 * (distance / sd) ** 2) if abs(distance) <= 4 * sd else 0.0

    logs = {}
    for track in grammar.tracks:
        total = np.full(len(codes) // grammar.bin_width, grammar.background)
        for bin_ in range(len(total)):
            if isinstance(track, SaturatingTrack):
                rate = sum(math.exp(logs[parent][bin_]) for parent in track.parents)
                total[bin_] = math.log(track.ceiling * rate / (rate + track.half))
                continue
            for parent, coefficient in (track.parents or {}).items():
                total[bin_] += coefficient * (logs[parent][bin_] - grammar.background)
            for motif, weight in track.weights.items():
                for start, value in enumerate(sites[motif]):
                    total[bin_] += weight * value * kernel(motif, start, bin_)
            for pair in track.pairs:
                for i, one in enumerate(sites[pair.first]):
                    for j, other in enumerate(sites[pair.second]):
                        apart = abs(i + widths[pair.first] / 2 - j - widths[pair.second] / 2)
                        if pair.nearest <= apart <= pair.farthest:
                            near = kernel(pair.first, i, bin_) + kernel(pair.second, j, bin_)
                            total[bin_] += pair.weight * one * other * near / 2
        logs[track.name] = total
    return np.array(list(logs.values()))


@pytest.mark.parametrize("width", [1, 4, 5, 10, 12])
def test_occupancy_agrees_with_naive_scan(width):
    rng = np.random.default_rng(width)
    motif = wide_motif(rng, "M", width)
    codes = random_codes(rng, (3, 60), unknown=0.03)
    found = occupancy(codes, motif)
    for row in range(3):
        np.testing.assert_allclose(found[:, row], naive_occupancy(codes[row], motif), atol=1e-12)


def test_occupancy_of_consensus_is_high_and_of_short_or_unknown_sequence_zero():
    motif = wide_motif(np.random.default_rng(0), "M", 10)
    bits = motif.bits.max(axis=1).sum()
    assert occupancy(motif.consensus, motif)[0, 0] == pytest.approx(1 / (1 + np.exp(-0.3 * bits)))
    assert not occupancy(motif.consensus[:9], motif).any()
    broken = motif.consensus.copy()
    broken[4] = bases.UNKNOWN
    assert not occupancy(broken, motif).any()


@pytest.mark.parametrize("length", [16, 100, 161])
def test_expected_rates_agree_with_naive_loops(grammar, length):
    codes = random_codes(np.random.default_rng(length), length, unknown=0.02)
    found = np.log(expected_rates(codes, grammar))
    np.testing.assert_allclose(found, naive_log_rates(codes, grammar), atol=1e-10)


def test_expected_rates_of_reverse_complement_are_reversed(grammar):
    codes = random_codes(np.random.default_rng(1), (4, 160))
    forward = expected_rates(codes, grammar)
    reverse = expected_rates(bases.reverse_complement(codes), grammar)
    np.testing.assert_allclose(reverse, forward[..., ::-1], rtol=1e-10)


def test_expected_rates_do_not_depend_on_the_batch_or_the_choice_of_tracks(grammar):
    codes = random_codes(np.random.default_rng(2), (2, 3, 128))
    together = expected_rates(codes, grammar)
    assert together.shape == (2, 3, 3, 8)
    np.testing.assert_allclose(together[1, 2], expected_rates(codes[1, 2], grammar), rtol=1e-12)
    some = expected_rates(codes, grammar, ["third", "first"])
    np.testing.assert_allclose(some, together[:, :, [2, 0]], rtol=1e-12)


def test_a_distant_mutation_leaves_a_bin_alone(grammar):
    codes = random_codes(np.random.default_rng(3), 480)
    mutated = codes.copy()
    mutated[400] = (mutated[400] + 1) % 4
    before, after = expected_rates(codes, grammar), expected_rates(mutated, grammar)
    np.testing.assert_allclose(after[:, :15], before[:, :15], rtol=1e-12)
    assert not np.allclose(after[0, 20:], before[0, 20:], rtol=1e-6)


def test_grammar_survives_json(grammar):
    assert Grammar.from_dict(json.loads(json.dumps(grammar.to_dict()))) == grammar


def test_random_motifs_are_unlike_each_other():
    motifs = random_motifs(np.random.default_rng(4), list("ABCDEFGH"))
    strands = [s for m in motifs for s in (m.consensus, 3 - m.consensus[::-1])]
    for index, first in enumerate(strands):
        for second in strands[index + 1 :]:
            assert np.count_nonzero(first != second) >= 6
    for motif in motifs:
        np.testing.assert_allclose(motif.probabilities.sum(axis=1), 1, atol=1e-6)


def test_counts_have_negative_binomial_moments():
    rates = np.full(200_000, 20.0)
    counts = noisy_counts(np.random.default_rng(8), rates, dispersion=0.25)
    assert counts.mean() == pytest.approx(20, rel=0.01)
    assert counts.var() == pytest.approx(20 + 0.25 * 400, rel=0.03)


@pytest.fixture(scope="module")
def genealogies():
    rng = np.random.default_rng(9)
    return [coalesce(rng, [20]) for _ in range(400)]


def test_tree_is_a_tree(genealogies):
    tree = genealogies[0]
    assert tree.carriers.shape == (39, 20)
    assert tree.carriers[-1].all()
    assert tree.lengths[-1] == 0
    assert np.all(tree.lengths[:-1] > 0)
    for node in range(20, 39):
        below = [n for n in range(node) if not (tree.carriers[n] & ~tree.carriers[node]).any()]
        assert np.any(tree.carriers[below], axis=0).sum() == tree.carriers[node].sum()


def test_total_length_and_diversity_have_the_expectations_of_kingman(genealogies):
    expected = 2 * sum(1 / i for i in range(1, 20))
    assert np.mean([t.lengths.sum() for t in genealogies]) == pytest.approx(expected, rel=0.08)
    rng = np.random.default_rng(10)
    theta, length = 0.002, 1000
    found = [diversity(t.carriers[t.mutations(rng, theta, length)]) for t in genealogies]
    # The sd of a tree's diversity is near theta x length; 400 trees leave 5 % of it.
    assert np.mean(found) / length == pytest.approx(theta, rel=0.15)


def test_site_frequency_spectrum_falls_as_one_over_the_count(genealogies):
    rng = np.random.default_rng(11)
    derived = np.concatenate(
        [t.carriers[t.mutations(rng, 0.02, 1000)].sum(axis=1) for t in genealogies]
    )
    spectrum = np.bincount(derived, minlength=20)[1:20] / (len(genealogies) * 20)
    np.testing.assert_allclose(spectrum[:4], 1 / np.arange(1, 5), rtol=0.2)
    assert spectrum[0] > spectrum[1] > spectrum[3] > spectrum[8] > spectrum[15]


def test_populations_that_split_earlier_differ_more():
    rng = np.random.default_rng(12)
    between = []
    for _ in range(400):
        tree = coalesce(rng, [5, 5], split_time=0.5)
        one, other = tree.carriers[:, 0], tree.carriers[:, 9]
        between.append((tree.lengths * (one ^ other)).sum() / 2)
    # Two lineages of different populations meet 1 unit after the split, on average.
    assert np.mean(between) == pytest.approx(1.5, rel=0.12)


def test_diversity_of_a_hand_worked_sample():
    # One site with 1 of 4 carriers (3 of 6 pairs differ), one with 2 of 4 (4 of 6).
    carried = np.array([[1, 0, 0, 0], [1, 1, 0, 0]], dtype=bool)
    assert diversity(carried) == pytest.approx(3 / 6 + 4 / 6)


def test_single_effect_matches_a_hand_worked_bayes_factor():
    dosages = np.array([[0, 0], [0, 2], [2, 0], [2, 2]] * 2)
    phenotype = np.array([-1.0, -1.1, 1.1, 1.0, -0.9, -1.0, 0.9, 1.0])
    fit = single_effect_regression(dosages, phenotype, np.empty((8, 0)), prior_sd=0.5)
    factors = []
    for column in dosages.T:
        x = column - 1.0
        beta = x @ phenotype / 8
        variance = np.sum((phenotype - phenotype.mean() - beta * x) ** 2) / 6 / 8
        shrink = 0.25 / (0.25 + variance)
        factors.append(math.sqrt(1 - shrink) * math.exp(beta**2 / variance * shrink / 2))
    np.testing.assert_allclose(fit.pip, np.array(factors) / sum(factors), rtol=1e-6)
    # The mean difference of 2.0 between homozygotes is two alleles' worth.
    assert fit.beta[0] == pytest.approx(1.0)
    assert fit.pip.sum() == pytest.approx(1)
    assert fit.credible.tolist() == [True, False]


def test_single_effect_shares_the_probability_of_perfect_linkage():
    rng = np.random.default_rng(13)
    lead = rng.integers(0, 3, size=80)
    other = rng.integers(0, 3, size=(80, 3))
    phenotype = lead + rng.normal(size=80)
    dosages = np.column_stack([lead, other, 2 - lead])
    fit = single_effect_regression(dosages, phenotype, rng.normal(size=(80, 1)), prior_sd=0.5)
    assert fit.pip[0] == fit.pip[-1] == pytest.approx(0.5, abs=1e-3)
    assert fit.beta[0] == pytest.approx(-fit.beta[-1])
    assert fit.credible.tolist() == [True, False, False, False, True]


def test_impure_credible_set_is_dropped():
    rng = np.random.default_rng(14)
    fit = single_effect_regression(
        rng.integers(0, 3, size=(60, 10)), rng.normal(size=60), np.empty((60, 0)), prior_sd=0.1
    )
    assert fit.pip.max() < 0.9
    assert not fit.credible.any()


def test_single_effect_of_a_covariate_is_no_effect():
    rng = np.random.default_rng(15)
    population = np.repeat([0.0, 1.0], 50)
    dosages = (rng.random((100, 2)) < (0.2 + 0.6 * population)[:, None]).astype(int)
    phenotype = 3 * population + rng.normal(size=100)
    adjusted = single_effect_regression(dosages, phenotype, population[:, None], prior_sd=0.5)
    naive = single_effect_regression(dosages, phenotype, np.empty((100, 0)), prior_sd=0.5)
    assert np.abs(adjusted.beta / adjusted.se).max() < 3
    assert np.abs(naive.beta / naive.se).min() > 4


def test_accept_gives_up():
    with pytest.raises(RuntimeError, match="none of 5 draws"):
        accept(lambda: 1, lambda value: value > 1, tries=5)


def test_a_grammar_is_changed_by_replacing_not_in_place(grammar):
    with pytest.raises(dataclasses.FrozenInstanceError):
        grammar.background = 1.0
