"""Replicates together: side by side or in turn, their predictions are those of each alone."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_local_inference import LENGTH, TABLE, Attention, haplotypes, intervals, networks

from seqtrust.errors import InputError
from seqtrust.inference.augment import make_passes
from seqtrust.inference.engine import Engine
from seqtrust.inference.local_graph import LocalGraph
from seqtrust.inference.predict import predict, predict_together
from seqtrust.inference.shared import SharedGraph
from seqtrust.inference.stacked import NotStackedError, stacked, widest
from seqtrust.inference.tracing import local_graph
from seqtrust.models import gaussian, keras_layers
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Facts, Track
from seqtrust.models.fixed_dropout import FixedDropout, fix_masks
from seqtrust.models.model import Model, one_hot
from seqtrust.models.training import initialise
from seqtrust.outputs import resolve_outputs
from seqtrust.sequence_set import Edit, Sequence, SequenceSet, StoredWindow

OUTPUTS = {"profile": {}, "total": {"tracks": ["b"], "bins": [2, 9], "reduction": "sum"}}
PARAMETERS = {"channels": 8, "kernel": 7, "pool": [4, 2], "dilations": [1, 2], "dropout": 0.4}
TRACKS = (Track("a", "CAGE", 1), Track("b", "CAGE", 0))


def replicates_of(network, count, seed):
    """Networks of one architecture with different weights, statistics and masks."""
    generator = torch.Generator().manual_seed(seed)
    made = [deepcopy(network) for _ in range(count)]
    for number, one in enumerate(made):
        with torch.no_grad():
            for tensor in (*one.parameters(), *one.buffers()):
                if tensor.is_floating_point():
                    tensor *= 1 + 0.4 * torch.rand(tensor.shape, generator=generator)
        for layer in one.modules():
            if isinstance(layer, FixedDropout):
                layer.seed += number
    return made


@settings(max_examples=150, deadline=None)
@given(networks(), st.integers(0, 99), st.integers(2, 4), st.data())
def test_a_stacked_graph_is_its_replicates_side_by_side(network, seed, count, data):
    several = replicates_of(network, count, seed)
    codes = haplotypes(seed, data.draw(st.integers(1, 5)))
    shown = one_hot(codes, padding=0.25).double()
    tracks = data.draw(st.permutations([0, 1, 2]).map(lambda order: order[:2]))
    with torch.inference_mode():
        full = [one(shown)[..., tracks].transpose(1, 2) for one in several]
        assume(all(bool(torch.isfinite(one).all()) for one in full))
        graph = stacked([local_graph(one, tracks) for one in several])
        lengths = graph.lengths(LENGTH)
        wanted = intervals(data, lengths[-1])
        expected = torch.cat(full, dim=1)[..., slice(*wanted)]
        last = len(graph.steps) - 1
        needed = graph.needed({last: wanted}, lengths)
        start, stop = needed[0]
        cropped = graph.run({0: shown[..., start:stop]}, needed, lengths)[last]
        budget = data.draw(st.sampled_from([1, 10**8]))
        shared = SharedGraph(graph, replicates=count, budget=budget)
        alike = shared.predict(codes, TABLE.double(), wanted)
    torch.testing.assert_close(cropped, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(alike, expected, rtol=1e-9, atol=1e-12)


class Uncommon(torch.nn.Module):
    """Layers that few networks have: groups, dense layers, the input again, variances."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv1d(4, 6, 3, padding="same", groups=2)
        self.bare = torch.nn.BatchNorm1d(6, affine=False)
        self.second = torch.nn.Conv1d(6, 6, 3, padding="same", groups=3, bias=False)
        self.dense = keras_layers.Dense(10, 4)
        self.join, self.add = keras_layers.Concatenate(), keras_layers.Add()
        self.variance = gaussian.MeanAndLogVariance(2)

    def forward(self, sequences):
        sequences = torch.relu(sequences.float())
        values = self.second(self.bare(self.first(sequences)))
        values = self.dense(self.join(values, sequences))
        values = torch.cat([self.add(values, sequences)[:, 2:], values[:, :2]], dim=1)
        return self.variance(values).transpose(1, 2)


@pytest.mark.parametrize("tracks", [None, [3, 1]])
def test_layers_that_few_networks_have_go_side_by_side(tracks):
    torch.manual_seed(4)
    several = replicates_of(Uncommon().eval(), 3, seed=1)
    shown = one_hot(haplotypes(1, 2))
    with torch.inference_mode():
        graph = stacked([local_graph(one, tracks) for one in several])
        lengths = graph.lengths(LENGTH)
        last = len(graph.steps) - 1
        needed = graph.needed({last: (0, LENGTH)}, lengths)
        found = graph.run({0: shown}, needed, lengths)[last]
        full = [one(shown).transpose(1, 2)[:, tracks or [0, 1, 2, 3]] for one in several]
    torch.testing.assert_close(found, torch.cat(full, dim=1))


