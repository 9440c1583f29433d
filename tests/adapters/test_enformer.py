"""Architecture enformer: the package's network, at reduced size and with random weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from seqtrust.errors import InputError
from seqtrust.inference.predict import predict
from seqtrust.models import enformer
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate
from seqtrust.models.model import one_hot
from seqtrust.sequence_set import Edit, Sequence, SequenceSet, StoredWindow

enformer_pytorch = pytest.importorskip(
    "enformer_pytorch", reason="skipped: enformer-pytorch is not installed (make test-adapters)"
)

LENGTH = 12 * 128
SMALL = {
    "input_length": LENGTH,
    "predicted_bins": 8,
    "channels": 96,
    "depth": 2,
    "heads": 4,
    "channel_step": 16,
    "tensorflow_gamma": False,
}


@pytest.fixture(scope="module", autouse=True)
def few_tracks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enformer, "TRACKS", {"human": 7, "mouse": 3})
        yield


def whole_network(seed=5):
    """The package's network of both species, with weights in every layer."""
    torch.manual_seed(seed)
    network = enformer_pytorch.Enformer.from_hparams(
        dim=96,
        depth=2,
        heads=4,
        output_heads={"human": 7, "mouse": 3},
        target_length=8,
        dim_divisible_by=16,
    ).eval()
    for name, weight in network.named_parameters():
        if "to_out" in name or "norm" in name:
            torch.nn.init.normal_(weight, std=0.3)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return network


def some_codes(count=2, seed=1):
    return np.random.default_rng(seed).integers(0, 4, (count, LENGTH)).astype(np.uint8)


def imported(tmp_path, state, **parameters):
    torch.save(state, tmp_path / "weights.pt")
    return import_replicate(tmp_path / "weights.pt", "enformer", SMALL | parameters, "GRCh38")


def of_package(network, codes, species):
    with torch.inference_mode():
        return network(one_hot(torch.from_numpy(codes)).transpose(1, 2))[species]


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_predictions_are_the_packages(tmp_path, species):
    network, codes = whole_network(), some_codes()
    codes[1, 30:60] = 4
    model = imported(tmp_path, network.state_dict(), species=species)
    expected = of_package(network, codes, species)
    assert expected.std(dim=1).min() > 1e-3
    torch.testing.assert_close(model.predict(codes), expected)


def test_channels_are_a_c_g_t():
    text = "ACGTN"
    codes = torch.tensor([[0, 1, 2, 3, 4]], dtype=torch.uint8)
    assert torch.equal(one_hot(codes)[0].T, enformer_pytorch.str_to_one_hot(text))


@pytest.mark.parametrize("kept", ["_trunk.", "stem conv_tower transformer final_pointwise"])
def test_files_with_either_name_of_a_part_are_read(tmp_path, kept):
    """Tensors with two names are stored under one of them in safetensors."""
    network = whole_network()
    state = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.startswith(("_heads", *kept.split()))
    }
    assert len(state) < len(network.state_dict())
    codes = some_codes(1)
    expected = of_package(network, codes, "human")
    torch.testing.assert_close(imported(tmp_path, state).predict(codes), expected)


def test_a_safetensors_file_and_a_replicate_are_read(tmp_path):
    network, codes = whole_network(), some_codes(1)
    state = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not name.startswith("_trunk.")
    }
    save_file(state, tmp_path / "model.safetensors")
    model = import_replicate(tmp_path / "model.safetensors", "enformer", SMALL, "GRCh38")
    expected = of_package(network, codes, "human")
    torch.testing.assert_close(model.predict(codes), expected)
    save_replicate(tmp_path / "r", model)
    loaded = load_replicate(tmp_path / "r")
    assert loaded.facts == model.facts
    assert torch.equal(loaded.predict(codes), model.predict(codes))


def test_a_file_of_another_network_is_refused(tmp_path):
    state = {"stem.0.weight": torch.zeros(3, 4, 15)}
    with pytest.raises(InputError, match=r"does not fit architecture 'enformer'.*missing network"):
        imported(tmp_path, state)


def test_published_facts():
    small = whole_network()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enformer, "TRACKS", {"human": 5313, "mouse": 1643})
        patch.setattr(enformer_pytorch.Enformer, "from_hparams", lambda **sizes: small)
        facts = {
            species: build_model("enformer", {"species": species}, (), "GRCh38").facts
            for species in ("human", "mouse")
        }
    human = facts["human"]
    assert (human.input_length, human.bin_width, human.crop) == (196_608, 128, 40_960)
    assert human.bins(196_608) == 896
    assert human.reach(0, 0)[1] >= 196_608
    assert human.reach(895, 895)[0] <= 0
    assert (human.output_scale, human.alphabet) == ("counts", "ACGT")
    assert [len(one.tracks) for one in facts.values()] == [5313, 1643]


def test_published_parameters_are_the_packages_defaults():
    parameters, config = enformer.EnformerParameters(), enformer_pytorch.EnformerConfig()
    assert (parameters.channels, parameters.depth, parameters.heads) == (
        (config.dim, config.depth, config.heads)
    )
    assert parameters.predicted_bins == config.target_length
    assert parameters.channel_step == config.dim_divisible_by
    assert parameters.input_length == enformer_pytorch.SEQUENCE_LENGTH
    assert config.output_heads == {"human": 5313, "mouse": 1643}


def test_a_sequence_set_is_predicted_on_both_strands(tmp_path):
    model = imported(tmp_path, whole_network().state_dict())
    model.facts = replace(
        model.facts,
        tracks=(Track("plus", "CAGE", 1), Track("minus", "CAGE", 0), *model.facts.tracks[2:]),
    )
    bases = some_codes(1)[0]
    window = StoredWindow("w", "hg38", "c", 100, 0, LENGTH, "+", 100, bases)
    base = "ACGT"[(bases[700] + 1) % 4]
    sequences = SequenceSet(
        [window], [Sequence("ref", 0, ()), Sequence("alt", 0, (Edit(800, 801, base),))]
    )
    made = predict(model, sequences, {"profile": {}}, reverse_complement=True)
    codes = sequences.codes()
    forward = model.predict(codes)
    turned = model.predict((3 - codes)[:, ::-1].copy()).flip(1)[..., [1, 0, 2, 3, 4, 5, 6]]
    expected = ((forward + turned) / 2).transpose(1, 2)
    np.testing.assert_allclose(made.values["profile"], expected, rtol=1e-4, atol=1e-5)
    assert "network (ConvolutionsAndAttention)" in made.metadata["full_passes"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"species": "rat"}, "species is 'rat', but must be one of human, mouse"),
        ({"input_length": 1000}, "input_length is 1000 bp, but must be a multiple of 128 bp"),
        ({"predicted_bins": 7}, "predicted_bins is 7, but must leave out as many of 12 bins"),
        ({"channels": 100}, "channels is 100, but must be a multiple of"),
        ({"tensorflow_gamma": True}, "tensorflow_gamma is for 1536 bins and 192 channels per head"),
        ({"depth": 0}, "depth, heads and channel_step must be at least 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters, message):
    with pytest.raises(InputError, match=message):
        build_model("enformer", SMALL | parameters, (), "")


def test_another_number_of_tracks_is_refused():
    with pytest.raises(InputError, match="2 tracks, but the network of architecture 'enformer'"):
        build_model("enformer", SMALL, (Track("a"), Track("b")), "")
