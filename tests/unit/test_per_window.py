"""Weights, groups and known variances of windows: in losses, in training, from a config."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from training_cases import plain, planted, weights, with_holes

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.group_weights import GroupWeights, group_sums
from seqtrust.models.per_window import balanced_weights, per_window
from seqtrust.models.training import train
from seqtrust.models.training_settings import TrainingSettings
from seqtrust.models.training_windows import Beside, known_of_windows, with_prior
from seqtrust.models.variance_losses import BetaNll, Distillation, GaussianNll

SEEDS = st.integers(0, 2**32 - 1)
MEANS, LOGS = (0, 1), (2, 3)


def some(seed, windows=6, missing=0.0):
    rng = np.random.default_rng(seed)
    predictions = torch.from_numpy(rng.normal(size=(windows, 3, 4)))
    targets = torch.from_numpy(rng.normal(size=(windows, 3, 2)))
    variances = torch.from_numpy(rng.gamma(1, 1, (windows, 3, 2)))
    targets[torch.from_numpy(rng.random(targets.shape) < missing)] = torch.nan
    return predictions, targets, variances


@pytest.mark.parametrize("missing", [0.0, 0.4])
@given(seed=SEEDS)
def test_whole_weights_are_windows_that_come_so_often(missing, seed):
    predictions, targets, _ = some(seed, missing=missing)
    counts = torch.from_numpy(np.random.default_rng(seed + 1).integers(0, 4, 6))
    counts[0] = 2
    targets[0, 0] = 1.0
    rows = torch.repeat_interleave(torch.arange(6), counts)
    loss = GaussianNll(MEANS, LOGS, masked=missing > 0)
    found = loss.weighted(predictions, targets, counts.double())
    assert found.item() == pytest.approx(loss(predictions[rows], targets[rows]).item())
    same = loss.weighted(predictions, targets, torch.full((6,), 3.0))
    assert same.item() == pytest.approx(loss(predictions, targets).item())
    assert loss.weighted(predictions, targets, torch.zeros(6)).item() == 0


@given(SEEDS)
def test_known_variances_add_to_the_predicted_ones(seed):
    predictions, targets, variances = some(seed)
    deviation = np.sqrt(np.exp(predictions[..., 2:].numpy()) + variances.numpy())
    expected = -stats.norm.logpdf(targets, predictions[..., :2], deviation) - np.log(2 * np.pi) / 2
    loss = GaussianNll(MEANS, LOGS)
    np.testing.assert_allclose(loss.known_terms(predictions, targets, variances), expected)
    nothing = torch.zeros_like(variances)
    for one in (loss, BetaNll(MEANS, LOGS, 0.5)):
        np.testing.assert_allclose(
            one.known_terms(predictions, targets, nothing), one.terms(predictions, targets)
        )
    beta = BetaNll(MEANS, LOGS, 0.5).known_terms(predictions, targets, variances)
    np.testing.assert_allclose(beta, deviation * expected)


def test_students_learn_means_and_logs_of_variances():
    predictions, targets, variances = some(1)
    variances[0] = 0
    loss = Distillation(MEANS, LOGS, 0.01)
    wanted = np.log(np.maximum(variances.numpy(), 0.01**2))
    mean, log_variance = predictions[..., :2].numpy(), predictions[..., 2:].numpy()
    expected = (mean - targets.numpy()) ** 2 + (log_variance - wanted) ** 2
    np.testing.assert_allclose(loss.known_terms(predictions, targets, variances), expected)
    assert np.isfinite(expected).all()


def one_network(head="spread"):
    parameters = {
        "input_length": 40, "channels": 8, "kernel": 5, "second_kernel": 3, "dense": 8,
        "dropout": 0.0, "head": head,
    }  # fmt: skip
    return build_model("pooled_cnn", parameters, [Track("a")], "toy")


def teacher(seed=0, windows=240):
    """Mean by GC content, spread that is 0 in sequences without an A, else large."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (windows, 40)).astype(np.uint8)
    sure = rng.random(windows) < 0.5
    codes[sure] = np.maximum(codes[sure], 1)
    mean = ((codes == 1) | (codes == 2)).mean(axis=1) * 4 - 2
    return codes, mean.astype(np.float32)[:, None, None], sure


SPLITS = ["train"] * 180 + ["validation"] * 60
RUN = {
    "seed": 1, "epochs": 30, "batch_size": 30, "validation_metric": "loss",
    "reverse_complement": False,
}  # fmt: skip


def test_a_student_states_the_spread_of_its_teacher(tmp_path):
    codes, mean, sure = teacher()
    variances = np.where(sure, 0.0, 0.25)[:, None, None]
    model = one_network()
    train(model, codes, mean, SPLITS, loss="distillation", variances=variances,
          smallest_spread=0.01, **RUN)  # fmt: skip
    found = model.predict(codes)[180:, 0]
    assert np.corrcoef(found[:, 0], mean[180:, 0, 0])[0, 1] > 0.8
    spread = np.exp(found[:, 1].numpy() / 2)
    assert np.median(spread[~sure[180:]]) > 0.2
    assert np.median(spread[sure[180:]]) < 0.05
    assert model.facts.variance_tracks() == {0: 1}
    save_replicate(tmp_path / "r", model)
    assert torch.equal(load_replicate(tmp_path / "r").predict(codes[:3]), model.predict(codes[:3]))


