"""Simulated worlds: sequences, terms, programs and drift against naive twins and stated laws."""

import numpy as np
import pytest
from robustness_worlds import naive_activity, naive_feature, naive_occupancies, small_world

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.motifs import Motif, read_meme, soften, write_meme
from seqtrust.robustness.readout import Readout, drifted, nearest_product
from seqtrust.robustness.sequences import (
    SequenceSettings,
    draw_sequences,
    gc_content,
    shuffled_background,
)
from seqtrust.robustness.worlds import WorldSettings, make_world
from seqtrust.simulation import random_motifs, site_bits


def motif_of(rng, width, name="M"):
    return Motif(name, tuple(map(tuple, rng.dirichlet(np.full(4, 0.4), size=width).tolist())))


def certain(word, name):
    eye = np.eye(4)[bases.encode(word)]
    return Motif(name, tuple(map(tuple, eye.tolist())))


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.mark.parametrize("width", [1, 4, 5, 6, 11])
def test_site_bits_agree_with_one_base_at_a_time(width):
    rng = np.random.default_rng(width)
    codes = rng.integers(0, 5, size=(3, 30)).astype(np.uint8)
    motifs = [motif_of(rng, width), motif_of(rng, width), motif_of(rng, 3)]
    for motif, found in zip(motifs, site_bits(codes, motifs), strict=True):
        for strand, bits in enumerate((motif.bits, motif.bits[::-1, ::-1])):
            for row in range(3):
                for start in range(30 - motif.width + 1):
                    site = codes[row, start : start + motif.width]
                    wanted = (
                        -np.inf
                        if (site == 4).any()
                        else sum(bits[i, base] for i, base in enumerate(site))
                    )
                    np.testing.assert_allclose(found[strand, row, start], wanted)


@pytest.mark.parametrize("spacing", [None, 0, 7, 100])
def test_terms_agree_with_their_definition(spacing):
    rng = np.random.default_rng(11)
    motifs = (motif_of(rng, 4, "A"), motif_of(rng, 7, "B"), motif_of(rng, 5, "C"))
    readout = Readout(motifs, ((0, 1), (2, 1)), 0.6, 1.7, 0.4, spacing)
    codes = rng.integers(0, 5, size=(4, 26)).astype(np.uint8)
    found = readout.terms(codes)
    for row, sequence in enumerate(codes):
        features = [naive_feature(sequence, motif, 0.6, 1.7, 0.4) for motif in motifs]
        sites = [naive_occupancies(sequence, motif, 0.6, 1.7) for motif in motifs]
        np.testing.assert_allclose(found[row, :3], features)
        for column, (a, b) in enumerate(readout.pairs, start=3):
            near = 1.0
            if spacing is not None:
                shift = (motifs[a].width - motifs[b].width) / 2
                near = max(
                    (
                        one * other
                        for p, one in enumerate(sites[a])
                        for q, other in enumerate(sites[b])
                        if abs(p - q + shift) <= spacing
                    ),
                    default=0.0,
                )
            np.testing.assert_allclose(found[row, column], features[a] * features[b] * near)
        known = sequence[sequence < 4]
        np.testing.assert_allclose(found[row, -1], np.isin(known, (1, 2)).mean() - 0.45)


def test_terms_do_not_depend_on_how_rows_are_cut(world, monkeypatch):
    codes = np.random.default_rng(0).integers(0, 4, size=(30, 48)).astype(np.uint8)
    whole = world.readout.terms(codes)
    monkeypatch.setattr("seqtrust.robustness.readout._SCAN_BASES", 100)
    np.testing.assert_array_equal(world.readout.terms(codes), whole)


def test_terms_of_the_reverse_complement_are_the_same(world):
    codes = np.random.default_rng(1).integers(0, 4, size=(20, 48)).astype(np.uint8)
    other = world.readout.terms(bases.reverse_complement(codes))
    np.testing.assert_allclose(other, world.readout.terms(codes), atol=1e-12)


