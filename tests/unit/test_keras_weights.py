"""Reading what Keras saved: both layouts, any names; what is damaged is refused by name."""

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_twins import save_keras

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate
from seqtrust.models.keras_weights import fill_from_keras, read_description, read_layers

h5py = pytest.importorskip("h5py")

LAYERS = [
    {"name": "dna", "class": "InputLayer", "shape": [8, 4]},
    {"name": "conv", "class": "Conv1D", "filters": 2, "kernel_size": 3},
    {"name": "norm", "class": "BatchNormalization"},
    {"name": "flat", "class": "Flatten"},
    {"name": "out", "class": "Dense", "units": 1},
]
PARAMETERS = {"layers": LAYERS, "output_scale": "counts"}
SHAPES = {
    "conv": {"kernel:0": (3, 4, 2), "bias:0": (2,)},
    "norm": {"gamma:0": (2,), "beta:0": (2,), "moving_mean:0": (2,), "moving_variance:0": (2,)},
    "out": {"kernel:0": (12, 1), "bias:0": (1,)},
}


def arrays(seed=0, suffix=1):
    """Layers as Keras saves them; the number in their names depends on the session."""
    random = np.random.default_rng(seed)
    return [
        (
            f"{layer}_{suffix}",
            [
                (f"{layer}_{suffix}/{name}", random.random(shape).astype(np.float32))
                for name, shape in SHAPES.get(layer, {}).items()
            ],
        )
        for layer in ("dna", "conv", "norm", "flat", "out")
    ]


def imported(path, **more):
    return import_replicate(path, "keras", PARAMETERS, "toy", **more)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    suffix=st.integers(0, 5000),
    whole=st.booleans(),
    as_bytes=st.booleans(),
    optimiser=st.booleans(),
    split=st.booleans(),
)
def test_every_layout_fills_the_network_by_order(
    tmp_path_factory, seed, suffix, whole, as_bytes, optimiser, split
):
    path = tmp_path_factory.mktemp("keras") / "weights.h5"
    layers = arrays(seed, suffix)
    save_keras(
        path, layers, whole=whole, as_bytes=as_bytes, optimiser=optimiser and whole, split=split
    )
    read = [(layer.name, list(layer.arrays)) for layer in read_layers(path)]
    assert read == [(name, [array for array, _ in of_layer]) for name, of_layer in layers]
    state = imported(path).module.state_dict()
    flat = [array for _, of_layer in layers for _, array in of_layer]
    for name, array in zip(
        (
            "layers.1.0.weight",
            "layers.1.0.bias",
            "layers.2.weight",
            "layers.2.bias",
            "layers.2.running_mean",
            "layers.2.running_var",
            "layers.4.0.weight",
            "layers.4.0.bias",
        ),
        flat,
        strict=True,
    ):
        assert np.array_equal(state[name].numpy(), array.T), name


def test_half_precision_becomes_single(tmp_path):
    layers = [
        (name, [(label, array.astype(np.float16)) for label, array in of_layer])
        for name, of_layer in arrays()
    ]
    save_keras(tmp_path / "w.h5", layers)
    assert {tensor.dtype for tensor in imported(tmp_path / "w.h5").module.parameters()} == {
        torch.float32
    }


def test_the_record_names_the_source(tmp_path):
    save_keras(tmp_path / "w.hdf5", arrays())
    record = imported(tmp_path / "w.hdf5").record
    assert (record["origin"], record["source_name"]) == ("import", "w.hdf5")
    assert record["source_bytes"] == (tmp_path / "w.hdf5").stat().st_size
    assert len(record["source_sha256"]) == 64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "w.h5 is a Git LFS pointer"),
        (b"", "w.h5 is not a whole HDF5 file"),
        (b"not weights at all", "w.h5 is not a whole HDF5 file"),
        (pickle.dumps({"weight": [1.0]}), "w.h5 is a pickle or a zip archive"),
        (b"PK\x03\x04" + b"\0" * 40, "w.h5 is a pickle or a zip archive"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, content, message):
    (tmp_path / "w.h5").write_bytes(content)
    with pytest.raises(InputError, match=message):
        imported(tmp_path / "w.h5")
    with pytest.raises(InputError, match=message):
        read_description(tmp_path / "w.h5")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent\.h5 cannot be read"):
        imported(tmp_path / "absent.h5")


@pytest.mark.parametrize(
    ("architecture", "parameters", "unread"),
    [
        ("bilstm", {}, "body.recurrence.lstm.weight_ih_l0"),
        ("chromatin", {"channels": [4, 4, 4], "dense": [4]}, "trunk.1.weight, trunk.1.bias"),
        ("bpnet", {"control": 1}, r"control.profile, control.totals\)"),
    ],
)
def test_architectures_with_weights_that_keras_files_lack_are_refused(
    tmp_path, architecture, parameters, unread
):
    """Their other arrays fit, so that the file would be read, and the rest stay random."""
    path = tmp_path / "w.h5"
    model = build_model(architecture, parameters, (Track("a"),), "toy")
    state = model.module.state_dict()
    kernels = [
        f"{name}.{part}"
        for name, layer in model.module.named_modules()
        if isinstance(layer, torch.nn.Conv1d | torch.nn.Linear)
        for part in ("weight", "bias")
    ]
    save_keras(path, [("layer", [(name, state[name].numpy().T) for name in kernels])])
    with pytest.raises(
        InputError, match=rf"'{architecture}' cannot be read from Keras files: .*{unread}"
    ):
        fill_from_keras(model.module, path, architecture)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_cut_file_is_refused(tmp_path, share):
    path = tmp_path / "w.h5"
    save_keras(path, arrays())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"w\.h5 is not a whole HDF5 file that Keras wrote"):
        imported(path)


