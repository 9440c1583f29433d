"""Networks described by Keras against a naive Keras in numpy, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_twins import ACTIVATIONS, convolution, normalisation, pooling, save_keras

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate
from seqtrust.models.keras_description import plain_layers

pytest.importorskip("h5py")


class Network:
    """A random stack of Keras layers: its description, its arrays, and what it computes."""

    def __init__(self, seed, length=37):
        self.random = np.random.default_rng(seed)
        self.layers = [{"name": "sequence", "class": "InputLayer", "shape": [length, 4]}]
        self.arrays = [("sequence", [])]
        self.steps = []
        self.features, self.length = 4, length

    def add(self, kind, arrays, step, **options):
        name = f"{kind.lower()}_{self.random.integers(9, 99)}_{len(self.layers)}"
        self.layers.append({"name": name, "class": kind, **options})
        self.arrays.append((name, [(f"{name}/a{i}:0", array) for i, array in enumerate(arrays)]))
        self.steps.append(step)

    def draw(self, *shape):
        return self.random.normal(0, 0.5, shape).astype(np.float32)

    def add_convolution(self):
        width, features = int(self.random.integers(1, 7)), int(self.random.integers(1, 6))
        stride, dilation = ((1, 1), (1, 2), (2, 1), (3, 1))[self.random.integers(4)]
        padding = self.padding((width - 1) * dilation + 1)
        activation = str(self.random.choice(list(ACTIVATIONS)))
        use_bias = bool(self.random.integers(2))
        kernel = self.draw(width, self.features, features)
        bias = self.draw(features) if use_bias else np.zeros(features, np.float32)
        self.add(
            "Conv1D",
            [kernel, bias] if use_bias else [kernel],
            lambda x: ACTIVATIONS[activation](
                convolution(x, kernel, bias, stride, dilation, padding)
            ),
            filters=features,
            kernel_size=[width],
            strides=[stride],
            dilation_rate=[dilation],
            padding=padding,
            activation=activation,
            use_bias=use_bias,
        )
        self.features = features
        self.slide((width - 1) * dilation + 1, stride, padding)

    def add_pooling(self):
        kind = str(self.random.choice(["MaxPooling1D", "AveragePooling1D"]))
        width, stride = int(self.random.integers(1, 5)), int(self.random.integers(1, 5))
        padding = self.padding(width)
        reduce = np.nanmax if kind.startswith("Max") else np.nanmean
        self.add(
            kind,
            [],
            lambda x: pooling(x, width, stride, padding, reduce),
            pool_size=[width],
            strides=[stride],
            padding=padding,
        )
        self.slide(width, stride, padding)

    def add_normalisation(self):
        n = self.features
        scale, center = (bool(flag) for flag in self.random.integers(0, 2, 2))
        gamma = self.draw(n) if scale else np.ones(n, np.float32)
        beta = self.draw(n) if center else np.zeros(n, np.float32)
        mean, variance = self.draw(n), np.abs(self.draw(n)) + 0.1
        epsilon = float(self.random.choice([1e-3, 1e-1]))
        self.add(
            "BatchNormalization",
            [*([gamma] if scale else []), *([beta] if center else []), mean, variance],
            lambda x: normalisation(x, gamma, beta, mean, variance, epsilon),
            axis=[2],
            epsilon=epsilon,
            scale=scale,
            center=center,
        )

    def add_dense(self, activation="tanh"):
        units = int(self.random.integers(1, 5))
        kernel, bias = self.draw(self.features, units), self.draw(units)
        self.add(
            "Dense",
            [kernel, bias],
            lambda x: ACTIVATIONS[activation](x @ kernel + bias),
            units=units,
            activation=activation,
        )
        self.features = units

    def add_crop(self):
        left, right = (int(one) for one in self.random.integers(0, 3, 2))
        if left + right < self.length:
            self.add(
                "Cropping1D",
                [],
                lambda x: x[:, left : x.shape[1] - right],
                cropping=[left, right],
            )
            self.length -= left + right

    def add_dropout(self):
        self.add("Dropout", [], lambda x: x, rate=0.5)

    def add_activation(self):
        twin = ACTIVATIONS[str(self.random.choice(list(ACTIVATIONS)))]
        kinds = {
            "ReLU": (np.vectorize(lambda x: max(x, 0.0)), {"max_value": None}),
            "LeakyReLU": (lambda x: np.where(x > 0, x, 0.3 * x), {}),
            "ELU": (lambda x: np.where(x > 0, x, 0.5 * np.expm1(x)), {"alpha": 0.5}),
            "Softmax": (ACTIVATIONS["softmax"], {"axis": -1}),
            "Activation": (twin, {"activation": {v: k for k, v in ACTIVATIONS.items()}[twin]}),
        }
        kind = str(self.random.choice(list(kinds)))
        step, options = kinds[kind]
        self.add(kind, [], step, **options)

    def end(self):
        """No positions any more, and one dense layer."""
        kind = str(self.random.choice(["Flatten", "GlobalMaxPooling1D", "GlobalAveragePooling1D"]))
        ends = {
            "Flatten": lambda x: x.reshape(len(x), -1),
            "GlobalMaxPooling1D": lambda x: x.max(axis=1),
            "GlobalAveragePooling1D": lambda x: x.mean(axis=1),
        }
        self.add(kind, [], ends[kind])
        self.features *= self.length if kind == "Flatten" else 1
        self.add_dense("linear")

    def padding(self, field):
        return str(self.random.choice(["same", "valid"])) if field <= self.length else "same"

    def slide(self, field, stride, padding):
        room = self.length if padding == "same" else self.length - field + 1
        self.length = -(-room // stride)

    def __call__(self, values):
        for step in self.steps:
            values = step(values)
        return values

    def keras_json(self, sequential):
        """The description in Keras's own words."""
        entries = []
        for before, layer in zip([None, *self.layers], self.layers, strict=False):
            config = {key: value for key, value in layer.items() if key not in ("class", "shape")}
            config |= {"trainable": True, "kernel_initializer": {"class_name": "Zeros"}}
            if layer["class"] == "InputLayer":
                config["batch_input_shape"] = [None, *layer["shape"]]
            entry = {"class_name": layer["class"], "config": config}
            if not sequential:
                entry["name"] = layer["name"]
                entry["inbound_nodes"] = [[[before["name"], 0, 0, {}]]] if before else []
            entries.append(entry)
        if sequential:
            return {"class_name": "Sequential", "config": {"name": "s", "layers": entries}}
        output = [[self.layers[-1]["name"], 0, 0]]
        config = {"name": "m", "layers": entries, "output_layers": output}
        return {"class_name": "Functional", "config": config}


