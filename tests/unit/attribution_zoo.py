"""Small networks of every family, and their attribution maps."""

import numpy as np
import torch
from test_basenji2 import tiny

from seqtrust.attribution.attribute import Request, attribute
from seqtrust.attribution.map_tables import read_attributions, read_quality
from seqtrust.config import load_schema
from seqtrust.models.architectures import build_model
from seqtrust.models.chrombpnet import take_bias
from seqtrust.models.facts import Track
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

TRACKS = (Track("plus", reverse_complement_index=1), Track("minus", reverse_complement_index=0))
LABELS = (Track("a"), Track("b"))
SUM = {"tracks": "all", "bins": "all", "reduction": "sum"}
BPNET = {"channels": 5, "first_kernel": 7, "layers": 2, "profile_kernel": 9, "input_length": 90}
KERAS = [
    {"class": "InputLayer", "shape": [40, 4]},
    {"class": "Conv1D", "filters": 6, "kernel_size": 5, "padding": "same", "activation": "relu"},
    {"class": "MaxPooling1D", "pool_size": 4, "strides": 2, "padding": "same"},
    {"class": "BatchNormalization"},
    {"class": "Flatten"},
]


def keras(units, activation, scale="probability"):
    head = {"class": "Dense", "units": units, "activation": activation}
    layers = [{"name": f"l{number}", **layer} for number, layer in enumerate([*KERAS, head])]
    return {"layers": layers, "output_scale": scale}


# name: architecture, parameters, tracks, length
ZOO = {
    "cnn_exponential": ("cnn", {"channels": 6, "kernel": 7, "pool": [4, 2]}, TRACKS, 64),
    "cnn_gaussian": (
        "cnn",
        {"channels": 6, "pool": [8], "head": "gaussian", "output": "identity"},
        LABELS,
        64,
    ),
    "cnn_gelu": ("cnn", {"channels": 6, "pool": [8], "activation": "gelu"}, LABELS, 64),
    "cnn_sigmoid": ("cnn", {"channels": 6, "pool": [8], "output": "sigmoid"}, LABELS, 64),
    "cnn_local": ("cnn_local", {}, LABELS, 200),
    "cnn_dist": ("cnn_dist", {"activation": "exponential"}, LABELS, 200),
    "pooled_cnn": (
        "pooled_cnn",
        {"input_length": 42, "channels": 6, "kernel": 5, "second_kernel": 3, "dense": 7},
        LABELS,
        42,
    ),
    "bilstm": (
        "bilstm",
        {"input_length": 42, "channels": 6, "kernel": 5, "units": 5, "dense": 7},
        LABELS,
        42,
    ),
    "transformer": (
        "transformer",
        {"input_length": 42, "channels": 8, "kernel": 5, "heads": 2, "feed_forward": 10},
        LABELS,
        42,
    ),
    "basenji2": ("basenji2", {"model": tiny()}, (), 64),
    "bpnet": ("bpnet", BPNET, TRACKS, 90),
    "chrombpnet": ("chrombpnet", BPNET | {"output_length": 40}, TRACKS, 90),
    "deepsea": (
        "deepsea",
        {"channels": [4, 5, 6], "dense": 7, "input_length": 600, "floor": 1e-6},
        LABELS,
        600,
    ),
    "chromatin_basset": (
        "chromatin",
        {
            "trunk": "basset",
            "head": "binary",
            "channels": [6, 4, 5],
            "dense": [7, 8],
            "input_length": 1000,
        },
        LABELS,
        1000,
    ),
    "chromatin_basenji": (
        "chromatin",
        {"trunk": "basenji", "head": "profile", "channels": [6, 4, 5], "input_length": 1024},
        LABELS,
        1024,
    ),
    "keras_sigmoid": ("keras", keras(2, "sigmoid"), LABELS, 40),
    "keras_softmax": ("keras", keras(3, "softmax"), (*LABELS, Track("c")), 40),
    "keras_linear": ("keras", keras(2, "linear", "log_expression"), LABELS, 40),
    "mpra_dragonn": ("mpra_dragonn", {}, (), 145),
    "pangolin": ("pangolin", {"heads": ["heart_p_splice", "brain_usage"]}, (), 10_003),
}


def network(name, parameters=None, seed=3):
    """A model with weights and statistics that are not those of a fresh one."""
    architecture, settings, tracks, _ = ZOO[name]
    if architecture == "chrombpnet":
        bias = build_model("bpnet", settings | {"padding": "valid"}, tracks, "toy")
        one = bias.parameters
        model = build_model(
            architecture, settings | {"bias": one, "softmax": one["softmax"]}, tracks, "toy"
        )
        take_bias(model, bias)
    else:
        model = build_model(architecture, settings | (parameters or {}), tracks, "toy")
    return shaken(model, seed)


def shaken(model, seed=3):
    random = torch.Generator().manual_seed(seed)
    for layer in model.module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.2, generator=random)
            layer.running_var.uniform_(0.5, 2, generator=random)
    with torch.no_grad():
        for weights in model.module.parameters():
            weights += 0.05 * torch.randn(weights.shape, generator=random)
    return model


def some_codes(count, length, seed=1):
    return np.random.default_rng(seed).integers(0, 4, (count, length)).astype(np.uint8)


def sequence_set(codes, first=0):
    """A set in which every sequence has a window of its own; ids go on from `first`."""
    windows = [
        StoredWindow(f"w{row}", "toy", "c1", 1000 * row, 0, codes.shape[1], "+", 1000 * row, one)
        for row, one in enumerate(codes)
    ]
    sequences = [Sequence(f"s{first + row}", row) for row in range(len(codes))]
    return SequenceSet(windows, sequences, {"length": str(codes.shape[1])})


def defaults(method):
    """The settings of a method that the schema fills in."""
    schema = load_schema("config/schemas/config.schema.json")
    settings = schema["$defs"]["attribution_methods"]["properties"][method]["properties"]
    return {name: one["default"] for name, one in settings.items()}


class Mapped:
    """Maps of all tracks, as stored and as read."""

    def __init__(self, path, metadata):
        self.path = path
        self.metadata = metadata
        self.quality = read_quality([path]).to_pandas()
        self.tracks = list(dict.fromkeys(self.quality["track"]))

    def read(self, track=None, corrected=True):
        return read_attributions([self.path], track or self.tracks[0], corrected)

    def stored(self):
        """(N, tracks, P, 4) as the method gave them."""
        return np.stack([self.read(track, False).maps for track in self.tracks], axis=1)

    def predictions(self):
        return np.stack([self.read(track).predictions for track in self.tracks], axis=1)


def mapped(folder, model, codes, method, output=SUM, settings=None, ids_from=0, **request):
    """Maps by one method."""
    path = folder / f"{method}.parquet"
    asked = Request(method, defaults(method) | (settings or {}), **request)
    metadata = attribute(path, model, sequence_set(codes, ids_from), {"o": output}, asked)
    return Mapped(path, metadata)


def one_number(model, codes, output=SUM):
    """What is explained of one-hot input, by a function of its own: codes to float64 (N, tracks).

    The output itself; see the tests of logits for probabilities.
    """
    values = model.predict(codes).double().numpy()
    return values.sum(axis=1) if output["reduction"] == "sum" else values.mean(axis=1)
