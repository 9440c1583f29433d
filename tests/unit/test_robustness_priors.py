"""Structural priors: scans without leakage, their control and their upper bound."""

import numpy as np
import pytest
from robustness_worlds import naive_bits, small_world

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.motifs import Motif, soften
from seqtrust.robustness.conditions import sample
from seqtrust.robustness.shifts import IN_DISTRIBUTION, named_shift
from seqtrust.robustness.structural_priors import (
    KINDS,
    fit_prior,
    known_motifs,
    likeness,
    scan_features,
    shuffled_motifs,
)
from seqtrust.robustness.worlds import WorldSettings, make_world

# columns are those of an assay's table
SIMULATED = tuple(kind for kind in KINDS if kind != "columns")


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def training(world):
    return sample(world, IN_DISTRIBUTION, 500, 1)


def test_scans_agree_with_one_site_at_a_time(world, monkeypatch):
    monkeypatch.setattr("seqtrust.robustness.structural_priors._SCAN_BASES", 100)
    codes = np.random.default_rng(0).integers(0, 4, size=(6, 48)).astype(np.uint8)
    motifs = world.readout.motifs
    found = scan_features(codes, motifs)
    for row, sequence in enumerate(codes):
        for index, motif in enumerate(motifs):
            bits = np.array(naive_bits(sequence, soften(motif, 1e-3)))
            assert found[row, 2 * index] == pytest.approx(bits.max())
            assert found[row, 2 * index + 1] == pytest.approx(np.log2(np.exp2(bits).sum()))


def test_scans_are_finite_with_certain_bases_and_unknown_ones():
    eye = np.eye(4)[bases.encode("ACGT")]
    motif = Motif("certain", tuple(map(tuple, eye.tolist())))
    codes = np.stack([bases.encode("TTTTTTTT"), bases.encode("NNNNNNNN"), bases.encode("TACGTNNN")])
    found = scan_features(codes, [motif])
    assert np.isfinite(found).all()
    assert found[2, 0] == pytest.approx(8, abs=0.01)
    assert found[1, 0] <= found[0, 0]


@pytest.mark.parametrize("kind", SIMULATED)
def test_features_are_standardised_on_training_data(world, training, kind):
    prior = fit_prior(world, training, kind, known=2)
    features = prior.features(training)
    assert features.shape == (500, len(prior.names))
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(features.std(axis=0), 1)
    shifted = prior.features(sample(world, named_shift("GC", 3), 500, 1))
    assert shifted[:, -1].mean() > 1


def test_known_motifs_are_some_and_not_quite_right():
    motifs = small_world(motifs=8).readout.motifs
    known = known_motifs(motifs, 5, 0.15, 3)
    names = [motif.name for motif in known]
    assert len(set(names)) == 5
    assert set(names) < {motif.name for motif in motifs}
    truth = {motif.name: motif.probabilities for motif in motifs}
    for motif in known:
        change = motif.probabilities - 0.85 * truth[motif.name]
        assert (change > -1e-9).all()
        np.testing.assert_allclose(change.sum(axis=1), 0.15)
        assert np.abs(motif.probabilities - truth[motif.name]).max() > 0.02
    assert known_motifs(motifs, 5, 0.15, 3) == known
    assert {m.name for m in known_motifs(motifs, 5, 0.15, 4)} != set(names)
    exact = known_motifs(motifs, 8, 0.0, 3)
    for motif, original in zip(exact, motifs, strict=True):
        np.testing.assert_allclose(motif.probabilities, original.probabilities)


def test_shuffled_motifs_keep_their_columns(world):
    motifs = world.readout.motifs
    shuffled = shuffled_motifs(motifs, motifs, 1)
    assert [sorted(motif.columns) for motif in shuffled] == [sorted(m.columns) for m in motifs]
    for motif, original in zip(shuffled, motifs, strict=True):
        chance = [
            Motif("chance", tuple(original.columns[place] for place in order))
            for order in np.random.default_rng(0).permuted(np.tile(range(6), (20, 1)), axis=1)
        ]
        typical = np.median([likeness(one, motifs) for one in chance])
        assert likeness(motif, motifs) < typical
        assert likeness(motif, motifs) < likeness(original, motifs)