def test_an_unknown_sequence_has_no_sites(world):
    terms = world.readout.terms(np.full((2, 48), bases.UNKNOWN, dtype=np.uint8))
    np.testing.assert_array_equal(terms[:, :-1], 0)


def test_the_nearest_product_of_distant_sites_is_zero():
    first, second = np.zeros((1, 20)), np.zeros((1, 20))
    first[0, 0] = second[0, 12] = 1
    assert nearest_product(first, second, 11, 0) == 0
    assert nearest_product(first, second, 12, 0) == 1


def test_activity_agrees_with_its_definition(world):
    codes = np.random.default_rng(2).integers(0, 4, size=(5, 48)).astype(np.uint8)
    program = world.program(1)
    found = program.activity(world.readout.terms(codes))
    wanted = [naive_activity(sequence, world.readout, program) for sequence in codes]
    np.testing.assert_allclose(found, wanted)


def test_a_world_is_fixed_by_its_seed(world):
    again, other = small_world(), small_world(seed=4)
    assert again.readout == world.readout
    assert other.readout != world.readout
    for cell in range(3):
        np.testing.assert_array_equal(
            again.program(cell).coefficients, world.program(cell).coefficients
        )
    np.testing.assert_array_equal(again.moments.covariance, world.moments.covariance)


def test_synthetic_columns_have_the_stated_best_bases():
    best = np.concatenate(
        [
            motif.probabilities.max(axis=1)
            for seed in range(40)
            for motif in random_motifs(
                np.random.default_rng(seed), "abcdefgh", 10, 5, {0.97: 0.55, 0.85: 0.30, 0.60: 0.15}
            )
        ]
    )
    shares = [np.isclose(best, value, atol=1e-5).mean() for value in (0.97, 0.85, 0.60)]
    assert sum(shares) == pytest.approx(1)
    # 3,200 columns: standard errors are below .009
    np.testing.assert_allclose(shares, [0.55, 0.30, 0.15], atol=0.035)


def test_mean_activity_of_training_sequences_is_zero_in_every_cell(world):
    drawn = draw_sequences(world.settings.sequences, world.readout.motifs, 4000, 77)
    terms = world.readout.terms(drawn.codes)
    for cell in range(3):
        program = world.program(cell)
        assert world.moments.activity(program) == pytest.approx(0, abs=1e-12)
        activity = program.activity(terms)
        # both the moments and this sample have an error
        assert abs(activity.mean()) < 4 * activity.std() * np.sqrt(2 / 4000)
        assert activity.var() == pytest.approx(world.moments.variance(program), rel=0.12)


def test_motifs_of_a_file_make_a_world(tmp_path):
    rng = np.random.default_rng(8)
    motifs = [motif_of(rng, width, f"T{width}") for width in (6, 8, 11)]
    (tmp_path / "motifs.meme").write_text(write_meme(motifs))
    settings = WorldSettings(1, SequenceSettings(length=60), reference=500)
    found = make_world(settings, motifs=read_meme(tmp_path / "motifs.meme"))
    assert [motif.name for motif in found.readout.motifs] == ["T6", "T8", "T11"]
    assert np.isfinite(found.moments.covariance).all()
    assert found.activity_sd > 0


def test_instances_stand_on_the_grid_and_are_counted():
    motifs = [certain("ACGTTGCATC", "a"), certain("TTTGACCAGG", "b")]
    settings = SequenceSettings(length=120, rate=1.5)
    drawn = draw_sequences(settings, motifs, 400, 5)
    starts = np.arange(0, 120, 12)
    forward_share = []
    for index, motif in enumerate(motifs):
        word = motif.consensus
        blocks = drawn.codes.reshape(400, 10, 12)[:, :, :10]
        forward = (blocks == word).all(axis=2)
        reverse = (blocks == bases.reverse_complement(word)).all(axis=2)
        np.testing.assert_array_equal((forward | reverse).sum(axis=1), drawn.planted[:, index])
        forward_share.append(forward.sum() / (forward | reverse).sum())
    assert len(starts) == settings.slots
    np.testing.assert_allclose(forward_share, 0.5, atol=0.08)
    np.testing.assert_array_equal(drawn.background_bases, 120 - 10 * drawn.planted.sum(axis=1))


