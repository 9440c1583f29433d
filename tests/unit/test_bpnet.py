"""BPNet: published sizes, a naive twin, strands, control, mutagenesis, and refused settings."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.bases import reverse_complement
from seqtrust.errors import InputError
from seqtrust.inference.ism import saturation
from seqtrust.inference.predict import predict
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate
from seqtrust.models.losses import make_loss
from seqtrust.models.training import initialise
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

TRIMMED = {
    "first_kernel": 21,
    "layers": 8,
    "profile_kernel": 75,
    "padding": "valid",
    "input_length": 2114,
}
SMALL = {"channels": 5, "first_kernel": 7, "layers": 3, "profile_kernel": 9, "input_length": 120}
STRANDS = (Track("p", reverse_complement_index=1), Track("m", reverse_complement_index=0))
# the strands of one experiment apart from each other, and a track without strands
MIXED = (
    Track("a_plus", reverse_complement_index=3),
    Track("b"),
    Track("c_minus", reverse_complement_index=4),
    Track("a_minus", reverse_complement_index=0),
    Track("c_plus", reverse_complement_index=2),
)


def network(tracks=STRANDS, seed=1, **parameters):
    model = build_model("bpnet", SMALL | parameters, tracks, "toy")
    initialise(model.module, seed)
    # totals that differ between tracks and sequences
    torch.nn.init.normal_(model.module.network.counts.weight, std=3.0)
    if model.module.control is not None:
        torch.nn.init.normal_(model.module.control.profile, std=0.1)
        torch.nn.init.normal_(model.module.control.totals)
    return model


def some_codes(count, length, seed=1):
    return np.random.default_rng(seed).integers(0, 4, (count, length)).astype(np.uint8)


def predicted(model, codes, **choices):
    """The predictions (N, positions, tracks) of the engine, and its metadata."""
    windows = [
        StoredWindow(f"w{row}", "toy", "c1", 0, 0, codes.shape[1], "+", 0, bases)
        for row, bases in enumerate(codes)
    ]
    sequences = SequenceSet(windows, [Sequence(f"s{row}", row) for row in range(len(codes))])
    found = predict(model, sequences, {"all": {}}, **choices)
    return np.moveaxis(found.values["all"], 1, -1), found.metadata


def parameter_count(**parameters):
    tracks = [
        Track(f"{name}{strand}", reverse_complement_index=2 * index + 1 - strand)
        for index, name in enumerate(("oct4", "sox2", "nanog", "klf4"))
        for strand in range(2)
    ]
    module = build_model("bpnet", parameters, tracks, "toy").module
    return sum(one.numel() for one in module.parameters())


def test_the_published_network_has_the_published_number_of_weights():
    """By the layers of Avsec et al. 2021: four experiments of two strands.

    With a control each experiment has three weights for the profile (two tracks and their
    smoothed sum) and two for the total.
    """
    trunk = (4 * 25 + 1) * 64 + 9 * (64 * 3 + 1) * 64
    head = (64 * 25 + 1) * 2 + (64 + 1) * 2
    assert parameter_count() == trunk + 4 * head == 130_960
    assert parameter_count(control=2) == 130_960 + 4 * 5


def test_the_published_forms_map_1000_to_1000_and_2114_to_1000():
    same, trimmed = (build_model("bpnet", one, STRANDS, "toy") for one in ({}, TRIMMED))
    assert (same.facts.input_length, same.facts.crop, same.facts.bins(1000)) == (1000, 0, 1000)
    assert (trimmed.facts.crop, trimmed.facts.bins(2114)) == (557, 1000)
    assert trimmed.predict(some_codes(2, 2114)).shape == (2, 1000, 2)
    assert same.facts.output_scale == trimmed.facts.output_scale == "counts"
    for facts in (same.facts, trimmed.facts):
        start, stop = facts.reach(0, 0)
        assert start <= 0
        assert stop >= facts.input_length


def naive(model, codes, control=None):
    """Expected counts (positions, tracks) of one sequence by loops over positions, float64."""
    p = model.parameters
    state = {name: t.double().numpy() for name, t in model.module.state_dict().items()}

    def convolved(values, name, dilation=1):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        width = weight.shape[-1]
        reach = dilation * (width - 1) // 2
        padded = np.pad(values, ((0, 0), (reach, reach))) if p["padding"] == "same" else values
        stop = padded.shape[1] - 2 * reach
        return np.array(
            [
                bias + sum(weight[..., k] @ padded[:, i + k * dilation] for k in range(width))
                for i in range(stop)
            ]
        ).T

    values = np.maximum(convolved(np.eye(5)[codes, :4].T, "network.stem"), 0)
    for number in range(p["layers"]):
        found = convolved(values, f"network.dilated.{number}.convolution", 2 ** (number + 1))
        lost = (values.shape[1] - found.shape[1]) // 2
        values = values[:, lost : values.shape[1] - lost] + np.maximum(found, 0)
    logits = convolved(values, "network.profile")
    spare = (logits.shape[1] - model.facts.bins(len(codes))) // 2
    logits = logits[:, spare : logits.shape[1] - spare]
    totals = state["network.counts.weight"] @ values.mean(axis=1) + state["network.counts.bias"]
    tracks = model.facts.tracks
    swapped = model.facts.swapped_tracks()
    firsts = sorted({min(pair) for pair in enumerate(swapped)})
    if control is not None:
        summed = np.pad(control.sum(axis=1), (24, 25))
        smooth = np.array([summed[i : i + 50].sum() for i in range(len(control))])
        columns = np.vstack([control.T, smooth])
        for track in range(len(tracks)):
            experiment = firsts.index(min(track, swapped[track]))
            logits[track] += state["control.profile"][experiment] @ columns
        total = state["control.totals"] @ np.log1p(control.sum(axis=0))
        joint = p["softmax"] == "joint"
        owners = firsts if joint else range(len(tracks))
        totals = totals + [total[firsts.index(min(one, swapped[one]))] for one in owners]
    result = np.empty(logits.shape)
    for track, other in enumerate(swapped):
        if p["softmax"] == "strand":
            whole, total = np.exp(logits[track]).sum(), totals[track]
        else:
            whole = sum(np.exp(logits[one]).sum() for one in {track, other})
            total = totals[firsts.index(min(track, other))]
        result[track] = np.exp(total) * np.exp(logits[track]) / whole
    return result.T


@pytest.mark.parametrize("softmax", ["strand", "joint"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"padding": "valid"}, {"padding": "valid", "output_length": 70}, {"control": 2}],
)
def test_a_naive_network_says_the_same(softmax, parameters):
    model = network(MIXED, softmax=softmax, **parameters)
    codes = some_codes(2, 120)
    codes[0, 7] = 4
    control = None
    if "control" in parameters:
        control = np.random.default_rng(2).poisson(0.5, (2, 120, 2)).astype(np.float32)
    with torch.inference_mode():
        inputs = () if control is None else (torch.from_numpy(control),)
        found = model.module(model.encode(torch.from_numpy(codes)), *inputs).numpy()
    for row in range(2):
        expected = naive(model, codes[row], None if control is None else control[row])
        np.testing.assert_allclose(found[row], expected, rtol=2e-4)


@given(seed=st.integers(0, 99), joint=st.booleans())
@settings(max_examples=10, deadline=None)
def test_totals_are_those_of_the_count_head(seed, joint):
    model = network(MIXED, seed, softmax="joint" if joint else "strand")
    codes = torch.from_numpy(some_codes(3, 120, seed))
    with torch.inference_mode():
        totals = torch.exp(model.module.network(model.encode(codes))[1])
        found = model.module(model.encode(codes)).sum(dim=1)
    if joint:
        found = torch.stack([found[:, [0, 3]].sum(1), found[:, 1], found[:, [2, 4]].sum(1)], 1)
    torch.testing.assert_close(found, totals)


def test_a_control_of_zeros_is_none_and_only_a_fitting_one_is_taken():
    model = network(control=2)
    inputs = model.encode(torch.from_numpy(some_codes(2, 120)))
    with torch.inference_mode():
        without = model.module(inputs)
        assert torch.equal(without, model.module(inputs, torch.zeros(2, 120, 2)))
        assert not torch.allclose(without, model.module(inputs, torch.ones(2, 120, 2)))
        with pytest.raises(InputError, match="3 control tracks, but parameter control is 2"):
            model.module(inputs, torch.zeros(2, 120, 3))
        with pytest.raises(InputError, match="parameter control is 0: give the number"):
            network().module(inputs, torch.zeros(2, 120, 2))


@given(seed=st.integers(0, 99), joint=st.booleans())
@settings(max_examples=5, deadline=None)
def test_predictions_averaged_over_strands_turn_with_the_sequence(seed, joint):
    """Bins are reversed, and each track is that of the other strand."""
    model = network(MIXED, seed, softmax="joint" if joint else "strand", padding="valid")
    codes = some_codes(2, 120, seed)
    both = np.stack([codes[0], reverse_complement(codes[0])])
    profiles, _ = predicted(model, both, reverse_complement=True)
    turned = profiles[1][::-1][:, list(model.facts.swapped_tracks())]
    np.testing.assert_allclose(profiles[0], turned, rtol=1e-5)
    alone = model.predict(both).numpy()
    assert not np.allclose(alone[0], alone[1][::-1][:, list(model.facts.swapped_tracks())])


@pytest.mark.parametrize("name", ["multinomial_counts", "multinomial_counts_joint"])
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_gradients_are_finite_where_the_softmax_underflows(name, scale):
    model = network()
    inputs = model.encode(torch.from_numpy(some_codes(4, 120)))
    counts = torch.from_numpy(np.random.default_rng(1).poisson(20, (4, 120, 2))).float()
    with torch.no_grad():
        model.module.network.profile.weight.mul_(scale)
    predictions = model.module(inputs)
    assert (scale == 1.0) == bool((predictions > 0).all())
    loss = make_loss(name, model.facts, beta=0.5, masked=False, count_weight=10.0)
    value = loss(predictions, counts)
    value.backward()
    assert bool(torch.isfinite(value))
    for parameter in model.module.parameters():
        assert bool(torch.isfinite(parameter.grad).all())


def test_mutagenesis_takes_differences_through_trunk_and_heads():
    model = network(softmax="joint", padding="valid")
    codes = some_codes(1, 120)
    outputs = {"profile": {}, "total": {"reduction": "sum", "tracks": ["p"]}}
    fast = saturation(model, codes, outputs)
    full = saturation(model, codes, outputs, savings=False)
    assert not fast.metadata["full_because"]
    for name in outputs:
        np.testing.assert_allclose(
            fast.effects[name], full.effects[name], atol=1e-3 * full.effects[name].std()
        )


@pytest.mark.parametrize("parameters", [{}, {"control": 1}])
def test_predictions_are_full_passes_because_of_the_profile(parameters):
    model = network(**parameters)
    codes = some_codes(3, 120)
    profiles, metadata = predicted(model, codes)
    assert metadata["full_passes"] == "network.flatten (Flatten)"
    np.testing.assert_allclose(profiles, model.predict(codes), rtol=1e-5)


def lite_network(channels, layers, tracks, seed=1):
    """A state dict in bpnet-lite's layout, without a control."""
    random = torch.Generator().manual_seed(seed)
    shapes = {
        "iconv": (channels, 4, 21),
        **{f"rconvs.{number}": (channels, channels, 3) for number in range(layers)},
        "fconv": (tracks, channels, 75),
        "linear": (1, channels),
    }
    state = {}
    for name, shape in shapes.items():
        scale = np.prod(shape[1:]) ** -0.5
        state[f"{name}.weight"] = scale * torch.randn(shape, generator=random)
        state[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=random)
    return state