def test_known_noise_is_not_put_down_to_the_network():
    """Targets with a known deviation of 1: what is stated beside it is small."""
    codes, mean, _ = teacher()
    noisy = mean + np.random.default_rng(1).normal(size=mean.shape).astype(np.float32)
    known, unknown = one_network("gaussian"), one_network("gaussian")
    train(known, codes, noisy, SPLITS, loss="gaussian_nll", variances=np.ones_like(mean), **RUN)
    train(unknown, codes, noisy, SPLITS, loss="gaussian_nll", **RUN)
    stated = [float(one.predict(codes)[:, 0, 1].exp().mean()) for one in (known, unknown)]
    assert stated[0] < 0.5
    assert stated[1] > 0.6


def test_weights_change_training_and_equal_ones_do_not():
    found = []
    for chosen in (None, np.full(60, 3.0), np.random.default_rng(0).gamma(1, 1, 60)):
        model = plain()
        train(model, *planted(), seed=0, epochs=1, weights=chosen)
        found.append(weights(model))
    np.testing.assert_allclose(found[0], found[1], atol=2e-5)
    assert not torch.allclose(found[0], found[2], atol=1e-3)


@pytest.mark.parametrize("data", [planted, with_holes])
def test_pieces_of_a_step_count_by_their_weights(data):
    """The gradient of a step in parts is that of the step as a whole."""
    chosen = np.random.default_rng(0).gamma(1, 1, 60)
    found = []
    for accumulate in (1, 3):
        model = plain()
        missing = "mask" if data is with_holes else "error"
        train(model, *data(), seed=0, epochs=1, weights=chosen, accumulate=accumulate,
              missing_targets=missing)  # fmt: skip
        found.append(weights(model))
    np.testing.assert_allclose(*found, atol=2e-5)


def test_groups_gain_weight_by_their_losses():
    """Algorithm 1 of Sagawa et al. 2020, group by group; the third is not shown."""
    robust, expected = GroupWeights(3, 0.5), np.full(3, 1 / 3)
    rng = np.random.default_rng(0)
    for _ in range(4):
        losses, shares = rng.normal(1, 1, 7), rng.uniform(0.1, 1, 7)
        groups = np.array([0, 1, 0, 1, 1, 0, 0])
        means = np.array(
            [np.average(losses[groups == g], weights=shares[groups == g]) for g in (0, 1)]
        )
        expected[:2] *= np.exp(0.5 * means)
        expected /= expected.sum()
        found = robust.loss(*(torch.from_numpy(one) for one in (losses, shares, groups)))
        np.testing.assert_allclose(robust.values, expected)
        assert found.item() == pytest.approx(expected[:2] @ means)
        sums, counts = group_sums(*(torch.from_numpy(one) for one in (losses, shares, groups)), 3)
        np.testing.assert_allclose(sums[:2] / counts[:2], means)
        assert counts[2] == 0
    again = GroupWeights(3, 0.5)
    again.restore(robust.plain())
    assert torch.equal(again.values, robust.values)


def test_the_group_that_is_hard_to_learn_weighs_more_and_judges_the_epoch():
    codes, mean, sure = teacher()
    targets = np.where(
        sure[:, None, None], mean, 4 * np.random.default_rng(3).normal(size=mean.shape)
    )
    names = ["easy" if one else "hard" for one in sure]
    model = one_network("point")
    record = train(model, codes, targets.astype(np.float32), SPLITS, loss="mse", groups=names,
                   group_step=0.01, **RUN)  # fmt: skip
    assert sum(record.group_weights.values()) == pytest.approx(1)
    assert record.group_weights["hard"] > 0.9
    errors = (model.predict(codes)[180:, 0, 0].numpy() - targets[180:, 0, 0]) ** 2
    worst = max(errors[sure[180:]].mean(), errors[~sure[180:]].mean())
    assert min(record.validation_loss) == pytest.approx(worst, rel=1e-4)


def test_balanced_weights_are_the_inverse_of_the_density_within_limits():
    gc = np.concatenate([np.full(80, 0.4), np.full(16, 0.6), np.full(4, 0.8)])
    found = balanced_weights(gc, 4, 0.1, 5.0)
    np.testing.assert_allclose(np.unique(found), [100 / 3 / 80, 100 / 3 / 16, 5.0])
    free = balanced_weights(gc, 4, 0.1, 100.0)
    sums = [free[gc == value].sum() for value in (0.4, 0.6, 0.8)]
    np.testing.assert_allclose(sums, 100 / 3, rtol=1e-6)
    assert (balanced_weights(np.full(3, 0.5)) == 1).all()
    with pytest.raises(InputError, match="use at least 2 bins, and limits around 1"):
        balanced_weights(gc, 1)
    with pytest.raises(InputError, match="balancing needs finite values"):
        balanced_weights(np.array([np.nan]))