def random_network(seed, count):
    network = Network(seed)
    kinds = ["convolution", "pooling", "normalisation", "dense", "crop", "dropout", "activation"]
    for kind in network.random.choice(kinds, count):
        getattr(network, f"add_{kind}")()
    network.end()
    return network


def one_hot(codes):
    return np.eye(5, 4)[codes]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31), count=st.integers(0, 6), as_bytes=st.booleans(), old=st.booleans()
)
def test_imported_networks_compute_what_keras_does(tmp_path_factory, seed, count, as_bytes, old):
    network = random_network(seed, count)
    folder = tmp_path_factory.mktemp("keras")
    source = folder / "model.h5"
    description = network.keras_json(sequential=old)
    save_keras(
        source,
        network.arrays,
        whole=True,
        as_bytes=as_bytes,
        description=description,
        optimiser=old,
    )
    imported = import_replicate(source, "keras", {"output_scale": "counts"}, "toy")
    save_replicate(folder / "replicate.safetensors", imported)
    model = load_replicate(folder / "replicate.safetensors")
    codes = np.random.default_rng(seed).integers(0, 5, (3, 37)).astype(np.uint8)
    expected = network(one_hot(codes))
    found = model.predict(codes)
    assert found.shape == (3, 1, expected.shape[1])
    assert (model.facts.input_length, model.facts.bin_width) == (37, 37)
    np.testing.assert_allclose(found[:, 0].numpy(), expected, rtol=1e-4, atol=1e-4)


