"""Cropped, shared and edited inference equals full passes, for random local networks."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seqtrust.inference.augment import make_passes
from seqtrust.inference.engine import Engine
from seqtrust.inference.local_graph import NotLocalError
from seqtrust.inference.numbering import unique_rows
from seqtrust.inference.shared import SharedGraph
from seqtrust.inference.tracing import local_graph
from seqtrust.models import keras_layers
from seqtrust.models.activations import Exponential
from seqtrust.models.facts import Facts, Track
from seqtrust.models.fixed_dropout import fix_masks
from seqtrust.models.model import Model, one_hot
from seqtrust.predictions import OutputSpec

LENGTH = 144
# positions that see padding are numbered apart from the others: one at each end of two poolings
ENDS = 4
TABLE = one_hot(torch.arange(6, dtype=torch.uint8)[None], padding=0.25)[0].T


class Residual(torch.nn.Module):
    """Adds a stack to its input."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, values):
        return values + self.inner(values)


class Beside(torch.nn.Module):
    """Concatenates two convolutions of different widths, then takes all but the last channel."""

    def __init__(self, channels):
        super().__init__()
        self.narrow = torch.nn.Conv1d(channels, 2, 3, padding="same")
        self.wide = torch.nn.Conv1d(channels, 3, 7, padding="same", dilation=2)

    def forward(self, values):
        return torch.cat([self.narrow(values), self.wide(values)], dim=1)[:, :-1]


class Network(torch.nn.Module):
    """A trunk with channels first, and a head; gives (N, bins, tracks)."""

    def __init__(self, trunk):
        super().__init__()
        self.trunk = trunk

    def forward(self, sequences):
        return self.trunk(sequences).transpose(1, 2)


ACTIVATIONS = (
    torch.nn.ReLU,
    torch.nn.GELU,
    torch.nn.ELU,
    keras_layers.SigmoidGelu,
    Exponential,
    torch.nn.Tanh,
)


def normalisation(channels):
    layer = torch.nn.BatchNorm1d(channels)
    torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    torch.nn.init.normal_(layer.bias)
    torch.nn.init.normal_(layer.running_mean)
    torch.nn.init.uniform_(layer.running_var, 0.5, 2)
    return layer


@st.composite
def networks(draw):
    """Local networks of every kind of layer, and the stride of their bins."""
    torch.manual_seed(draw(st.integers(0, 999)))
    layers, channels, stride = [], 4, 1
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["same", "keras", "valid", "pool", "residual", "beside"]))
        width = draw(st.integers(1, 5))
        if kind == "same":
            dilation = draw(st.integers(1, 4))
            layers.append(torch.nn.Conv1d(channels, 5, width, padding="same", dilation=dilation))
            channels = 5
        elif kind == "keras":
            layers.append(keras_layers.Convolution(channels, 5, width))
            channels = 5
        elif kind == "valid":
            layers.append(torch.nn.Conv1d(channels, 4, width))
            channels = 4
        elif kind == "pool" and stride < 12:
            pool = draw(st.sampled_from([2, 3]))
            average = draw(st.booleans())
            layers.append((torch.nn.AvgPool1d if average else torch.nn.MaxPool1d)(pool))
            stride *= pool
        elif kind == "residual":
            inner = torch.nn.Sequential(
                draw(st.sampled_from(ACTIVATIONS))(),
                torch.nn.Conv1d(channels, channels, 3, padding="same", dilation=2),
                normalisation(channels),
                torch.nn.Dropout(0.3),
            )
            layers.append(Residual(inner))
        elif kind == "beside":
            layers.append(Beside(channels))
            channels = 4
        if draw(st.booleans()):
            layers += [normalisation(channels), draw(st.sampled_from(ACTIVATIONS))()]
    if draw(st.booleans()):
        layers.append(keras_layers.Crop(draw(st.integers(0, 2)), draw(st.integers(0, 2))))
    layers.append(torch.nn.Conv1d(channels, 3, 1))
    heads = [torch.nn.Softplus(), torch.nn.Softmax(dim=1), torch.nn.Identity()]
    layers.append(draw(st.sampled_from(heads)))
    network = Network(torch.nn.Sequential(*layers)).double().eval()
    dropout = any(isinstance(layer, torch.nn.Dropout) for layer in network.modules())
    if dropout and draw(st.booleans()):
        fix_masks(network, draw(st.integers(0, 9)))
    return network


