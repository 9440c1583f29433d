"""Checks of networks against their facts: architectures pass, planted faults are found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checks import check_model, measured_receptive_field
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model

BIN = 4
FACTS = Facts(
    input_length=None,
    bin_width=BIN,
    crop=0,
    tracks=(Track("a"), Track("b")),
    receptive_field=BIN + 2 * 3,
    build="toy",
    output_scale="counts",
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Network(torch.nn.Module):
    """A convolution that sees `left` and `right` bp beyond a bin, and planted faults."""

    def __init__(self, left=3, right=3, end=torch.nn.functional.softplus):
        super().__init__()
        self.sides = (left, right)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.convolution = torch.nn.Conv1d(4, 2, BIN + left + right, stride=BIN)
        self.end = end

    def forward(self, sequences):
        padded = torch.nn.functional.pad(sequences, self.sides)
        return self.end(self.convolution(padded)).transpose(1, 2)


def model(module=None, **changes):
    return Model(module or Network(), replace(FACTS, **changes), "own", {})


def with_end(end):
    return model(Network(end=end))


@pytest.mark.parametrize(
    ("architecture", "parameters", "tracks"),
    [
        ("cnn", {}, [Track("a"), Track("b", "CAGE")]),
        ("cnn", {"pool": [4, 2], "dilations": [1, 2, 4], "output": "sigmoid"}, [Track("a")]),
        ("cnn", {"pool": [5], "dilations": [], "output": "identity"}, [Track("a")]),
        ("xpresso", {}, []),
        ("mpra_dragonn", {}, []),
        pytest.param("pangolin", {}, [], marks=pytest.mark.slow),
    ],
)
def test_every_architecture_is_as_its_facts_say(architecture, parameters, tracks):
    check_model(build_model(architecture, parameters, tracks, "toy"), architecture)


@pytest.mark.parametrize("parameters", [{}, {"pool": [4, 2], "dilations": [1, 2, 4]}])
def test_the_measured_receptive_field_is_that_of_the_layers(parameters):
    """The architecture computes its own from widths and strides."""
    built = build_model("cnn", parameters, [Track("a"), Track("b")], "toy")
    assert measured_receptive_field(built, "cnn") == built.facts.receptive_field


@settings(max_examples=25, deadline=None)
@given(left=st.integers(0, 40), right=st.integers(0, 40), gradients=st.booleans())
def test_the_measured_receptive_field_covers_the_longer_side(left, right, gradients):
    """With gradients and, where the network gives none, by changes of bases."""
    network = Network(left, right)
    if not gradients:
        forward = network.forward
        network.forward = torch.no_grad()(forward)
    one = model(network, receptive_field=BIN)
    measured = measured_receptive_field(one, "own")
    assert measured == BIN + 2 * max(left, right)
    check_model(replace_facts(one, receptive_field=measured), "own")


@settings(max_examples=15, deadline=None)
@given(left=st.integers(0, 12), right=st.integers(0, 12), missing=st.integers(1, 12))
def test_a_receptive_field_that_is_stated_too_small_is_found(left, right, missing):
    longer = max(left, right)
    one = model(Network(left, right), receptive_field=BIN + 2 * max(0, longer - missing))
    if longer == 0:
        check_model(one, "own")
    else:
        with pytest.raises(InputError, match=r"own: bin \d+ changes by .* is too small"):
            check_model(one, "own")


def replace_facts(one, **changes):
    return Model(one.module, replace(one.facts, **changes), one.architecture, {})


def test_gates_that_training_closed_hide_nothing():
    """A dead unit lets no gradient through, but might be alive on other sequences."""
    tracks = [Track("a")]
    built = build_model("cnn", {"pool": [4, 2], "dilations": [1, 2]}, tracks, "toy")
    for block in built.module.across_bins:
        block.normalisation.bias.data -= 100
    weights = {name: tensor.clone() for name, tensor in built.module.state_dict().items()}
    assert measured_receptive_field(built, "cnn") == built.facts.receptive_field
    check_model(built, "cnn")
    with pytest.raises(InputError, match="is too small"):
        check_model(replace_facts(built, receptive_field=30), "cnn")
    assert all(torch.equal(weights[name], t) for name, t in built.module.state_dict().items())


class SeesAll(Network):
    def forward(self, sequences):
        bins = super().forward(sequences)
        return bins + bins.mean(dim=1, keepdim=True)


def test_where_a_bin_sees_an_end_everything_is_in_reach():
    one = model(SeesAll(), input_length=64, receptive_field=BIN)
    measured = measured_receptive_field(one, "own")
    facts = replace(FACTS, receptive_field=measured)
    assert facts.reach(0, 0)[1] >= 64
    assert facts.reach(15, 15)[0] <= 0
    check_model(replace_facts(one, receptive_field=measured), "own")
    with pytest.raises(InputError, match="is too small"):
        check_model(model(SeesAll()), "own")


def test_a_network_without_an_end_of_what_it_sees_must_be_stated(monkeypatch):
    monkeypatch.setattr("seqtrust.models.checks.LARGEST_LENGTH", 1024)
    with pytest.raises(InputError, match=r"own: a bin sees more than 512 bp: state `receptive"):
        measured_receptive_field(model(SeesAll()), "own")


class Dropout(Network):
    def forward(self, sequences):
        return torch.nn.functional.dropout(super().forward(sequences), 0.2)


class BatchStatistics(Network):
    def forward(self, sequences):
        bins = super().forward(sequences)
        return bins / bins.mean(dim=0, keepdim=True)


class Fails(Network):
    def forward(self, sequences):
        return super().forward(sequences.transpose(1, 2))


class Several(Network):
    def forward(self, sequences):
        return super().forward(sequences), sequences


class TracksFirst(Network):
    def forward(self, sequences):
        return super().forward(sequences).transpose(1, 2)


def _nan(values):
    return torch.where(values > values.median(), values, torch.nan)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (model(Fails()), r"own: the network fails on one-hot float32 \(3, 4, \d+\) .*mend the"),
        (model(Several()), "own: the network gives tuple for 3 sequences"),
        (model(TracksFirst()), r"tracks are swapped: end with \.transpose\(1, 2\)"),
        (model(tracks=(Track("a"),)), r"gives \(3, 6, 2\) .*expected \(3, 6, 1\).*`tracks`"),
        (model(bin_width=2), "mend `bin_width`, `crop` or `tracks`"),
        (model(crop=4), "mend `bin_width`, `crop` or `tracks`"),
        (with_end(_nan), "own: predictions of random sequences are NaN or infinite"),
        (with_end(torch.tanh), "go from -0.* `output_scale` is 'counts': state another"),
        (model(output_scale="probability"), "go from .* `output_scale` is 'probability'"),
        (model(Dropout()), "own: a sequence's prediction differs by .* alone and in a batch"),
        (model(BatchStatistics()), "alone and in a batch: dropout or batch statistics"),
    ],
)
def test_planted_faults_are_named(one, message):
    with pytest.raises(InputError, match=message):
        check_model(one, "own")


def test_scales_that_allow_a_value_let_it_pass():
    check_model(model(Network(end=torch.sigmoid), output_scale="probability"), "own")
    check_model(model(Network(end=torch.tanh), output_scale="log_expression"), "own")
    variance = (Track("a"), Track("b", variance_of=0))
    below = Network(
        end=lambda values: torch.stack([values[:, 0] ** 2, -(values[:, 1] ** 2)], dim=1)
    )
    check_model(model(below, tracks=variance), "own")
    with pytest.raises(InputError, match="`output_scale` is 'counts'"):
        check_model(model(below), "own")


def test_a_check_changes_neither_the_network_nor_the_random_state():
    one = model()
    one.module.train()
    weights = {name: tensor.clone() for name, tensor in one.module.state_dict().items()}
    state = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    check_model(one, "own")
    measured_receptive_field(one, "own")
    assert one.module.training
    assert all(torch.equal(weights[name], t) for name, t in one.module.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state[0])
    assert np.random.get_state()[1].tolist() == state[1]  # noqa: NPY002
