"""Replicates on disk: what is written is read, and what is damaged is refused by name."""

import json
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.card import read_card
from seqtrust.models.checkpoint import change_replicate, load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate
from seqtrust.models.training import initialise

TRACKS = (Track("plus", "CAGE", 1), Track("minus", "CAGE", 0), Track("open", "DNase"))


def replicate(seed=1, **parameters):
    model = build_model("cnn", {"channels": 4, "pool": [4, 2], **parameters}, TRACKS, "toy")
    initialise(model.module, seed)
    model.record = {"origin": "training", "seed": seed, "validation_r": [0.1, 0.25]}
    return model


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "r1.safetensors"
    save_replicate(path, replicate())
    return path


def rewrite(path, tensors=None, **changes):
    """The same file with other tensors or another card."""
    card = vars(read_card(path)) | changes
    save_file(tensors or load_file(path), path, metadata={"card": json.dumps(card)})


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    channels=st.integers(1, 6),
    dilations=st.lists(st.integers(1, 4), max_size=3),
    activation=st.sampled_from(["relu", "gelu", "exponential"]),
)
def test_what_is_saved_is_loaded(tmp_path_factory, seed, channels, dilations, activation):
    path = tmp_path_factory.mktemp("models") / "r.safetensors"
    model = replicate(seed, channels=channels, dilations=dilations, activation=activation)
    save_replicate(path, model)
    loaded = load_replicate(path)
    assert (loaded.facts, loaded.architecture) == (model.facts, model.architecture)
    assert (loaded.parameters, loaded.record) == (model.parameters, model.record)
    assert not loaded.module.training
    codes = np.random.default_rng(seed).integers(0, 5, (2, 64)).astype(np.uint8)
    assert torch.equal(loaded.predict(codes), model.predict(codes))


def test_equal_models_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        save_replicate(tmp_path / name, replicate())
    save_replicate(tmp_path / "c", replicate(seed=2))
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_a_failed_write_leaves_the_old_file_alone(saved, monkeypatch):
    before = saved.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_replicate(saved, replicate(seed=2))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


@pytest.mark.parametrize("size", [0, 5, 40, -1])
def test_a_cut_file_is_refused(saved, size):
    saved.write_bytes(saved.read_bytes()[:size])
    with pytest.raises(InputError, match=r"r1\.safetensors is not a whole safetensors file"):
        load_replicate(saved)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(position=st.integers(0, 60), byte=st.integers(0, 255))
def test_a_damaged_header_never_loads_as_another_model(tmp_path_factory, position, byte):
    path = tmp_path_factory.mktemp("models") / "r.safetensors"
    save_replicate(path, replicate())
    content = bytearray(path.read_bytes())
    content[position] = byte
    path.write_bytes(content)
    try:
        loaded = load_replicate(path)
    except InputError as error:
        named = str(path) in str(error)
    else:
        named = (loaded.facts, loaded.parameters) == (replicate().facts, replicate().parameters)
    assert named


def test_other_files_are_named_for_what_they_are(tmp_path):
    pickled, pointer, plain = (tmp_path / name for name in ("pickled", "pointer", "plain"))
    torch.save(replicate().module.state_dict(), pickled)
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    save_file(replicate().module.state_dict(), plain)
    with pytest.raises(InputError, match="pickled is a PyTorch pickle"):
        load_replicate(pickled)
    with pytest.raises(InputError, match="pointer is a Git LFS pointer"):
        load_replicate(pointer)
    with pytest.raises(InputError, match="plain has no model card"):
        load_replicate(plain)
    with pytest.raises(InputError, match="absent cannot be read"):
        load_replicate(tmp_path / "absent")


def test_a_header_of_any_length_is_read(tmp_path):
    model = replicate()
    # headers are padded to 8 bytes: 32 lengths in a row go through every first byte
    for length in range(0, 256, 8):
        model.record = {"note": "x" * length}
        save_replicate(tmp_path / "r.safetensors", model)
        assert read_card(tmp_path / "r.safetensors").record == model.record


