"""Counted multiplications are those that are run; every kind of saving saves a share of them."""

import json
import logging
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_local_inference import LENGTH, TABLE, haplotypes, intervals, networks
from torch.utils.flop_counter import FlopCounterMode

from seqtrust.inference import progress
from seqtrust.inference.batches import Run
from seqtrust.inference.ism import mutagenesis
from seqtrust.inference.multiplications import counted, macs_of_graph, macs_of_pass
from seqtrust.inference.predict import predict, predict_in_parts, predict_together
from seqtrust.inference.progress import Progress, Work
from seqtrust.inference.shared import SharedGraph
from seqtrust.inference.tracing import local_graph
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model, one_hot
from seqtrust.models.training import initialise
from seqtrust.predictions import joined
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

TRACKS = (Track("plus"), Track("minus"), Track("open"))
SOME = {"some": {"tracks": ["open"], "bins": [2, 4], "reduction": "sum"}}


def cnn(seed=5):
    parameters = {"channels": 6, "pool": [4, 2], "kernel": 7, "dilations": [1]}
    model = build_model("cnn", parameters, TRACKS, "toy")
    initialise(model.module, seed)
    return model


class Whole(torch.nn.Module):
    """A network with a layer that is not local: every bin sees everything."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv1d(4, 3, 5, padding="same", groups=1)
        self.dense = torch.nn.Linear(3 * LENGTH, 6)

    def forward(self, sequences):
        return self.dense(self.convolution(sequences).flatten(1)).reshape(-1, 2, 3)


def whole():
    facts = Facts(LENGTH, LENGTH // 2, 0, TRACKS, LENGTH, "", "log_expression")
    return Model(Whole().eval(), facts, "test", {})


def alike(codes, start=0):
    """A sequence set of one place, one window per sequence."""
    windows = [
        StoredWindow("w", "toy", "c1", start, 0, codes.shape[1], "+", start, row) for row in codes
    ]
    return SequenceSet(windows, [Sequence(f"s{index}", index) for index in range(len(codes))])


def by_hooks(module, shown):
    """Multiplications of convolutions and dense layers, from the shapes of what they give."""
    total = 0

    def count(layer, given, made):
        nonlocal total
        if isinstance(layer, torch.nn.Conv1d):
            total += made.shape[0] * made.shape[2] * layer.weight.numel()
        elif isinstance(layer, torch.nn.Linear):
            total += made[..., 0].numel() * layer.weight.numel()

    handles = [layer.register_forward_hook(count) for layer in module.modules()]
    with torch.inference_mode():
        module(shown)
    for handle in handles:
        handle.remove()
    return total


def run_macs(function):
    """Multiplications that torch runs."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() // 2


@settings(max_examples=60, deadline=None)
@given(networks())
def test_a_full_pass_is_counted_as_hooks_count_it(network):
    shown = one_hot(haplotypes(1, 0), padding=0.25).double()
    expected = by_hooks(network, shown)
    assert macs_of_graph(local_graph(network), LENGTH) == expected
    assert counted(network, shown) == expected


def test_networks_that_are_not_local_are_counted_while_they_run():
    model = whole()
    expected = LENGTH * 3 * 4 * 5 + 3 * LENGTH * 6
    shown = torch.zeros(1, 4, LENGTH)
    assert macs_of_pass(model, LENGTH) == by_hooks(model.module, shown) == expected
    program = torch.export.export(model.module, (shown,)).module()
    assert counted(program, shown) == expected


@settings(max_examples=100, deadline=None)
@given(networks(), st.integers(0, 99), st.data())
def test_what_shared_inference_counts_is_what_is_run(network, seed, data):
    codes = haplotypes(seed, data.draw(st.integers(0, 6)))
    graph = local_graph(network, [0, 2])
    lengths = graph.lengths(LENGTH)
    wanted = intervals(data, lengths[-1])
    needed = graph.needed({len(graph.steps) - 1: wanted}, lengths)
    shared = SharedGraph(graph, budget=data.draw(st.sampled_from([1, 10**8])))
    assert shared.saved.macs == 0
    found = run_macs(lambda: shared.predict(codes, TABLE.double(), wanted))
    assert shared.saved.macs == found
    assert found <= len(codes) * graph.macs(needed)


