"""Substitutions as differences: equal to full passes of explicit mutants, for any network.

Compared in double precision, where only errors of the method are left: a tolerance of 1e-12 on
outputs of about 1.
"""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seqtrust.inference.ism_delta import block_effects, kept_output, reference_of
from seqtrust.inference.ism_network import Network
from seqtrust.inference.ism_plan import ALTERNATIVES, Plan, alternatives_of
from seqtrust.inference.local_graph import NotLocalError
from seqtrust.models import keras_layers
from seqtrust.models.activations import Exponential
from seqtrust.predictions import OutputSpec

TABLE = torch.zeros(6, 4, dtype=torch.float64)
TABLE[:4] = torch.eye(4)
TRACKS = 3
ACTIVATIONS = (
    torch.nn.ReLU,
    torch.nn.GELU,
    torch.nn.Softplus,
    torch.nn.ELU,
    torch.nn.Sigmoid,
    keras_layers.SigmoidGelu,
    Exponential,
)


class Residual(torch.nn.Module):
    def __init__(self, channels, dilation, width):
        super().__init__()
        self.inner = torch.nn.Sequential(
            torch.nn.Conv1d(channels, channels, width, padding="same", dilation=dilation),
            torch.nn.BatchNorm1d(channels),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
        )

    def forward(self, values):
        return values + self.inner(values)


class Branches(torch.nn.Module):
    """Two branches of different width, their channels joined."""

    def __init__(self, channels):
        super().__init__()
        self.narrow = torch.nn.Conv1d(channels, 2, 1)
        self.wide = torch.nn.Conv1d(channels, channels - 2, 5, padding=2)

    def forward(self, values):
        return torch.cat([self.narrow(values), torch.relu(self.wide(values))], dim=1)


class Positions(torch.nn.Module):
    """Trunk, then tracks at every position."""

    def __init__(self, trunk, channels):
        super().__init__()
        self.trunk = trunk
        self.read_out = torch.nn.Conv1d(channels, TRACKS, 1)
        self.output = torch.nn.Softplus()

    def forward(self, sequences):
        return self.output(self.read_out(self.trunk(sequences))).transpose(1, 2)


class Whole(torch.nn.Module):
    """Trunk, an end of the positions, dense layers."""

    def __init__(self, trunk, end, features):
        super().__init__()
        self.trunk = trunk
        self.end = end
        self.dense = torch.nn.Sequential(
            torch.nn.Linear(features, 5), torch.nn.ReLU(), torch.nn.Linear(5, TRACKS)
        )

    def forward(self, sequences):
        return self.dense(self.end(self.trunk(sequences))).unsqueeze(1)


