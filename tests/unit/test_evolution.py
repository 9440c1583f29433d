"""Augmentation by changes that evolution makes: each against slices of one sequence at a time."""

import numpy as np
import pytest
import torch

from seqtrust.errors import InputError
from seqtrust.models import evolution
from seqtrust.models.architectures import build_model
from seqtrust.models.evolution import Evolution, Evolver, _Draws
from seqtrust.models.facts import Track
from seqtrust.models.training import train

LENGTH, WINDOWS = 30, 64
ALL = {"mutation": 0.1, "deletion": 6, "insertion": 6, "translocation": 6, "inversion": 6}


def codes(count=WINDOWS, seed=0):
    found = np.random.default_rng(seed).integers(0, 4, (count, LENGTH)).astype(np.uint8)
    found[:, 7] = 4
    return found


def drawn(most, seed=1):
    rng = np.random.default_rng(seed)
    return _Draws.of(rng, WINDOWS, LENGTH, most, slice(0, WINDOWS))


def turned(stretch):
    return np.where(stretch < 4, 3 - stretch, stretch)[::-1]


def deletion(sequence, start, length, bases, _):
    kept = np.concatenate([sequence[:start], sequence[start + length :]])
    left = length // 2
    return np.concatenate([bases[:left], kept, bases[LENGTH - (length - left) :]])


def insertion(sequence, start, length, bases, _):
    """The inserted bases are the drawn ones at the places where they come to stand."""
    left = length // 2
    whole = np.concatenate([sequence[:start], np.full(length, 9), sequence[start:]])
    whole = whole[left : left + LENGTH]
    return np.where(whole == 9, bases, whole)


def translocation(sequence, _, length, __, side):
    shift = side * length
    return np.concatenate([sequence[-shift:], sequence[:-shift]]) if shift else sequence


def inversion(sequence, start, length, _, __):
    middle = turned(sequence[start : start + length])
    return np.concatenate([sequence[:start], middle, sequence[start + length :]])


TWINS = {
    "deletion": (deletion, lambda length: LENGTH - length + 1),
    "insertion": (insertion, lambda length: LENGTH + 1),
    "translocation": (translocation, lambda length: 1),
    "inversion": (inversion, lambda length: LENGTH - length + 1),
}


@pytest.mark.parametrize("kind", list(TWINS))
def test_changes_are_those_of_one_sequence_at_a_time(kind):
    twin, places = TWINS[kind]
    draws, before = drawn(9), codes()
    found = evolution._CHANGE[kind](before, draws)
    assert set(draws.length.tolist()) == set(range(10))
    for row in range(WINDOWS):
        length = int(draws.length[row])
        start = min(int(draws.start[row] * places(length)), places(length) - 1)
        expected = twin(before[row], start, length, draws.bases[row], int(draws.side[row]))
        np.testing.assert_array_equal(found[row], expected)


def test_mutations_change_the_stated_fraction():
    before = codes(2000)
    rng = np.random.default_rng(0)
    draws = _Draws.of(rng, 2000, LENGTH, 0.3, slice(0, 2000))
    changed = (evolution._CHANGE["mutation"](before, draws) != before)[:, [0, 3, 20]]
    assert changed.mean() == pytest.approx(0.3, abs=0.02)


def test_every_sequence_gets_so_many_kinds():
    evolver = Evolver(Evolution(**ALL, per_sequence=2), 3, 0)
    rng = np.random.default_rng(0)
    assert set(evolver._chosen(rng, 100).sum(axis=1)) == {2}
    fewer = Evolver(Evolution(**ALL, per_sequence=3, fewer=True), 3, 0)
    assert set(fewer._chosen(rng, 100).sum(axis=1)) == {1, 2, 3}


