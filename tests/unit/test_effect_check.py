"""The check of the first batch sees errors that are small beside outputs but not beside effects."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_work import SOME, alike, cnn

from seqtrust.inference.effect_check import EffectCheck, checked_rows
from seqtrust.inference.predict import predict
from seqtrust.inference.shared import SharedGraph


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(2, 40))
def test_checked_rows_hold_pairs_of_one_place(places, count):
    places = sorted(places)
    rows = checked_rows(places, count)
    assert rows == sorted(set(rows))
    assert len(rows) <= count or len(rows) == len(places)
    assert set(rows) <= set(range(len(places)))
    if any(places.count(place) > 1 for place in {places[row] for row in rows[:1]}):
        assert any(places[row] == places[other] for row in rows for other in rows if row < other)


def test_many_sequences_of_one_place_are_all_compared_with_the_first():
    assert 0 in checked_rows(["here"] * 100, 5)
    rows = checked_rows([row // 2 for row in range(200)], 8)
    assert sum(row % 2 == 0 and row + 1 in rows for row in rows) >= 3


def one_output(values):
    return {"out": torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1)}


def check(found, full, places=None):
    effects = EffectCheck(one_output(found), places or ["here"] * len(found))
    for row, value in enumerate(full):
        effects.add("out", row, torch.tensor(value, dtype=torch.float64).reshape(1, 1, 1))
    return effects


def test_errors_are_held_against_the_standard_deviation():
    """Effects 0, 2, 4: sd 1.633 (of all three, divided by three); the last is off by 0.001."""
    found, full = [10.0, 12.0, 14.001], [10.0, 12.0, 14.0]
    error = check(found, full).error("out", 0, refuse=True)
    assert error.size == 14.001
    assert error.of_sd == pytest.approx(0.001 / np.std(found), rel=1e-6)
    with pytest.raises(RuntimeError, match=r"off by 0.002 .* more than 0.001 of the standard"):
        check([10.0, 12.0, 14.002], full).error("out", 0, refuse=True)
    check([10.0, 12.0, 14.002], full).error("out", 0, refuse=False)


def test_an_error_of_all_sequences_is_no_error_of_effects():
    found = [10.1, 12.1, 14.1]
    assert check(found, [10.0, 12.0, 14.0]).error("out", 0, True).of_sd < 1e-12


def test_sequences_of_different_places_are_not_compared():
    places = ["here", "there", "there"]
    error = check([10.0, 50.0, 51.0], [20.0, 50.0, 51.0], places).error("out", 0, True)
    assert error.of_sd == 0


def test_effects_below_the_noise_are_ties():
    """Twice the same sequence, off by rounding: there is no spread to hold it against."""
    error = check([1e3, 1e3 + 1e-4], [1e3, 1e3]).error("out", 0, refuse=True)
    assert error.of_sd == 0
    effects = check([1.0, 1.0 + 5e-5], [1.0, 1.0])
    with pytest.raises(RuntimeError, match="rounding of full passes"):
        effects.error("out", 0, refuse=True)
    # full passes that differ from themselves by 1e-5 cannot tell
    noisy = torch.tensor([1.0, 1.0 + 1e-5], dtype=torch.float64).reshape(1, 2, 1, 1)
    effects.twice([0, 1], {"out": noisy})
    effects.error("out", 0, refuse=True)


def mutants(count=12):
    codes = np.repeat(np.random.default_rng(3).integers(0, 4, (1, 64)), count, axis=0)
    for row in range(1, count):
        codes[row, 20 + row] = (codes[row, 20 + row] + 1) % 4
    return codes.astype(np.uint8)


@pytest.mark.parametrize("planning", [1, 10**12])
def test_the_metadata_hold_the_errors(planning, monkeypatch, device):
    monkeypatch.setattr("seqtrust.inference.engine._PLANNING", dict.fromkeys([device], planning))
    made = predict(cnn(), alike(mutants()), SOME, device=device)
    error = json.loads(made.metadata["check_error"])["some"]
    assert 0 <= error["effects"] < 1e-3
    size = np.abs(made.values["some"]).max()
    assert error["output"] == pytest.approx(made.noise_floor["some"] / size, rel=1e-5)


def test_a_broken_graph_is_caught(monkeypatch):
    """Off by 1e-5 of the outputs, in turn up and down: within what outputs may be off."""
    monkeypatch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": 1})
    right = SharedGraph.predict

    def broken(self, codes, table, wanted):
        made = right(self, codes, table, wanted)
        sign = torch.arange(len(made)) % 2 * 2 - 1
        return made * (1 + 1e-5 * sign[:, None, None])

    monkeypatch.setattr(SharedGraph, "predict", broken)
    with pytest.raises(RuntimeError, match="an effect, the difference between two sequences"):
        predict(cnn(), alike(mutants()), SOME)
