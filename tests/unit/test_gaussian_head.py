"""Gaussian heads: a mean and a bounded log variance per track, from the config to the file."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.gaussian import LOG_VARIANCE_RANGE, MeanAndLogVariance, with_log_variances
from seqtrust.models.training import train

TRACKS = (Track("plus", "CAGE", 1), Track("minus", "CAGE", 0), Track("open", "DNase"))
PARAMETERS = {"channels": 6, "pool": [8], "dilations": [], "head": "gaussian", "output": "identity"}


def network(tracks=TRACKS, **parameters):
    return build_model("cnn", PARAMETERS | parameters, tracks, "toy")


@given(st.integers(1, 4), st.floats(-100, 100), st.integers(0, 2**32 - 1))
def test_means_pass_and_log_variances_stay_in_their_range(means, size, seed):
    values = size * torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 2 * means, 5)))
    found = MeanAndLogVariance(means)(values)
    assert torch.equal(found[:, :means], values[:, :means])
    low, high = LOG_VARIANCE_RANGE
    assert bool(((found[:, means:] >= low) & (found[:, means:] <= high)).all())


def test_the_bound_is_the_identity_in_the_middle_and_rises_everywhere():
    at = torch.linspace(-9, 7, 161, dtype=torch.float64, requires_grad=True)
    bounded = MeanAndLogVariance(0)(at[None, :, None])[0, :, 0]
    bounded.sum().backward()
    assert bool((at.grad > 0).all())
    middle = 80
    assert at[middle].item() == bounded[middle].item() == pytest.approx(-1)
    assert at.grad[middle].item() == pytest.approx(1)


def test_variances_follow_their_means_on_both_strands():
    tracks = with_log_variances(TRACKS)
    assert [track.name for track in tracks[3:]] == [
        "plus:log_variance",
        "minus:log_variance",
        "open:log_variance",
    ]
    assert [track.variance_of for track in tracks] == [None, None, None, 0, 1, 2]
    facts = network().facts
    assert facts.swapped_tracks() == (1, 0, 2, 4, 3, 5)
    assert facts.target_tracks() == (0, 1, 2)
    assert with_log_variances(tracks) == tracks


def test_a_gaussian_replicate_survives_its_file(tmp_path):
    model = network()
    save_replicate(tmp_path / "r", model)
    loaded = load_replicate(tmp_path / "r")
    assert loaded.facts == model.facts
    codes = np.random.default_rng(0).integers(0, 4, (2, 32)).astype(np.uint8)
    assert torch.equal(loaded.predict(codes), model.predict(codes))
    assert loaded.predict(codes).shape == (2, 4, 6)


def test_point_models_have_the_weights_and_predictions_they_had():
    """`head` changes nothing where it is not asked for."""
    plain = build_model("cnn", {"channels": 6, "pool": [8]}, TRACKS, "toy")
    assert plain.facts.tracks == TRACKS
    assert plain.parameters["head"] == "point"
    assert plain.module.state_dict()["read_out.weight"].shape == (3, 6, 1)


def noisy(seed=0, windows=256, length=32):
    """Targets of mean 0 whose deviation is 1 in windows of C and G, else 0.1."""
    random = np.random.default_rng(seed)
    loud = random.random(windows) < 0.5
    codes = np.where(random.random((windows, length)) < 0.5, 0, 3).astype(np.uint8)
    codes[loud] = np.where(codes[loud] == 0, 1, 2)
    targets = np.where(loud, 1.0, 0.1) * random.normal(size=windows)
    splits = ["validation" if window % 4 == 0 else "train" for window in range(windows)]
    return codes, targets.astype(np.float32)[:, None, None], splits, loud


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["gaussian_nll", "beta_nll"])
def test_a_planted_noise_is_learned(loss):
    codes, targets, splits, loud = noisy()
    model = network([Track("y")], pool=[32], kernel=3, dropout=0.0, activation="relu")
    train(
        model, codes, targets, splits, seed=0, epochs=30, loss=loss, validation_metric="loss"
    )  # fmt: skip
    held_out = np.array(splits) == "validation"
    predicted = model.predict(codes[held_out]).numpy()[:, 0]
    deviation = np.exp(predicted[:, 1] / 2)
    assert np.median(deviation[loud[held_out]]) == pytest.approx(1.0, rel=0.3)
    assert np.median(deviation[~loud[held_out]]) == pytest.approx(0.1, rel=0.3)


def test_the_kept_epoch_of_beta_nll_is_the_most_likely_one():
    """The weighted loss itself is not least at the truth, so it may not choose."""
    codes, targets, splits, _ = noisy(windows=80)
    model = network([Track("y")], pool=[32])
    record = train(
        model, codes, targets, splits, seed=0, epochs=3, loss="beta_nll", validation_metric="loss"
    )
    held_out = np.array(splits) == "validation"
    predicted = model.predict(codes[held_out]).numpy()
    deviation, error = np.exp(predicted[..., 1] / 2), targets[held_out][..., 0] - predicted[..., 0]
    likelihood = -stats.norm.logpdf(error, scale=deviation).mean() - 0.5 * np.log(2 * np.pi)
    assert min(record.validation_loss) == pytest.approx(likelihood, rel=1e-5)


def test_records_name_means_alone():
    codes, targets, splits, _ = noisy(windows=40)
    model = network([Track("y")], pool=[32])
    record = train(model, codes, targets, splits, seed=0, epochs=1, loss="beta_nll")
    assert list(record.best_validation_r_per_track) == ["y"]
    with pytest.raises(InputError, match=r"targets of shape \(40, 1, 2\) .* \(40, 1, 1\)"):
        train(model, codes, targets.repeat(2, axis=2), splits, seed=0, loss="beta_nll")


def test_gaussian_heads_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="head is 'laplace', but must be one of point, gaussian"):
        network(head="laplace")
    with pytest.raises(InputError, match="needs output 'identity', not 'softplus'"):
        network(output="softplus")
    with pytest.raises(InputError, match="variances among the tracks: use parameter head: gauss"):
        network(with_log_variances(TRACKS), head="point")
    with pytest.raises(InputError, match="predicts all means, then one log variance for each"):
        network(with_log_variances(TRACKS)[:5])


@pytest.mark.parametrize("loss", ["mse", "gaussian_nll"])
def test_losses_and_heads_that_do_not_fit_are_refused(loss):
    codes, targets, splits, _ = noisy(windows=40)
    model = network([Track("y")], pool=[32], head="gaussian" if loss == "mse" else "point")
    with pytest.raises(InputError, match=r"parameter head: (point|gaussian)"):
        train(model, codes, targets, splits, seed=0, loss=loss)