def test_numbers_of_instances_are_poisson():
    settings = SequenceSettings(length=200, rate=0.45)
    motifs = [certain("ACGTTGCATC", "a"), certain("TTTGACCAGG", "b")]
    planted = draw_sequences(settings, motifs, 20_000, 1).planted
    np.testing.assert_allclose(planted.mean(axis=0), 0.45, atol=4 * np.sqrt(0.45 / 20_000))
    np.testing.assert_allclose(planted.var(axis=0), 0.45, rtol=0.06)
    assert abs(np.corrcoef(planted.T)[0, 1]) < 4 / np.sqrt(20_000)


def test_more_instances_than_slots_are_left_out_without_favour():
    motifs = [certain("ACGTTGCATC", "a"), certain("TTTGACCAGG", "b")]
    settings = SequenceSettings(length=24, rate=20)
    planted = draw_sequences(settings, motifs, 3000, 1).planted
    np.testing.assert_array_equal(planted.sum(axis=1), 2)
    np.testing.assert_allclose(planted.mean(axis=0), 1, atol=4 * np.sqrt(0.5 / 3000))


@pytest.mark.parametrize("turnover", [0.0, 0.25, 1.0])
def test_instances_are_drawn_from_the_mixed_motif(turnover):
    motif = motif_of(np.random.default_rng(4), 6)
    settings = SequenceSettings(length=6, slot=6, rate=12)
    codes = draw_sequences(settings, [motif], 20_000, 2, turnover=turnover).codes
    found = np.stack([(codes == base).mean(axis=0) for base in range(4)], axis=1)
    mixed = (1 - turnover) * motif.probabilities + turnover / 4
    both_strands = (mixed + mixed[::-1, ::-1]) / 2
    np.testing.assert_allclose(found, both_strands, atol=5 * np.sqrt(0.25 / 20_000))


@pytest.mark.parametrize("mean", [0.45, 0.65])
def test_backgrounds_have_the_stated_gc(mean):
    settings = SequenceSettings(length=400, rate=0)
    drawn = draw_sequences(settings, [certain("ACGTTGCATC", "a")], 4000, 6, gc_mean=mean)
    gc = gc_content(drawn.codes)
    np.testing.assert_array_equal(drawn.background_gc, np.rint(gc * 400))
    spread = np.sqrt(0.05**2 + mean * (1 - mean) / 400)
    assert gc.mean() == pytest.approx(mean, abs=4 * spread / np.sqrt(4000))
    assert gc.std() == pytest.approx(spread, rel=0.06)
    neighbours = drawn.codes[:, :-1].astype(int) - drawn.codes[:, :-1].mean()
    following = drawn.codes[:, 1:] - drawn.codes[:, 1:].mean()
    within = (neighbours * following).mean() / drawn.codes.var()
    assert abs(within) < 0.02


def test_gc_content_is_clipped_to_its_range():
    settings = SequenceSettings(length=2000, rate=0, gc_sd=0.3, gc_range=(0.4, 0.5), slot=10)
    gc = gc_content(draw_sequences(settings, [certain("ACGT", "a")], 300, 1).codes)
    assert gc.min() > 0.4 - 5 * np.sqrt(0.25 / 2000)
    assert gc.max() < 0.5 + 5 * np.sqrt(0.25 / 2000)


def test_another_gc_leaves_instances_where_they_are():
    settings = SequenceSettings(length=60)
    motifs = [certain("ACGTTGCATC", "a")]
    one, other = (draw_sequences(settings, motifs, 200, 3, gc_mean=gc) for gc in (0.45, 0.75))
    np.testing.assert_array_equal(one.planted, other.planted)
    np.testing.assert_array_equal(one.background_bases, other.background_bases)
    assert (other.background_gc >= one.background_gc).all()
    assert (one.codes != other.codes).any()