def lite(state, inputs, layers, trimming):
    """Logits (N, tracks, positions) and log counts (N,) by bpnet-lite's steps: padded, trimmed."""
    functional = torch.nn.functional
    start, end = trimming, inputs.shape[2] - trimming
    values = functional.conv1d(inputs, state["iconv.weight"], state["iconv.bias"], padding=10)
    values = functional.relu(values)
    for i in range(layers):
        width = 2 ** (i + 1)
        weight, bias = state[f"rconvs.{i}.weight"], state[f"rconvs.{i}.bias"]
        change = functional.conv1d(values, weight, bias, padding=width, dilation=width)
        values = values + functional.relu(change)
    logits = functional.conv1d(values, state["fconv.weight"], state["fconv.bias"], padding=37)
    mean = values[:, :, start - 37 : end + 37].mean(dim=2)
    counts = mean @ state["linear.weight"].T + state["linear.bias"]
    return logits[:, :, start:end], counts[:, 0]


def counts_of(logits, log_total):
    """Expected counts (N, positions, tracks): one softmax over both strands."""
    p = torch.softmax(logits.flatten(1), dim=1).reshape(logits.shape)
    return (torch.exp(log_total)[:, None, None] * p).transpose(1, 2)


@pytest.mark.parametrize("architecture", ["bpnet", "chrombpnet"])
def test_weights_of_bpnet_lite_are_imported(tmp_path, architecture):
    parameters = TRIMMED | {"channels": 6, "softmax": "joint"}
    main = lite_network(6, 8, 2)
    state = main
    if architecture == "chrombpnet":
        parameters |= {"bias": {"channels": 4, "layers": 4}, "without_bias": False}
        bias = lite_network(4, 4, 2, seed=2)
        state = {f"accessibility.{name}": one for name, one in main.items()}
        state |= {f"bias.{name}": one for name, one in bias.items()}
    torch.save(state, tmp_path / "lite.torch")
    model = import_replicate(tmp_path / "lite.torch", architecture, parameters, "hg38", STRANDS)
    codes = some_codes(2, 2114)
    inputs = model.encode(torch.from_numpy(codes))
    logits, total = lite(main, inputs, 8, 557)
    if architecture == "chrombpnet":
        # its totals see what the convolutions of four layers leave, as in the original
        more, more_total = lite(bias, inputs, 4, 557)
        wide = lite(bias, inputs, 4, 77)[1]
        logits = logits + more
        assert not torch.allclose(more_total, wide)
        total = torch.logaddexp(total, wide)
    torch.testing.assert_close(model.predict(codes), counts_of(logits, total), rtol=1e-4, atol=1e-9)


