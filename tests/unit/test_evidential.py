"""Evidential heads: closed forms, names of the tracks, and what calibration finds."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.evidential import NormalInverseGamma, with_evidence
from seqtrust.models.facts import ALEATORIC, EPISTEMIC, EVIDENCE, Facts, Track
from seqtrust.models.losses import held_out_loss, make_loss
from seqtrust.models.training import train

TRACKS = (Track("plus", "CAGE", 1), Track("minus", "CAGE", 0), Track("open"))
SPLITS = ["train"] * 180 + ["validation"] * 60
SEEDS = st.integers(0, 2**32 - 1)
PARAMETERS = {
    "input_length": 40, "channels": 6, "kernel": 5, "second_kernel": 3, "dense": 7,
    "dropout": 0.0, "head": "evidential",
}  # fmt: skip


def network(tracks=TRACKS):
    return build_model("pooled_cnn", PARAMETERS, tracks, "toy")


def free_numbers(seed, scale=3.0):
    """What a network gives for 2 tracks, and nu, alpha, beta by hand, each (4, 2)."""
    values = torch.from_numpy(np.random.default_rng(seed).normal(0, scale, (4, 8, 1)))
    softplus = np.log1p(np.exp(values.numpy()[:, 2:, 0])) + 1e-6
    return values, softplus[:, :2], 1 + softplus[:, 2:4], softplus[:, 4:]


def facts():
    tracks = with_evidence((Track("a"), Track("b")))
    return Facts(None, 8, 0, tracks, 8, "toy", "log_expression")


def loss(name, **settings):
    return make_loss(name, facts(), beta=0.5, masked=settings.pop("masked", False), **settings)


@given(SEEDS)
def test_tracks_are_the_variances_of_the_distribution(seed):
    values, nu, alpha, beta = free_numbers(seed)
    found = NormalInverseGamma(2)(values)[..., 0].numpy()
    np.testing.assert_allclose(found[:, :2], values[:, :2, 0])
    aleatoric, epistemic = beta / (alpha - 1), beta / (nu * (alpha - 1))
    expected = [aleatoric + epistemic, aleatoric, epistemic, alpha - 1]
    np.testing.assert_allclose(np.exp(found[:, 2:]), np.concatenate(expected, axis=1), rtol=1e-6)


@given(SEEDS)
def test_the_likelihood_is_that_of_students_t(seed):
    values, nu, alpha, beta = free_numbers(seed)
    targets = np.random.default_rng(seed + 1).normal(size=(4, 1, 2))
    predictions = NormalInverseGamma(2)(values).transpose(1, 2)
    scale = np.sqrt(beta * (1 + nu) / (nu * alpha))
    mean = values[:, :2, 0].numpy()
    expected = -stats.t.logpdf(targets[:, 0], 2 * alpha, mean, scale)
    found = loss("student_nll").terms(predictions, torch.from_numpy(targets))[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)
    penalty = np.abs(targets[:, 0] - mean) * (2 * nu + alpha)
    found = loss("evidential", evidence_weight=0.3).terms(predictions, torch.from_numpy(targets))
    np.testing.assert_allclose(found[:, 0], expected + 0.3 * penalty, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("alpha", [1.5, 3.0, 12.0])
def test_the_stated_variance_is_that_of_students_t(alpha):
    """It is finite from alpha = 1 on: 2 alpha degrees of freedom."""
    nu, beta = 0.7, 2.0
    whole = beta / (alpha - 1) * (1 + 1 / nu)
    scale = np.sqrt(beta * (1 + nu) / (nu * alpha))
    assert stats.t.var(2 * alpha, scale=scale) == pytest.approx(whole)


@given(SEEDS)
def test_missing_targets_have_no_part(seed):
    values, *_ = free_numbers(seed)
    values.requires_grad_()
    predictions = NormalInverseGamma(2)(values).transpose(1, 2)
    targets = torch.from_numpy(np.random.default_rng(seed + 1).normal(size=(4, 1, 2)))
    missing = targets.clone()
    missing[1:3] = torch.nan
    kept = [0, 3]
    for name in ("evidential", "student_nll"):
        masked = loss(name, masked=True)(predictions, missing)
        plain = loss(name)(predictions[kept], targets[kept])
        assert masked.item() == pytest.approx(plain.item())
    masked.backward()
    assert bool(torch.isfinite(values.grad).all())
    assert not values.grad[1:3].any()


@pytest.mark.parametrize("size", [-80.0, 80.0])
def test_extreme_numbers_have_finite_losses_and_gradients(size):
    values = torch.full((1, 8, 1), size, dtype=torch.float32)
    values[:, :2] = 0
    values.requires_grad_()
    predictions = NormalInverseGamma(2)(values).transpose(1, 2)
    found = loss("evidential")(predictions, torch.tensor([[[2.0, -2.0]]]))
    found.backward()
    assert bool(torch.isfinite(found))
    assert bool(torch.isfinite(values.grad).all())


def test_tracks_are_named_by_part_and_the_whole_variance_is_found_as_in_a_gaussian_head():
    made = network().facts
    assert [track.name for track in made.tracks[3:6]] == [
        "plus:log_variance", "minus:log_variance", "open:log_variance",
    ]  # fmt: skip
    assert made.variance_tracks() == {0: 3, 1: 4, 2: 5}
    assert made.variance_tracks(ALEATORIC) == {0: 6, 1: 7, 2: 8}
    assert made.variance_tracks(EPISTEMIC) == {0: 9, 1: 10, 2: 11}
    assert made.variance_tracks(EVIDENCE) == {0: 12, 1: 13, 2: 14}
    assert made.target_tracks() == (0, 1, 2)
    assert made.swapped_tracks() == (1, 0, 2, 4, 3, 5, 7, 6, 8, 10, 9, 11, 13, 12, 14)
    assert with_evidence(made.tracks) == made.tracks
    assert Facts.from_dict(made.to_dict()) == made


def test_cards_of_other_heads_have_the_fields_they_had():
    plain = Facts(None, 8, 0, TRACKS, 8, "toy", "counts").to_dict()
    assert set(plain["tracks"][0]) == {"name", "assay", "reverse_complement_index", "variance_of"}


def test_an_evidential_replicate_survives_its_file(tmp_path):
    model = network()
    save_replicate(tmp_path / "r", model)
    loaded = load_replicate(tmp_path / "r")
    codes = np.random.default_rng(0).integers(0, 4, (3, 40)).astype(np.uint8)
    assert loaded.facts == model.facts
    assert torch.equal(loaded.predict(codes), model.predict(codes))
    assert model.predict(codes).shape == (3, 1, 15)


def test_training_states_the_noise_of_the_targets():
    """Deviation 1 in sequences of C and G, else 0.2; judged without the penalty."""
    random = np.random.default_rng(0)
    loud = random.random(240) < 0.5
    codes = np.where(random.random((240, 40)) < 0.5, 0, 3) % 4
    codes = np.where(loud[:, None], np.where(codes == 0, 1, 2), codes).astype(np.uint8)
    noise = random.normal(size=240) * np.where(loud, 1.0, 0.2)
    model = network((Track("a"),))
    record = train(
        model, codes, noise[:, None, None].astype(np.float32), SPLITS,
        seed=1, loss="evidential", validation_metric="loss", epochs=30, batch_size=30,
    )  # fmt: skip
    assert held_out_loss("evidential") == "student_nll"
    assert min(record.validation_loss) < record.validation_loss[0]
    deviation = np.exp(model.predict(codes)[:, 0, 1].numpy() / 2)
    assert np.median(deviation[loud]) > 2 * np.median(deviation[~loud])


def test_heads_and_losses_that_do_not_fit_are_refused():
    evidential, gaussian = network().facts, build_model("pooled_cnn", {}, TRACKS, "").facts
    for name, held, message in (
        ("gaussian_nll", evidential, "leaves the parts of an evidential head's variance untrained"),
        ("mse", evidential, "untrained: use loss 'evidential' or 'student_nll'"),
        ("evidential", gaussian, "needs the tracks of an evidential head: use parameter head: evi"),
        ("student_nll", gaussian, "needs the tracks of an evidential head"),
    ):
        with pytest.raises(InputError, match=message):
            make_loss(name, held, beta=0.5, masked=False)
    with pytest.raises(InputError, match="an evidential head predicts all means, then their var"):
        with_evidence((Track("a"), Track("b", variance_of=0)))
    strange = (Track("a"), Track("b", variance_of=0, variance_part="aleatory"))
    with pytest.raises(InputError, match="has the variance_part 'aleatory': it is one of"):
        Facts(None, 8, 0, strange, 8, "toy", "counts")