def test_shuffled_backgrounds_keep_dinucleotides_of_the_nearest_pool_sequence():
    rng = np.random.default_rng(0)
    pool = (rng.random((40, 50)) < np.linspace(0.2, 0.8, 40)[:, None]).astype(np.uint8)
    wanted = np.array([0.2, 0.5, 0.8])
    found = shuffled_background(wanted, pool, np.random.default_rng(1))
    known = gc_content(pool)
    for target, sequence in zip(wanted, found, strict=True):
        nearest = np.abs(known - target).min()
        assert abs(gc_content(sequence) - target) == pytest.approx(nearest)
        pairs = np.sort(5 * sequence[:-1] + sequence[1:])
        assert any(np.array_equal(pairs, np.sort(5 * origin[:-1] + origin[1:])) for origin in pool)


@pytest.mark.slow
def test_a_world_of_shuffled_backgrounds_follows_the_gc_of_its_shift():
    rng = np.random.default_rng(0)
    gc = rng.uniform(0.25, 0.75, size=300)
    drawn = rng.random((300, 60))
    pool = np.where(
        drawn < gc[:, None], rng.integers(1, 3, (300, 60)), 3 * rng.integers(0, 2, (300, 60))
    )
    settings = WorldSettings(2, SequenceSettings(length=60), motifs=3, reference=200)
    found = make_world(settings, pool=pool.astype(np.uint8))
    sequences = found.settings.sequences
    means = [
        gc_content(
            draw_sequences(sequences, found.readout.motifs, 400, 1, gc_mean, pool=found.pool).codes
        ).mean()
        for gc_mean in (0.45, 0.55, 0.65)
    ]
    assert means[0] + 0.05 < means[1] < means[2] - 0.05


def test_drift_moves_every_base_of_a_nested_share_of_columns():
    motifs = random_motifs(np.random.default_rng(2), "abc", 10, 5)
    old = np.concatenate([motif.probabilities for motif in motifs])
    steps = [
        np.concatenate([m.probabilities for m in drifted(motifs, f, np.random.default_rng(9))])
        for f in (0.0, 0.1, 0.4, 1.0)
    ]
    np.testing.assert_allclose(steps[0], old)
    for number, new in zip((0, 3, 12, 30), steps, strict=True):
        moved = new.argmax(axis=1) != old.argmax(axis=1)
        assert moved.sum() == number
        np.testing.assert_allclose(new[~moved], old[~moved])
        np.testing.assert_allclose(np.sort(new, axis=1), np.sort(old, axis=1))
        np.testing.assert_allclose(new[moved], steps[-1][moved])


@pytest.mark.parametrize("rho", [1.0, 0.9, 0.7, 0.4, 0.0])
def test_rewiring_is_orthogonal_as_long_and_centred(world, rho):
    old, new = world.program(0), world.rewired(0, rho)
    metric = world.moments.covariance[:3, :3]
    beta = old.motifs
    length = beta @ metric @ beta
    assert new.motifs @ metric @ new.motifs == pytest.approx(length)
    assert new.motifs @ metric @ beta == pytest.approx(rho * length, abs=1e-12)
    np.testing.assert_allclose(new.pairs, rho * old.pairs)
    assert new.gc == old.gc
    assert world.moments.activity(new) == pytest.approx(world.moments.activity(old), abs=1e-12)


def test_rewiring_keeps_its_direction_along_rho_and_differs_by_draw_and_cell(world):
    def direction(rho, draw=0, cell=0):
        turned, old = world.rewired(cell, rho, draw).motifs, world.program(cell).motifs
        return (turned - rho * old) / np.sqrt(1 - rho**2)

    np.testing.assert_allclose(direction(0.3), direction(0.8))
    assert np.abs(direction(0.3) - direction(0.3, draw=1)).max() > 0.01
    assert np.abs(direction(0.3) - direction(0.3, cell=1)).max() > 0.01