def test_draws_follow_from_the_step_and_not_from_the_number_of_processes():
    settings = Evolution(**ALL, noise=0.2, per_sequence=2)
    windows = torch.from_numpy(codes())
    whole, noisy = Evolver(settings, 5, 0).changed(windows, 4, WINDOWS, slice(0, WINDOWS))
    parts = [
        Evolver(settings, 5, rank).changed(windows[mine], 4, WINDOWS, mine)
        for rank, mine in enumerate((slice(0, 40), slice(40, WINDOWS)))
    ]
    assert torch.equal(torch.cat([part for part, _ in parts]), whole)
    assert torch.equal(torch.cat([part for _, part in parts]), noisy)
    assert whole.shape == windows.shape
    for step, seed in ((5, 5), (4, 6)):
        other, _ = Evolver(settings, seed, 0).changed(windows, step, WINDOWS, slice(0, WINDOWS))
        assert not torch.equal(other, whole)
    assert torch.equal(windows, torch.from_numpy(codes()))


def test_noise_is_of_the_windows_that_get_it():
    evolver = Evolver(Evolution(noise=0.3), 1, 0)
    inputs = torch.zeros(50, 4, 200)
    noisy = torch.arange(50) < 20
    found = evolver.noise(inputs, noisy, 2, 0)
    assert found[20:].abs().max() == 0
    assert found[:20].std().item() == pytest.approx(0.3, rel=0.03)
    assert torch.equal(evolver.noise(inputs, noisy, 2, 0), found)
    assert not torch.equal(evolver.noise(inputs, noisy, 3, 0), found)


def test_nothing_is_drawn_by_default():
    windows = torch.from_numpy(codes())
    found, noisy = Evolver(Evolution(), 1, 0).changed(windows, 0, WINDOWS, slice(0, WINDOWS))
    assert found is windows
    assert noisy is None


def network(**parameters):
    small = {"input_length": LENGTH, "channels": 4, "kernel": 5, "dense": 4, "head": "point"}
    return build_model("pooled_cnn", small | parameters, [Track("a")], "toy")


def learned(**settings):
    windows = codes()
    targets = (windows == 1).mean(axis=1)[:, None, None].astype(np.float32)
    model = network()
    chosen = {"seed": 2, "loss": "mse", "epochs": 3, "batch_size": 20} | settings
    record = train(model, windows, targets, ["train"] * 48 + ["validation"] * 16, **chosen)
    return model, record


def test_the_second_stage_sees_unchanged_sequences_and_starts_from_the_first():
    """It is a run of its own that keeps the weights of the best epoch."""
    both, record = learned(augmentation={**ALL, "finetune": {"epochs": 2, "learning_rate": 1e-3}})
    first, before = learned(augmentation=ALL)
    windows = codes()
    targets = (windows == 1).mean(axis=1)[:, None, None].astype(np.float32)
    after = train(
        first, windows, targets, ["train"] * 48 + ["validation"] * 16, seed=2, loss="mse",
        epochs=2, batch_size=20, learning_rate=1e-3, keep_weights=True,
    )  # fmt: skip
    for name, tensor in first.module.state_dict().items():
        assert torch.equal(tensor, both.module.state_dict()[name])
    assert record.epochs == 5
    assert record.validation_loss == before.validation_loss + after.validation_loss
    assert record.best_epoch == 3 + after.best_epoch
    plain, _ = learned()
    assert not torch.equal(plain.predict(windows), learned(augmentation=ALL)[0].predict(windows))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mutations": 0.1}, "augmentation has no 'mutations'; did you mean 'mutation'"),
        ({"deletion": -1}, "augmentation: deletion is -1, but must not be negative"),
        ({"mutation": 0.8}, "mutation is 0.8, but at .75 nothing is left"),
        (
            {"noise": 0.1, "per_sequence": 2},
            "per_sequence is 2, but must be from 1 to .* 1 .noi",
        ),
        ({"finetune": {}}, "finetune without a change has nothing to take back"),
        (
            {"noise": 0.1, "finetune": {"epoch": 1}},
            "finetune has no 'epoch'; did you mean",
        ),
        ({"noise": 0.1, "finetune": {"epochs": 0}}, "finetune needs positive epochs"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        learned(augmentation=settings)


def test_changes_that_do_not_fit_windows_are_refused():
    with pytest.raises(InputError, match="deletion of 30 bp leaves nothing of windows of 30 bp"):
        learned(augmentation={"deletion": 30})
    Evolution(mutation=0.1, noise=0.1).refuse_unfit(30, 4)
    with pytest.raises(InputError, match="inversion moves bases, but the 4 bins of a window stay"):
        Evolution(inversion=3).refuse_unfit(30, 4)
