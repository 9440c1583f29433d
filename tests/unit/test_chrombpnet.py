"""ChromBPNet: published sizes, how two networks are put together, and a frozen bias network."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.chrombpnet import as_measured, take_bias
from seqtrust.models.facts import Track
from seqtrust.models.training import initialise, train
from seqtrust.models.training_settings import Seeds

ROOT = Path(__file__).parents[2]
TRACKS = (Track("atac"),)
STRANDS = (Track("p", reverse_complement_index=1), Track("m", reverse_complement_index=0))
BIAS = {
    "channels": 4,
    "first_kernel": 7,
    "layers": 1,
    "profile_kernel": 5,
    "padding": "valid",
    "input_length": 90,
    "output_length": 40,
}
MAIN = {
    "channels": 5,
    "first_kernel": 7,
    "layers": 2,
    "profile_kernel": 9,
    "input_length": 90,
    "output_length": 40,
}


def bias_network(tracks=STRANDS, **parameters):
    model = build_model("bpnet", BIAS | parameters, tracks, "toy")
    initialise(model.module, 7)
    return model


def network(bias, tracks=STRANDS, **parameters):
    settings = MAIN | {"bias": bias.parameters, "softmax": bias.parameters["softmax"]}
    model = build_model("chrombpnet", settings | parameters, tracks, "toy")
    take_bias(model, bias)
    return model


def some_codes(count, length=90):
    return np.random.default_rng(1).integers(0, 4, (count, length)).astype(np.uint8)


def test_the_published_network_has_the_published_number_of_weights():
    """512 channels and 8 layers beside 128 channels and 4 layers (Pampari et al. 2024)."""
    model = build_model("chrombpnet", {}, TRACKS, "hg38")

    def weights(channels, layers):
        trunk = (4 * 21 + 1) * channels + layers * (3 * channels + 1) * channels
        return trunk + 75 * channels + 1 + channels + 1

    trained = [one.numel() for one in model.module.parameters() if one.requires_grad]
    assert sum(trained) == weights(512, 8) == 6_377_986
    every = sum(one.numel() for one in model.module.parameters())
    assert every == weights(512, 8) + weights(128, 4)
    assert (model.facts.crop, model.facts.bins(2114)) == (557, 1000)


@pytest.mark.parametrize("softmax", ["strand", "joint"])
def test_logits_and_totals_add_up(softmax):
    bias = bias_network(softmax=softmax)
    model = network(bias, without_bias=False)
    codes = some_codes(3)
    inputs = model.encode(torch.from_numpy(codes))
    with torch.inference_mode():
        (logits, total), (more, more_total) = (
            part(inputs) for part in (model.module.network, bias.module.network)
        )
    summed = (logits + more).double().reshape(3, 2, 40)
    totals = torch.exp(total.double()) + torch.exp(more_total.double())
    axes = (2,) if softmax == "strand" else (1, 2)
    p = torch.exp(summed) / torch.exp(summed).sum(dim=axes, keepdim=True)
    expected = (totals[:, :, None] * p).transpose(1, 2)
    torch.testing.assert_close(model.predict(codes).double(), expected, rtol=1e-4, atol=0)


def test_the_corrected_prediction_is_the_main_network_alone():
    bias = bias_network()
    model = network(bias)
    codes = some_codes(2)
    plain = build_model("bpnet", MAIN | {"padding": "valid"}, STRANDS, "toy")
    plain.module.network.load_state_dict(model.module.network.state_dict())
    assert torch.equal(model.predict(codes), plain.predict(codes))
    with as_measured(model.module):
        assert not torch.allclose(model.predict(codes), plain.predict(codes))
    assert torch.equal(model.predict(codes), plain.predict(codes))
    with as_measured(plain.module):
        assert torch.equal(model.predict(codes), plain.predict(codes))


def test_training_leaves_the_bias_network_and_its_draw_alone():
    bias = bias_network()
    model = network(bias, without_bias=False)
    targets = np.random.default_rng(2).poisson(1, (12, 40, 2)).astype(np.float32)
    splits = ["train"] * 8 + ["validation"] * 4
    train(
        model,
        some_codes(12),
        targets,
        splits,
        seed=1,
        epochs=1,
        loss="multinomial_counts",
        regularisation={"spectral_norm": True, "l2": 0.1},
    )
    before, after = bias.module.network.state_dict(), model.module.bias.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    drawn = network(bias)
    initialise(drawn.module, Seeds.derive(1).initialisation)
    moved = model.module.network.state_dict()
    for name, weights in drawn.module.network.state_dict().items():
        assert not torch.equal(weights, moved[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": {"width": 3}}, "chrombpnet: bias has no parameter 'width'"),
        ({"softmax": "both"}, "chrombpnet: softmax is 'both'"),
        ({"bias": {"input_length": 2200}}, "input_length is 2114, but 2200 in the bias network"),
        ({"bias": {"output_length": 900}}, "output_length is 1000, but 900 in the bias network"),
        ({"bias": {"control": 1}}, "the bias network has a control: train it without one"),
    ],
)
def test_refused_parameters_say_what_is_allowed(change, message):
    with pytest.raises(InputError, match=re.escape(message)):
        build_model("chrombpnet", change, TRACKS, "toy")


def test_a_bias_network_of_another_kind_or_of_other_tracks_is_refused():
    model = network(bias_network())
    with pytest.raises(InputError, match="is of architecture 'cnn': name a replicate"):
        take_bias(model, build_model("cnn", {}, STRANDS, "toy"))
    with pytest.raises(InputError, match="predicts atac, the main one p, m"):
        take_bias(model, bias_network(TRACKS))


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (None, "chrombpnet/model/train/bias: architecture chrombpnet needs it"),
        ({"ensemble": "cut_bias", "replicate": 2}, "there is no trained replicate 2 of"),
        ("basenji", "bias: it needs counts at single bases, which basenji has not"),
        ({"ensemble": "cnn"}, "no trained replicate 1 of architecture bpnet in 'cnn'"),
    ],
)
def test_the_config_names_a_trained_bias_network(bias, message):
    schema = load_schema(ROOT / "config" / "schemas" / "config.schema.json")
    config = yaml.safe_load((ROOT / "config" / "toy_families.yaml").read_text())
    train_settings = config["ensembles"]["chrombpnet"]["model"]["train"]
    named = train_settings.pop("bias")
    if bias == "basenji":
        train_settings |= {"basenji": {"path": "data"}, "bias": named}
        bias = None
    if bias is not None:
        train_settings["bias"] = bias
    with pytest.raises(InputError, match=message):
        checked_config(config, schema)