# Two branches that are added, then concatenated with a third; valid windows; even kernels.
BRANCHED = [
    {"name": "dna", "class": "InputLayer", "shape": [None, 4]},
    {"name": "a", "class": "Conv1D", "filters": 3, "kernel_size": 4, "padding": "same"},
    {"name": "pool", "class": "MaxPooling1D", "pool_size": 2},
    {"name": "b", "class": "Conv1D", "filters": 3, "kernel_size": 3, "dilation_rate": 2},
    {"name": "cut", "class": "Cropping1D", "cropping": 2, "inputs": ["pool"]},
    {"name": "sum", "class": "Add", "inputs": ["b", "cut"]},
    {"name": "both", "class": "Concatenate", "inputs": ["sum", "cut"]},
    {"name": "out", "class": "Dense", "units": 2, "activation": "softplus"},
]


def branched(**changes):
    settings_of_it = {"layers": BRANCHED, "output_scale": "counts"} | changes
    return build_model("keras", settings_of_it, [Track("a"), Track("b")], "toy")


def test_branches_are_added_and_concatenated_as_in_numpy():
    model = branched()
    weights = {name: tensor.numpy() for name, tensor in model.module.state_dict().items()}
    codes = np.random.default_rng(2).integers(0, 4, (2, 40)).astype(np.uint8)

    def convolved(values, layer, **options):
        kernel, bias = weights[f"layers.{layer}.0.weight"], weights[f"layers.{layer}.0.bias"]
        return convolution(values, kernel.transpose(2, 1, 0), bias, **options)

    pooled = pooling(convolved(one_hot(codes), 1), 2, 2, "valid", np.max)
    dilated = convolved(pooled, 3, dilation=2, padding="valid")
    total = np.concatenate([dilated + pooled[:, 2:-2], pooled[:, 2:-2]], axis=2)
    dense = total @ weights["layers.7.0.weight"].T + weights["layers.7.0.bias"]
    np.testing.assert_allclose(model.predict(codes).numpy(), np.log1p(np.exp(dense)), rtol=1e-5)


def test_receptive_field_covers_what_gradients_reach():
    model = branched()
    module = model.module.double()
    for parameter in module.parameters():
        parameter.data = parameter.data.abs() + 0.01
    module.layers[2] = torch.nn.AvgPool1d(2)
    sequence = torch.rand(1, 4, 60, dtype=torch.float64, requires_grad=True)
    module(sequence)[0, 10, 0].backward()
    reached = torch.nonzero(sequence.grad[0].sum(0)).flatten()
    # bin 10 is positions 10..14 of pairs, so bases 20..29; the kernel of 4 adds 1 and 2
    assert (int(reached[0]), int(reached[-1]) + 1) == (19, 32)
    assert (model.facts.bin_width, model.facts.crop) == (2, 4)
    start, stop = model.facts.reach(10, 10)
    # symmetric around the bin [24, 26), so one base more than needed on the left
    assert (start, stop) == (18, 32)


def test_any_whole_number_of_bins_is_predicted():
    model = branched()
    for bins in (1, 2, 9):
        codes = np.zeros((1, 8 + 2 * bins), dtype=np.uint8)
        assert model.predict(codes).shape == (1, bins, 2)
    with pytest.raises(InputError, match="whole bins of 2 bp"):
        model.predict(np.zeros((1, 13), dtype=np.uint8))


def two_inputs(**changes):
    layers = [
        {"name": "dna", "class": "InputLayer", "shape": [12, 4]},
        {"name": "flat", "class": "Flatten"},
        {"name": "extra", "class": "InputLayer", "shape": [3]},
        {"name": "both", "class": "Concatenate", "inputs": ["flat", "extra"]},
        {"name": "out", "class": "Dense", "units": 1},
    ]
    settings_of_it = {"layers": layers, "output_scale": "log_expression"} | changes
    return build_model("keras", settings_of_it, [Track("a")], "toy")


def test_other_inputs_are_constants_of_the_architecture(tmp_path):
    given = two_inputs(other_inputs={"extra": [1.0, -2.0, 0.5]})
    zeros = two_inputs()
    codes = np.random.default_rng(1).integers(0, 4, (2, 12)).astype(np.uint8)
    weights = given.module.layers[4][0].weight[0, -3:].detach()
    difference = given.predict(codes) - zeros.predict(codes)
    change = weights @ torch.tensor([1.0, -2.0, 0.5])
    torch.testing.assert_close(difference.flatten(), change.expand(2))
    save_replicate(tmp_path / "r.safetensors", given)
    assert torch.equal(
        load_replicate(tmp_path / "r.safetensors").predict(codes), given.predict(codes)
    )
    with pytest.raises(InputError, match=r"other_inputs names extras, but .* the inputs extra"):
        two_inputs(other_inputs={"extras": [1]})
    with pytest.raises(InputError, match="'extra' has 2 values, expected 3"):
        two_inputs(other_inputs={"extra": [1, 2]})


