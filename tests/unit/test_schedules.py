"""Learning rates against torch's own schedulers, and early stopping against a loop."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.models.schedules import (
    PLATEAU_EPOCHS,
    SCHEDULES,
    best_epoch,
    plateaus,
    rate_factor,
    stops,
)

SCORES = st.lists(st.sampled_from([-math.inf, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5]), max_size=30)


@given(SCORES)
def test_plateaus_are_those_of_torch(scores):
    """Its `patience` is the number of epochs that are still forgiven."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, "max", factor=0.5, patience=PLATEAU_EPOCHS - 1, threshold=0, eps=0
    )
    for score in scores:
        scheduler.step(score)
    assert optimiser.param_groups[0]["lr"] == 0.5 ** plateaus(scores)
    assert rate_factor("plateau", 999, 1000, scores) == 0.5 ** plateaus(scores)


@given(SCORES, st.integers(1, 5), st.sampled_from([0.2, 0.5]))
def test_plateaus_of_other_lengths_are_those_of_torch(scores, epochs, factor):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, "max", factor=factor, patience=epochs - 1, threshold=0, eps=0
    )
    for score in scores:
        scheduler.step(score)
    found = rate_factor("plateau", 999, 1000, scores, plateau_epochs=epochs, plateau_factor=factor)
    assert found == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-12)


@given(st.integers(1, 400))
def test_the_cosine_is_that_of_torch_after_the_rise(steps):
    rise = max(1, round(0.05 * steps))
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps - rise))
    for step in range(rise, steps):
        assert rate_factor("cosine", step, steps, []) == pytest.approx(
            optimiser.param_groups[0]["lr"], abs=1e-9
        )
        optimiser.step()
        scheduler.step()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_rises_over_a_twentieth_of_the_steps(schedule):
    factors = [rate_factor(schedule, step, 200, []) for step in range(10)]
    assert factors == pytest.approx([step / 10 for step in range(1, 11)])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_warm_up_the_first_step_has_the_whole_rate(schedule):
    assert rate_factor(schedule, 0, 200, [], warm_up=0.0) == 1.0
    assert rate_factor(schedule, 4, 200, [], warm_up=0.1) == pytest.approx(5 / 20)


def test_a_constant_rate_stays():
    assert {rate_factor("constant", step, 200, [0.1] * 9) for step in range(10, 200)} == {1.0}


@given(SCORES, st.integers(1, 6))
def test_training_stops_when_patience_ends(scores, patience):
    best, at = -math.inf, 0
    for epoch, score in enumerate(scores, start=1):
        if score > best or at == 0:
            best, at = score, epoch
    assert best_epoch(scores) == at
    assert stops(scores, patience) == (len(scores) - at >= patience)
    assert not stops(scores, None)
