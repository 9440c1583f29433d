"""Optimisers: Keras's momentum by its formula, the others as torch has them."""

import pytest
import torch

from seqtrust.models.optimisers import KerasSgd, clip_gradients, make_optimiser

RATES = [0.1, 0.1, 0.02, 0.3, 0.0]


def moved(make, rates, count=None):
    """Weights after steps down a bowl, one rate per step."""
    weights = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    unused = torch.nn.Parameter(torch.ones(1))
    optimiser = make([weights, unused])
    for rate in rates:
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        (weights**2 * torch.tensor([1.0, 3.0])).sum().backward()
        optimiser.step()
    assert unused.item() == 1
    return weights.detach()


def test_momentum_is_that_of_keras():
    weights, velocity = torch.tensor([1.0, -2.0], dtype=torch.float64), torch.zeros(2)
    for rate in RATES:
        gradient = 2 * weights * torch.tensor([1.0, 3.0]) + 0.01 * weights
        velocity = 0.9 * velocity - rate * gradient
        weights = weights + velocity
    found = moved(lambda p: KerasSgd(p, 1.0, momentum=0.9, weight_decay=0.01), RATES)
    assert torch.allclose(found, weights, atol=1e-14)


def test_torch_has_the_same_momentum_while_the_rate_stays():
    def torch_sgd(parameters):
        return torch.optim.SGD(parameters, 1.0, momentum=0.9, weight_decay=0.01)

    def keras_sgd(parameters):
        return KerasSgd(parameters, 1.0, momentum=0.9, weight_decay=0.01)

    same = [0.05] * 6
    assert torch.allclose(moved(torch_sgd, same), moved(keras_sgd, same), atol=1e-14)
    assert not torch.allclose(moved(torch_sgd, RATES), moved(keras_sgd, RATES), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_others_are_those_of_torch(name, kind):
    settings = {"learning_rate": 0.1, "weight_decay": 0.02, "momentum": 0.0, "epsilon": 1e-7}
    found = moved(lambda p: make_optimiser(name, p, **settings), RATES)
    expected = moved(lambda p: kind(p, lr=0.1, weight_decay=0.02, eps=1e-7), RATES)
    assert torch.equal(found, expected)


def test_amsgrad_is_adam_whose_steps_do_not_grow_again():
    settings = {"learning_rate": 0.1, "weight_decay": 0.0, "momentum": 0.0, "epsilon": 1e-8}
    rates = [0.1] * 40
    found = moved(lambda p: make_optimiser("amsgrad", p, **settings), rates)
    expected = moved(lambda p: torch.optim.Adam(p, lr=0.1, eps=1e-8, amsgrad=True), rates)
    assert torch.equal(found, expected)
    plain = moved(lambda p: make_optimiser("adam", p, **settings), rates)
    assert not torch.equal(found, plain)


def test_gradients_are_clipped_together_or_each_by_itself():
    def clipped(of):
        pair = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
        pair[0].grad, pair[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
        clip_gradients(iter(pair), 2.0, of)
        return pair[0].grad, pair[1].grad

    # norms 5 and 12, together 13
    together, each = clipped("all"), clipped("each")
    assert torch.cat(together).tolist() == pytest.approx([6 / 13, 8 / 13, 24 / 13], rel=1e-5)
    assert torch.cat(each).tolist() == pytest.approx([1.2, 1.6, 2.0], rel=1e-5)
