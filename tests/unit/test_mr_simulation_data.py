"""The simulation of Deep MR: planted frequencies, and an oracle that equals brute force."""

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from seqtrust.errors import InputError
from seqtrust.mendelian.simulated_grammar import (
    CONFOUNDER,
    EXPOSURE,
    OUTCOME,
    Process,
    Relation,
    anscombe,
    chosen_motifs,
    drawn_labels,
    drawn_relation,
    drawn_sequences,
    drawn_variants,
    effects_of_loci,
    expected_counts,
)
from seqtrust.mendelian.simulated_oracle import (
    drawn_loci,
    expected_labels,
    mutant_occupancies,
    occupancies,
    true_effects,
    within_exposure,
)
from seqtrust.motifs import Motif

MOTIFS = chosen_motifs("resources/toy/motifs.meme", ["TOY1", "TOY2", "TOY3"])
POTENTIAL = (-8.0, -8.0, -8.0)
RELATION = Relation(100.0, 2.0, "all")


def process(**settings):
    return Process(MOTIFS, **{"potential": POTENTIAL} | settings)


def likely(count, total, share):
    """Whether a count is one that a share gives in all but one of ten thousand runs."""
    return binomtest(int(count), int(total), share).pvalue > 1e-4


def test_motifs_stand_in_the_planted_shares():
    drawn = drawn_sequences(20_000, process(mode="both"), np.random.default_rng(0))
    exposure, outcome, confounder = (drawn.starts >= 0).T
    for found, share in (
        (exposure, 0.5),
        (outcome, 0.5),
        (exposure & outcome, 0.25),
        (exposure | outcome, 0.75),
        (confounder, 0.5),
        (confounder & exposure, 0.25),
    ):
        assert likely(found.sum(), len(drawn), share)
    assert not likely(exposure.sum(), len(drawn), 0.47)
    for mode in ("none", "random"):
        plain = drawn_sequences(200, process(mode=mode), np.random.default_rng(0))
        assert (plain.starts[:, CONFOUNDER] < 0).all()


def test_bases_follow_background_and_motifs_with_a_uniform_gap():
    world = process()
    drawn = drawn_sequences(20_000, world, np.random.default_rng(1))
    empty = drawn.codes[(drawn.starts < 0).all(axis=1)]
    counts = np.bincount(empty.ravel(), minlength=4)
    assert chisquare(counts, np.array(world.background) * counts.sum()).pvalue > 1e-4
    rows = np.flatnonzero(drawn.has_exposure)
    columns = drawn.starts[rows, EXPOSURE][:, None] + np.arange(world.widths[EXPOSURE])
    instances = drawn.codes[rows[:, None], columns]
    for column, expected in enumerate(world.probabilities(EXPOSURE)):
        counts = np.bincount(instances[:, column], minlength=4)
        assert chisquare(counts, expected * counts.sum()).pvalue > 1e-4
    pairs = drawn.rows(drawn.has_both)
    gaps = pairs.starts[:, OUTCOME] - pairs.starts[:, EXPOSURE] - world.widths[EXPOSURE]
    first, last = world.gaps
    assert (first, last) == (10, 80)
    assert (gaps.min(), gaps.max()) == (first, last)
    counts = np.bincount(gaps - first, minlength=last - first + 1)
    assert chisquare(counts).pvalue > 1e-4
    assert pairs.spacing.std() == pytest.approx(1, abs=0.03)
    assert np.corrcoef(pairs.spacing, gaps)[0, 1] == pytest.approx(1)
    assert (drawn.spacing[~drawn.has_both] == 0).all()


def test_variants_have_one_other_base_in_every_motif():
    world = process(mode="sequence", length=150)
    rng = np.random.default_rng(2)
    drawn = drawn_sequences(500, world, rng)
    variants = drawn_variants(drawn, 100, world, rng)
    assert len(variants) == 100
    checked = 0
    for codes, starts in zip(variants.codes, variants.starts, strict=True):
        distance = (drawn.codes != codes).sum(axis=1)
        source = distance.argmin()
        assert (drawn.starts[source] == starts).all()
        differs = np.flatnonzero(drawn.codes[source] != codes)
        spans = [(s, s + w) for s, w in zip(starts, world.widths, strict=True) if s >= 0]
        # where motifs lie over each other one mutation may undo another
        if all(a[1] <= b[0] for a, b in zip(sorted(spans), sorted(spans)[1:], strict=False)):
            inside = [sum(low <= at < high for at in differs) for low, high in spans]
            assert inside == [1] * len(spans)
            assert len(differs) == len(spans)
            checked += 1
    assert checked > 50


def test_occupancy_of_a_site_by_hand():
    certain = Motif("X", ((1.0, 0, 0, 0),) * 2)
    world = Process((certain, certain, certain), length=6, pseudocount=0.01)
    p = 1.01 / 1.04
    site = 1 / (1 + 1 / ((p / 0.27) ** 2))
    other = 0.01 / 1.04
    mixed = 1 / (1 + 1 / (p / 0.27 * other / 0.23))
    none = 1 / (1 + 1 / ((other / 0.23) ** 2))
    codes = np.array([[1, 1, 0, 0, 1, 1]], dtype=np.uint8)
    expected = 1 - (1 - site) * (1 - mixed) ** 2 * (1 - none) ** 2
    assert occupancies(codes, world)[0] == pytest.approx([expected] * 3)