def test_cell_types_without_own_parts_are_alike(world):
    first, last = world.program(0, 0.0), world.program(2, 0.0)
    np.testing.assert_array_equal(first.coefficients, last.coefficients)
    one, two = (world.program(2, sd).motifs - first.motifs for sd in (0.2, 0.4))
    np.testing.assert_allclose(two, 2 * one)


def test_softening_is_a_mixture_with_the_uniform_distribution():
    motif = certain("ACG", "a")
    np.testing.assert_allclose(soften(motif, 0.2).probabilities.max(axis=1), 0.85)
    assert soften(motif, 0.0) is motif


def test_moments_are_not_those_of_a_data_set_of_a_near_seed(world):
    for seed in range(6):
        drawn = draw_sequences(world.settings.sequences, world.readout.motifs, 4000, seed)
        mean = world.readout.terms(drawn.codes).mean(axis=0)
        assert (mean != world.moments.mean).any()


@pytest.mark.slow
def test_the_default_world_is_as_varied_as_the_prototype():
    """Prototype, one world: variance of activity 1.84, mean noise variance .22, so R2 up to .88."""
    variances = [
        make_world(WorldSettings(seed, reference=1500)).activity_sd ** 2 for seed in range(8)
    ]
    assert 1.2 < np.median(variances) < 2.6


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: WorldSettings(-1), "seed is -1"),
        (lambda: WorldSettings(0, positive=1.2), "positive is 1.2, it must be from 0 to 1"),
        (lambda: WorldSettings(0, width=13), "width is 13, it must be from 4 to 12"),
        (lambda: WorldSettings(0, weight_range=(0.5, 0.2)), r"weight_range\[1\] is 0.2"),
        (lambda: SequenceSettings(gc_mean=0.9), "gc_mean is 0.9, it must be from 0.2 to 0.85"),
        (lambda: SequenceSettings(length=10), "slot is 12, it must be from 1 to 10"),
        (lambda: SequenceSettings(rate=-1), "rate is -1, it must be finite and at least 0"),
        (lambda: Readout((certain("ACGT", "a"),), ((0, 1),)), "pair .0, 1. must name two"),
        (lambda: Readout((certain("ACGT", "a"),), softness=0), "softness is 0"),
        (lambda: small_world(motifs=2, pairs=2), "2 pairs of 2 motifs, there are 1"),
        (lambda: make_world(WorldSettings(0), motifs=[]), "the list of motifs is empty"),
        (
            lambda: make_world(WorldSettings(0, pairs=0), [certain("ACGTACGTACGTA", "long")]),
            "'long' has 13 columns, slots have 12 bp",
        ),
        (
            lambda: draw_sequences(SequenceSettings(), [certain("ACGT", "a")], 5, 1, 0.95),
            "gc_mean is 0.95",
        ),
        (
            lambda: draw_sequences(
                SequenceSettings(), [certain("ACGT", "a")], 5, 1, pool=np.zeros((3, 9), np.uint8)
            ),
            "it needs sequences of 200 bp",
        ),
        (
            lambda: draw_sequences(
                SequenceSettings(length=12), [certain("ACGT", "a")], 5, 1,
                pool=np.full((3, 12), 4, np.uint8),
            ),
            "3 sequences hold an N, the first is row 0",
        ),
        (
            lambda: draw_sequences(
                SequenceSettings(length=12), [certain("ACGT", "a")], 5, 1,
                pool=np.zeros((3, 12), np.uint8),
            ),
            "have no sequence within 0.05; the pool reaches from 0.00 to 0.00",
        ),
        (lambda: small_world().program(3), "cell types 0 to 2"),
        (lambda: small_world().program(0, -0.1), "cell_sd is -0.1"),
        (lambda: small_world().rewired(0, 1.5), "rho is 1.5"),
        (lambda: small_world(motifs=1, pairs=0).rewired(0, 0.5), "needs two motifs or more"),
        (lambda: small_world().drifted(float("nan")), "fraction is nan"),
        (
            lambda: small_world().readout.terms(np.zeros((2, 5), np.uint8)),
            "sequences of 5 bp are shorter than a motif of 6",
        ),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
