"""CNN-local and CNN-dist: a naive twin, exact facts, the logit, and learning on the toy."""

import numpy as np
import pytest
import torch
from toy_learning import learned, shuffled, toy_targets

from seqtrust.errors import InputError
from seqtrust.inference.ism import saturation
from seqtrust.inference.tracing import local_graph
from seqtrust.models.activations import ACTIVATIONS, before_output
from seqtrust.models.architectures import build_model
from seqtrust.models.checks import check_model, measured_receptive_field
from seqtrust.models.facts import Track

# (channels, width, padded, pooling after it) of the convolutions
PUBLISHED = {
    "cnn_local": [(24, 19, True, 50), (48, 3, True, 2)],
    "cnn_dist": [(24, 19, True, 1), (32, 7, True, 4), (48, 7, False, 4), (64, 3, False, 3)],
}
FLATTENED = {"cnn_local": 48 * 2, "cnn_dist": 64 * 3}


def random_model(architecture, labels=1, **parameters):
    """With statistics of batch normalisation that are not those of a fresh network."""
    tracks = [Track(f"label{number}") for number in range(labels)]
    model = build_model(architecture, parameters, tracks, "toy")
    random = torch.Generator().manual_seed(3)
    for layer in model.module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.2, generator=random)
            layer.running_var.uniform_(0.5, 2, generator=random)
    return model


def naive(architecture, model, sequences, activation, batch_norm):
    """The published layers as functions of the model's tensors in their order."""
    functional = torch.nn.functional
    tensors = list(model.module.state_dict().values())
    chosen = {
        "relu": torch.relu,
        "exponential": torch.exp,
        "gelu": functional.gelu,
        "softplus": functional.softplus,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "elu": functional.elu,
        "selu": functional.selu,
        "silu": functional.silu,
    }[activation]

    def normalised(values):
        if not batch_norm:
            return values
        scale, shift, mean, variance, _ = (tensors.pop(0) for _ in range(5))
        shape = (1, -1) + (1,) * (values.ndim - 2)
        scaled = (values - mean.view(shape)) / torch.sqrt(variance.view(shape) + 1e-5)
        return scaled * scale.view(shape) + shift.view(shape)

    values = sequences
    for number, (_, width, padded, pool) in enumerate(PUBLISHED[architecture]):
        values = functional.conv1d(values, tensors.pop(0), padding=width // 2 if padded else 0)
        values = normalised(values)
        values = chosen(values) if number == 0 else torch.relu(values)
        if pool > 1:
            values = functional.max_pool1d(values, pool)
    weight = tensors.pop(0)
    hidden = torch.relu(normalised(values.flatten(1) @ weight.flatten(1).T))
    weight, bias = tensors
    return torch.sigmoid(hidden @ weight[..., 0].T + bias)


def encoded(model, count=5, seed=1):
    codes = np.random.default_rng(seed).integers(0, 4, (count, 200)).astype(np.uint8)
    return model.encode(torch.from_numpy(codes))


@pytest.mark.parametrize("architecture", PUBLISHED)
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@torch.inference_mode()
def test_layers_are_the_published_ones(architecture, batch_norm, activation):
    settings = {"activation": activation, "batch_norm": batch_norm}
    model = random_model(architecture, labels=2, **settings)
    sequences = encoded(model)
    expected = naive(architecture, model, sequences, activation, batch_norm)
    torch.testing.assert_close(model.module(sequences)[:, 0], expected)
    assert float(expected.std(0).min()) > 1e-5


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_parameters_are_as_many_as_published(architecture):
    ins, count = 4, 0
    for channels, width, _, _ in PUBLISHED[architecture]:
        count, ins = count + channels * (ins * width + 2), channels
    count += 96 * (FLATTENED[architecture] + 2) + 97
    model = random_model(architecture)
    assert sum(tensor.numel() for tensor in model.module.parameters()) == count
    assert (
        sum("running_mean" in name for name in model.module.state_dict())
        == len(PUBLISHED[architecture]) + 1
    )


@pytest.mark.parametrize("architecture", PUBLISHED)
@pytest.mark.parametrize(("length", "bin_width"), [(200, 0), (300, 100)])
def test_facts_are_true_and_inference_can_follow(architecture, length, bin_width):
    model = random_model(architecture, input_length=length, bin_width=bin_width)
    check_model(model, architecture)
    assert model.facts.crop == (0 if bin_width == 0 else 100)
    # poolings leave out what does not fill them, so a bin may see less, but never more
    assert measured_receptive_field(model, architecture) <= model.facts.receptive_field == length
    local_graph(model.module)


@torch.no_grad()
def test_substitutions_are_those_of_full_passes():
    model = random_model("cnn_dist", activation="exponential")
    codes = np.random.default_rng(5).integers(0, 4, (1, 200)).astype(np.uint8)
    maps = saturation(model, codes, {"all": {}}, region=(90, 94))
    assert maps.metadata["full_because"] == ""
    full = saturation(model, codes, {"all": {}}, region=(90, 94), savings=False)
    np.testing.assert_allclose(maps.effects["all"], full.effects["all"], atol=1e-6)


def test_the_logit_is_what_the_sigmoid_gets():
    model = random_model("cnn_local", width=2)
    sequences = encoded(model)
    logits = before_output(model.module)
    values = logits(sequences)
    torch.testing.assert_close(torch.sigmoid(values), model.module(sequences))
    # the network itself keeps its output, and the weights are common
    assert isinstance(model.module.output, torch.nn.Sigmoid)
    assert logits.logits.weight is model.module.logits.weight
    with pytest.raises(InputError, match="Linear has no layer named `output`"):
        before_output(torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "swish"}, "activation is 'swish', but must be one of relu, gelu"),
        ({"dropout": [0.1]}, r"dropout is \[0.1\], but must be 3 rates"),
        ({"width": 0}, "width is 0, but must be at least 1"),
        ({"width": 1.5}, "width is 1.5, but must be a whole number"),
        ({"bin_width": 100.0}, "bin_width is 100.0, but must be a whole number"),
        ({"input_length": 99}, "leave nothing"),
        ({"bin_width": 300}, "equally many bases"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(InputError, match=f"cnn_local: .*{message}"):
        build_model("cnn_local", parameters, [Track("a")], "toy")


@pytest.mark.parametrize(("architecture", "least"), [("cnn_local", 0.8), ("cnn_dist", 0.8)])
def test_peaks_of_the_toy_are_learned(architecture, least):
    peaks = toy_targets("peaks.tsv", ("activity", "t1", "t3"))
    settings = {"loss": "bce", "learning_rate": 0.01, "batch_size": 32, "training_fraction": 0.6}
    arguments = architecture, {"activation": "exponential"}
    _, held_out = learned(*arguments, peaks, 200, 200, epochs=4, **settings)
    assert held_out.auroc > least
    _, nothing = learned(*arguments, shuffled(peaks), 200, 200, epochs=1, **settings)
    assert abs(nothing.auroc - 0.5) < 0.1