def test_equal_replicates_are_computed_once():
    torch.manual_seed(1)
    model = network(0)
    graph = local_graph(model.module)
    three = stacked([graph, local_graph(deepcopy(model.module)), graph])
    needed = graph.needed({len(graph.steps) - 1: (0, 4)}, graph.lengths(LENGTH))
    assert three.macs(needed) == graph.macs(needed)


def test_what_comes_before_the_first_mask_is_computed_once():
    masked = []
    for seed in range(3):
        masked.append(network(0).module)
        fix_masks(masked[-1], seed)
    own = local_graph(masked[0])
    both = stacked([local_graph(one) for one in masked])
    needed = own.needed({len(own.steps) - 1: (0, 4)}, own.lengths(LENGTH))
    masks = [number for number, step in enumerate(own.steps) if step.placed]
    behind = sum(
        step.macs * (needed[number][1] - needed[number][0])
        for number, step in enumerate(own.steps)
        if number > masks[0]
    )
    assert both.macs(needed) == own.macs(needed) + 2 * behind


def test_graphs_that_differ_are_not_stacked():
    torch.manual_seed(1)
    first = network(0)
    graph = local_graph(first.module)
    shorter = LocalGraph(graph.steps[:-1])
    with pytest.raises(NotStackedError, match="number of steps"):
        stacked([graph, shorter])
    other = build_model("cnn", PARAMETERS | {"kernel": 9}, TRACKS, "toy")
    with pytest.raises(NotStackedError, match=r"step 1 .*differs in field"):
        stacked([graph, local_graph(other.module)])
    rising = build_model("cnn", PARAMETERS | {"activation": "relu"}, TRACKS, "toy")
    with pytest.raises(NotStackedError, match=r"Exponential\(\) and ReLU\(\)"):
        stacked([graph, local_graph(rising.module)])
    with pytest.raises(NotStackedError, match=r"step \d+: .* \[0\] and .* \[1\]"):
        stacked([local_graph(first.module, [0]), local_graph(first.module, [1])])


def network(seed, parameters=None):
    model = build_model("cnn", PARAMETERS | (parameters or {}), TRACKS, "toy")
    initialise(model.module, seed)
    return model


def sequence_set(windows=3, edits=3):
    """Windows of a random contig, each with its reference and edited sequences."""
    rng = np.random.default_rng(2)
    genome = rng.integers(0, 4, 2000).astype(np.uint8)
    stored, sequences = [], []
    for index in range(windows):
        start, strand = 100 + 300 * index, "+-"[index % 2]
        bases = genome[start : start + LENGTH].copy()
        name = f"w{index}"
        stored.append(StoredWindow(name, "toy", "c", start, 0, LENGTH, strand, start, bases))
        sequences.append(Sequence(name, index, ()))
        for number in range(edits):
            at = start + 20 + 25 * number
            changed = (Edit(at, at + 1, "ACGT"[(genome[at] + 1) % 4]),)
            sequences.append(Sequence(f"{name}_{number}", index, changed))
    return SequenceSet(stored, sequences)


def attention(seed):
    torch.manual_seed(seed)
    facts = Facts(LENGTH, 1, 0, tuple(map(Track, "abcd")), LENGTH, "toy", "log_expression")
    return Model(Attention().eval(), facts, "attention", {})


def masked(seed):
    model = network(0)
    fix_masks(model.module, seed)
    return model


@pytest.mark.parametrize("make", [network, attention, masked])
@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stack": True, "reverse_complement": True, "shifts": (-3, 0)},
        {"stack": False, "batch_bases": 5 * LENGTH},
        {"savings": False},
    ],
)
def test_predictions_together_are_those_alone(make, alike, settings, device, monkeypatch):
    if alike:
        monkeypatch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": 0, "cuda": 0})
    sequences = sequence_set()
    settings = settings | {"device": device}
    together = predict_together([make(seed) for seed in range(3)], sequences, OUTPUTS, **settings)
    assert len(together) == 3
    for seed, found in enumerate(together):
        alone = predict(make(seed), sequences, OUTPUTS, **settings)
        assert found.sequence_ids == alone.sequence_ids
        assert found.outputs == alone.outputs
        for name, expected in alone.values.items():
            np.testing.assert_allclose(found.values[name], expected, rtol=2e-5, atol=1e-6)
            assert np.abs(expected - together[seed - 1].values[name]).max() > 1e-3
        assert set(found.metadata) == set(alone.metadata)
        assert found.metadata["replicates_together"] == "3"
        same = ("n_distinct", "computed_bases", "full_passes", "facts", "reach")
        assert all(found.metadata[key] == alone.metadata[key] for key in same)
        assert set(found.noise_floor) == set(OUTPUTS)
        side_by_side = make is not attention and settings.get("stack", "auto") is not False
        expected = side_by_side and settings.get("savings", True)
        assert json.loads(found.metadata["stacked"]) == expected