def test_hdf5_that_keras_did_not_write_is_refused(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["predictions"] = np.zeros(3)
    with pytest.raises(InputError, match=r"w\.h5 is an HDF5 file without layer_names"):
        imported(path)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["dense"]
    with pytest.raises(InputError, match=r"w\.h5 is not a whole HDF5 file .*dense"):
        imported(path)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["dense"]
        file.create_group("dense").attrs["weight_names"] = ["kernel"]
        file["dense"]["kernel"] = np.zeros(3, dtype=np.int64)
    with pytest.raises(InputError, match=r"w\.h5: array kernel holds int64, expected float"):
        imported(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    layers = arrays()
    layers[2][1][3][1][0] = value
    save_keras(tmp_path / "w.h5", layers)
    with pytest.raises(InputError, match=r"w\.h5: NaN or infinite weights in norm_1: norm_1/mov"):
        imported(tmp_path / "w.h5")


def test_arrays_that_do_not_fit_are_listed(tmp_path):
    layers = arrays()
    layers[1][1][0] = ("conv_1/kernel:0", np.zeros((3, 4, 5), dtype=np.float32))
    save_keras(tmp_path / "w.h5", layers)
    with pytest.raises(InputError) as caught:
        imported(tmp_path / "w.h5")
    assert str(caught.value) == (
        f"{tmp_path / 'w.h5'} holds 8 arrays of weights, architecture 'keras' with its parameters "
        "expects 8; by order and shape they do not fit: array 1 (conv_1/kernel:0) is 3x4x5, "
        "expected 3x4x2 for layers.1.0.weight"
    )
    save_keras(tmp_path / "w.h5", arrays()[:-1])
    with pytest.raises(InputError, match=r"holds 6 .* expects 8; .* array 7 .none. is absent, exp"):
        imported(tmp_path / "w.h5")
    save_keras(tmp_path / "w.h5", [*arrays(), ("more", [("w", np.zeros((), np.float32))])])
    with pytest.raises(InputError, match=r"holds 9 .* array 9 .more: w. is a scalar, expected abs"):
        imported(tmp_path / "w.h5")


def test_a_refused_file_changes_nothing(tmp_path):
    save_keras(tmp_path / "good.h5", arrays(1))
    save_keras(tmp_path / "bad.h5", arrays(2)[:-1])
    model = imported(tmp_path / "good.h5")
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    with pytest.raises(InputError):
        fill_from_keras(model.module, tmp_path / "bad.h5", "keras")
    assert all(torch.equal(before[name], now) for name, now in model.module.state_dict().items())


def test_weights_alone_need_a_description(tmp_path):
    save_keras(tmp_path / "w.h5", arrays())
    with pytest.raises(InputError, match=r"w\.h5 holds weights without a description"):
        import_replicate(tmp_path / "w.h5", "keras", {"output_scale": "counts"}, "toy")


def keras_json():
    config = [
        {"class_name": layer["class"], "config": {k: v for k, v in layer.items() if k != "class"}}
        for layer in LAYERS
    ]
    return {"class_name": "Sequential", "config": {"layers": config}}


def test_a_description_comes_from_the_parameters_file_or_the_weights(tmp_path):
    save_keras(tmp_path / "alone.h5", arrays())
    save_keras(tmp_path / "whole.h5", arrays(), whole=True, description=keras_json())
    (tmp_path / "model.json").write_text(json.dumps(keras_json()))
    scale = {"output_scale": "counts"}
    from_json = import_replicate(
        tmp_path / "alone.h5", "keras", scale, "toy", parameters_file=tmp_path / "model.json"
    )
    from_weights = import_replicate(tmp_path / "whole.h5", "keras", scale, "toy")
    assert (
        from_json.parameters
        == from_weights.parameters
        == imported(tmp_path / "alone.h5").parameters
    )


def test_refused_parameters_files(tmp_path):
    save_keras(tmp_path / "w.h5", arrays())
    path = tmp_path / "model.json"
    path.write_text(json.dumps(keras_json()))
    with pytest.raises(InputError, match=r"model\.json: the parameter 'layers' is given as well"):
        imported(tmp_path / "w.h5", parameters_file=path)
    with pytest.raises(InputError, match=r"model\.json: architecture 'xpresso' takes no param"):
        import_replicate(tmp_path / "w.h5", "xpresso", {}, "toy", parameters_file=path)
    for content, message in (
        ("{", r"model\.json is not JSON"),
        ("[]", r"model\.json holds a list, expected names with values"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            import_replicate(tmp_path / "w.h5", "keras", {}, "toy", parameters_file=path)
    with pytest.raises(InputError, match=r"absent\.json cannot be read"):
        import_replicate(
            tmp_path / "w.h5", "keras", {}, "toy", parameters_file=tmp_path / "absent.json"
        )


def test_a_table_names_the_tracks(tmp_path):
    save_keras(tmp_path / "w.h5", arrays())
    (tmp_path / "tracks.tsv").write_text("index\tdescription\n0\tDNASE:K562\n")
    model = imported(tmp_path / "w.h5", tracks_file=tmp_path / "tracks.tsv")
    assert model.facts.tracks == (Track("DNASE:K562", "DNASE"),)
    (tmp_path / "tracks.tsv").write_text("name\na\nb\n")
    with pytest.raises(InputError, match=r"tracks\.tsv: 2 tracks, but .*'keras' predicts 1"):
        imported(tmp_path / "w.h5", tracks_file=tmp_path / "tracks.tsv")
