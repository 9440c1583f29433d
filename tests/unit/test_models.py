"""Facts, tensor operations against their numpy twins, receptive fields against gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.models import model as ops
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Facts, Track

CODES = arrays(
    np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=st.integers(0, 4)
)


def facts(**changes):
    given = {
        "input_length": None,
        "bin_width": 8,
        "crop": 16,
        "tracks": (Track("plus", "CAGE", 1), Track("minus", "CAGE", 0), Track("open")),
        "receptive_field": 31,
        "build": "toy",
        "output_scale": "counts",
    }
    return Facts(**(given | changes))


def cnn(tracks=2, **parameters):
    names = [Track(f"track{index}") for index in range(tracks)]
    return build_model("cnn", parameters, names, "toy")


@given(CODES)
def test_one_hot_is_a_row_of_the_unit_matrix_per_base(codes):
    assert np.array_equal(ops.one_hot(torch.from_numpy(codes)).numpy(), bases.one_hot(codes))
    assert np.array_equal(
        ops._one_hot_on_device(torch.from_numpy(codes), [0, 1, 2, 3]).numpy(), bases.one_hot(codes)
    )


@given(CODES, st.permutations("ACGT"))
def test_one_hot_channels_follow_the_alphabet(codes, letters):
    channels = ops.one_hot(torch.from_numpy(codes), "".join(letters)).numpy()
    expected = bases.one_hot(codes)[:, ["ACGT".index(letter) for letter in letters]]
    assert np.array_equal(channels, expected)


@given(CODES)
def test_reverse_complement_equals_numpy(codes):
    turned = ops.reverse_complement(torch.from_numpy(codes))
    assert np.array_equal(turned.numpy(), bases.reverse_complement(codes))


@given(CODES, st.data())
def test_shift_moves_right_and_pads_with_n(codes, data):
    length = codes.shape[1]
    distance = data.draw(st.integers(-(length - 1), length - 1))
    padded = np.pad(codes, ((0, 0), (length, length)), constant_values=bases.UNKNOWN)
    expected = padded[:, length - distance : 2 * length - distance]
    assert np.array_equal(ops.shift(torch.from_numpy(codes), distance).numpy(), expected)


def test_shift_by_everything_is_refused():
    with pytest.raises(ValueError, match="leaves nothing"):
        ops.shift(torch.zeros(1, 5, dtype=torch.uint8), -5)


def test_other_strand_reverses_bins_and_swaps_tracks():
    values = torch.arange(2 * 4 * 3.0).reshape(2, 4, 3)
    swapped = facts().swapped_tracks()
    turned = ops.other_strand(values, swapped)
    assert turned[0, 0].tolist() == values[0, 3, [1, 0, 2]].tolist()
    assert torch.equal(ops.other_strand(turned, swapped), values)


@given(st.integers(1, 50), st.integers(0, 40), st.integers(1, 20))
def test_bins_fill_what_the_crop_leaves(bin_width, crop, bins):
    one = facts(bin_width=bin_width, crop=crop, receptive_field=100)
    length = 2 * crop + bins * bin_width
    assert one.bins(length) == bins
    if bin_width > 1:
        with pytest.raises(InputError, match="whole bins"):
            one.bins(length + 1)


def test_refused_lengths_say_what_to_do():
    with pytest.raises(InputError, match="more than 32 bp"):
        facts().bins(32)
    with pytest.raises(InputError, match="takes 64 bp"):
        facts(input_length=64).bins(72)
    with pytest.raises(InputError, match="use 40 or 48 bp"):
        facts().bins(47)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(8, 60))
def test_reach_is_symmetric_and_joins_single_bins(first, more, receptive_field):
    one = facts(receptive_field=receptive_field)
    start, stop = one.reach(first, first + more)
    assert start == one.reach(first, first)[0]
    assert stop == one.reach(first + more, first + more)[1]
    left = one.crop + first * one.bin_width - start
    assert left == stop - (one.crop + (first + more + 1) * one.bin_width)
    assert 0 <= stop - start - (receptive_field + more * one.bin_width) <= 1


def test_facts_survive_a_card():
    assert Facts.from_dict(facts().to_dict()) == facts()
    with pytest.raises(InputError, match="crops"):
        Facts.from_dict(facts().to_dict() | {"crops": 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bin_width": 0}, "bin width 0"),
        ({"receptive_field": 4}, "sees at least itself"),
        ({"output_scale": "log"}, "log_expression"),
        ({"alphabet": "ACGU"}, "alphabet"),
        ({"tracks": ()}, "at least one track"),
        ({"tracks": (Track("a"), Track("b", variance_of=1))}, "track 1 .'b'. is the variance"),
        ({"tracks": (Track("a", "", 1), Track("b"))}, "name it back"),
        ({"tracks": (Track("a", "", 3),)}, "name it back"),
    ],
)
def test_facts_that_cannot_hold_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        facts(**changes)


def test_unknown_names_get_the_nearest_one():
    with pytest.raises(InputError, match="did you mean 'cnn'"):
        build_model("cmn", {}, [Track("a")], "toy")
    with pytest.raises(InputError, match="did you mean 'channels'"):
        build_model("cnn", {"chanels": 8}, [Track("a")], "toy")


@pytest.mark.parametrize(
    "parameters",
    [
        {"kernel": 4},
        {"channels": 4.5},
        {"pool": []},
        {"dilations": [0]},
        {"dropout": 1.0},
        {"activation": "swish"},
        {"output": "softmax"},
        {"pool": "8x8"},
    ],
)
def test_refused_cnn_parameters(parameters):
    with pytest.raises(InputError, match="cnn"):
        cnn(**parameters)


def test_building_draws_the_same_weights_and_leaves_the_random_state():
    state = torch.random.get_rng_state()
    first, second = cnn().module.state_dict(), cnn().module.state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)


def every_path_counts(module):
    """The same network with mean pooling and positive weights: no path's gradient vanishes."""
    for block in (module.motifs, *module.tower):
        block[1] = torch.nn.AvgPool1d(block[1].kernel_size)
    for parameter in module.parameters():
        parameter.data = parameter.data.abs() + 0.01
    return module.double()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"pool": [4, 4, 4], "dilations": [1, 2, 4], "channels": 6},
        {"pool": [5], "kernel": 7, "dilations": [], "channels": 4},
        {"pool": [2, 3], "kernel": 1, "tower_kernel": 9, "activation": "gelu", "channels": 4},
    ],
)
def test_receptive_field_of_the_cnn_is_what_gradients_reach(parameters):
    model = cnn(**parameters)
    bins = -(-model.facts.receptive_field // model.facts.bin_width) + 2
    sequence = torch.rand(1, 4, bins * model.facts.bin_width, dtype=torch.float64)
    sequence.requires_grad_()
    every_path_counts(model.module)(sequence)[0, bins // 2, 0].backward()
    reached = torch.nonzero(sequence.grad[0].abs().sum(0)).flatten()
    start, stop = model.facts.reach(bins // 2, bins // 2)
    assert (int(reached[0]), int(reached[-1]) + 1) == (start, stop)
    assert stop - start == model.facts.receptive_field
    assert len(reached) == stop - start


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_substitution_out_of_reach_changes_nothing(seed):
    random = np.random.default_rng(seed)
    model = cnn(pool=[4, 4], channels=8, activation="exponential")
    codes = random.integers(0, 4, (2, 40 * 16)).astype(np.uint8)
    start, stop = model.facts.reach(20, 20)
    outside = np.r_[0:start, stop : codes.shape[1]]
    codes[1] = codes[0]
    codes[1, outside] = random.integers(0, 4, len(outside))
    first, second = model.predict(codes)
    assert torch.equal(first[20], second[20])
    assert not torch.equal(first, second)


def test_cnn_takes_any_length_of_whole_bins():
    model = cnn(tracks=3)
    for bins in (1, 2, 33):
        assert model.predict(np.zeros((2, 64 * bins), dtype=np.uint8)).shape == (2, bins, 3)
    with pytest.raises(InputError, match="whole bins of 64 bp"):
        model.predict(np.zeros((2, 100), dtype=np.uint8))


def test_output_scale_follows_the_output():
    assert cnn(output="identity").facts.output_scale == "log_expression"
    assert cnn(output="sigmoid").facts.output_scale == "probability"
    assert cnn().facts.output_scale == "counts"


def test_predicting_leaves_the_mode_as_it_was():
    model = cnn()
    model.module.train()
    model.predict(np.zeros((1, 64), dtype=np.uint8))
    assert model.module.training


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with ops.torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(InputError, match="at least one"), ops.torch_threads(0):
        pass


def test_devices():
    assert ops.resolve_device("cpu").type == "cpu"
    assert ops.resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(InputError, match="torch sees"):
        ops.resolve_device("cuda:99")
    for name in ("gpu", "meta"):
        with pytest.raises(InputError, match="use cpu, cuda or auto"):
            ops.resolve_device(name)
