"""Losses against closed forms and outside implementations, and losses that do not fit a model."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Facts, Track
from seqtrust.models.gaussian import with_log_variances
from seqtrust.models.losses import (
    DISTILLATION,
    EVIDENTIAL_LOSSES,
    LOSSES,
    MULTINOMIAL,
    MULTINOMIAL_JOINT,
    BceLoss,
    MseLoss,
    MultinomialCounts,
    PoissonLoss,
    for_training,
    make_loss,
)
from seqtrust.models.variance_losses import BetaNll, GaussianNll

SHAPE = (4, 3, 2)
BY_PROFILE = (MULTINOMIAL, MULTINOMIAL_JOINT)
# losses of evidential heads and of students have tests of their own
OF_STATES = (DISTILLATION, *EVIDENTIAL_LOSSES)
SHARED = [name for name in LOSSES if name not in OF_STATES]
BY_VALUE = [name for name in SHARED if name not in BY_PROFILE]
SEEDS = st.integers(0, 2**32 - 1)


TRACKS = (Track("a"), Track("b"))


def facts(scale="log_expression", tracks=TRACKS):
    return Facts(None, 8, 0, tracks, 8, "toy", scale)


def numbers(seed, low, high):
    return torch.from_numpy(np.random.default_rng(seed).uniform(low, high, SHAPE))


def gaussian(seed):
    """Predictions (means, then log variances) and targets of two tracks, float64."""
    means, targets = numbers(seed, -2, 2), numbers(seed + 1, -2, 2)
    log_variances = numbers(seed + 2, -3, 2)
    return torch.cat([means, log_variances], dim=-1).requires_grad_(), targets


@given(SEEDS)
def test_poisson_is_the_likelihood_less_the_factorial(seed):
    rate = numbers(seed, 0.1, 9)
    count = numbers(seed + 1, 0, 9).round()
    factorial = torch.lgamma(count + 1).mean()
    expected = -stats.poisson.logpmf(count.numpy(), rate.numpy()).mean()
    assert float(PoissonLoss()(rate, count) + factorial) == pytest.approx(expected, abs=1e-5)


def test_poisson_is_least_at_the_count_and_finite_at_no_rate():
    count = torch.tensor([3.0])
    values = [float(PoissonLoss()(torch.tensor([rate]), count)) for rate in (2.9, 3.0, 3.1)]
    assert min(values) == values[1] == pytest.approx(3 - 3 * np.log(3), abs=1e-5)
    assert np.isfinite(float(PoissonLoss()(torch.zeros(1), count)))


@given(SEEDS)
def test_squared_error_and_cross_entropy_are_those_of_numpy(seed):
    p, y = numbers(seed, 0.01, 0.99), numbers(seed + 1, 0, 1)
    assert float(MseLoss()(p, y)) == pytest.approx(float(((p - y) ** 2).mean()))
    entropy = -(y.numpy() * np.log(p.numpy()) + (1 - y.numpy()) * np.log(1 - p.numpy())).mean()
    assert float(BceLoss()(p, y)) == pytest.approx(entropy)


def test_cross_entropy_is_finite_for_certain_and_wrong():
    assert float(BceLoss()(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))) == 100


class Sure(torch.nn.Module):
    """One value, large whatever the sequence, and its probability."""

    def __init__(self, logit):
        super().__init__()
        self.logit = torch.nn.Parameter(torch.tensor(logit))
        self.output = torch.nn.Sigmoid()

    def forward(self, sequences):
        return self.output(self.logit.expand(len(sequences), 1, 1))


@pytest.mark.parametrize(("logit", "target"), [(30.0, 0.0), (-40.0, 1.0), (0.3, 1.0), (-2.0, 0.0)])
def test_what_is_surely_wrong_has_a_gradient_in_training(logit, target):
    """The probability less the target, also where the former is 0 or 1 in float32."""
    network, targets = Sure(logit), torch.full((3, 1, 1), target)
    module, loss = for_training(network, BceLoss())
    loss(module(torch.zeros(3, 4, 5)), targets).backward()
    assert float(network.logit.grad) == pytest.approx(1 / (1 + np.exp(-logit)) - target, rel=1e-5)
    value = BceLoss()(network(torch.zeros(3, 4, 5)), targets)
    if abs(logit) < 10:
        assert float(loss(module(torch.zeros(3, 4, 5)), targets)) == pytest.approx(float(value))


def test_other_losses_and_outputs_are_trained_as_they_are():
    plain = torch.nn.Linear(2, 1)
    for network, loss in ((Sure(1.0), MseLoss()), (plain, BceLoss())):
        assert for_training(network, loss) == (network, loss)


@given(SEEDS)
def test_gaussian_likelihood_is_that_of_scipy_less_its_constant(seed):
    predictions, targets = gaussian(seed)
    means, log_variances = predictions.detach().numpy()[..., :2], predictions.detach()[..., 2:]
    deviations = np.exp(log_variances.numpy() / 2)
    expected = -stats.norm.logpdf(targets.numpy(), means, deviations).mean()
    loss = float(GaussianNll((0, 1), (2, 3))(predictions, targets).detach())
    assert loss + 0.5 * np.log(2 * np.pi) == pytest.approx(expected)


@given(SEEDS)
def test_beta_nll_gradients_are_those_of_the_paper(seed):
    """Of the mean (m - y) / v^(1 - beta), of the variance (v - (y - m)^2) / (2 v^(2 - beta)).

    Equations 6 and 7 of Seitzer et al. 2022; the second here for log v, which is times v.
    """
    beta = 0.5
    predictions, targets = gaussian(seed)
    BetaNll((0, 1), (2, 3), beta)(predictions, targets).backward()
    found = predictions.grad.numpy() * targets.numel()
    values = predictions.detach().numpy()
    mean, variance, y = values[..., :2], np.exp(values[..., 2:]), targets.numpy()
    assert found[..., :2] == pytest.approx((mean - y) / variance ** (1 - beta))
    expected = (variance - (y - mean) ** 2) / (2 * variance ** (1 - beta))
    assert found[..., 2:] == pytest.approx(expected)


@given(SEEDS)
def test_beta_joins_the_likelihood_and_the_squared_error(seed):
    predictions, targets = gaussian(seed)
    whole = BetaNll((0, 1), (2, 3), 0.0)(predictions, targets)
    assert torch.allclose(whole, GaussianNll((0, 1), (2, 3))(predictions, targets))
    BetaNll((0, 1), (2, 3), 1.0)(predictions, targets).backward()
    of_means = predictions.grad[..., :2].clone()
    predictions.grad = None
    (0.5 * MseLoss()(predictions[..., :2], targets)).backward()
    assert torch.allclose(of_means, predictions.grad[..., :2])


def test_beta_nll_by_hand():
    """Mean 0, log variance log 4, target 2: sqrt(4) times (log 4 + 4 / 4) / 2."""
    predictions = torch.tensor([[[0.0, np.log(4.0)]]])
    loss = float(BetaNll((0,), (1,), 0.5)(predictions, torch.tensor([[[2.0]]])))
    assert loss == pytest.approx(2 * (np.log(4) + 1) / 2)


def pairs(name, seed):
    """A loss twice (plain, masked) with predictions and targets that it takes."""
    scales = {"bce": "probability", **dict.fromkeys(("poisson", *BY_PROFILE), "counts")}
    scale = scales.get(name, "log_expression")
    tracks = TRACKS
    if "nll" in name:
        tracks = with_log_variances(tracks)
        predictions, targets = gaussian(seed)
    else:
        predictions, targets = numbers(seed, 0.1, 0.9).requires_grad_(), numbers(seed + 1, 0, 1)
    losses = [make_loss(name, facts(scale, tracks), beta=0.5, masked=m) for m in (False, True)]
    return losses, predictions, targets


@pytest.mark.parametrize("name", BY_VALUE)
@given(seed=SEEDS)
def test_masked_targets_count_as_if_they_were_not_there(name, seed):
    """A loop over the targets that are there, and no gradient for the rest."""
    (plain, masked), predictions, targets = pairs(name, seed)
    missing = torch.from_numpy(np.random.default_rng(seed + 9).random(SHAPE) < 0.4)
    missing[0, 0, 0] = False
    terms = plain.terms(predictions, targets)
    expected = np.mean([terms[tuple(place)].item() for place in np.argwhere(~missing.numpy())])
    loss = masked(predictions, torch.where(missing, torch.nan, targets))
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    gradient = predictions.grad
    assert bool(torch.isfinite(gradient).all())
    assert not gradient[..., :2][missing].any()
    assert torch.allclose(masked(predictions, targets), plain(predictions, targets))


@pytest.mark.parametrize("name", SHARED)
def test_without_a_target_the_loss_is_zero_and_without_a_mask_nan_stays(name):
    (plain, masked), predictions, targets = pairs(name, 1)
    nothing = torch.full_like(targets, torch.nan)
    assert masked(predictions, nothing).item() == 0
    if name != "bce":  # torch's cross-entropy refuses them itself
        assert np.isnan(plain(predictions, nothing).item())


def test_gaussian_losses_follow_the_indices_of_the_facts():
    """Variances before and between means."""
    tracks = (Track("va", variance_of=3), Track("b"), Track("vb", variance_of=1), Track("a"))
    predictions, targets = torch.randn(2, 3, 4), torch.randn(2, 3, 2)
    loss = make_loss("gaussian_nll", facts(tracks=tracks), beta=0.5, masked=False)
    in_order = predictions[..., [1, 3, 2, 0]]
    assert loss(predictions, targets) == GaussianNll((0, 1), (2, 3))(in_order, targets)


@pytest.mark.parametrize(
    ("name", "scale", "tracks", "message"),
    [
        ("huber", "counts", 1, "loss 'huber' is unknown: use one of poisson, mse, bce, mult"),
        ("poisson", "probability", 1, "needs a model that predicts counts, this one predicts prob"),
        ("bce", "counts", 1, "'bce' needs a model that predicts probability, this one .* counts"),
        ("mse", "log_expression", 2, "'mse' leaves the predicted variances untrained: use loss"),
        ("gaussian_nll", "log_expression", 1, "variance for every track, but 'a' has none: use"),
        ("beta_nll", "log_expression", 1, "use parameter head: gaussian, or loss 'mse'"),
    ],
)
def test_losses_that_do_not_fit_say_what_does(name, scale, tracks, message):
    held = TRACKS if tracks == 1 else with_log_variances((Track("a"),))
    with pytest.raises(InputError, match=message):
        make_loss(name, facts(scale, held), beta=0.5, masked=False)


def test_every_loss_of_the_list_is_made():
    made = [type(pairs(name, 0)[0][0]) for name in SHARED]
    by_profile = [MultinomialCounts] * 2
    assert made == [PoissonLoss, MseLoss, BceLoss, *by_profile, GaussianNll, BetaNll]
    model = build_model("cnn", {"head": "gaussian", "output": "identity"}, [Track("a")], "toy")
    loss = make_loss("beta_nll", model.facts, beta=0.25, masked=True)
    assert (loss.means, loss.log_variances, loss.beta, loss.masked) == ([0], [1], 0.25, True)


STRANDS = (Track("plus", reverse_complement_index=1), Track("minus", reverse_complement_index=0))


def profiles(seed, positions=7):
    """Expected and observed counts of two strands, float64 (5, positions, 2)."""
    random = np.random.default_rng(seed)
    expected = torch.from_numpy(random.gamma(1, 2, (5, positions, 2)) + 0.01).requires_grad_()
    return expected, torch.from_numpy(random.poisson(3, (5, positions, 2)).astype(float))


def by_hand(expected, counts, weight):
    """The term of one profile, from flat arrays."""
    p = expected / expected.sum()
    likelihood = stats.multinomial.logpmf(counts, counts.sum(), p)
    return -likelihood + weight * (np.log1p(expected.sum()) - np.log1p(counts.sum())) ** 2


@given(SEEDS, st.floats(0, 20))
def test_multinomial_counts_are_those_of_scipy(seed, weight):
    predictions, targets = profiles(seed)
    expected, counts = predictions.detach().numpy(), targets.numpy()
    settings = {"beta": 0.5, "masked": False, "count_weight": weight}
    apart = make_loss(MULTINOMIAL, facts("counts", STRANDS), **settings)
    by_strand = [
        by_hand(expected[window, :, strand], counts[window, :, strand], weight)
        for window in range(5)
        for strand in range(2)
    ]
    assert apart(predictions, targets).item() == pytest.approx(np.mean(by_strand))
    joint = make_loss(MULTINOMIAL_JOINT, facts("counts", STRANDS), **settings)
    both = [by_hand(expected[row].ravel(), counts[row].ravel(), weight) for row in range(5)]
    assert joint(predictions, targets).item() == pytest.approx(np.mean(both))


def test_tracks_without_another_strand_are_profiles_of_their_own():
    predictions, targets = profiles(3)
    losses = [
        make_loss(name, facts("counts"), beta=0.5, masked=False)(predictions, targets).item()
        for name in BY_PROFILE
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", BY_PROFILE)
@given(seed=SEEDS)
def test_missing_positions_leave_the_profile(name, seed):
    """As if the window were shorter; a strand without any position is no term."""
    predictions, targets = profiles(seed)
    settings = {"beta": 0.5, "count_weight": 2.0}
    masked = make_loss(name, facts("counts", STRANDS), masked=True, **settings)
    plain = make_loss(name, facts("counts", STRANDS), masked=False, **settings)
    some = targets.clone()
    some[:, [1, 4]] = torch.nan
    kept = [0, 2, 3, 5, 6]
    loss = masked(predictions, some)
    assert loss.item() == pytest.approx(plain(predictions[:, kept], targets[:, kept]).item())
    loss.backward()
    assert bool(torch.isfinite(predictions.grad).all())
    assert not predictions.grad[:, [1, 4]].any()
    nothing = targets.clone()
    nothing[2] = torch.nan
    rows = [0, 1, 3, 4]
    assert masked(predictions, nothing).item() == pytest.approx(
        plain(predictions[rows], targets[rows]).item()
    )


def test_predictions_that_are_zero_have_a_finite_loss_and_gradient():
    loss = MultinomialCounts((0,), ((0,),), 10.0)
    predictions = torch.tensor([[[0.0], [1e-38], [1e4]]], requires_grad=True)
    value = loss(predictions, torch.tensor([[[50.0], [1e5], [0.0]]]))
    value.backward()
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(predictions.grad).all())
