"""Basenji2 against Keras's own output, its published size, and the two switches of its age."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from keras_twins import ACTIVATIONS, convolution, normalisation, pooling, save_keras

from seqtrust.errors import InputError
from seqtrust.inference.augment import make_passes, mean_over_passes
from seqtrust.models.architectures import build_model
from seqtrust.models.basenji2 import Basenji2, Basenji2Parameters
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Facts, Track
from seqtrust.models.imports import import_replicate
from seqtrust.models.keras_layers import Normalisation
from seqtrust.models.keras_weights import import_basenji2
from seqtrust.models.model import PADDING, one_hot, reverse_complement, shift
from seqtrust.models.training import initialise

SMALL = Path(__file__).parents[2].parent / "shared" / "data" / "keras_basenji2_small"
needs_small = pytest.mark.skipif(not SMALL.exists(), reason="skipped: no shared data")

# The human network of Kelley 2020.
PUBLISHED = {
    "seq_length": 131072,
    "target_length": 1024,
    "activation": "gelu",
    "norm_type": "batch",
    "bn_momentum": 0.9,
    "trunk": [
        {"name": "conv_block", "filters": 288, "kernel_size": 15, "pool_size": 2},
        {
            "name": "conv_tower",
            "filters_init": 339,
            "filters_mult": 1.1776,
            "kernel_size": 5,
            "pool_size": 2,
            "repeat": 6,
        },
        {
            "name": "dilated_residual",
            "filters": 384,
            "rate_mult": 1.5,
            "repeat": 11,
            "dropout": 0.3,
            "round": True,
        },
        {"name": "Cropping1D", "cropping": 64},
        {"name": "conv_block", "filters": 1536, "dropout": 0.05},
    ],
    "head_human": {"name": "final", "units": 5313, "activation": "softplus"},
}


def tiny(**changes):
    """The same blocks, small: bins of 4 bp, 8 bp at each end left out, 3 tracks."""
    model = {
        "activation": "gelu",
        "norm_type": "batch",
        "bn_momentum": 0.9,
        "trunk": [
            {"name": "conv_block", "filters": 6, "kernel_size": 5, "pool_size": 2},
            {
                "name": "conv_tower",
                "filters_init": 7,
                "filters_mult": 1.2,
                "kernel_size": 3,
                "pool_size": 2,
                "repeat": 1,
            },
            {
                "name": "dilated_residual",
                "filters": 4,
                "rate_mult": 1.5,
                "repeat": 3,
                "round": True,
            },
            {"name": "Cropping1D", "cropping": 2},
            {"name": "conv_block", "filters": 8, "dropout": 0.05},
        ],
        "head_human": {"name": "final", "units": 3, "activation": "softplus"},
    }
    return model | changes


def build(model=None, **switches):
    return build_model("basenji2", {"model": model or tiny(), **switches}, [], "toy")


def ensemble(model, codes):
    """Mean over both strands and the shifts 1, 0 and -1."""
    swapped = model.facts.swapped_tracks()
    passes = make_passes(True, [1, 0, -1], codes.shape[1])
    model.module.eval()
    with torch.inference_mode():
        (mean,) = mean_over_passes(model, torch.from_numpy(codes), passes, swapped, lambda p: [p])
    return mean.numpy()


def small(gelu="tanh", shift_padding="zero"):
    return import_basenji2(SMALL / "params.json", SMALL / "weights.h5", gelu, shift_padding)


@pytest.mark.shared_data
@needs_small
def test_predictions_are_those_of_keras():
    golden = np.load(SMALL / "golden.npz")
    model = small()
    found = model.predict(golden["bases"]).numpy()
    np.testing.assert_allclose(found, golden["predictions"], rtol=1e-4)
    np.testing.assert_allclose(ensemble(model, golden["bases"]), golden["ensemble"], rtol=1e-4)
    assert (model.facts.bin_width, model.facts.crop) == (128, 16 * 128)


@pytest.mark.shared_data
@needs_small
def test_the_other_gelu_gives_other_predictions():
    golden = np.load(SMALL / "golden.npz")
    other_gelu = small(gelu="sigmoid").predict(golden["bases"]).numpy()
    assert np.abs(other_gelu - golden["predictions"]).max() > 0.1
    assert np.corrcoef(other_gelu.ravel(), golden["predictions"].ravel())[0, 1] > 0.9


@pytest.mark.shared_data
@needs_small
def test_import_by_config_and_by_function_agree(tmp_path):
    weights, parameters = SMALL / "weights.h5", SMALL / "params.json"
    model = import_replicate(weights, "basenji2", {}, "GRCh38", parameters_file=parameters)
    save_replicate(tmp_path / "r.safetensors", model)
    loaded = load_replicate(tmp_path / "r.safetensors")
    codes = np.load(SMALL / "golden.npz")["bases"]
    assert torch.equal(loaded.predict(codes), small().predict(codes))
    assert loaded.facts.build == "GRCh38"
    assert loaded.record["source_name"] == "weights.h5"
    assert "train" not in loaded.parameters["model"]


def test_the_published_network_has_the_published_size():
    with torch.device("meta"):
        module = Basenji2(Basenji2Parameters(PUBLISHED))
    statistics = sum(
        layer.running_mean.numel() + layer.running_var.numel()
        for layer in module.modules()
        if isinstance(layer, Normalisation)
    )
    trained = sum(parameter.numel() for parameter in module.parameters())
    assert statistics == 35_356
    assert trained == 30_088_228
    assert trained + statistics == 30_123_584
    assert [block.dilated.convolution.dilation[0] for block in list(module.trunk)[7:18]] == [
        *(1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72)
    ]
    widths = [block.convolution.out_channels for block in list(module.trunk)[:7]]
    assert widths == [288, 339, 399, 470, 554, 652, 768]
    reach = module.reach
    assert (reach.stride, reach.crop, reach.receptive_field) == (128, 8192, 54_918)
    facts = Facts(None, 128, 8192, (Track("a"),), 54_918, "", "counts")
    assert facts.bins(131_072) == 896


@pytest.mark.parametrize(
    "trunk",
    [
        tiny()["trunk"],
        [{"name": "conv_block", "filters": 4, "kernel_size": 7, "pool_size": 3}],
        [
            {"name": "conv_block", "filters": 4, "kernel_size": 3, "dilation_rate": 4},
            {"name": "dilated_residual", "filters": 3, "kernel_size": 5, "repeat": 2},
        ],
    ],
)
def test_receptive_field_is_what_gradients_reach(trunk):
    model = build(tiny(trunk=trunk))
    module = model.module.double().eval()
    for name, layer in module.named_modules():
        if name.endswith("activation"):
            parent = module.get_submodule(name.rpartition(".")[0])
            parent.activation = torch.nn.Identity()
        if name.endswith("pool") and isinstance(layer, torch.nn.MaxPool1d):
            module.get_submodule(name.rpartition(".")[0]).pool = torch.nn.AvgPool1d(
                layer.kernel_size
            )
    for parameter in module.parameters():
        parameter.data = parameter.data.abs() + 0.01
    facts = model.facts
    bins = 2 * (facts.receptive_field // facts.bin_width) + 3
    length = 2 * facts.crop + bins * facts.bin_width
    sequence = torch.rand(1, 4, length, dtype=torch.float64, requires_grad=True)
    module(sequence)[0, bins // 2, 0].backward()
    reached = torch.nonzero(sequence.grad[0].abs().sum(0)).flatten()
    assert (int(reached[0]), int(reached[-1]) + 1) == facts.reach(bins // 2, bins // 2)
    assert len(reached) <= facts.receptive_field


def naive(layers, codes, gelu):
    """The tiny network in numpy, channels last, from arrays in the order of the file."""
    arrays = iter(array for _, of_layer in layers for _, array in of_layer)

    def block(values, dilation=1, pool=1):
        kernel = next(arrays)
        values = convolution(gelu(values), kernel, 0.0, dilation=dilation)
        values = normalisation(values, *(next(arrays) for _ in range(4)), epsilon=1e-3)
        return pooling(values, pool, pool, "same", np.nanmax)

    values = block(block(np.eye(5, 4)[codes], pool=2), pool=2)
    for dilation in (1, 2, 3):
        values = values + block(block(values, dilation))
    values = block(values[:, 2:-2])
    return ACTIVATIONS["softplus"](gelu(values) @ next(arrays) + next(arrays))


def keras_layers(seed):
    """Random weights of the tiny network, named as by a session that had made others before."""
    random = np.random.default_rng(seed)
    sizes = [(5, 4, 6), (3, 6, 7)]
    sizes += [size for _ in range(3) for size in ((3, 7, 4), (1, 4, 7))]
    sizes += [(1, 7, 8)]
    layers = [("sequence", [])]
    for number, size in enumerate(sizes, start=37):
        conv, norm = f"conv1d_{number}", f"batch_normalization_{number}"
        kernel = random.normal(0, 0.5, size).astype(np.float32)
        statistics = [random.random(size[2]).astype(np.float32) + 0.1 for _ in range(4)]
        names = ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0")
        layers.append((conv, [(f"{conv}/kernel:0", kernel)]))
        layers.append(
            (norm, [(f"{norm}/{name}", one) for name, one in zip(names, statistics, strict=True)])
        )
    kernel, bias = random.normal(0, 0.5, (8, 3)), random.normal(0, 0.5, 3)
    dense = [("dense_4/kernel:0", np.float32(kernel)), ("dense_4/bias:0", np.float32(bias))]
    return [*layers, ("dense_4", dense)]


def gelu_by_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def gelu_by_sigmoid(x):
    return x / (1 + np.exp(-1.702 * x))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize(("gelu", "twin"), [("tanh", gelu_by_tanh), ("sigmoid", gelu_by_sigmoid)])
def test_imported_weights_compute_what_numpy_does(tmp_path, whole, as_bytes, gelu, twin):
    layers = keras_layers(seed=whole + 2 * as_bytes)
    path = tmp_path / "weights.h5"
    save_keras(path, layers, whole=whole, as_bytes=as_bytes, optimiser=whole)
    model = import_basenji2({"train": {"batch_size": 4}, "model": tiny()}, path, gelu)
    codes = np.random.default_rng(3).integers(0, 5, (2, 96)).astype(np.uint8)
    expected = naive(layers, codes, twin)
    assert expected.shape == (2, 20, 3)
    np.testing.assert_allclose(model.predict(codes).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_weights_of_another_size_are_refused(tmp_path):
    path = tmp_path / "weights.h5"
    save_keras(path, keras_layers(1))
    changed = copy.deepcopy(tiny())
    changed["trunk"][0]["filters"] = 5
    with pytest.raises(
        InputError, match=r"array 1 .conv1d_37.* is 5x4x6, expected 5x4x5 for trunk"
    ):
        import_basenji2(changed, path)


def test_residual_blocks_start_closed_and_convolutions_he_normal():
    model = build(tiny(trunk=[{"name": "conv_block", "filters": 400, "kernel_size": 25}]))
    weight = model.module.trunk[0].convolution.weight
    assert float(weight.detach().std()) == pytest.approx(np.sqrt(2 / 100), rel=0.02)
    assert float(weight.detach().abs().max()) < 2 * np.sqrt(2 / 100) / 0.879
    model = build()
    initialise(model.module, 5)
    block = model.module.trunk[2]
    assert not block.narrow.normalisation.weight.any()
    assert bool((block.dilated.normalisation.weight == 1).all())
    values = torch.rand(2, 7, 12)
    assert torch.equal(block.eval()(values), values)
    assert block.narrow.normalisation.momentum == pytest.approx(0.1)
    assert block.narrow.normalisation.eps == 1e-3


def test_shifted_gaps_are_uniform_only_where_the_facts_say_so():
    codes = torch.tensor([[0, 1, 2, 3, 4]], dtype=torch.uint8)
    moved = shift(codes, 2, PADDING)
    assert moved.tolist() == [[PADDING, PADDING, 0, 1, 2]]
    assert reverse_complement(moved).tolist() == [[1, 2, 3, PADDING, PADDING]]
    assert one_hot(moved)[0, :, :2].tolist() == [[0, 0]] * 4
    uniform = one_hot(moved, padding=0.25)
    assert uniform[0, :, :2].tolist() == [[0.25, 0.25]] * 4
    assert torch.equal(uniform[..., 2:], one_hot(moved)[..., 2:])
    assert not one_hot(codes, padding=0.25)[0, :, 4].any()


def test_passes_show_the_padding_of_the_model():
    codes = np.random.default_rng(8).integers(0, 4, (2, 40)).astype(np.uint8)
    for kind, value in (("zero", 0.0), ("uniform", 0.25)):
        model = build(shift_padding=kind)
        expected = []
        for distance in (1, 0, -1):
            for turned in (False, True):
                rows = np.full((2, 42, 4), value, dtype=np.float32)
                rows[:, 1:-1] = np.eye(4)[codes]
                shown = rows[:, 1 - distance : 41 - distance]
                shown = shown[:, ::-1, ::-1] if turned else shown
                channels = torch.from_numpy(np.ascontiguousarray(shown.transpose(0, 2, 1)))
                out = model.module(channels).detach().numpy()
                expected.append(out[:, ::-1] if turned else out)
        np.testing.assert_allclose(ensemble(model, codes), np.mean(expected, axis=0), rtol=1e-5)
    with pytest.raises(InputError, match="shift_padding is 'n', but must be one of zero, uniform"):
        build(shift_padding="n")


def test_any_whole_number_of_bins_is_predicted_whatever_the_parameters_say():
    model = build(tiny(seq_length=96, target_length=24))
    assert model.facts.input_length is None
    assert model.predict(np.zeros((1, 16 + 4 * 9), dtype=np.uint8)).shape == (1, 9, 3)
    with pytest.raises(InputError, match="leaves 8 bp at each end"):
        model.predict(np.zeros((1, 16), dtype=np.uint8))


def test_tracks_are_as_many_as_the_head_has_units():
    tracks = [Track("CAGE:a/+", "CAGE", 1), Track("CAGE:a/-", "CAGE", 0), Track("DNASE:a")]
    model = build_model("basenji2", {"model": tiny()}, tracks, "toy")
    assert model.facts.swapped_tracks() == (1, 0, 2)
    with pytest.raises(InputError, match=r"2 tracks, but .*'basenji2' predicts 3"):
        build_model("basenji2", {"model": tiny()}, tracks[2:] * 2, "toy")


def without(name):
    return {key: value for key, value in tiny().items() if key != name}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (tiny(activation="relu"), "activation is 'relu', but only 'gelu'"),
        (without("activation"), "activation is 'relu', but only 'gelu'"),
        (without("norm_type"), "norm_type is None, but only 'batch'"),
        (without("trunk"), "the model part has no trunk"),
        (tiny(seq_len=4), "the model part has the option 'seq_len'.*did you mean 'seq_length'"),
        (without("head_human"), "have the heads none, expected one"),
        (
            tiny(head_mouse={"name": "final", "units": 2}),
            "have the heads head_human, head_mouse, expected one",
        ),
        (tiny(head_human={"name": "factor", "units": 3}), "head_human is .*named 'final'"),
        (tiny(head_human={"name": "final"}), "block 'final' has no units"),
        (
            tiny(head_human={"name": "final", "units": 3, "activation": "relu"}),
            "head_human has the activation 'relu', expected one of softplus, linear",
        ),
        (
            tiny(trunk=[{"name": "transformer", "heads": 4}]),
            "block 1 of the trunk has the name 'transformer', which is not supported",
        ),
        (tiny(trunk=[{"name": "final", "units": 4}]), "block 1 of the trunk has the name 'final'"),
        (
            tiny(trunk=[{"name": "conv_block", "filters": 4, "conv_type": "separable"}]),
            "block 'conv_block' has the option 'conv_type', which is not supported",
        ),
        (
            tiny(trunk=[{"name": "dilated_residual", "repeat": 2}]),
            "block 'dilated_residual' has no filters",
        ),
        (
            tiny(trunk=[{"name": "conv_block", "filters": 4, "kernel_size": 4}]),
            "kernel_size 4: there must be filters, and the kernel must be odd",
        ),
        (tiny(trunk=["conv_block"]), "block 1 of the trunk has the name ''"),
        (
            tiny(trunk=[{"name": "conv_tower", "filters_init": 4, "repeat": 0}]),
            "block 'conv_tower': repeat is 0, but must be a whole number of at least 1",
        ),
        (
            tiny(trunk=[{"name": "conv_block", "filters": 4, "dropout": 1.0}]),
            "block 'conv_block': dropout is 1.0, but must be a number of at least 0 and below 1",
        ),
        (
            tiny(trunk=[{"name": "conv_block", "filters": "4"}]),
            "block 'conv_block': filters is '4', but must be a whole number",
        ),
    ],
)
def test_refused_parameters(model, message):
    with pytest.raises(InputError, match=message):
        build(model)


def test_refused_switches():
    with pytest.raises(InputError, match="gelu is 'erf', but must be sigmoid or tanh"):
        build(gelu="erf")
    with pytest.raises(InputError, match="needs Basenji's parameters"):
        build_model("basenji2", {}, [], "toy")


def test_parameters_survive_json():
    parameters = build().parameters
    again = build_model("basenji2", json.loads(json.dumps(parameters)), [], "toy")
    assert again.parameters == parameters
