"""Each regulariser against a closed form or a slow twin."""

import numpy as np
import pytest
import torch

from seqtrust.errors import InputError
from seqtrust.models.activations import Exponential
from seqtrust.models.regularisation import Regularisation, Regulariser, hidden_activations

WEIGHTS = ("first.weight", "second.weight", "dense.weight")


class Net(torch.nn.Module):
    """Two hidden activations, an activation as output, a norm and dropout."""

    def __init__(self):
        super().__init__()
        self.output = torch.nn.Softplus()
        self.first = torch.nn.Conv1d(4, 6, 5, padding=2)
        self.exponential = Exponential()
        self.norm = torch.nn.BatchNorm1d(6)
        self.second = torch.nn.Conv1d(6, 5, 1)
        self.relu = torch.nn.ReLU()
        self.dropout = torch.nn.Dropout(0.5)
        self.dense = torch.nn.Linear(5, 2)

    def forward(self, inputs):
        values = self.norm(self.exponential(self.first(inputs)))
        values = self.dropout(self.relu(self.second(values)))
        return self.output(self.dense(values.transpose(1, 2)))


def network(seed=0):
    torch.manual_seed(seed)
    return Net()


def sequences(count=5, length=12, seed=1):
    codes = np.random.default_rng(seed).integers(0, 4, (count, length))
    return torch.from_numpy(np.eye(4, dtype=np.float32)[codes].transpose(0, 2, 1).copy())


def regulariser(module=None, rank=0, seed=7, **settings):
    module = module or network()
    return Regulariser(Regularisation.of(settings), module, seed, rank, (sequences(1),))


def test_nothing_is_drawn_or_changed_by_default():
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    off = regulariser(module)
    assert off.draw(3, 0, 5) is None
    off.fold()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_hidden_activations_are_found_in_the_order_of_a_pass_without_the_output():
    module = network()
    module.train()
    mean = module.norm.running_mean.clone()
    found = hidden_activations(module, (sequences(1),))
    assert found == [module.exponential, module.relu]
    assert module.training
    assert torch.equal(module.norm.running_mean, mean)


def test_noise_has_its_deviation_and_another_one_in_every_draw():
    noise = regulariser(gaussian_noise=0.3)
    inputs = sequences(200, 100)
    shown = noise.shown(inputs, noise.draw(0, 0, 200))
    change = shown - inputs
    assert change.mean() == pytest.approx(0, abs=0.005)
    assert change.std() == pytest.approx(0.3, rel=0.02)
    assert torch.equal(noise.shown(inputs, noise.draw(0, 0, 200)), shown)
    others = [(noise, 1, 0), (noise, 0, 1), (regulariser(rank=1, gaussian_noise=0.3), 0, 0),
              (regulariser(seed=8, gaussian_noise=0.3), 0, 0)]  # fmt: skip
    for other, step, piece in others:
        assert not torch.equal(other.shown(inputs, other.draw(step, piece, 200)), shown)


def test_manifold_noise_is_added_behind_hidden_activations_only():
    module = network().eval()
    noise = regulariser(module, manifold_noise=0.2)
    inputs = sequences(100, 50)
    seen = {}
    for name in ("first", "norm", "dropout", "dense"):
        getattr(module, name).register_forward_pre_hook(
            lambda _, args, name=name: seen.setdefault(name, []).append(args[0])
        )
    module(inputs)
    draws = noise.draw(0, 0, 100)
    with noise.hooked(draws):
        module(noise.shown(inputs, draws))
    module(inputs)
    plain, noisy, after = seen["norm"]
    assert torch.equal(plain, after)
    assert torch.equal(*seen["first"][:2])
    assert (noisy - plain).std().item() == pytest.approx(0.2, rel=0.02)
    values = torch.relu(module.second(module.norm(noisy)))
    assert (seen["dropout"][1] - values).std().item() == pytest.approx(0.2, rel=0.02)