def test_every_nonlinearity_is_a_module_that_can_be_hooked():
    names = {type(module).__name__ for module in branched().module.modules()}
    assert {"Softplus", "MaxPool1d"} <= names


INPUT = {"name": "dna", "class": "InputLayer", "shape": [20, 4]}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([INPUT, {"name": "l", "class": "LSTM"}], r"layer 'l' \(LSTM\): this class is not supp"),
        ([INPUT, {"name": "c", "class": "Conv1d"}], "did you mean 'Conv1D'"),
        ([INPUT, {"name": "c", "class": "Conv1D", "filters": 2}], r"\(Conv1D\): it has no kernel"),
        (
            [INPUT, {"name": "c", "class": "Dense", "units": 2, "unit": 3}],
            r"layer 'c' \(Dense\): option 'unit' is not supported; did you mean 'units'",
        ),
        (
            [INPUT, {"name": "c", "class": "Flatten", "data_format": "channels_first"}],
            "data_format is 'channels_first', but only 'channels_last'",
        ),
        (
            [INPUT, {"name": "c", "class": "ReLU", "max_value": 6}],
            "max_value is 6, but only nothing is supported",
        ),
        (
            [INPUT, {"name": "c", "class": "Dense", "units": 2, "activation": "swish"}],
            r"layer 'c' \(Dense\): activation 'swish' is not supported",
        ),
        (
            [INPUT, {"name": "c", "class": "Conv1D", "filters": 1, "kernel_size": 30}],
            "a window of 30 does not fit into 20 positions",
        ),
        (
            [
                INPUT,
                {
                    "name": "c",
                    "class": "Conv1D",
                    "filters": 1,
                    "kernel_size": 3,
                    "padding": "causal",
                },
            ],
            "padding is 'causal', but must be one of same, valid",
        ),
        (
            [INPUT, {"name": "c", "class": "Conv1D", "filters": 0, "kernel_size": 3}],
            "number of filters is 0, but must be a positive",
        ),
        ([INPUT, {"name": "c", "class": "BatchNormalization", "axis": 1}], "its axis is 1"),
        ([INPUT, {"name": "c", "class": "Cropping1D", "cropping": [1, -1]}], "its cropping is"),
        ([INPUT, {"name": "c", "class": "Cropping1D", "cropping": 10}], "nothing of 20 positions"),
        (
            [INPUT, {"name": "f", "class": "Flatten"}, {"name": "g", "class": "MaxPooling1D"}],
            "no posi",
        ),
        ([INPUT, {"name": "dna", "class": "Flatten"}], "an earlier layer has the same name"),
        ([INPUT, {"name": "f", "class": "Flatten", "inputs": ["x"]}], "'x' is no earlier layer"),
        ([{"name": "f", "class": "Flatten"}], "the first layer must be an InputLayer"),
        ([{"class": "Flatten"}], "needs a name and a class"),
        ([INPUT, {"name": "x", "class": "InputLayer", "shape": [20, 5]}], r"Layer\): its shape is"),
        ([{"name": "x", "class": "InputLayer", "shape": [7]}], "exactly one of shape .length, 4."),
        (
            [
                {"name": "dna", "class": "InputLayer", "shape": [None, 4]},
                {"name": "g", "class": "GlobalMaxPooling1D"},
            ],
            "InputLayer allows any length",
        ),
        (
            [
                {"name": "dna", "class": "InputLayer", "shape": [None, 4]},
                {"name": "g", "class": "Flatten"},
            ],
            "flattens an input of any length",
        ),
        (
            [
                INPUT,
                {"name": "c", "class": "Cropping1D", "cropping": 1},
                {"name": "s", "class": "Add", "inputs": ["c", "dna"]},
            ],
            "inputs differ in features x positions: 4 x 18, 4 x 20",
        ),
        (
            [
                INPUT,
                {"name": "c", "class": "Cropping1D", "cropping": 1},
                {"name": "s", "class": "Concatenate", "inputs": ["c", "dna"]},
            ],
            r"its inputs have \[18, 20\] positions",
        ),
        (
            [
                INPUT,
                {"name": "c", "class": "Cropping1D", "cropping": 1},
                {"name": "s", "class": "Flatten", "inputs": ["c", "dna"]},
            ],
            "it has 2 inputs, expected one",
        ),
        (
            [INPUT, {"name": "c", "class": "Cropping1D", "cropping": [0, 1]}],
            "crop one more position",
        ),
        ([INPUT, {"name": "c", "class": "MaxPooling1D", "pool_size": 3}], "whole bins of 3 bp"),
        (
            [
                INPUT,
                {"name": "a", "class": "MaxPooling1D", "pool_size": 2},
                {"name": "b", "class": "Cropping1D", "cropping": 5, "inputs": ["dna"]},
                {"name": "s", "class": "Concatenate", "inputs": ["a", "b"]},
            ],
            "joins layers whose positions differ .2 bp apart with 0 bp left out, 1 bp",
        ),
    ],
)
def test_refused_networks(layers, message):
    with pytest.raises(InputError, match=message):
        build_model("keras", {"layers": layers, "output_scale": "counts"}, [], "toy")