def haplotypes(seed, count):
    """Sequences that differ from the first by substitutions, insertions and deletions."""
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 5, LENGTH + 40).astype(np.uint8)
    rows = [reference[:LENGTH]]
    for _ in range(count):
        codes = reference.copy()
        for place in rng.choice(LENGTH, rng.integers(1, 4), replace=False):
            codes[place] = rng.integers(0, 6)
        if rng.random() < 0.5:
            place, size = rng.integers(10, LENGTH - 10), rng.integers(1, 9)
            added = rng.integers(0, 4, size).astype(np.uint8)
            kept = codes[place:] if rng.random() < 0.5 else codes[place + size :]
            added = added if len(kept) == len(codes) - place else added[:0]
            codes = np.concatenate([codes[:place], added, kept])
        rows.append(codes[:LENGTH])
    return torch.from_numpy(np.stack(rows))


def intervals(data, positions):
    first = data.draw(st.integers(0, positions - 1))
    return first, data.draw(st.integers(first + 1, positions))


@settings(max_examples=200, deadline=None)
@given(networks(), st.integers(0, 99), st.data())
def test_every_way_equals_full_passes(network, seed, data):
    codes = haplotypes(seed, data.draw(st.integers(1, 6)))
    shown = one_hot(codes, padding=0.25).double()
    with torch.inference_mode():
        full = network(shown)
        assume(bool(torch.isfinite(full).all()))
        tracks = data.draw(st.permutations([0, 1, 2]).map(lambda order: order[:2]))
        graph = local_graph(network, tracks)
        lengths = graph.lengths(LENGTH)
        assert lengths[-1] == full.shape[1]
        wanted = intervals(data, lengths[-1])
        expected = full[:, slice(*wanted)][..., tracks].transpose(1, 2)
        last = len(graph.steps) - 1
        needed = graph.needed({last: wanted}, lengths)
        start, stop = needed[0]
        cropped = graph.run({0: shown[..., start:stop]}, needed, lengths)[last]
        shared = SharedGraph(graph, budget=data.draw(st.sampled_from([1, 10**8])))
        alike = shared.predict(codes, TABLE.double(), wanted)
    torch.testing.assert_close(cropped, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(alike, expected, rtol=1e-9, atol=1e-12)
    assert shared.saved.sequences == len(codes)
    assert shared.saved.rows <= len(torch.unique(codes, dim=0))


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(0, 99), st.data())
def test_what_an_edit_reaches_is_all_that_changes(network, seed, data):
    codes = haplotypes(seed, 0).repeat(2, 1)
    changed = intervals(data, LENGTH)
    rng = np.random.default_rng(seed)
    codes[1, slice(*changed)] = torch.from_numpy(
        rng.integers(0, 4, changed[1] - changed[0]).astype(np.uint8)
    )
    with torch.inference_mode():
        graph = local_graph(network)
        lengths = graph.lengths(LENGTH)
        last = len(graph.steps) - 1
        needed = graph.needed({last: intervals(data, lengths[-1])}, lengths)
        start, stop = needed[0]
        shown = one_hot(codes, padding=0.25).double()
        kept = graph.run({0: shown[:1, :, start:stop]}, needed, lengths, keep=tuple(needed))
        expected = graph.run({0: shown[1:, :, start:stop]}, needed, lengths)[last]
        assume(bool(torch.isfinite(expected).all()))
        inside = max(changed[0], start), min(changed[1], stop)
        if inside[0] >= inside[1]:
            torch.testing.assert_close(expected, kept[last])
            return
        reached = graph.reached(inside, needed, lengths)
        values = shown[1:, :, slice(*inside)]
        found = graph.run_changed(values, reached, kept, needed, lengths)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert graph.macs(reached) <= graph.macs(needed)