def test_likeness_agrees_with_one_shift_at_a_time():
    rng = np.random.default_rng(3)
    one, other = (
        Motif("M", tuple(map(tuple, rng.dirichlet(np.ones(4), width).tolist()))) for width in (4, 6)
    )
    bits = soften(one, 1e-3).bits
    found = []
    for columns in (other.probabilities, other.probabilities[::-1, ::-1]):
        for shift in range(-3, 6):
            total = 0.0
            for place in range(4):
                at = place + shift
                law = columns[at] if 0 <= at < 6 else np.full(4, 0.25)
                total += float(law @ bits[place])
            found.append(total)
    assert likeness(one, [other]) == pytest.approx(max(found))
    assert likeness(one, [other, one]) == pytest.approx(max(*found, likeness(one, [one])))


def test_drift_does_not_leak_into_a_prior(world, training):
    """A prior fitted on training data scans drifted sequences with the old motifs."""
    drifted = sample(world, named_shift("PWM", 4), 200, 2)
    prior = fit_prior(world, training, known=3, perturbation=0.0)
    raw = scan_features(drifted.sequences, world.readout.motifs)
    wanted = (raw - prior.centre[:-1]) / prior.scale[:-1]
    np.testing.assert_allclose(prior.features(drifted)[:, :-1], wanted)
    bound = fit_prior(world, training, "upper_bound")
    own = (drifted.features - bound.centre[:-1]) / bound.scale[:-1]
    np.testing.assert_allclose(bound.features(drifted)[:, :-1], own)


def test_a_prior_sees_what_a_model_sees(world, training):
    read = sample(world, named_shift("ART", 3), 300, 1)
    plain = sample(world, IN_DISTRIBUTION, 300, 1)
    prior = fit_prior(world, training, known=3)
    changed = (read.sequences != plain.sequences).any(axis=1)
    difference = np.abs(prior.features(read) - prior.features(plain)).max(axis=1)
    assert (difference[~changed] == 0).all()
    assert (difference[changed] > 0).mean() > 0.9


def explained(prior, training, test):
    """R2 of a ridge regression of activity on features, on other sequences."""
    x, new = (np.column_stack([np.ones(len(c.gc)), prior.features(c)]) for c in (training, test))
    penalty = np.eye(x.shape[1])
    weights = np.linalg.solve(x.T @ x + penalty, x.T @ training.observed)
    return 1 - np.mean((test.activity - new @ weights) ** 2) / test.activity.var()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 5])
def test_scans_gain_shuffled_motifs_gain_nothing_and_the_truth_is_the_bound(seed):
    world = make_world(WorldSettings(seed, reference=1000))
    training, test = (sample(world, IN_DISTRIBUTION, 2500, seed) for seed in (1, 2))
    found = {
        kind: explained(fit_prior(world, training, kind), training, test) for kind in SIMULATED
    }
    assert found["upper_bound"] > 0.9
    assert found["gc"] + 0.2 < found["scans"] < found["upper_bound"]
    assert abs(found["shuffled"] - found["gc"]) < 0.02


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "scan"}, "no structural prior 'scan'; known: scans, shuffled"),
        ({"known": 4}, "known is 4, it must be from 1 to 3"),
        ({"known": 2, "perturbation": 1.5}, "perturbation is 1.5"),
    ],
)
def test_bad_priors_are_refused(world, training, settings, said):
    with pytest.raises(InputError, match=said):
        fit_prior(world, training, **settings)


def test_shifted_training_data_are_refused(world):
    shifted = sample(world, named_shift("GC", 2), 50, 1)
    with pytest.raises(InputError, match="standardised on training data, not on GC-2"):
        fit_prior(world, shifted, known=2)