def test_a_stored_network_is_the_same(tmp_path):
    model = network(MIXED, softmax="joint", control=2)
    save_replicate(tmp_path / "r1", model)
    stored = load_replicate(tmp_path / "r1")
    assert stored.facts == model.facts
    codes = some_codes(2, 120)
    assert torch.equal(stored.predict(codes), model.predict(codes))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"padding": "causal"}, "bpnet: padding is 'causal', but must be one of same, valid"),
        ({"softmax": "both"}, "bpnet: softmax is 'both', but must be one of strand, joint"),
        ({"first_kernel": 20}, "bpnet: first_kernel is 20, but must be odd and positive"),
        ({"profile_kernel": 25.0}, "bpnet: profile_kernel is 25.0, but must be odd and positive"),
        ({"channels": 0}, "bpnet: channels is 0, but must be at least 1"),
        ({"layers": -1}, "bpnet: layers is -1, but must be at least 0"),
        ({"layers": 1.5}, "bpnet: layers is 1.5, but must be a whole number"),
        ({"control": True}, "bpnet: control is True, but must be a whole number"),
        ({"input_length": 1e3}, "bpnet: input_length is 1000.0, but must be a whole number"),
        ({"output_length": 0}, "bpnet: output_length is 0, but must be at least 1"),
        ({"output_length": 99.5}, "bpnet: output_length is 99.5, but must be a whole number"),
        (
            TRIMMED | {"input_length": 1114},
            "input_length is 1114, but valid convolutions leave out 557 bp at each end: use more "
            "than 1114 bp",
        ),
        ({"output_length": 999}, "output_length is 999, but must be positive, at most 1000"),
        ({"output_length": 1002}, "output_length is 1002, but must be positive, at most 1000"),
    ],
)
def test_refused_parameters_say_what_is_allowed(parameters, message):
    with pytest.raises(InputError, match=re.escape(message)):
        build_model("bpnet", parameters, STRANDS, "toy")