TARGETS = np.zeros((4, 1, 1), dtype=np.float32)
FIRST = np.array([True, True, False, False])


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        ({}, {"weights": np.array([1, 1, -1, 1.0])}, "one finite number from 0 for each of 4"),
        ({}, {"weights": np.array([0, 0, 1, 1.0])}, "every training window has the weight 0"),
        ({}, {"groups": ["a"] * 4}, "groups 'a': there is only one group"),
        ({}, {"groups": ["a", "b", "c", "a"]}, "groups 'c': no training window is of them"),
        ({}, {"groups": ["a"]}, "1 groups, but 4 windows"),
        ({"processes": 2}, {"groups": list("abab")}, "leave processes and accumulate at 1"),
        (
            {"regularisation": {"adversarial": {}}},
            {"groups": list("abab")},
            "group DRO and adversarial sequences do not go together",
        ),
        (
            {"regularisation": {"mixup": 1}},
            {"weights": np.ones(4)},
            "mixup mixes windows of different weights",
        ),
        ({"loss": "mse"}, {"variances": TARGETS}, "'mse' has no use for known variances"),
        ({"loss": "distillation"}, {}, "needs the variance of the teacher for every target"),
        ({"loss": "gaussian_nll"}, {"variances": TARGETS[:2]}, "give one for each target"),
        (
            {"loss": "gaussian_nll"},
            {"variances": TARGETS - 1},
            "variance -1.0 in window 0 .from 0., bin 0, track 0",
        ),
    ],
)
def test_what_cannot_be_known_is_refused(settings, given, message):
    with pytest.raises(InputError, match=message):
        per_window(TARGETS, FIRST, TrainingSettings(**settings), **given)


def test_a_missing_target_needs_no_variance():
    targets = np.array([[[1.0, np.nan]]], dtype=np.float32)
    variances = np.array([[[0.5, np.nan]]])
    settings = TrainingSettings(loss="gaussian_nll", missing_targets="mask")
    known = per_window(targets, np.array([True]), settings, variances=variances)
    assert known.variances.tolist() == [[[0.5, 1.0]]]


CODES = np.array([[0, 0, 1, 4], [1, 2, 0, 0], [1, 1, 2, 0], [2, 2, 2, 2]], dtype=np.uint8)
GC = np.array([1 / 3, 0.5, 0.75, 1.0])


def known(settings, values=None, predicted=("a",)):
    given = np.zeros((4, 2, 0)) if values is None else values
    return known_of_windows(settings, given, predicted, CODES, np.array([True] * 4))


def test_a_config_says_what_is_known_of_windows():
    found = known({"sample_weights": {"gc": {"bins": 4, "smallest": 0.1, "largest": 10}}})
    np.testing.assert_allclose(found["weights"], balanced_weights(GC, 4, 0.1, 10))
    assert known({"groups": {"gc": 2}})["groups"] == ["gc 1", "gc 1", "gc 2", "gc 2"]
    settings = {
        "sample_weights": {"column": "w"}, "groups": {"column": "batch"}, "target_sd": {"a": "sd"},
    }  # fmt: skip
    assert Beside.of(settings).names == ("w", "batch", "sd")
    columns = np.arange(4)[:, None] * np.array([1.0, 2.0, 3.0])
    found = known(settings, np.repeat(columns[:, None], 2, axis=1))
    assert found["weights"].tolist() == [0, 1, 2, 3]
    assert found["groups"] == ["0", "2", "4", "6"]
    assert found["variances"][:, :, 0].tolist() == [[0, 0], [9, 9], [36, 36], [81, 81]]
    assert known({}) == {}


def test_columns_that_tell_too_little_are_refused():
    uneven = np.array([[[1.0], [2.0]]] * 4)
    with pytest.raises(InputError, match="track 'w' must have one finite value for all bins"):
        known({"sample_weights": {"column": "w"}}, uneven)
    with pytest.raises(InputError, match="target_sd names 'a', but the predicted tracks are 'a', "):
        known({"target_sd": {"a": "sd"}}, np.ones((4, 2, 1)), ("a", "b"))
    with pytest.raises(InputError, match="target_sd: a standard deviation is negative"):
        known({"target_sd": {"a": "sd"}}, -np.ones((4, 2, 1)))


def test_a_prior_of_a_config_is_fitted_on_training_windows():
    settings = {"architecture": "bilstm", "parameters": {"units": 3}, "prior": {"gc": True}}
    found = with_prior(settings, (), CODES)
    assert found["units"] == 3
    assert found["prior"]["centre"] == pytest.approx([GC.mean()])
    assert found["prior"]["scale"] == pytest.approx([GC.std()])
    assert with_prior({"architecture": "cnn", "parameters": {}}, (), CODES) == {}
    with pytest.raises(InputError, match="'cnn' takes no prior: use one of pooled_cnn, bilstm, tr"):
        with_prior(settings | {"architecture": "cnn"}, (), CODES)
    with pytest.raises(InputError, match="prior is a parameter as well"):
        with_prior(settings | {"parameters": {"prior": {}}}, (), CODES)
