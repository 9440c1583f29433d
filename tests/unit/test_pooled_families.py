"""Families with one value per sequence: twins written from their equations, and learning."""

import math
from pathlib import Path

import numpy as np
import pysam
import pytest
import torch
from pooled_networks import FAMILIES, LENGTH
from pooled_networks import network as one_of
from scipy import stats

from seqtrust.bases import encode
from seqtrust.errors import InputError
from seqtrust.genome import Genome, SplitRegions
from seqtrust.inference.ism import saturation
from seqtrust.inference.local_graph import NotLocalError
from seqtrust.inference.predict import predict
from seqtrust.inference.tracing import local_graph
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, mask_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.gaussian import with_log_variances
from seqtrust.models.training_set import train_replicate
from seqtrust.sequence_set import Edit, Sequence, SequenceSet, StoredWindow
from seqtrust.targets import read_targets

TOY = Path(__file__).parents[2] / "resources" / "toy"
TRACKS = (Track("a"), Track("b"))


def network(family, seed=3, **parameters):
    return one_of(family, seed, [track.name for track in TRACKS], **parameters)


def some_codes(count=3, length=LENGTH, seed=1):
    return np.random.default_rng(seed).integers(0, 4, (count, length)).astype(np.uint8)


def weights_of(model):
    return {name: tensor.double().numpy() for name, tensor in model.module.state_dict().items()}


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def softmax(values):
    shares = np.exp(values - values.max())
    return shares / shares.sum()


def convolved(values, weight, bias):
    """(channels, L) to (channels out, L): a sum of products at every position, zeros beyond."""
    half = weight.shape[2] // 2
    padded = np.pad(values, ((0, 0), (half, half)))
    return np.array(
        [
            [
                (padded[:, at : at + weight.shape[2]] * kernel).sum() + offset
                for at in range(values.shape[1])
            ]
            for kernel, offset in zip(weight, bias, strict=True)
        ]
    )


def motif_twin(codes, weights, prefix, pool):
    one_hot = (codes == np.arange(4)[:, None]).astype(float)
    bound = convolved(one_hot, weights[f"{prefix}.0.weight"], weights[f"{prefix}.0.bias"])
    whole = bound.shape[1] // pool * pool
    return np.maximum(bound, 0)[:, :whole].reshape(len(bound), -1, pool).max(axis=2)


def dense(values, weights, name):
    return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def head_twin(hidden, weights):
    values = dense(hidden, weights, "read_out")
    means, spread = values[: len(TRACKS)], values[len(TRACKS) :]
    return np.concatenate([means, -1 + 5 * np.tanh((spread + 1) / 5)])


def cnn_twin(codes, weights):
    values = motif_twin(codes, weights, "body.motifs", 4)
    values = convolved(values, weights["body.syntax.0.weight"], weights["body.syntax.0.bias"])
    values = np.maximum(values, 0)
    pooled = np.concatenate([values.max(axis=1), values.mean(axis=1)])
    return head_twin(np.maximum(dense(pooled, weights, "hidden.0"), 0), weights)


def lstm_twin(values, weights, ending):
    """States (positions, units) of one direction, gate by gate (input, forget, cell, output)."""
    name = "body.recurrence.lstm"
    units = weights[f"{name}.weight_hh_l0{ending}"].shape[1]
    state, cell, states = np.zeros(units), np.zeros(units), []
    for column in values.T:
        gates = (
            weights[f"{name}.weight_ih_l0{ending}"] @ column
            + weights[f"{name}.bias_ih_l0{ending}"]
            + weights[f"{name}.weight_hh_l0{ending}"] @ state
            + weights[f"{name}.bias_hh_l0{ending}"]
        )
        enter, forget, candidate, leave = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        state = sigmoid(leave) * np.tanh(cell)
        states.append(state)
    return np.array(states)