def test_mixup_is_a_weighted_mean_of_two_windows():
    mixing = regulariser(mixup=0.4)
    inputs, targets = sequences(), torch.arange(5.0)[:, None, None]
    draws = mixing.draw(2, 0, 5)
    shown, mixed = mixing.shown(inputs, draws), draws.mixed(targets)
    share = draws.coefficient
    assert 0 < share < 1
    for window, partner in enumerate(draws.partners.tolist()):
        expected = share * inputs[window] + (1 - share) * inputs[partner]
        assert torch.allclose(shown[window], expected)
        assert mixed[window].item() == pytest.approx(share * window + (1 - share) * partner)
    shares = [mixing.draw(step, 0, 5).coefficient for step in range(2000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / 4 / (2 * 0.4 + 1), rel=0.08)


def test_manifold_mixup_mixes_at_one_place_and_at_all_in_turn():
    module = network().eval()
    mixing = regulariser(module, manifold_mixup=1.0)
    inputs = sequences()
    places = set()
    for step in range(30):
        draws = mixing.draw(step, 0, 5)
        places.add(draws.layer)
        with mixing.hooked(draws):
            found = module(mixing.shown(inputs, draws))
        values = draws.mixed(inputs) if draws.layer is None else inputs
        values = module.exponential(module.first(values))
        values = module.norm(draws.mixed(values) if draws.layer == 0 else values)
        values = module.relu(module.second(values))
        values = draws.mixed(values) if draws.layer == 1 else values
        expected = module.output(module.dense(values.transpose(1, 2)))
        assert torch.allclose(found, expected, atol=1e-6)
    assert places == {None, 0, 1}


def test_spectral_norms_are_one_and_are_folded_into_plain_weights():
    module = network()
    names = set(module.state_dict())
    normed = regulariser(module, spectral_norm=True)
    module.train()
    for _ in range(60):
        module(sequences())
    module.eval()
    expected = module(sequences())
    normed.fold()
    assert set(module.state_dict()) == names
    assert torch.allclose(module(sequences()), expected, atol=1e-6)
    for layer in (module.first, module.second, module.dense):
        largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert largest == pytest.approx(1, abs=1e-3)


def test_spectral_norms_leave_the_global_generator_alone():
    module, state = network(), torch.get_rng_state()
    regulariser(module, spectral_norm=True)
    assert torch.equal(torch.get_rng_state(), state)


def squared(module, targets):
    return lambda inputs: ((module(inputs) - targets) ** 2).mean()


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_adversarial_windows_raise_the_loss_within_epsilon(steps):
    module = network().train()
    targets = torch.ones(5, 12, 2)
    attack = regulariser(module, adversarial={"epsilon": 0.05, "steps": steps, "step_size": 0.03})
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    found = attack.perturbed(sequences(), squared(module, targets))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(layer.training for layer in module.modules())
    assert all(weights.grad is None for weights in module.parameters())
    change = (found - sequences()).abs()
    assert change.max() <= 0.05 + 1e-7
    assert change.max() == pytest.approx(min(0.03 * steps, 0.05))
    module.eval()
    loss = squared(module, targets)
    assert loss(found) > loss(sequences())


def test_one_step_is_the_fast_gradient_sign_method():
    module = network().eval()
    targets = torch.ones(5, 12, 2)
    attack = regulariser(module, adversarial={"epsilon": 0.1, "steps": 1, "step_size": 0.1})
    inputs = sequences().requires_grad_()
    squared(module, targets)(inputs).backward()
    expected = sequences() + 0.1 * inputs.grad.sign()
    found = attack.perturbed(sequences(), squared(module, targets))
    assert torch.allclose(found, expected)


def test_the_defaults_of_the_attack_are_those_published():
    assert vars(Regularisation.of({"adversarial": {}}).adversarial) == {
        "epsilon": 0.1,
        "steps": 10,
        "step_size": 0.1,
    }


def test_l2_is_the_gradient_of_the_squares_of_weights_alone():
    module = network()
    module(sequences()).sum().backward()
    before = {name: weights.grad.clone() for name, weights in module.named_parameters()}
    regulariser(module, l2=0.3).add_l2()
    penalty = {
        name: torch.autograd.grad(0.3 * (weights**2).sum(), weights)[0]
        for name, weights in module.named_parameters()
    }
    for name, weights in module.named_parameters():
        added = penalty[name] if name in WEIGHTS else 0
        assert torch.allclose(weights.grad, before[name] + added, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixupp": 1}, "regularisation has no 'mixupp'; did you mean 'mixup'"),
        ({"adversarial": {"eps": 1}}, "regularisation: adversarial has no 'eps'; did you mean"),
        ({"l2": -1}, "l2 is -1, but must not be negative"),
        ({"mixup": 1, "manifold_mixup": 1}, "mixup and manifold_mixup do not go together"),
        ({"adversarial": {}, "manifold_mixup": 1}, "adversarial and manifold_mixup do not go"),
        ({"adversarial": {"steps": 0}}, "needs positive epsilon, steps, step_size"),
    ],
)
def test_regularisers_that_cannot_work_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Regularisation.of(settings)


def test_networks_without_hidden_activations_are_refused():
    linear = torch.nn.Sequential(torch.nn.Conv1d(4, 2, 3, padding=1), torch.nn.ReLU())
    with pytest.raises(InputError, match="the network has none that is a module"):
        regulariser(linear, manifold_noise=0.1)