def test_sequences_that_have_nothing_in_common_cost_no_more_than_apart():
    """Windows of several convolutions overlap, so that one by one they cost more."""
    torch.manual_seed(2)
    layers = [torch.nn.Conv1d(4, 8, 5, padding="same"), torch.nn.Conv1d(8, 8, 9, padding="same")]
    network = torch.nn.Sequential(*layers, torch.nn.MaxPool1d(2), torch.nn.Conv1d(8, 3, 1)).double()

    class Turned(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, sequences):
            return self.inner(sequences).transpose(1, 2)

    module = Turned().eval()
    graph = local_graph(module)
    codes = torch.randint(0, 4, (6, LENGTH), dtype=torch.uint8)
    shared = SharedGraph(graph)
    with torch.inference_mode():
        found = shared.predict(codes, TABLE.double(), (0, LENGTH // 2))
        expected = module(one_hot(codes).double()).transpose(1, 2)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert shared.saved.macs == 6 * macs_of_graph(graph, LENGTH)


def work_of(predictions):
    return Work(**json.loads(predictions.metadata["work"]))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 99),
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_shares_of_what_is_saved(seed, picks, turned, planning):
    codes = haplotypes(seed, 5).numpy().clip(max=4)[picks][:, :64]
    model, options = cnn(), {"reverse_complement": turned}
    with pytest.MonkeyPatch.context() as patch:
        if planning:
            patch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": planning})
        saving = work_of(predict(model, alike(codes), SOME, **options))
    full = work_of(predict(model, alike(codes), SOME, savings=False, **options))
    one = macs_of_pass(model, 64) * (2 if turned else 1)
    distinct = len(np.unique(codes, axis=0))
    assert full == Work(len(codes) * one, distinct * one, distinct * one, distinct * one)
    assert (saving.naive, saving.distinct) == (full.naive, full.distinct)
    shares = saving.equal_sequences, saving.crop, saving.sharing, saving.computed / saving.naive
    assert all(0 <= share <= 1 for share in shares)
    assert math.isclose(sum(shares), 1)
    assert saving.crop > 0
    if not planning:
        assert saving.computed == saving.cropped
    elif distinct > 1:
        assert saving.computed < saving.cropped


@pytest.mark.parametrize("planning", [1, 10**12])
@pytest.mark.parametrize("several", [False, True])
def test_what_predictions_count_is_what_is_run(planning, several, monkeypatch):
    monkeypatch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": planning})
    monkeypatch.setattr(Run, "_check", lambda *arguments: None)
    codes = haplotypes(3, 4).numpy().clip(max=4)[:, :64]
    codes = np.concatenate([codes[:1], codes])
    models = [cnn(1), cnn(2), cnn(3)] if several else [cnn()]
    made = []
    found = run_macs(lambda: made.extend(predict_together(models, alike(codes), SOME, stack=True)))
    assert sum(work_of(one).computed for one in made) == found > 0


def test_a_network_that_is_not_local_saves_what_equal_sequences_are():
    model = whole()
    codes = np.zeros((5, LENGTH), dtype=np.uint8)
    codes[0, 0] = 1
    one = macs_of_pass(model, LENGTH)
    work = work_of(predict(model, alike(codes), {"all": {}}))
    assert work == Work(5 * one, 2 * one, 2 * one, 2 * one)


def test_work_of_parts_adds_up_and_replicates_together_have_the_same():
    codes = haplotypes(4, 7).numpy().clip(max=4)[:, :64]
    parts = [part for _, (part,) in predict_in_parts([cnn()], alike(codes), SOME, part_macs=1)]
    assert len(parts) > 1
    total = work_of(joined(parts))
    assert total == sum((work_of(part) for part in parts), Work())
    several = predict_together([cnn(1), cnn(2)], alike(codes), SOME, stack=True)
    alone = work_of(predict(cnn(1), alike(codes), SOME))
    assert alone == work_of(several[0]) == work_of(several[1])
    assert (alone.naive, total.naive) == (8 * macs_of_pass(cnn(), 64),) * 2


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("savings", [False, True])
@pytest.mark.parametrize("make", [cnn, whole])
def test_what_mutagenesis_counts_is_what_is_run(make, savings, turned):
    model = make()
    length = LENGTH if make is whole else 64
    codes = haplotypes(5, 1).numpy().clip(max=4)[:, :length]
    outputs = {"all": {}} if make is whole else SOME
    with mutagenesis(
        model,
        length,
        outputs,
        region=(10, 40),
        reverse_complement=turned,
        shifts=(0,),
        savings=savings,
        batch_bytes=1_000,
        threads=1,
        device="cpu",
    ) as run:
        run.map_of(codes[0], "first")
        before = run.work
        found = run_macs(lambda: run.map_of(codes[1], "second"))
        work = run.work - before
    full = macs_of_pass(model, length) * (2 if turned else 1)
    known = int((codes[1, 10:40] < 4).sum())
    assert work.computed == found
    assert (work.naive, work.distinct) == (4 * 30 * full, (3 * known + 1) * full)
    assert work.distinct >= work.cropped >= work.computed
    if not savings:
        assert work.computed == work.cropped
    assert json.loads(run.totals()["work"]) == asdict(run.work)


def test_time_left_comes_from_work():
    """Three places of 11 sequences: the first costs 10, every further one 1."""
    now = [100.0]
    job = Progress(33, 3, 10, clock=lambda: now[0])
    assert job.left() == 0
    now[0] = 102.0
    job.done(11, 1, Work(110, 110, 110, 20))
    assert job.left() == pytest.approx(2 * 40 / 20)
    now[0] = 104.0
    job.done(22, 2, Work(220, 220, 220, 40))
    assert job.left() == 0


def test_the_log_says_how_far_a_job_is_and_what_it_saved(caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="seqtrust")
    monkeypatch.setattr(progress, "_LOG_EVERY_SECONDS", 0.0)
    codes = haplotypes(6, 3).numpy().clip(max=4)[:, :64]
    sets = [alike(codes, start) for start in (0, 1000)]
    windows = [window for one in sets for window in one.windows]
    ids = [Sequence(f"s{index}", index) for index in range(len(windows))]
    predictions = predict(cnn(), SequenceSet(windows, ids), SOME)
    lines = [text for text in caplog.messages if "billion multiplications" in text]
    assert "4 of 8 sequences" in lines[0]
    assert " s left; of " in lines[0]
    assert lines[-1].startswith("8 of 8 sequences, ")
    assert " per s, done in " in lines[-1]
    work = work_of(predictions)
    assert f"of {work.naive / 1e9:.4g} billion" in lines[-1]
    shares = work.equal_sequences, work.crop, work.sharing, work.computed / work.naive
    told = "{:.1f} % saved by equal sequences, {:.1f} % by the crop, {:.1f} % by sharing, {:.1f} %"
    assert told.format(*(100 * share for share in shares)) in lines[-1]
    assert shares[0] >= 0.5