class Ended(torch.nn.Module):
    """An end of the positions that is a function and no layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, values):
        return self.function(values)


def ends(channels, length):
    """Ends of the positions, with the features that they leave."""
    flat = channels * length
    return {
        "flatten": (torch.nn.Flatten(), flat),
        "keras flatten": (keras_layers.Flatten(), flat),
        "flatten and drop out": (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout()), flat),
        "flatten and normalise": (
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(flat)),
            flat,
        ),
        "keras flatten and normalise": (
            torch.nn.Sequential(keras_layers.Flatten(), torch.nn.BatchNorm1d(flat)),
            flat,
        ),
        "reshape": (Ended(lambda values: values.reshape(values.shape[0], -1)), flat),
        "view": (Ended(lambda values: values.contiguous().view(values.size(0), -1)), flat),
        "mean": (Ended(lambda values: values.mean(-1)), channels),
        "mean of turned": (Ended(lambda values: values.transpose(1, 2).mean(dim=1)), channels),
        "sum": (Ended(lambda values: torch.sum(values, dim=2)), channels),
        "max": (Ended(lambda values: values.amax(dim=-1)), channels),
        "global max": (keras_layers.GlobalMax(), channels),
        "global average": (keras_layers.GlobalAverage(), channels),
        "adaptive max": (
            torch.nn.Sequential(torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten()),
            channels,
        ),
        "both": (
            Ended(lambda values: torch.cat([values.mean(-1), values.amax(-1)], 1)),
            2 * channels,
        ),
    }


ENDS = tuple(ends(1, 1))


@st.composite
def layers(draw, channels):
    """One layer from so many channels to as many."""
    width, dilation = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    kind = draw(
        st.sampled_from(
            [
                "same",
                "padded",
                "valid",
                "strided",
                "grouped",
                "max",
                "average",
                "overlapping",
                "normalise",
                "activation",
                "activation",
                "residual",
                "crop",
                "branches",
            ]
        )
    )
    convolution = torch.nn.Conv1d
    return {
        "same": lambda: convolution(channels, channels, width, padding="same", dilation=dilation),
        "padded": lambda: convolution(channels, channels, width, padding=width // 2),
        "valid": lambda: convolution(channels, channels, min(width, 4), bias=False),
        "strided": lambda: convolution(channels, channels, 3, stride=2, padding=1),
        "grouped": lambda: convolution(channels, channels, 3, padding=1, groups=2),
        "max": lambda: torch.nn.MaxPool1d(draw(st.integers(2, 4))),
        "average": lambda: torch.nn.AvgPool1d(draw(st.integers(2, 4))),
        "overlapping": lambda: torch.nn.MaxPool1d(3, draw(st.integers(1, 2)), 1),
        "normalise": lambda: torch.nn.BatchNorm1d(channels),
        "activation": lambda: draw(st.sampled_from(ACTIVATIONS))(),
        "residual": lambda: Residual(channels, dilation, draw(st.sampled_from([3, 5]))),
        "crop": lambda: keras_layers.Crop(draw(st.integers(0, 2)), draw(st.integers(0, 2))),
        "branches": lambda: Branches(channels),
    }[kind]()


@st.composite
def networks(draw):
    """A network, and the length of the sequences that it takes."""
    torch.manual_seed(draw(st.integers(0, 10_000)))
    length, channels = draw(st.integers(40, 60)), 4
    first = torch.nn.Conv1d(4, channels, draw(st.integers(1, 9)), padding="same")
    trunk = [first, *draw(st.lists(layers(channels), min_size=1, max_size=6))]
    while torch_length(trunk, length) < 2:
        trunk.pop()
    trunk = torch.nn.Sequential(*trunk)
    end = draw(st.sampled_from(["positions", *ENDS]))
    if end == "positions":
        return randomised(Positions(trunk, channels)), length
    layer, features = ends(channels, torch_length(trunk, length))[end]
    return randomised(Whole(trunk, layer, features)), length


def torch_length(trunk, length):
    """Positions that a trunk leaves; 0 where a window does not fit."""
    values = torch.zeros(1, 4, length)
    try:
        for layer in trunk:
            values = layer.eval()(values)
    except RuntimeError:
        return 0
    return values.shape[-1]


def randomised(module):
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(layer.weight)
            torch.nn.init.normal_(layer.bias)
    return module.eval().double()


@torch.inference_mode()
def naive(module, codes, outputs):
    """Full passes of explicit mutants: per output (positions, alternatives, tracks, bins)."""
    found = [torch.zeros(len(codes), 3, *output.shape, dtype=torch.float64) for output in outputs]
    reference = module(TABLE[codes][None].transpose(1, 2))
    for place in torch.nonzero(codes < 4)[:, 0]:
        mutants = codes.repeat(3, 1)
        mutants[:, place] = torch.tensor([base for base in range(4) if base != codes[place]])
        difference = module(TABLE[mutants].transpose(1, 2)) - reference
        for values, output in zip(found, outputs, strict=True):
            values[place] = kept_output(difference, output)
    return found


@torch.inference_mode()
def by_delta(module, codes, outputs, batch_bytes):
    tracks = sorted({track for output in outputs for track in output.tracks})
    plan = Plan(Network.of(module, tracks), outputs, TABLE, len(codes), batch_bytes)
    reference = reference_of(plan, codes)
    found = [torch.zeros(len(codes), 3, *output.shape, dtype=torch.float64) for output in outputs]
    for start in plan.blocks((0, len(codes))):
        effects = block_effects(plan, codes, reference, start)
        if effects is None:
            continue
        low, high = max(start, 0), min(start + plan.block, len(codes))
        for values, effect in zip(found, effects, strict=True):
            values[low:high] = effect[low - start : high - start]
    return found


def some_codes(length, seed, unknown=0):
    random = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 4, (length,), generator=random)
    codes[torch.randint(0, length, (unknown,), generator=random)] = 4
    return codes


@st.composite
def some_outputs(draw, bins):
    first = draw(st.integers(0, bins - 1))
    part = tuple(range(first, draw(st.integers(first + 1, bins))))
    every = OutputSpec("every", (0, 1, 2), tuple(range(bins)), "none", ())
    wanted = draw(st.sampled_from(["every", "part", "both"]))
    reduction = draw(st.sampled_from(["none", "sum", "mean"]))
    some = OutputSpec("some", (2, 0), part, reduction, ())
    return {"every": [every], "part": [some], "both": [every, some]}[wanted]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.data(), networks(), st.integers(0, 1000), st.sampled_from([1, 3_000, 40_000, 10**7]))
def test_random_networks_have_the_effects_of_explicit_mutants(data, made, seed, batch_bytes):
    module, length = made
    codes = some_codes(length, seed, unknown=3)
    bins = module(TABLE[codes][None].transpose(1, 2)).shape[1]
    outputs = data.draw(some_outputs(bins))
    expected = naive(module, codes, outputs)
    # exponentials of exponentials overflow
    assume(all(bool((values.abs() < 1e6).all()) for values in expected))
    for one, other in zip(by_delta(module, codes, outputs, batch_bytes), expected, strict=True):
        scale = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("batch_bytes", [1, 10**7])
def test_every_end_of_the_positions(end, batch_bytes):
    torch.manual_seed(1)
    trunk = torch.nn.Sequential(
        torch.nn.Conv1d(4, 4, 7, padding="same"),
        torch.nn.BatchNorm1d(4),
        torch.nn.ReLU(),
        torch.nn.MaxPool1d(3),
        Residual(4, 2, 3),
        torch.nn.MaxPool1d(2),
    )
    layer, features = ends(4, 8)[end]
    module = randomised(Whole(trunk, layer, features))
    codes = some_codes(50, 2, unknown=2)
    outputs = [OutputSpec("all", (0, 1, 2), (0,), "none", ())]
    (expected,) = naive(module, codes, outputs)
    (found,) = by_delta(module, codes, outputs, batch_bytes)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 2))
def test_wide_windows_go_tap_by_tap(seed, channels):
    """Windows of 128 positions and more take another way through the convolution."""
    torch.manual_seed(seed)
    trunk = torch.nn.Sequential(
        torch.nn.Conv1d(4, channels, 3, padding="same"),
        *(Residual(channels, dilation, 3) for dilation in (30, 60, 90)),
    )
    module = randomised(Positions(trunk, channels))
    codes = some_codes(400, seed)
    outputs = [OutputSpec("some", (1,), tuple(range(50, 380)), "sum", ())]
    (expected,) = naive(module, codes, outputs)
    (found,) = by_delta(module, codes, outputs, 10**6)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_small_effects_on_a_large_prediction_are_not_rounded_to_it():
    """Full passes in single precision round to 6e-5 at 1,000, where effects are about 1e-4."""
    torch.manual_seed(1)
    trunk = torch.nn.Sequential(torch.nn.Conv1d(4, 4, 7, padding="same"), torch.nn.ReLU())
    module = randomised(Whole(trunk, keras_layers.GlobalAverage(), 4))
    with torch.no_grad():
        module.dense[2].weight /= 10
        module.dense[2].bias += 1000
    codes = some_codes(60, 2)
    outputs = [OutputSpec("all", (0, 1, 2), (0,), "none", ())]
    (expected,) = naive(module, codes, outputs)
    network = Network.of(module.float(), [0, 1, 2])
    plan = Plan(network, outputs, TABLE.float(), 60, 10**6)
    with torch.inference_mode():
        (found,) = block_effects(plan, codes, reference_of(plan, codes), 0)
        passes = module(TABLE.float()[codes][None].transpose(1, 2)) - 1000
    assert 1e-5 < expected.std() < 1e-3
    assert passes.abs().max() < 1
    torch.testing.assert_close(found[:60], expected, rtol=0, atol=1e-9)


def test_a_head_that_sets_its_precision_keeps_it():
    class Single(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = torch.nn.Linear(4, TRACKS)

        def forward(self, sequences):
            return self.dense(sequences.mean(-1).float()).unsqueeze(1)

    network = Network.of(Single().eval(), [0])
    assert network.head_dtype == torch.float32
    assert network.head(torch.zeros(2, 4, 9), torch.zeros(2, 4)).shape == (2, 1, TRACKS)


def test_a_first_convolution_alone_is_worked_out_by_hand():
    """Kernel (1, 2, 4) on A and 0 elsewhere: putting A at position p adds it, mirrored."""
    module = torch.nn.Conv1d(4, 1, 3, padding="same", bias=False).double()
    with torch.no_grad():
        module.weight.zero_()
        module.weight[0, 0] = torch.tensor([1.0, 2.0, 4.0])

    class Turned(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, sequences):
            return self.inner(sequences).transpose(1, 2)

    output = OutputSpec("all", (0,), tuple(range(5)), "none", ())
    (found,) = by_delta(Turned(), torch.tensor([1, 1, 1, 0, 1]), [output], 10**6)
    # from C to A at index 1, and from A to C, G or T at index 3
    assert found[1, 0, 0].tolist() == [4, 2, 1, 0, 0]
    assert found[3, :, 0].tolist() == [[0, 0, -4, -2, -1]] * 3
    # at the ends what falls on padding is lost; C to G changes nothing
    assert found[0, 0, 0].tolist() == [2, 1, 0, 0, 0]
    assert found[4, 0, 0].tolist() == [0, 0, 0, 4, 2]
    assert found[0, 1, 0].tolist() == [0] * 5


def test_alternatives_are_the_other_bases_in_order():
    expected = [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert alternatives_of(torch.arange(4)).tolist() == expected
    assert ALTERNATIVES == 3


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, sequences):
        return self.layer(sequences.transpose(1, 2))


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = torch.nn.LSTM(4, 2, batch_first=True)

    def forward(self, sequences):
        return self.recurrent(sequences.transpose(1, 2))[0]


class Weighted(torch.nn.Module):
    """Positions weighted by a value of the whole sequence."""

    def forward(self, sequences):
        return (sequences * sequences.mean(-1, keepdim=True)).transpose(1, 2)


class Long(torch.nn.Module):
    """Divides by a length that it reads from its input."""

    def forward(self, sequences):
        return (sequences / sequences.shape[2]).transpose(1, 2)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Attention(), "layer"),
        (Recurrent(), "recurrent"),
        (Weighted(), "mul: it joins positions with the whole sequence"),
        (Long(), "getitem.*reads the length"),
        (
            Positions(torch.nn.Sequential(torch.nn.Conv1d(4, 4, 1), torch.nn.InstanceNorm1d(4)), 4),
            "InstanceNorm1d",
        ),
    ],
)
def test_what_is_not_local_is_named(module, message):
    with pytest.raises(NotLocalError, match=message):
        Network.of(module.eval(), [0])
