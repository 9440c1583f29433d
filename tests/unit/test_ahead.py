"""Reading ahead changes nothing but when things are read, and leaves no thread behind."""

import threading
from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_work import SOME, alike, cnn

from seqtrust.errors import InputError
from seqtrust.inference.ahead import Fetched, ahead, on_device
from seqtrust.inference.predict import predict
from seqtrust.sequence_set import SequenceSet


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "reader"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9)), st.integers(0, 20))
def test_the_items_come_in_their_order(sizes, budget):
    assert list(ahead(iter(sizes), lambda size: size, budget)) == sizes
    assert not readers()


def test_an_exception_comes_where_the_item_would_have_come():
    def items():
        yield 1
        raise InputError("row 2 is damaged")

    found = []
    with pytest.raises(InputError, match="row 2 is damaged"):
        found.extend(ahead(items(), lambda size: size, 10))
    assert not readers()
    with pytest.raises(InputError, match="row 2"):
        found += list(ahead(items(), lambda size: size, 10))
    numbers = ahead(items(), lambda size: size, 10)
    assert next(numbers) == 1


def test_no_more_waits_than_fits_and_one_item_always_may():
    made = []
    all_taken = threading.Event()

    def items():
        for number in range(100):
            made.append(number)
            yield number
            if number == 2:
                all_taken.set()

    with closing(ahead(items(), lambda item: 1, 3)) as numbers:
        assert next(numbers) == 0
        assert all_taken.wait(10)
        # one was taken, three wait, one is ready to wait
        for _ in range(100):
            if len(made) == 5:
                break
            threading.Event().wait(0.01)
        assert len(made) == 5
    assert not readers()
    assert len(made) <= 6
    assert list(ahead(iter([5, 5]), lambda item: 100, 1)) == [5, 5]


def test_items_are_made_in_another_thread():
    def items():
        yield threading.current_thread().name

    assert list(ahead(items(), lambda item: 1, 1)) == ["reader"]


@pytest.mark.parametrize("planning", [1, 10**12])
def test_predictions_are_the_same_bytes(planning, monkeypatch):
    monkeypatch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": planning})
    codes = np.random.default_rng(1).integers(0, 4, (9, 64)).astype(np.uint8)
    codes = codes[[0, 1, 2, 3, 3, 4, 5, 0, 6, 7, 8]]
    made = [
        predict(cnn(), alike(codes), SOME, batch_bases=100, read_ahead=one)
        for one in (None, True, False)
    ]
    assert made[0].values["some"].tobytes() == made[1].values["some"].tobytes()
    assert made[0].values["some"].tobytes() == made[2].values["some"].tobytes()
    assert made[0].metadata == made[1].metadata == made[2].metadata
    assert not readers()


def test_what_fails_while_reading_fails_the_job(monkeypatch):
    codes = np.zeros((3, 64), dtype=np.uint8)

    def damaged(self):
        yield [(0, iter([codes[:1]]))]
        raise InputError("window 1 is damaged")

    monkeypatch.setattr(SequenceSet, "by_location", damaged)
    with pytest.raises(InputError, match="window 1 is damaged"):
        predict(cnn(), alike(codes), SOME, read_ahead=True)
    assert not readers()


def test_what_fails_while_computing_stops_the_reader(monkeypatch):
    codes = np.random.default_rng(2).integers(0, 4, (50, 64)).astype(np.uint8)
    model = cnn()
    with torch.no_grad():
        next(model.module.parameters()).fill_(float("nan"))
    monkeypatch.setattr("seqtrust.inference.batches._AHEAD_BYTES", 1)
    with pytest.raises(InputError, match="not a finite number"):
        predict(model, alike(codes), SOME, batch_bases=64, read_ahead=True)
    assert not readers()


def test_transfers_keep_the_values(device):
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    shown = on_device(codes, torch.device(device))
    assert shown.device.type == device
    np.testing.assert_array_equal(shown.cpu().numpy(), codes)
    np.testing.assert_array_equal(Fetched({"one": shown.float()}).get()["one"], codes)
