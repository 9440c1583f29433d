"""DeepSEA in its two forms: published sizes and layouts, a naive twin, and learning on the toy."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from toy_learning import learned, shuffled, toy_targets

from seqtrust.errors import InputError
from seqtrust.inference.tracing import local_graph
from seqtrust.models.activations import before_output
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.checks import check_model, measured_receptive_field
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate

LABELS = tuple(Track(f"label{number}") for number in range(3))
SMALL = {"channels": [4, 5, 6], "dense": 7, "input_length": 600}
FORMS = (2015, 2018)


def small_model(form, **parameters):
    return build_model("deepsea", SMALL | {"form": form} | parameters, LABELS, "toy")


def parameter_count(model):
    return sum(tensor.numel() for tensor in model.module.parameters())


def published_state(form, channels, dense, labels, length, prefix, seed=0):
    """Random weights in the layout of the published files, and their convolutions and products.

    The numbers of the layers are counted from the published networks: a sequence has a height
    of 1, every activation, pooling, dropout and reshaping has a number, and a dense layer is
    the second part of a pair.
    """
    random = np.random.default_rng(seed)
    rows, state = 4, OrderedDict()
    if form == 2015:
        places = iter(["0", "4", "8", "12.1", "14.1"])
        widths = [length]
        convolved = [(c,) for c in channels]
    else:
        places = iter(["0.0", "0.2", "0.6", "0.8", "0.12", "0.14", "1.2.1", "1.4.1"])
        widths = [length]
        convolved = [(c, c) for c in channels]

    def put(*shape):
        place = next(places)
        weight = random.normal(0, np.prod(shape[1:]) ** -0.5, shape)
        bias = random.normal(0, 0.1, shape[0])
        state[f"{prefix}{place}.weight"] = torch.tensor(weight, dtype=torch.float32)
        state[f"{prefix}{place}.bias"] = torch.tensor(bias, dtype=torch.float32)

    for number, block in enumerate(convolved):
        for size in block:
            put(size, rows, 1, 8)
            rows, widths = size, [*widths, widths[-1] - 7]
        if number < 2:
            widths.append(widths[-1] // 4)
    put(dense, rows * widths[-1])
    put(labels, dense)
    return state


def naive(form, state, codes, floor=0.0):
    """The network on one sequence, in numpy and loops over its published tensors, float64."""
    tensors = [tensor.double().numpy() for tensor in state.values()]
    layers = list(zip(tensors[::2], tensors[1::2], strict=True))
    values = np.zeros((4, len(codes)))
    for place, code in enumerate(codes):
        if code < 4:
            values["AGCT".index("ACGT"[code]), place] = 1

    def rectified(x):
        return np.where(x > 0, x, floor)

    def convolved(x, weight, bias):
        out = x.shape[1] - 7
        return np.array(
            [np.tensordot(weight[:, :, 0], x[:, i : i + 8], 2) + bias for i in range(out)]
        ).T

    def pooled(x):
        return np.array([x[:, 4 * i : 4 * i + 4].max(axis=1) for i in range(x.shape[1] // 4)]).T

    convolutions = 1 if form == 2015 else 2
    for block in range(3):
        for _ in range(convolutions):
            values = rectified(convolved(values, *layers.pop(0)))
        if block < 2:
            values = pooled(values)
    (first, first_bias), (second, second_bias) = layers
    hidden = rectified(first @ values.reshape(-1) + first_bias)
    return 1 / (1 + np.exp(-(second @ hidden + second_bias)))


def some_codes(count, length, seed=1):
    return np.random.default_rng(seed).integers(0, 5, (count, length)).astype(np.uint8)


@pytest.mark.parametrize(("form", "labels", "count"), [(2015, 919, 52_843_119), (2018, 2002, 0)])
def test_published_sizes(form, labels, count):
    with torch.device("meta"):
        tracks = [Track(f"label{number}") for number in range(labels)]
        model = build_model("deepsea", {"form": form}, tracks, "hg19")
    # of Beluga: 67,840 flattened values into 2,003 units
    beluga = sum(
        outs * (ins * 8 + 1)
        for ins, outs in [(4, 320), (320, 320), (320, 480), (480, 480), (480, 640), (640, 640)]
    )
    beluga += 2003 * (67_840 + 1) + 2002 * (2003 + 1)
    assert parameter_count(model) == (count or beluga)
    facts = model.facts
    assert (facts.input_length, facts.bin_width) == ((1000, 200) if count else (2000, 200))
    assert facts.crop == (400 if count else 900)
    assert facts.reach(0, 0) == (0, facts.input_length)
    assert facts.alphabet == "AGCT"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prefix", ["", "model.", "module.model.", "2."])
def test_published_layouts_are_imported_and_predict_as_the_naive_network(form, prefix, tmp_path):
    state = published_state(form, SMALL["channels"], 7, 3, 600, prefix)
    torch.save(state, tmp_path / "published.pth")
    floor = 1e-6 if form == 2015 else 0.0
    model = import_replicate(
        tmp_path / "published.pth",
        "deepsea",
        SMALL | {"form": form, "floor": floor},
        "hg19",
        LABELS,
    )
    codes = some_codes(2, 600)
    expected = [naive(form, state, one, floor) for one in codes]
    np.testing.assert_allclose(model.predict(codes)[:, 0], expected, atol=2e-6)
    assert np.ptp(expected) > 0.01
    save_replicate(tmp_path / "r.safetensors", model)
    again = load_replicate(tmp_path / "r.safetensors")
    assert torch.equal(again.predict(codes), model.predict(codes))


def test_a_state_that_does_not_fit_is_refused_by_name(tmp_path):
    state = published_state(2018, SMALL["channels"], 7, 3, 600, "model.")
    torch.save(state, tmp_path / "published.pth")
    for parameters in ({"form": 2018, "dense": 9}, {"form": 2015}):
        with pytest.raises(InputError, match="does not fit architecture 'deepsea'"):
            import_replicate(
                tmp_path / "published.pth", "deepsea", SMALL | parameters, "hg19", LABELS
            )


@pytest.mark.parametrize("form", FORMS)
def test_facts_are_true_and_inference_can_follow(form):
    model = small_model(form, floor=1e-6 if form == 2015 else 0.0)
    check_model(model, "deepsea")
    assert measured_receptive_field(model, "deepsea") == model.facts.receptive_field == 600
    codes = torch.from_numpy(some_codes(2, 600))
    graph = local_graph(model.module)
    assert len(graph.steps) > 10
    with torch.inference_mode():
        logits, predictions = before_output(model.module)(model.encode(codes)), model(codes)
    torch.testing.assert_close(torch.sigmoid(logits), predictions)
    assert float((logits - predictions).abs().max()) > 0.1


def test_dropout_comes_after_pooling_in_2015_and_before_in_2018():
    kinds = {
        form: [type(layer).__name__ for layer in small_model(form).module.convolutions[0]]
        for form in FORMS
    }
    assert kinds[2015] == ["Conv1d", "ReLU", "MaxPool1d", "Dropout"]
    assert kinds[2018] == ["Conv1d", "ReLU", "Conv1d", "ReLU", "Dropout", "MaxPool1d"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"form": 2016}, "form is 2016, but must be one of 2015, 2018"),
        ({"channels": [3, 4]}, "must be three numbers"),
        ({"dropout": [0.1, 0.2, 1.0]}, "must be 3 rates"),
        ({"bin_width": 201}, "equally many bases on both sides"),
        ({"input_length": 300}, "leave nothing"),
        ({"dense": -1}, "dense is -1"),
        ({"dense": 2.5}, "dense is 2.5, but must be a whole number"),
        ({"channels": [3, 4.5, 4]}, r"channels is \[3, 4.5, 4\], but must be whole numbers"),
        ({"input_length": 1000.0}, "input_length is 1000.0, but must be a whole number"),
        ({"floor": -1}, "floor is -1, but must be a number of at least 0"),
        ({"floor": float("nan")}, "floor is nan, but must be a number of at least 0"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(InputError, match=f"deepsea: .*{message}"):
        build_model("deepsea", parameters, LABELS, "toy")


@pytest.mark.parametrize(
    ("form", "length", "epochs", "fraction"),
    [(2015, 200, 5, 1.0), pytest.param(2018, 600, 5, 0.6, marks=pytest.mark.slow)],
)
def test_peaks_of_the_toy_are_learned(form, length, epochs, fraction):
    peaks = toy_targets("peaks.tsv", ("activity", "t1", "t3"))
    parameters = {
        "form": form,
        "channels": [32, 24, 24],
        "dense": 32,
        "dropout": [0, 0, 0.1],
        "input_length": length,
    }
    settings = {"loss": "bce", "learning_rate": 0.003, "batch_size": 32}
    settings["training_fraction"] = fraction
    _, held_out = learned("deepsea", parameters, peaks, length, 200, epochs=epochs, **settings)
    assert held_out.auroc > 0.62
    noise = shuffled(peaks)
    _, nothing = learned("deepsea", parameters, noise, length, 200, epochs=1, **settings)
    assert abs(nothing.auroc - 0.5) < 0.1
