"""Networks of chromatin accessibility: naive twins, exact facts, and learning on the toy."""

from itertools import product

import numpy as np
import pytest
import torch
from toy_learning import learned, shuffled, toy_targets

from seqtrust.errors import InputError
from seqtrust.inference.local_graph import NotLocalError
from seqtrust.inference.tracing import local_graph
from seqtrust.models.activations import before_output
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.checks import check_model, measured_receptive_field
from seqtrust.models.chromatin import DilatedStack
from seqtrust.models.chromatin_parameters import ChromatinParameters
from seqtrust.models.facts import Track

functional = torch.nn.functional
LENGTH = 256
LABELS = (Track("a"), Track("b"), Track("c"))
TRUNKS = ("cnn", "residual", "basset", "basenji")
FORMS = [
    {"trunk": trunk, "head": head, "shared": shared, **({"bin_width": width} if width else {})}
    for trunk, (head, width), shared in product(
        TRUNKS, [("binary", 0), ("profile", 1), ("profile", 32)], ["all", "task"]
    )
]


def name_of(form):
    return "-".join(map(str, form.values()))


def local(form):
    """Whether a profile is read off the trunk."""
    residual = form["trunk"] == "residual" and form.get("bin_width") == 32
    return form["head"] == "profile" and (form["trunk"] == "basenji" or residual)


def wide_convolution(form):
    """Whether there is a convolution across the bins before the head."""
    if form["head"] == "binary" or form["trunk"] == "basenji":
        return False
    return form["shared"] == "task" or not local(form)


def small_model(form, labels=LABELS, **parameters):
    """With few channels, and statistics that are not those of a fresh network."""
    sizes = {"channels": [6, 4, 5], "input_length": LENGTH}
    if form["shared"] == "task":
        sizes["task"] = 3
    if wide_convolution(form):
        sizes["profile"] = 6
    if form["trunk"] != "basenji" and not local(form):
        sizes["dense"] = [7, 8] if form["trunk"] == "basset" else [7]
    model = build_model("chromatin", sizes | form | parameters, labels, "toy")
    random = torch.Generator().manual_seed(3)
    for layer in model.module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.2, generator=random)
            layer.running_var.uniform_(0.5, 2, generator=random)
            layer.weight.data.uniform_(0.5, 1.5, generator=random)
    return model