def test_haplotypes_share_what_they_have_in_common():
    torch.manual_seed(1)
    trunk = torch.nn.Sequential(
        torch.nn.Conv1d(4, 8, 5, padding="same"),
        torch.nn.MaxPool1d(4),
        torch.nn.Conv1d(8, 8, 3, padding="same"),
        torch.nn.MaxPool1d(4),
        torch.nn.Conv1d(8, 3, 1),
    )
    graph = local_graph(Network(trunk).eval())
    codes = haplotypes(3, 0).repeat(3, 1)
    codes[1, 70] = (codes[1, 70] + 1) % 4
    codes[2, 1:] = codes[0, :-1]
    shared = SharedGraph(graph)
    with torch.inference_mode():
        shared.predict(codes[:2], TABLE, (0, 9))
        # 36 and 9 positions of the reference; base 70 reaches bases 68 to 72, which are two
        # positions of the first pooling and then at most two of the second
        assert shared.saved.positions == 2 * (36 + 9)
        assert 36 + 9 < shared.saved.computed <= 36 + 9 + 2 + 2 + ENDS
        before = shared.saved.computed
        shared.predict(codes, TABLE, (0, 9))
        assert shared.saved.computed - before > 2 * (36 + 9)


@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), max_size=12))
def test_unique_rows_stand_for_all(rows):
    table = torch.tensor(rows, dtype=torch.int32).reshape(-1, 3)
    first, kind = unique_rows(table)
    assert torch.equal(table[first][kind], table)
    assert len(first) == len({tuple(row) for row in rows})
    for number, row in enumerate(first.tolist()):
        assert row == kind.tolist().index(number)


def test_rows_of_one_fingerprint_are_told_apart(monkeypatch):
    module = "seqtrust.inference.numbering._fingerprints"
    monkeypatch.setattr(module, lambda rows: torch.zeros(len(rows), dtype=torch.int64))
    table = torch.tensor([[1, 2], [3, 4], [1, 2]], dtype=torch.int32)
    first, kind = unique_rows(table)
    assert sorted(first.tolist()) == [0, 1]
    assert kind[0] == kind[2] != kind[1]


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.MultiheadAttention(4, 1, batch_first=True)

    def forward(self, sequences):
        values = sequences.transpose(1, 2)
        return self.layer(values, values, values)[0]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([torch.nn.LayerNorm(LENGTH)], r"trunk\.0 \(LayerNorm\)"),
        ([torch.nn.LSTM(LENGTH, 4)], r"trunk\.0 \(LSTM\)"),
        ([torch.nn.AdaptiveAvgPool1d(3)], r"trunk\.0 \(AdaptiveAvgPool1d\)"),
        ([torch.nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular")], "padding 'circular'"),
        ([torch.nn.MaxPool1d(3, ceil_mode=True)], "ceil_mode"),
        ([torch.nn.Softmax(dim=2)], r"trunk\.0 \(Softmax\)"),
    ],
)
def test_what_is_not_local_is_named(layers, message):
    with pytest.raises(NotLocalError, match=message):
        local_graph(Network(torch.nn.Sequential(*layers)).eval())


def test_attention_runs_in_full_passes():
    torch.manual_seed(2)
    facts = Facts(LENGTH, 1, 0, tuple(map(Track, "abcd")), LENGTH, "toy", "log_expression")
    model = Model(Attention().eval(), facts, "attention", {})
    outputs = [OutputSpec("some", (1, 3), (4, 5), "sum", ("b", "d"))]
    codes = haplotypes(1, 3)
    with torch.inference_mode():
        engine = Engine([model], outputs, make_passes(False, (0,), LENGTH), LENGTH)
        expected = model(codes)[:, 4:6][..., [1, 3]].sum(dim=1)
        found = engine(codes, alike=True)["some"][..., 0]
    assert engine.full_passes
    assert engine.reach == LENGTH
    assert not engine.share_worthwhile(100)
    torch.testing.assert_close(found.float(), expected)
