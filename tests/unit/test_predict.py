"""Batched, deduplicated, averaged prediction equals the naive one; bad input is refused."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.inference.augment import make_passes
from seqtrust.inference.batches import NOISE_SEQUENCES
from seqtrust.inference.engine import Engine
from seqtrust.inference.predict import (
    output_reach,
    predict,
    resolve_outputs,
)
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model
from seqtrust.models.training import initialise
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

LENGTH = 64
TRACKS = (Track("plus", "CAGE", 1), Track("minus", "CAGE", 0), Track("open", "DNase"))
OUTPUTS = {
    "profile": {"tracks": "all", "bins": "all", "reduction": "none"},
    "total": {"tracks": ["open", "plus"], "bins": [1, 4], "reduction": "sum"},
    "mean": {"tracks": "all", "bins": "all", "reduction": "mean"},
    "middle": {"tracks": ["minus"], "bins": "centre"},
}
CODES = arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(LENGTH)), elements=st.integers(0, 4))


def network(seed=5):
    parameters = {"channels": 6, "pool": [4, 2], "kernel": 7, "dilations": [1]}
    model = build_model("cnn", parameters, TRACKS, "toy")
    initialise(model.module, seed)
    return model


MODEL = network()


def sequence_set(codes):
    windows = [
        StoredWindow(
            name=f"w{index}",
            assembly="toy",
            contig="c1",
            anchor=0,
            anchor_index=0,
            length=codes.shape[1],
            strand="+",
            flank_start=0,
            bases=row,
        )
        for index, row in enumerate(codes)
    ]
    return SequenceSet(windows, [Sequence(f"s{index}", index) for index in range(len(codes))])


def naive(model, codes, passes=((0, False),)):
    """All bins and tracks (N, bins, tracks), one sequence and one pass at a time, by numpy."""
    swapped = list(model.facts.swapped_tracks())
    rows = []
    for row in codes:
        shown = []
        for distance, turned in passes:
            filler = np.full(abs(distance), bases.UNKNOWN, dtype=np.uint8)
            if distance >= 0:
                moved = np.concatenate([filler, row[: len(row) - distance]])
            else:
                moved = np.concatenate([row[-distance:], filler])
            one = bases.reverse_complement(moved) if turned else moved
            values = model.predict(np.ascontiguousarray(one)[None])[0].numpy()
            shown.append(values[::-1][:, swapped] if turned else values)
        rows.append(np.mean(shown, axis=0, dtype=np.float64))
    return np.stack(rows)


@settings(max_examples=25, deadline=None)
@given(codes=CODES, batch_bases=st.integers(1, 4 * LENGTH), data=st.data())
def test_batches_and_deduplication_change_nothing(device, codes, batch_bases, data):
    picks = data.draw(st.lists(st.integers(0, len(codes) - 1), min_size=1, max_size=15))
    codes = codes[picks]
    predictions = predict(
        MODEL, sequence_set(codes), OUTPUTS, batch_bases=batch_bases, device=device
    )
    expected = naive(MODEL, codes)
    values = predictions.values
    assert predictions.sequence_ids == [f"s{index}" for index in range(len(codes))]
    assert all(block.dtype == np.float32 for block in values.values())
    np.testing.assert_allclose(values["profile"], expected.transpose(0, 2, 1), atol=1e-6)
    total = expected[:, 1:4][..., [2, 0]].sum(1)[..., None]
    np.testing.assert_allclose(values["total"], total, atol=1e-6)
    np.testing.assert_allclose(values["mean"], expected.mean(1)[..., None], atol=1e-6)
    np.testing.assert_allclose(values["middle"][:, 0, 0], expected[:, 4, 1], atol=1e-6)
    for first, second in pairwise(range(len(codes))):
        if np.array_equal(codes[first], codes[second]):
            assert np.array_equal(values["profile"][first], values["profile"][second])
    assert predictions.metadata["n_sequences"] == str(len(codes))
    assert predictions.metadata["n_distinct"] == str(len(np.unique(codes, axis=0)))


@settings(max_examples=25, deadline=None)
@given(
    codes=CODES,
    turned=st.booleans(),
    shifts=st.lists(st.integers(-9, 9), min_size=1, max_size=3, unique=True),
)
def test_averaging_equals_the_mean_of_naive_passes(device, codes, turned, shifts):
    predictions = predict(
        MODEL,
        sequence_set(codes),
        OUTPUTS,
        reverse_complement=turned,
        shifts=shifts,
        device=device,
    )
    strands = (False, True) if turned else (False,)
    expected = naive(MODEL, codes, [(shift, strand) for shift in shifts for strand in strands])
    np.testing.assert_allclose(
        predictions.values["profile"], expected.transpose(0, 2, 1), atol=1e-6
    )


@settings(max_examples=15, deadline=None)
@given(CODES)
def test_averaged_over_strands_the_strand_shown_does_not_matter(codes):
    first, second = (
        predict(MODEL, sequence_set(shown), OUTPUTS, reverse_complement=True).values["profile"]
        for shown in (codes, bases.reverse_complement(codes))
    )
    np.testing.assert_allclose(second[:, [1, 0, 2], ::-1], first, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(CODES, st.randoms(use_true_random=False))
def test_permuted_sequences_give_permuted_predictions(codes, random):
    order = list(range(len(codes)))
    random.shuffle(order)
    values = predict(MODEL, sequence_set(codes), OUTPUTS).values["profile"]
    permuted = predict(MODEL, sequence_set(codes[order]), OUTPUTS).values["profile"]
    np.testing.assert_allclose(permuted, values[order], atol=1e-6)


class BatchSize(torch.nn.Module):
    """Adds a millionth of the batch size to a constant: a network whose noise is known."""

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, sequences):
        value = self.one + 1e-6 * len(sequences)
        return value.expand(len(sequences), sequences.shape[-1], 1)


def batch_size_model():
    facts = Facts(None, 1, 0, (Track("a"),), 1, "toy", "counts")
    return Model(BatchSize(), facts, "batch_size", {})


def test_noise_floor_is_the_difference_between_batches():
    codes = np.random.default_rng(1).integers(0, 4, (6, 8)).astype(np.uint8)
    predictions = predict(
        batch_size_model(),
        sequence_set(codes),
        {"all": {"reduction": "sum"}, "one": {"bins": [0, 1]}},
    )
    # Six at once, then one by one: five fewer, and the sum is over eight bins.
    assert predictions.noise_floor["one"] == pytest.approx(5e-6, rel=0.1)
    assert predictions.noise_floor["all"] == pytest.approx(40e-6, rel=0.1)


def test_noise_floor_of_a_single_sequence_and_of_many():
    outputs = {"one": {"bins": [0, 1]}}
    for count in (1, 2, 3, 5 * NOISE_SEQUENCES):
        codes = np.random.default_rng(1).integers(0, 4, (count, 40)).astype(np.uint8)
        floor = predict(batch_size_model(), sequence_set(codes), outputs).noise_floor["one"]
        assert floor > 0.5e-6


def test_a_network_has_a_small_noise_floor():
    codes = np.random.default_rng(1).integers(0, 4, (50, LENGTH)).astype(np.uint8)
    floor = predict(MODEL, sequence_set(codes), OUTPUTS).noise_floor
    assert set(floor) == set(OUTPUTS)
    assert all(0 <= value < 1e-5 for value in floor.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_predictions_that_are_not_finite_name_the_sequence(value):
    model = network()
    model.record = {"seed": 17}

    def spoil(module, inputs, output):
        spoilt = output.clone()
        spoilt[2, 1, 3] = value
        return spoilt

    model.module.output.register_forward_hook(spoil)
    codes = np.random.default_rng(1).integers(0, 4, (4, LENGTH)).astype(np.uint8)
    codes = codes[[0, 0, 1, 2, 3]]
    with pytest.raises(InputError, match=r"'s3': output 'profile', track 'minus'.*'seed': 17"):
        predict(model, sequence_set(codes), OUTPUTS)


def test_the_model_is_left_as_it_was():
    model = network()
    model.module.train()
    threads = torch.get_num_threads()
    predict(model, sequence_set(np.zeros((1, LENGTH), dtype=np.uint8)), OUTPUTS, threads=2)
    assert model.module.training
    assert model.device.type == "cpu"
    assert torch.get_num_threads() == threads
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    assert not any(parameter.is_inference() for parameter in model.module.parameters())


def test_metadata_hold_what_later_stages_need():
    metadata = predict(
        MODEL, sequence_set(np.zeros((1, LENGTH), dtype=np.uint8)), OUTPUTS, shifts=(-2, 0, 3)
    ).metadata
    assert all(isinstance(value, str) for value in metadata.values())
    assert Facts.from_dict(json.loads(metadata["facts"])) == MODEL.facts
    start, stop = MODEL.facts.reach(4, 4)
    assert json.loads(metadata["reach"])["middle"] == [start - 3, stop + 2]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_outside_the_reach_of_an_output_nothing_matters(seed, turned):
    random = np.random.default_rng(seed)
    codes = np.repeat(random.integers(0, 4, (1, 160)), 2, axis=0).astype(np.uint8)
    outputs = {"some": {"bins": [9, 11], "reduction": "sum"}}
    output = resolve_outputs(outputs, MODEL.facts, 160)[0]
    start, stop = output_reach(MODEL.facts, output, (-3, 5))
    outside = np.r_[0:start, stop:160]
    codes[1, outside] = random.integers(0, 4, len(outside))
    predictions = predict(
        MODEL, sequence_set(codes), outputs, shifts=(-3, 5), reverse_complement=turned
    )
    first, second = predictions.values["some"]
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_centre_is_the_bin_of_the_middle_base():
    facts = Facts(None, 8, 16, (Track("a"),), 8, "toy", "counts")
    for length in (40, 48, 56, 64):
        (output,) = resolve_outputs({"o": {"bins": "centre"}}, facts, length)
        start = facts.crop + output.bins[0] * facts.bin_width
        assert start <= length // 2 < start + facts.bin_width


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "no outputs are named"),
        ({"o": {"tracks": ["opne"]}}, "did you mean 'open'"),
        ({"o": {"track": ["open"]}}, "did you mean 'tracks'"),
        ({"o": {"tracks": []}}, "one or more different"),
        ({"o": {"tracks": ["open", "open"]}}, "one or more different"),
        ({"o": {"bins": "center"}}, "expected all, centre or"),
        ({"o": {"bins": [3, 3]}}, r"do not lie in \[0, 8\)"),
        ({"o": {"bins": [0, 9]}}, "sequences of 64 bp"),
        ({"o": {"reduction": "max"}}, "none, sum, mean"),
    ],
)
def test_outputs_that_do_not_exist_are_refused(outputs, message):
    with pytest.raises(InputError, match=message):
        resolve_outputs(outputs, MODEL.facts, LENGTH)


def test_lengths_that_the_model_does_not_take_are_refused():
    with pytest.raises(InputError, match="whole bins of 8 bp"):
        predict(MODEL, sequence_set(np.zeros((1, 63), dtype=np.uint8)), OUTPUTS)
    with pytest.raises(InputError, match="nor a length"):
        predict(MODEL, SequenceSet([], [], {}), OUTPUTS)


def test_a_shard_without_windows_has_no_predictions():
    made = predict(MODEL, SequenceSet([], [], {"length": str(LENGTH)}), OUTPUTS)
    full = predict(MODEL, sequence_set(np.zeros((1, LENGTH), dtype=np.uint8)), OUTPUTS)
    assert made.sequence_ids == []
    assert made.outputs == full.outputs
    assert {name: values.shape for name, values in made.values.items()} == {
        name: (0, *values.shape[1:]) for name, values in full.values.items()
    }


@pytest.mark.parametrize("shifts", [(), (1, 1), (64,), (0, -64)])
def test_shifts_that_make_no_sense_are_refused(shifts):
    with pytest.raises(InputError, match="shifts"):
        make_passes(False, shifts, LENGTH)


def test_settings_that_cannot_work_are_refused():
    one = sequence_set(np.zeros((1, LENGTH), dtype=np.uint8))
    with pytest.raises(InputError, match="batch_bases"):
        predict(MODEL, one, OUTPUTS, batch_bases=0)
    with pytest.raises(InputError, match="threads"):
        predict(MODEL, one, OUTPUTS, threads=0)
    with pytest.raises(InputError, match="device"):
        predict(MODEL, one, OUTPUTS, device="tpu")


def test_tracks_of_one_name_are_told_apart_by_index():
    tracks = (Track("open"), Track("open"), Track("plus"))
    same = Facts(None, 8, 0, tracks, 64, "toy", "counts")

    def chosen(tracks):
        (output,) = resolve_outputs({"one": {"tracks": tracks}}, same, LENGTH)
        return output.tracks, output.track_names

    assert chosen([1, "plus"]) == ((1, 2), ("open [1]", "plus"))
    assert chosen(["open [0]"]) == ((0,), ("open [0]",))
    assert chosen("all")[1] == ("open [0]", "open [1]", "plus")
    with pytest.raises(InputError, match="tracks 0, 1 are all named 'open': name the track by its"):
        chosen(["open"])
    with pytest.raises(InputError, match="there is no track 3; the model has 3, counted from 0"):
        chosen([3])


def test_a_strand_specific_model_is_not_averaged_over_strands():
    model = network()
    model.facts = replace(model.facts, strand_specific=True)
    codes = np.zeros((1, LENGTH), dtype=np.uint8)
    with pytest.raises(InputError, match=r"reads the transcribed strand.*reverse_complement to f"):
        predict(model, sequence_set(codes), OUTPUTS, reverse_complement=True)


def test_what_full_passes_contradict_stops_the_run(monkeypatch):
    codes = np.random.default_rng(1).integers(0, 4, (6, LENGTH)).astype(np.uint8)
    right = Engine._values

    def wrong(*arguments):
        return 1.001 * right(*arguments)

    monkeypatch.setattr(Engine, "_values", wrong)
    with pytest.raises(RuntimeError, match=r"'profile': full passes of 'cnn' differ.*set savings"):
        predict(MODEL, sequence_set(codes), OUTPUTS)


def test_savings_can_be_switched_off():
    codes = np.random.default_rng(1).integers(0, 4, (6, LENGTH)).astype(np.uint8)
    outputs = {"one": {"bins": [5, 6]}}
    full, cropped = (
        predict(MODEL, sequence_set(codes), outputs, savings=savings) for savings in (False, True)
    )
    np.testing.assert_allclose(full.values["one"], cropped.values["one"], rtol=1e-5)
    assert full.metadata["full_passes"] == "asked for"
    assert full.metadata["computed_bases"] == str(LENGTH)
    assert cropped.metadata["full_passes"] == ""
    assert int(cropped.metadata["computed_bases"]) < LENGTH