@pytest.mark.parametrize("mode", ["none", "random", "sequence", "both"])
@pytest.mark.parametrize("effect", [2.0, -1.0])
def test_true_effects_are_those_of_mutated_sequences(mode, effect):
    world = process(mode=mode, heterogeneity=0.5, length=60)
    relation = Relation(97.0, effect, "all")
    loci = drawn_loci(3, world, np.random.default_rng(3))
    found = true_effects(loci, relation, world)
    theta = effects_of_loci(loci.spacing, relation, 0.5)
    for kind, confounded in ((found.causal, False), (found.learned, True)):
        for row, codes in enumerate(loci.codes):

            def labels(sequence, row=row, confounded=confounded):
                occupancy = occupancies(sequence[None], world)[0]
                return expected_labels(
                    occupancy, theta[row], relation, world, confounded=confounded
                )

            for position in range(0, 60, 3):
                for base in range(4):
                    effects = kind[:, row, 4 * position + base]
                    if base == codes[position]:
                        assert np.isnan(effects).all()
                        continue
                    mutant = codes.copy()
                    mutant[position] = base
                    assert effects == pytest.approx(labels(mutant) - labels(codes), abs=1e-9)


def test_effects_of_the_span_alone_are_the_same():
    world = process(length=70)
    loci = drawn_loci(5, world, np.random.default_rng(4))
    whole, span = (true_effects(loci, RELATION, world, span=one) for one in (False, True))
    inside = within_exposure(loci, world)
    for row in range(5):
        assert np.allclose(
            whole.causal[:, row, inside[row]], span.causal[:, row], equal_nan=True, atol=1e-12
        )
    assert span.span_slope == pytest.approx(whole.span_slope)
    own = mutant_occupancies(loci.codes, world, np.arange(70)[None].repeat(5, axis=0))
    same = np.take_along_axis(own, loci.codes[..., None, None].astype(int), axis=2)[:, :, 0]
    assert same == pytest.approx(np.repeat(occupancies(loci.codes, world)[:, None], 70, axis=1))


@pytest.mark.parametrize("effect", [0.0, 0.5, 1.0, np.sqrt(10.0), -1.0])
def test_true_slopes_are_about_the_planted_effect(effect):
    """Analytically sqrt(beta / alpha) where the outcome's motif is occupied."""
    world = process(potential=(-8, 6, -8))
    loci = drawn_loci(200, world, np.random.default_rng(5))
    found = np.median(true_effects(loci, Relation(1000.0, effect, "all"), world).span_slope)
    assert found == pytest.approx(effect, rel=0.05, abs=1e-9)


def test_heterogeneity_is_the_sd_of_the_effects_of_loci():
    world = process(potential=(-8, 6, -8), heterogeneity=0.5)
    loci = drawn_loci(400, world, np.random.default_rng(6))
    slopes = true_effects(loci, Relation(1000.0, 2.0, "all"), world).span_slope
    assert slopes.std() == pytest.approx(0.5, rel=0.1)
    assert np.corrcoef(slopes, loci.spacing)[0, 1] > 0.98


def test_counts_are_poisson_around_the_stated_means():
    world = process(mode="both", strength=0.5)
    occupancy = np.array([[0.8, 0.5, 0.25]])
    counts = expected_counts(occupancy, np.array([2.0]), RELATION, world, confounded=True, coin=1)
    beta = 400.0
    assert counts[0] == pytest.approx(
        [1 + 80 + 0.5 * (0.25 * 20 + 25), 1 + beta * 0.4 + 0.5 * (0.25 * 30 + 25)]
    )
    free = expected_counts(occupancy, np.array([2.0]), RELATION, world, confounded=False, coin=1)
    assert free[0] == pytest.approx([81, 161])
    repressed = expected_counts(occupancy, np.array([-2.0]), RELATION, world, confounded=False)
    assert repressed[0, 1] == pytest.approx(1 + beta * 0.5 * (1 - np.sqrt(0.8)) ** 2)

    plain = process()
    codes = drawn_loci(1, plain, np.random.default_rng(7))
    many = codes.rows(np.zeros(20_000, dtype=int))
    occupied = occupancies(many.codes, plain)
    labels = drawn_labels(occupied, many, RELATION, plain, np.random.default_rng(8))
    back = (labels / 2) ** 2 - 0.375
    means = expected_counts(occupied[:1], np.array([2.0]), RELATION, plain, confounded=False)[0]
    assert back == pytest.approx(np.round(back), abs=1e-6)
    assert back.mean(axis=0) == pytest.approx(means, abs=5 * np.sqrt(means.max() / 20_000))
    assert back.var(axis=0) == pytest.approx(back.mean(axis=0), rel=0.06)
    assert labels.var(axis=0) == pytest.approx([1, 1], abs=0.06)
    assert anscombe(0) == pytest.approx(2 * np.sqrt(0.375))


def test_laws_of_effects():
    rng = np.random.default_rng(9)
    world = process()
    drawn = [drawn_relation({"clusters": True}, world, rng) for _ in range(2000)]
    ratios = {name: [r.effect**2 for r in drawn if r.cluster == name] for name in ("low", "high")}
    assert likely(len(ratios["high"]), 2000, 0.5)
    assert np.mean(ratios["high"]) == pytest.approx(10, abs=0.08)
    assert min(ratios["low"]) == 0
    assert np.std([r.alpha for r in drawn]) == pytest.approx(3, rel=0.1)
    effects = [drawn_relation({"uniform": [0, 3]}, world, rng).effect for _ in range(500)]
    assert 0 <= min(effects) < 0.1
    assert 2.9 < max(effects) <= 3
    assert drawn_relation({"fixed": -1}, world, rng).effect == -1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 25}, "sequences of 25 bp do not hold both motifs .* make length at least 30"),
        ({"mode": "coin"}, "mode of confounding 'coin'; known: none, random, sequence, both"),
        ({"background": (0.3, 0.3, 0.3, 0.3)}, "four positive probabilities that sum to 1"),
    ],
)
def test_processes_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        process(**settings)
