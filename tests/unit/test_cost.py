"""Planned multiplications are those that prediction computes; costs scale to the whole set."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_local_inference import LENGTH, TABLE, haplotypes, intervals, networks
from test_work import SOME, alike, cnn, whole, work_of

from seqtrust.errors import InputError
from seqtrust.inference.cost import Cost, CountedGraph, estimate
from seqtrust.inference.multiplications import macs_of_pass
from seqtrust.inference.predict import predict
from seqtrust.inference.shared import SharedGraph
from seqtrust.inference.tracing import local_graph
from seqtrust.sequence_set import Sequence, SequenceSet


@settings(max_examples=100, deadline=None)
@given(networks(), st.integers(0, 99), st.data())
def test_numbering_alone_counts_what_running_counts(network, seed, data):
    codes = haplotypes(seed, data.draw(st.integers(0, 6)))
    graph = local_graph(network, [1, 2])
    wanted = intervals(data, graph.lengths(LENGTH)[-1])
    shared = SharedGraph(graph)
    planned = CountedGraph.of(shared)
    with torch.inference_mode():
        shared.predict(codes, TABLE.double(), wanted)
        values = planned.predict(codes, TABLE.double(), wanted)
    assert planned.saved == shared.saved
    assert values.shape == (len(codes), 0, wanted[1] - wanted[0])


def several_places(count, seed=1):
    """Sequences of `count` places, each with 7 that have something in common."""
    codes = [haplotypes(seed + place, 6).numpy().clip(max=4)[:, :64] for place in range(count)]
    sets = [alike(one, 1000 * place) for place, one in enumerate(codes)]
    windows = [window for one in sets for window in one.windows]
    return SequenceSet(windows, [Sequence(f"s{index}", index) for index in range(len(windows))])


@pytest.mark.parametrize("planning", [1, 10**12])
@pytest.mark.parametrize("turned", [False, True])
def test_all_places_planned_is_what_prediction_computes(planning, turned, monkeypatch):
    monkeypatch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": planning})
    sequences = several_places(5)
    made = predict(cnn(), sequences, SOME, reverse_complement=turned)
    found = estimate(cnn(), sequences, SOME, sample=9, rate=1e6, reverse_complement=turned)
    assert found.planned == work_of(made).computed
    assert found.naive == work_of(made).naive


def test_a_sample_of_places_is_scaled_to_all():
    same = several_places(1)
    windows = [window for _ in range(6) for window in same.windows]
    moved = [
        type(window)(
            **{**vars(window), "anchor": 1000 * (index // 7), "flank_start": 1000 * (index // 7)}
        )
        for index, window in enumerate(windows)
    ]
    sequences = SequenceSet(moved, [Sequence(f"s{index}", index) for index in range(len(moved))])
    every = estimate(cnn(), sequences, SOME, sample=6, rate=1e6)
    some = estimate(cnn(), sequences, SOME, sample=2, rate=1e6)
    assert some == every


def test_hours():
    """7.2e12 multiplications at 1e9 per s are 2 h; 9 jobs that start in 40 s a tenth of one."""
    assert Cost(10, 10**13, 7_000 * 10**9, 200 * 10**9, 1e9).hours == pytest.approx(2.0)
    assert Cost(10, 10**13, 7_000 * 10**9, 200 * 10**9, 1e9, 9, 40.0).hours == pytest.approx(2.1)


@pytest.mark.parametrize(("planning", "passes"), [(10**12, 21 + 2), (1, None)])
def test_every_job_checks_its_first_batch(planning, passes, monkeypatch):
    """All 21 sequences where nothing is shared, else the first place; and two once more."""
    monkeypatch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": planning})
    sequences = several_places(3)
    expected = passes or len(np.unique(sequences.part(0, 7).codes(), axis=0)) + 2
    one, two = (estimate(cnn(), sequences, SOME, rate=1e6, jobs=jobs) for jobs in (1, 2))
    assert (one.checks, two.checks) == (
        expected * macs_of_pass(cnn(), 64),
        2 * expected * macs_of_pass(cnn(), 64),
    )
    assert one.planned == two.planned


@pytest.mark.parametrize("make", [cnn, whole])
def test_a_pilot_measures_the_rate(make, device):
    """A clock that goes on by half a second at every look."""
    ticks = (number / 2 for number in range(1000))
    codes = haplotypes(1, 3).numpy().clip(max=4)
    if make is cnn:
        codes = codes[:, :64]
    outputs = SOME if make is cnn else {"all": {}}
    sequences = alike(codes)
    found = estimate(make(), sequences, outputs, device=device, clock=lambda: next(ticks))
    computed = work_of(predict(make(), sequences, outputs, device=device)).computed
    assert found.rate == computed / 0.5


@pytest.mark.parametrize(("seconds", "sequences"), [(0.1, 35), (3.0, 7)])
def test_a_pilot_grows_until_it_takes_some_seconds(seconds, sequences):
    ticks = (number * seconds for number in range(1000))
    shown = several_places(5)
    found = estimate(cnn(), shown, SOME, clock=lambda: next(ticks))
    computed = work_of(predict(cnn(), shown.part(0, sequences), SOME)).computed
    assert found.rate == pytest.approx(computed / seconds)


def test_a_set_without_sequences_is_refused():
    sequences = SequenceSet([], [], {"length": "64"})
    with pytest.raises(InputError, match="no sequence whose cost could be planned"):
        estimate(cnn(), sequences, SOME)


def test_planning_runs_nothing(monkeypatch):
    monkeypatch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": 1})
    model = cnn()
    monkeypatch.setattr(torch.nn.functional, "conv1d", None)
    assert estimate(model, several_places(2), SOME, rate=1e6).planned > 0
    with pytest.raises(TypeError):
        predict(model, several_places(2), SOME)
    assert np.isfinite(estimate(model, several_places(2), SOME, rate=1e6).hours)