def bilstm_twin(codes, weights):
    values = motif_twin(codes, weights, "body.motifs", 4)
    forward = lstm_twin(values, weights, "")
    backward = lstm_twin(values[:, ::-1], weights, "_reverse")[::-1]
    states = np.concatenate([forward, backward], axis=1)
    shares = softmax(dense(states, weights, "body.pool.score")[:, 0])
    pooled = sum(share * state for share, state in zip(shares, states, strict=True))
    return head_twin(np.maximum(dense(pooled, weights, "hidden.0"), 0), weights)


def normalised(values, weights, name):
    centred = values - values.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attention_twin(values, weights, name, heads):
    """Every head and position by itself: a softmax over all positions."""
    query, key, value = (
        dense(values, weights, f"{name}.{kind}") for kind in ("query", "key", "value")
    )
    width = values.shape[1] // heads
    mixed = np.zeros_like(values)
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        for position in range(len(values)):
            scores = key[:, own] @ query[position, own] / math.sqrt(width)
            mixed[position, own] = softmax(scores) @ value[:, own]
    return dense(mixed, weights, f"{name}.mixed")


def transformer_twin(codes, weights):
    values = motif_twin(codes, weights, "body.motifs", 4).T
    channels = values.shape[1]
    for position in range(len(values)):
        for pair in range(channels // 2):
            angle = position / 10_000 ** (2 * pair / channels)
            values[position, 2 * pair] += math.sin(angle)
            values[position, 2 * pair + 1] += math.cos(angle)
    for block in (f"body.attention.blocks.{number}" for number in range(2)):
        shown = normalised(values, weights, f"{block}.attention.0")
        values = values + attention_twin(shown, weights, f"{block}.attention.1", heads=2)
        shown = normalised(values, weights, f"{block}.dense.0")
        hidden = np.maximum(dense(shown, weights, f"{block}.dense.1"), 0)
        values = values + dense(hidden, weights, f"{block}.dense.3")
    values = normalised(values, weights, "body.attention.normalisation")
    return head_twin(values.mean(axis=0), weights)


TWINS = {"pooled_cnn": cnn_twin, "bilstm": bilstm_twin, "transformer": transformer_twin}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_network_is_its_equations(family):
    model, codes = network(family), some_codes()
    codes[1, 5:9] = 4
    found = model.predict(codes).numpy()
    expected = [TWINS[family](sequence, weights_of(model)) for sequence in codes]
    np.testing.assert_allclose(found[:, 0], expected, atol=2e-5)


@pytest.mark.parametrize(
    ("family", "count"),
    [
        ("pooled_cnn", (4 * 15 + 1) * 64 + (64 * 5 + 1) * 64 + 129 * 64 + 65 * 4),
        ("bilstm", (4 * 15 + 1) * 64 + 2 * 4 * 64 * (64 + 64 + 2) + 129 + 129 * 64 + 65 * 4),
        (
            "transformer",
            (4 * 15 + 1) * 64 + 2 * (4 * 65 * 64 + 65 * 256 + 257 * 64 + 4 * 64) + 128 + 65 * 4,
        ),
    ],
)
def test_default_sizes(family, count):
    model = build_model(family, {}, TRACKS, "")
    assert sum(weight.numel() for weight in model.module.parameters()) == count
    facts = model.facts
    assert (facts.input_length, facts.bin_width, facts.crop, facts.receptive_field) == (
        (200, 200, 0, 200)
    )
    assert facts.output_scale == "log_expression"
    assert [track.name for track in facts.tracks] == ["a", "b", "a:log_variance", "b:log_variance"]
    assert model.predict(some_codes(2, 200)).shape == (2, 1, 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_replicate_survives_its_file(family, tmp_path):
    model = network(family)
    save_replicate(tmp_path / "r", model)
    loaded = load_replicate(tmp_path / "r")
    assert loaded.facts == model.facts
    assert torch.equal(loaded.predict(some_codes()), model.predict(some_codes()))


@pytest.mark.parametrize("family", FAMILIES)
def test_points_have_a_scale_and_no_variances(family):
    model = network(family, head="point", output="softplus")
    assert model.facts.tracks == TRACKS
    assert model.facts.output_scale == "counts"
    assert bool((model.predict(some_codes()) > 0).all())


def test_the_order_of_distant_motifs_matters_where_positions_or_states_do():
    """What one pool holds moves by whole pools; the outermost positions show the padding."""
    codes = some_codes(1, 40)[0]
    moved = np.concatenate([codes[:8], codes[20:32], codes[8:20], codes[32:]])
    both = np.stack([codes, moved])
    for family in ("bilstm", "transformer"):
        found = network(family, input_length=40).predict(both).numpy()
        assert np.abs(found[0] - found[1]).max() > 1e-4


def sequence_set(strands="++"):
    genome = some_codes(1, 400)[0]
    windows, sequences = [], []
    for index, strand in enumerate(strands):
        start = 40 + 20 * index
        bases = genome[start : start + LENGTH].copy()
        windows.append(
            StoredWindow(
                f"w{index}", "toy", "c", start, 0, LENGTH, strand, start, bases
            )
        )  # fmt: skip
        sequences.append(Sequence(f"w{index}", index, ()))
        base = "ACGT"[(bases[9] + 1) % 4]
        sequences.append(Sequence(f"w{index}_m", index, (Edit(start + 9, start + 10, base),)))
    return SequenceSet(windows, sequences)


@pytest.mark.parametrize(
    ("family", "layer"),
    [
        ("pooled_cnn", "amax"),
        ("bilstm", r"body.recurrence \(BidirectionalLSTM\)"),
        ("transformer", r"body.attention \(Attention\)"),
    ],
)
def test_inference_runs_whole_sequences_and_names_the_layer(family, layer):
    model = network(family)
    with pytest.raises(NotLocalError, match=layer):
        local_graph(model.module)
    sequences = sequence_set()
    made = predict(model, sequences, {"value": {}}, reverse_complement=True)
    codes = sequences.codes()
    turned = (3 - codes)[:, ::-1].copy()
    expected = (model.predict(codes) + model.predict(turned)) / 2
    np.testing.assert_allclose(made.values["value"][..., 0], expected[:, 0], atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_mutagenesis_equals_explicit_mutants(family):
    model, codes = network(family), some_codes(1)
    made = saturation(model, codes, {"value": {"tracks": ["a"]}}, reverse_complement=False)
    found = made.effects["value"][0, :, :, 0, 0]
    reference = model.predict(codes)[:, 0, 0].item()
    for position in (0, 17, LENGTH - 1):
        mutants = np.repeat(codes, 4, axis=0)
        mutants[:, position] = range(4)
        effects = model.predict(mutants)[:, 0, 0].numpy() - reference
        np.testing.assert_allclose(found[position], effects, atol=2e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_fixed_masks_drop_the_same_units_of_reference_and_mutant(family, tmp_path):
    save_replicate(tmp_path / "r", network(family, dropout=0.4))
    for seed in (1, 2):
        mask_replicate(tmp_path / "r", tmp_path / f"m{seed}", seed)
    plain, first, second = (load_replicate(tmp_path / name) for name in ("r", "m1", "m2"))
    sequences = sequence_set()
    outputs = {"value": {"tracks": ["a", "b"]}}
    values = [
        predict(model, sequences, outputs).values["value"]
        for model in (plain, first, second, first)
    ]
    np.testing.assert_array_equal(values[1], values[3])
    assert np.abs(values[1] - values[0]).max() > 1e-3
    assert np.abs(values[1] - values[2]).max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_that_cannot_be_are_refused(family):
    for parameters, message in (
        ({"channels": 0}, f"{family}: channels is 0, but must be at least 1"),
        ({"channels": 64.0}, f"{family}: channels is 64.0, but must be a whole number"),
        ({"input_length": 42.0}, f"{family}: input_length is 42.0, but must be a whole number"),
        ({"kernel": 5.0}, f"{family}: kernel is 5.0, but must be odd and positive"),
        ({"kernel": 4}, f"{family}: kernel is 4, but must be odd and positive"),
        ({"pool": 50}, f"{family}: input_length is 42 bp, but must be at least pool, 50 bp"),
        ({"dropout": 1.0}, rf"{family}: dropout is 1.0, but must be in \[0, 1\)"),
        ({"head": "laplace"}, f"{family}: head is 'laplace', but must be one of gaussian, evid"),
        ({"output": "softplus"}, f"{family}: head 'gaussian' needs output 'identity'"),
        ({"activation": "step"}, f"{family}: activation is 'step', but must be one of relu"),
    ):
        with pytest.raises(InputError, match=message):
            network(family, **parameters)
    with pytest.raises(InputError, match=f"{family}: there are variances among the tracks"):
        build_model(family, {"head": "point"}, with_log_variances(TRACKS), "")
    with pytest.raises(InputError, match="sequences of 40 bp, but the model takes 42 bp"):
        network(family).predict(some_codes(1, 40))


def test_parameters_of_one_family_are_refused_by_name():
    with pytest.raises(InputError, match="transformer: channels is 12, but must be a multiple of"):
        network("transformer", channels=12, heads=4)
    with pytest.raises(InputError, match="pooled_cnn: second_kernel is 2, but must be odd"):
        network("pooled_cnn", second_kernel=2)
    with pytest.raises(InputError, match="bilstm: units is 0, but must be at least 1"):
        network("bilstm", units=0)
    with pytest.raises(InputError, match=r"blocks is 1\.5, but must be a whole number"):
        network("transformer", blocks=1.5)


def tiles(width=512):
    """Tiles of the toy's genome, and the logarithm of their counts, standardised."""
    genome = Genome(str(TOY / "genome.fa"), "toy", "toy1")
    targets = read_targets(TOY / "log_tracks.tsv", genome)
    windows = []
    with pysam.FastaFile(str(TOY / "genome.fa")) as fasta:
        for contig in fasta.references:
            bases = encode(fasta.fetch(contig))
            windows += [
                StoredWindow(
                    f"{contig}_{start}", "toy", contig, start, 0, width, "+", start,
                    bases[start : start + width].copy(),
                )
                for start in range(0, len(bases) - width + 1, width)
            ]  # fmt: skip
    sequences = [Sequence(window.name, row, ()) for row, window in enumerate(windows)]
    regions = SplitRegions.from_bed(TOY / "splits.bed", genome)
    return SequenceSet(windows, sequences), targets, regions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "parameters", "epochs", "learning_rate"),
    [
        ("pooled_cnn", {"pool": 8, "second_kernel": 9}, 6, 0.005),
        ("bilstm", {"pool": 16}, 10, 0.004),
        ("transformer", {"pool": 16}, 12, 0.002),
    ],
)
def test_held_out_activity_of_the_toy_is_learned(family, parameters, epochs, learning_rate):
    sequences, targets, regions = tiles()
    model = train_replicate(
        sequences,
        targets,
        regions,
        seed=1,
        threads=1,
        device="cpu",
        build="toy1",
        settings={
            "architecture": family,
            "parameters": {"input_length": 512, "channels": 32, "dropout": 0.1, **parameters},
            "loss": "gaussian_nll",
            "validation_metric": "loss",
            "epochs": epochs,
            "batch_size": 32,
            "learning_rate": learning_rate,
            "training_fraction": 1.0,
            "bootstrap": False,
            "fixed_seeds": {},
        },
        progress=lambda line: None,
    )
    windows = sequences.windows
    test = [
        row
        for row, window in enumerate(windows)
        if regions.split_of(window.contig, window.window.start, window.window.end) == "test"
    ]
    measured = np.stack([targets.of_window(windows[row])[0] for row in test])
    predicted = model.predict(sequences.codes()[test]).numpy()[:, 0]
    r = np.corrcoef(measured[:, 0], predicted[:, 0])[0, 1]
    random = np.random.default_rng(0)
    shuffled = [
        np.corrcoef(random.permutation(measured[:, 0]), predicted[:, 0])[0, 1] for _ in range(200)
    ]
    assert r > 0.3 > max(shuffled)
    likelihood = stats.norm.logpdf(
        measured[:, 0], predicted[:, 0], np.exp(predicted[:, 2] / 2)
    ).mean()
    # the training values have mean 0 and deviation 1
    assert likelihood > stats.norm.logpdf(measured[:, 0]).mean()