def test_what_the_card_needs_must_be_given():
    with pytest.raises(InputError, match="needs the network's layers"):
        build_model("keras", {"output_scale": "counts"}, [], "toy")
    with pytest.raises(InputError, match="needs output_scale: counts, probability"):
        build_model("keras", {"layers": BRANCHED}, [], "toy")
    with pytest.raises(InputError, match=r"1 tracks, but the network .* predicts 2"):
        build_model("keras", {"layers": BRANCHED, "output_scale": "counts"}, [Track("a")], "toy")


def functional(layers, **changes):
    return {"class_name": "Model", "config": {"layers": layers, **changes}}


def keras_layer(name, kind="Flatten", nodes=(), **config):
    return {"class_name": kind, "config": {"name": name, **config}, "inbound_nodes": list(nodes)}


DNA = keras_layer("dna", "InputLayer", batch_shape=[None, 9, 4])


def test_nodes_of_keras_3_are_read():
    argument = {"class_name": "__keras_tensor__", "config": {"keras_history": ["dna", 0, 0]}}
    flat = keras_layer("flat", nodes=[{"args": [argument], "kwargs": {}}])
    layers = plain_layers(functional([DNA, flat], output_layers=["flat", 0, 0]))
    assert layers[0]["shape"] == [9, 4]
    assert layers[1]["inputs"] == ["dna"]


def test_a_sequential_model_may_have_no_input_layer():
    conv = {"name": "c", "batch_input_shape": [None, 9, 4], "filters": 2, "kernel_size": [3]}
    description = {"class_name": "Sequential", "config": [{"class_name": "Conv1D", "config": conv}]}
    assert plain_layers(description)[0] == {
        "name": "input",
        "class": "InputLayer",
        "inputs": [],
        "shape": [9, 4],
    }
    assert plain_layers(plain_layers(description)) == plain_layers(description)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"class_name": "Transformer", "config": {}}, "class 'Transformer', expected one of Seq"),
        ({"class_name": "Sequential", "config": {}}, "damaged .KeyError: 'layers'"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "has no layer"),
        (functional([DNA]), "has the outputs none, but exactly one"),
        (functional([DNA], output_layers=[["a", 0, 0], ["b", 0, 0]]), "outputs a, b, but exactly"),
        (
            functional(
                [DNA, keras_layer("f", nodes=[[["dna", 0, 0, {}]], [["dna", 0, 0, {}]]])],
                output_layers=[["f", 0, 0]],
            ),
            r"layer 'f' \(Flatten\): it is used 2 times",
        ),
        (
            {
                "class_name": "Sequential",
                "config": [{"class_name": "Flatten", "config": {"name": "f"}}],
            },
            "shape of its input",
        ),
    ],
)
def test_refused_descriptions(description, message):
    with pytest.raises(InputError, match=message):
        plain_layers(description)