class Naive:
    """The described network as functions of a model's tensors, taken in their order."""

    def __init__(self, model, form, activation):
        self.tensors = list(model.module.state_dict().values())
        self.form, self.activation = form, activation
        self.bin_width = model.facts.bin_width

    def normalised(self, values, epsilon=1e-5):
        scale, shift, mean, variance, _ = (self.tensors.pop(0) for _ in range(5))
        shape = (1, -1) + (1,) * (values.ndim - 2)
        scaled = (values - mean.view(shape)) / torch.sqrt(variance.view(shape) + epsilon)
        return scaled * scale.view(shape) + shift.view(shape)

    def convolved(self, values, dilation=1, bias=True):
        weight = self.tensors.pop(0)
        shift = self.tensors.pop(0) if bias else None
        more = (weight.shape[-1] - 1) * dilation
        padded = functional.pad(values, (more // 2, more - more // 2))
        return functional.conv1d(padded, weight, shift, dilation=dilation)

    def first(self, values):
        profile_of_basenji = self.form["trunk"] == "basenji" and self.form["head"] == "profile"
        if not self.activation and profile_of_basenji:
            return values
        return torch.exp(values) if self.activation == "exponential" else torch.relu(values)

    def stacked(self, values, layers):
        change = values
        for number in range(layers):
            change = torch.relu(change) if number else change
            change = self.normalised(self.convolved(change, 2**number))
        return torch.relu(values + change)

    def dense(self, values):
        """A dense layer on (N, features)."""
        weight, shift = self.tensors.pop(0), self.tensors.pop(0)
        return values @ weight.flatten(1).T + shift

    def trunk(self, values):
        trunk, is_local = self.form["trunk"], local(self.form)
        pools = {"cnn": (8, 4, 4), "residual": (4, 4, 2 if is_local else 4), "basset": (3, 4, 4)}
        stacks = (5, 5, 3 if is_local else 4)
        for number, (pool, layers) in enumerate(zip(pools[trunk], stacks, strict=True)):
            values = self.normalised(self.convolved(values))
            values = torch.relu(values) if number else self.first(values)
            if trunk == "residual":
                values = self.stacked(values, layers)
            values = functional.max_pool1d(values, pool)
        return values

    def basenji(self, values):
        def gelu(x):
            return x * torch.sigmoid(1.702 * x)

        pool = 1 if self.bin_width == 1 else 2
        values = self.first(self.normalised(self.convolved(values, bias=False)))
        values = functional.max_pool1d(values, pool)
        for dilation in (1, 2, 2, 3, 5, 8, 11, 17, 26, 38, 58):
            change = self.normalised(self.convolved(gelu(values), dilation, bias=False))
            change = self.convolved(gelu(change), bias=False)
            values = values + self.normalised(change, epsilon=1e-3)
        values = self.normalised(self.convolved(gelu(values), bias=False))
        if self.form["head"] == "binary":
            return values.mean(-1, keepdim=True)
        return functional.avg_pool1d(values, self.bin_width // pool)

    def head(self, values):
        """(N, channels, bins) to (N, bins, tracks), each track by itself."""
        if self.form["shared"] == "all":
            return self.convolved(values).transpose(1, 2)
        wide, shift = self.tensors.pop(0), self.tensors.pop(0)
        norms = [self.tensors.pop(0) for _ in range(5)]
        last, last_shift = self.tensors
        found = []
        for task in range(len(LABELS)):
            own = slice(3 * task, 3 * task + 3)
            self.tensors = [wide[own], shift[own]]
            hidden = self.convolved(values)
            self.tensors = [*(norm[own] for norm in norms[:4]), norms[4]]
            hidden = torch.relu(self.normalised(hidden))
            found.append(torch.einsum("ncl,c->nl", hidden, last[task, :, 0]) + last_shift[task])
        return torch.stack(found, dim=2)

    def __call__(self, sequences):
        trunk, profile = self.form["trunk"], self.form["head"] == "profile"
        if trunk == "basenji":
            values = self.basenji(sequences)
        elif local(self.form):
            values = self.trunk(sequences)
            if self.form["shared"] == "task":
                values = torch.relu(self.normalised(self.convolved(values)))
            else:
                values = torch.relu(self.normalised(self.convolved(values)))
        else:
            values = self.trunk(sequences).flatten(1)
            for _ in range(2 if trunk == "basset" else 1):
                values = self.dense(values)
                values = torch.relu(values if trunk == "basset" else self.normalised(values))
            values = values[..., None]
            if profile:
                values = torch.relu(self.normalised(self.dense(values[..., 0])))
                values = values.reshape(len(values), 8, -1)
                values = torch.relu(self.normalised(self.convolved(values)))
                if trunk == "residual":
                    values = self.stacked(values, 5)
        values = self.head(values)
        return functional.softplus(values) if profile else torch.sigmoid(values)


def some_codes(count=3, length=LENGTH, seed=1):
    return np.random.default_rng(seed).integers(0, 4, (count, length)).astype(np.uint8)


@pytest.mark.parametrize("form", FORMS, ids=name_of)
@pytest.mark.parametrize("activation", ["", "relu", "exponential"])
@torch.inference_mode()
def test_layers_are_those_described(form, activation):
    model = small_model(form, activation=activation)
    sequences = model.encode(torch.from_numpy(some_codes()))
    expected = Naive(model, form, activation)(sequences)
    assert expected.shape == (3, model.facts.bins(LENGTH), 3)
    torch.testing.assert_close(model.module(sequences), expected, rtol=1e-4, atol=1e-5)
    assert float(expected.std(0).max()) > 1e-5


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_facts_are_true_and_inference_can_follow(form, tmp_path):
    model = small_model(form)
    check_model(model, "chromatin")
    assert measured_receptive_field(model, "chromatin") == model.facts.receptive_field
    assert (model.facts.input_length is None) == local(form)
    if form["head"] == "profile" and not local(form):
        with pytest.raises(NotLocalError, match="Flatten"):
            local_graph(model.module)
    else:
        local_graph(model.module)
    save_replicate(tmp_path / "r.safetensors", model)
    again = load_replicate(tmp_path / "r.safetensors")
    assert torch.equal(again.predict(some_codes()), model.predict(some_codes()))


def test_sizes_are_those_of_the_published_networks():
    """Of 2,048 bp: (trunk, head, bin) with the parameters that the published layers have."""

    def convolution(ins, outs, width):
        return outs * (ins * width + 1) + 2 * outs

    def stack(channels, layers):
        return layers * convolution(channels, channels, 3)

    trunk = convolution(4, 192, 19) + convolution(192, 256, 7) + convolution(256, 512, 7)
    stacks = stack(192, 5) + stack(256, 5) + stack(512, 4)
    wide = convolution(4, 256, 19) + convolution(256, 512, 7) + convolution(512, 1024, 7)
    wide_stacks = stack(256, 5) + stack(512, 5) + stack(1024, 3)
    dilated = 11 * (256 * 128 * 3 + 2 * 128 + 128 * 256 + 2 * 256)
    profile = convolution(8, 256, 7)
    expected = {
        ("cnn", "binary", 0): trunk + convolution(512, 256, 16) + 257 * 3,
        ("cnn", "profile", 1): trunk
        + convolution(512, 256, 16)
        + convolution(256, 8 * 2048, 1)
        + profile
        + 257 * 3,
        ("residual", "binary", 0): trunk + stacks + convolution(512, 512, 32) + 513 * 3,
        ("residual", "profile", 1): trunk
        + stacks
        + convolution(512, 512, 32)
        + convolution(512, 8 * 2048, 1)
        + profile
        + stack(256, 5)
        + 257 * 3,
        ("residual", "profile", 32): wide + wide_stacks + convolution(1024, 256, 1) + 257 * 3,
        ("basset", "binary", 0): convolution(4, 300, 10)
        + convolution(300, 200, 11)
        + convolution(200, 200, 7)
        + 1000 * (200 * 42 + 1)
        + 1000 * 1001
        + 1001 * 3,
        ("basenji", "binary", 0): 256 * 4 * 15 + 512 + dilated + 2048 * 256 + 4096 + 2049 * 3,
        ("basenji", "profile", 32): 256 * 4 * 15 + 512 + dilated + 2048 * 256 + 4096 + 2049 * 3,
    }
    for (trunk_name, head, bin_width), count in expected.items():
        parameters = {"trunk": trunk_name, "head": head, "bin_width": bin_width}
        with torch.device("meta"):
            model = build_model("chromatin", parameters, LABELS, "hg38")
        found = sum(tensor.numel() for tensor in model.module.parameters())
        assert found == count, (trunk_name, head, bin_width)


def test_one_rate_of_dropout_is_for_all_layers():
    for form in FORMS:
        rates = {
            layer.p
            for layer in small_model(form, dropout=0.25).module.modules()
            if isinstance(layer, torch.nn.Dropout)
        }
        assert rates == {0.25}


def test_published_rates_of_dropout():
    """In the order of GOPHER's residual_profile_all_base, its twin per task, and cnn's."""
    stacks = [[0.1] * 4, [0.1] * 4, [0.1] * 3]
    trunk = [*stacks[0], 0.1, *stacks[1], 0.1, *stacks[2], 0.2]
    expected = {
        ("residual", "all"): [*trunk, 0.3, 0.1, 0.1, *[0.1] * 4],
        ("residual", "task"): [*trunk, 0.3, 0.1, 0.2, *[0.1] * 4, 0.1],
        ("cnn", "all"): [0.1, 0.1, 0.2, 0.3, 0.1, 0.2],
    }
    for (trunk_name, shared), rates in expected.items():
        model = small_model(
            {"trunk": trunk_name, "head": "profile", "shared": shared, "bin_width": 1}
        )
        layers = model.module.modules()
        assert [one.p for one in layers if isinstance(one, torch.nn.Dropout)] == rates


@torch.inference_mode()
def test_a_stack_of_no_layers_changes_nothing():
    form = {"trunk": "residual", "head": "profile", "shared": "all", "bin_width": 1}
    model = small_model(form, layers=[0, 0, 0, 0], activation="elu")
    assert not [one for one in model.module.modules() if isinstance(one, DilatedStack)]
    plain = small_model({**form, "trunk": "cnn"}, pool=[4, 4, 4], activation="elu")
    tensors = model.module.state_dict().values()
    names = plain.module.state_dict()
    plain.module.load_state_dict(dict(zip(names, tensors, strict=True)))
    assert torch.equal(plain.predict(some_codes()), model.predict(some_codes()))


def test_the_logit_is_what_the_sigmoid_gets():
    model = small_model(FORMS[0])
    sequences = model.encode(torch.from_numpy(some_codes()))
    logits = before_output(model.module)(sequences)
    torch.testing.assert_close(torch.sigmoid(logits), model.module(sequences))
    assert float((logits - model.module(sequences)).abs().max()) > 0.1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"trunk": "bassett"}, "trunk is 'bassett', but must be one of cnn, residual, basset"),
        ({"head": "profile", "bin_width": 48}, "bin_width is 48, which does not divide"),
        ({"bin_width": 201}, "equally many bases on both sides"),
        ({"channels": [4, 4]}, r"channels is \[4, 4\], but trunk 'cnn' takes 3"),
        ({"input_length": 100}, "leave nothing"),
        ({"head": "profile", "bottleneck": 0}, "their product must be the bin_width 32"),
        (
            {"trunk": "basenji", "head": "profile", "bin_width": 32, "pool": [3]},
            "their product must divide the bin_width 32",
        ),
        ({"dropout": 1}, "dropout is 1"),
        ({"activation": "swish"}, "activation is 'swish', but must be one of relu, .*none"),
        ({"dense": [0]}, r"dense is \[0\]"),
        ({"bottleneck": -1, "head": "profile"}, "bottleneck is -1"),
        ({"channels": [4.5, 4, 4]}, r"channels is \[4.5, 4, 4\], but must be whole numbers"),
        ({"layers": [1.5], "trunk": "basenji"}, r"layers is \[1.5\], but must be whole numbers"),
        ({"layers": [-1], "trunk": "basenji"}, r"layers is \[-1\], but must be at least 0"),
        ({"bin_width": 32.0}, "bin_width is 32.0, but must be a whole number"),
        (
            {"trunk": "basenji", "head": "profile", "dense": [64]},
            r"dense is \[64\], which trunk 'basenji' with head 'profile' and shared 'all' does not "
            "use: leave it out",
        ),
        ({"trunk": "basenji", "head": "profile", "bottleneck": 9}, "bottleneck is 9, which trunk"),
        ({"bottleneck": 8}, "bottleneck is 8, which trunk 'cnn' with head 'binary'"),
        ({"profile": 9}, "profile is 9, which trunk 'cnn' with head 'binary'"),
        ({"trunk": "residual", "head": "profile", "profile": 9}, "profile is 9, which trunk"),
        ({"task": 9}, "task is 9, which trunk 'cnn' with head 'binary' and shared 'all'"),
        (
            {"trunk": "residual", "layers": [1, 1, 1, 1]},
            r"layers is \[1, 1, 1, 1\], of which .* does not use the last .*let it be 0",
        ),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(InputError, match=f"chromatin: .*{message}"):
        build_model("chromatin", parameters, LABELS, "toy")


def test_resolved_parameters_resolve_to_themselves():
    for form in FORMS:
        once = ChromatinParameters(**form)
        assert ChromatinParameters(**vars(once)) == once


def test_peaks_of_the_toy_are_learned():
    peaks = toy_targets("peaks.tsv", ("activity", "t1", "t3"))
    parameters = {
        "activation": "exponential",
        "channels": [16, 16, 24],
        "dense": [24],
        "dropout": 0.1,
        "input_length": 600,
        "bin_width": 200,
    }
    settings = {"loss": "bce", "learning_rate": 0.01, "batch_size": 32, "training_fraction": 0.4}
    arguments = "chromatin", parameters
    _, held_out = learned(*arguments, peaks, 600, 200, epochs=4, **settings)
    assert held_out.auroc > 0.75
    _, nothing = learned(*arguments, shuffled(peaks), 600, 200, epochs=1, **settings)
    assert abs(nothing.auroc - 0.5) < 0.1


@pytest.mark.parametrize(
    ("trunk", "sizes"),
    [
        (
            "residual",
            {
                "pool": [8, 4, 2],
                "layers": [2, 2, 2, 0],
                "bottleneck": 0,
                "dense": [],
                "profile": 16,
            },
        ),
        ("basenji", {"pool": [8], "layers": [3]}),
    ],
)
def test_tracks_of_the_toy_are_learned(trunk, sizes):
    parameters = {
        "trunk": trunk,
        "head": "profile",
        "shared": "task",
        "activation": "exponential",
        "channels": [16, 16, 24],
        "task": 4,
        "dropout": 0.1,
        "bin_width": 64,
        **sizes,
    }
    tracks = toy_targets("tracks.tsv", ("activity", "t1", "t3"))
    settings = {"learning_rate": 0.01}
    _, held_out = learned("chromatin", parameters, tracks, 2048, 2048, epochs=8, **settings)
    assert held_out.pearson_r > 0.3
    noise = shuffled(tracks)
    _, nothing = learned("chromatin", parameters, noise, 2048, 2048, epochs=1, **settings)
    assert abs(nothing.pearson_r) < 0.1