def test_tensors_that_do_not_fit_are_all_listed(saved):
    tensors = load_file(saved)
    del tensors["read_out.bias"]
    tensors["extra"] = torch.zeros(3)
    tensors["motifs.0.weight"] = torch.zeros(4, 4, 3)
    rewrite(saved, tensors)
    with pytest.raises(InputError) as caught:
        load_replicate(saved)
    for part in (
        "r1.safetensors",
        "missing read_out.bias",
        "unexpected extra",
        "motifs.0.weight is 4x4x3, expected 4x4x15",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(saved, value):
    model = replicate()
    model.module.read_out.bias.data[1] = value
    with pytest.raises(InputError, match=r"NaN or infinite weights in read_out\.bias"):
        save_replicate(saved, model)
    rewrite(saved, model.module.state_dict())
    with pytest.raises(InputError, match=r"r1\.safetensors: NaN or infinite .* read_out\.bias"):
        load_replicate(saved)


def test_cards_that_cannot_be_trusted_are_refused(saved):
    facts = replicate().facts.to_dict()
    for changes, message in (
        ({"schema_version": 99}, "version 99, expected 1"),
        ({"architecture": "cnn2"}, r"r1\.safetensors: .* did you mean 'cnn'"),
        ({"facts": facts | {"tracks": []}}, r"r1\.safetensors: .* at least one track"),
        ({"parameters": "none"}, "card is damaged .parameters is 'none'"),
        ({"facts": facts | {"receptive_field": 9_999}}, "receptive_field = 9999"),
    ):
        rewrite(saved, **changes)
        with pytest.raises(InputError, match=message):
            load_replicate(saved)
        save_replicate(saved, replicate())


def test_records_hold_plain_types_only(saved):
    model = replicate()
    for record in ({"r": np.float32(0.5)}, {"r": float("nan")}):
        model.record = record
        with pytest.raises(InputError, match="not plain JSON"):
            save_replicate(saved, model)


def test_import_reads_a_state_dict_and_records_its_checksum(tmp_path):
    model = replicate()
    source = tmp_path / "weights.pt"
    torch.save(model.module.state_dict(), source)
    imported = import_replicate(source, "cnn", model.parameters, "toy", TRACKS)
    codes = np.zeros((1, 32), dtype=np.uint8)
    assert torch.equal(imported.predict(codes), model.predict(codes))
    assert len(imported.record["source_sha256"]) == 64
    assert imported.record["source_name"] == "weights.pt"


class RunsCode:
    def __reduce__(self):
        return os.mkdir, (os.environ["SEQTRUST_TEST_TRAP"],)


def test_import_never_runs_code(tmp_path, monkeypatch):
    trap = tmp_path / "trap"
    monkeypatch.setenv("SEQTRUST_TEST_TRAP", str(trap))
    source = tmp_path / "weights.pt"
    torch.save({"weight": RunsCode()}, source)
    with pytest.raises(InputError, match="Files that need code"):
        import_replicate(source, "cnn", {}, "toy", TRACKS)
    assert not trap.exists()


def test_imports_that_are_no_state_dict_are_refused(tmp_path):
    source = tmp_path / "weights.pt"
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"not a model", "not a PyTorch state dict"),
        (b"", "not a PyTorch state dict"),
    ):
        source.write_bytes(content)
        with pytest.raises(InputError, match=message):
            import_replicate(source, "cnn", {}, "toy", TRACKS)
    torch.save({"epoch": 3, "state": {}}, source)
    with pytest.raises(InputError, match="expected names with tensors"):
        import_replicate(source, "cnn", {}, "toy", TRACKS)
    torch.save(replicate().module.state_dict(), source)
    with pytest.raises(InputError, match="does not fit architecture 'cnn'"):
        import_replicate(source, "cnn", {"channels": 5, "pool": [4, 2]}, "toy", TRACKS)
    with pytest.raises(InputError, match="absent cannot be read"):
        import_replicate(tmp_path / "absent", "cnn", {}, "toy", TRACKS)


def test_other_parameters_for_the_same_weights(saved, tmp_path):
    """Softplus left out: the network's own rates before it."""
    path = tmp_path / "changed.safetensors"
    change_replicate(saved, path, {"output": "identity"})
    before, after = load_replicate(saved), load_replicate(path)
    codes = np.random.default_rng(0).integers(0, 4, (3, 64)).astype(np.uint8)
    rates = torch.nn.functional.softplus(after.predict(codes))
    torch.testing.assert_close(rates, before.predict(codes))
    assert after.facts.output_scale == "log_expression"
    assert after.record == before.record | {"changed_parameters": {"output": "identity"}}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"channels": 8}, r"same: parameters .*'channels': 8.*does not fit architecture 'cnn'"),
        ({"chanels": 8}, r"same: parameters .*has no parameter 'chanels'"),
    ],
)
def test_parameters_that_do_not_fit_the_weights_are_refused(saved, tmp_path, parameters, message):
    with pytest.raises(InputError, match=message):
        change_replicate(saved, tmp_path / "changed.safetensors", parameters)