def test_sequences_are_read_once(monkeypatch):
    read = []
    blocks = StoredWindow.blocks
    monkeypatch.setattr(StoredWindow, "blocks", lambda *given: (read.append(1), blocks(*given))[1])
    predict(network(0), sequence_set(), OUTPUTS)
    alone = len(read)
    predict_together([network(seed) for seed in range(3)], sequence_set(), OUTPUTS)
    assert len(read) == 2 * alone


@pytest.mark.parametrize("wrong", [0, 2])
def test_the_first_batch_of_every_replicate_is_checked(wrong, monkeypatch):
    right = Engine._values

    def spoiled(*given):
        values = right(*given).clone()
        values[:, 2 * wrong : 2 * wrong + 2] *= 1.001
        return values

    monkeypatch.setattr(Engine, "_values", spoiled)
    with pytest.raises(RuntimeError, match=r"'profile': full passes of 'cnn' differ"):
        predict_together([network(seed) for seed in range(3)], sequence_set(), OUTPUTS)


def test_noise_floors_are_each_replicates_own(monkeypatch):
    right = Engine.full

    def noisy(*given):
        return {
            name: values + torch.tensor([1e-6, 1e-6, 5e-6, 5e-6])[: values.shape[1], None]
            for name, values in right(*given).items()
        }

    monkeypatch.setattr(Engine, "full", noisy)
    outputs = {"profile": {}}
    first, second = predict_together([network(0), network(1)], sequence_set(), outputs)
    assert first.noise_floor["profile"] == pytest.approx(1e-6, abs=1e-6)
    assert second.noise_floor["profile"] == pytest.approx(5e-6, abs=1e-6)


def engine_of(models, **settings):
    specs = resolve_outputs(OUTPUTS, models[0].facts, LENGTH)
    return Engine(models, specs, make_passes(False, (0,), LENGTH), LENGTH, **settings)


def test_which_networks_go_side_by_side():
    narrow = [network(seed) for seed in range(2)]
    wide = [network(seed, {"channels": 520}) for seed in range(2)]
    own = [replace(model, architecture="entrypoint") for model in narrow]
    assert widest(local_graph(wide[0].module)) == 520
    assert engine_of(narrow).stacked
    assert not engine_of(wide).stacked
    assert engine_of(wide, stack=True).stacked
    assert not engine_of(narrow, stack=False).stacked
    assert not engine_of(own, stack=True).stacked
    assert not engine_of(narrow[:1], stack=True).stacked


def test_a_batch_is_smaller_where_replicates_are_side_by_side():
    several = [network(seed) for seed in range(4)]
    assert engine_of(several, stack=True).abreast == 4
    assert engine_of(several, stack=False).abreast == 1
    shared = SharedGraph(local_graph(several[0].module), replicates=4, budget=8 * 4 * 4 * 10 * 4)
    sizes = [len(part) for part in shared._batches(torch.zeros(9, 10), torch.zeros(6, 4))]
    assert sizes == [1] * 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "other"}, r"architecture is 'cnn' and 'other'"),
        ({"parameters": {**PARAMETERS, "dropout": 0.1}}, r"in their parameters, \w+ is .* and "),
        ({"facts": {"build": "hg0"}}, r"in their facts, build is 'toy' and 'hg0'"),
    ],
)
def test_replicates_that_differ_are_refused(change, message):
    other = network(1)
    if "facts" in change:
        change = {"facts": replace(other.facts, **change["facts"])}
    with pytest.raises(InputError, match=f"replicates 1 and 3 .*: {message}.*together to false"):
        predict_together(
            [network(0), network(2), replace(other, **change)], sequence_set(), OUTPUTS
        )


def test_programs_of_different_size_go_together():
    several = [
        replace(network(seed), architecture="program", parameters={"size": seed}) for seed in (0, 1)
    ]
    found = predict_together(several, sequence_set(), OUTPUTS)
    assert found[0].metadata["stacked"] == "false"
