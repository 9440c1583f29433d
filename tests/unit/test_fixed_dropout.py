"""Dropout masks that stay the same: their draw, their place in the genome, every fast path."""

import numpy as np
import pytest
import torch

from seqtrust.errors import InputError
from seqtrust.inference.ism import mutagenesis, saturation
from seqtrust.inference.masks import Masks, places_of
from seqtrust.inference.predict import predict
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, mask_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.fixed_dropout import FixedDropout, fix_masks, mixed
from seqtrust.models.training import initialise
from seqtrust.sequence_set import Edit, Sequence, SequenceSet, StoredWindow

LENGTH = 96
BIN = 8
OUTPUTS = {"profile": {}, "total": {"bins": [3, 9], "reduction": "sum"}}
PARAMETERS = {"channels": 8, "kernel": 7, "pool": [4, 2], "dilations": [1, 2], "dropout": 0.4}


def network(seed=None, parameters=None):
    model = build_model("cnn", PARAMETERS | (parameters or {}), (Track("a"), Track("b")), "toy")
    initialise(model.module, 3)
    if seed is not None:
        fix_masks(model.module, seed)
    return model


def sequence_set(places, edits=1, seed=2):
    """Windows at (start, strand) of one contig, each with its reference and edited sequences."""
    rng = np.random.default_rng(seed)
    genome = rng.integers(0, 4, 2000).astype(np.uint8)
    windows, sequences = [], []
    for index, (start, strand) in enumerate(places):
        windows.append(
            StoredWindow(
                name=f"w{index}",
                assembly="toy",
                contig="c",
                anchor=start,
                anchor_index=0,
                length=LENGTH,
                strand=strand,
                flank_start=start,
                bases=genome[start : start + LENGTH].copy(),
            )
        )
        sequences.append(Sequence(f"w{index}", index, ()))
        for number in range(edits):
            at = int(start + 20 + 25 * number)
            base = "ACGT"[(genome[at] + 1) % 4]
            sequences.append(Sequence(f"w{index}_{number}", index, (Edit(at, at + 1, base),)))
    return SequenceSet(windows, sequences)


def test_random_bits_are_those_of_splitmix64():
    # first outputs for seed 0, from the reference implementation
    state = torch.tensor([0, 0x9E3779B97F4A7C15 - 2**64])
    found = [value % 2**64 for value in mixed(state).tolist()]
    assert found == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_masks_drop_at_their_rate_and_keep_the_mean():
    mask = FixedDropout(0.3, seed=1, layer=0).mask(400, 0, 500, torch.device("cpu"))
    dropped = (mask == 0).float().mean()
    # 200,000 units: four standard errors
    assert abs(float(dropped) - 0.3) < 4 * (0.21 / 200_000) ** 0.5
    assert float(mask.max()) == pytest.approx(1 / 0.7)
    # neighbours in channel and position are independent
    for one, other in ((mask[:, 1:], mask[:, :-1]), (mask[:, :, 1:], mask[:, :, :-1])):
        both = ((one == 0) & (other == 0)).float().mean()
        assert abs(float(both) - 0.09) < 0.003


@pytest.mark.parametrize("other", [{"seed": 2}, {"layer": 1}])
def test_masks_of_other_seeds_and_layers_differ(other):
    settings = {"seed": 1, "layer": 0}
    one, two = (
        FixedDropout(0.5, **chosen).mask(100, 0, 100, torch.device("cpu"))
        for chosen in (settings, settings | other)
    )
    agree = float((one == two).float().mean())
    assert abs(agree - 0.5) < 0.02


def masks_at(start, strand, other_strand=False):
    """Masks of the layers across bins, by genome position in the order of the genome."""
    model = network(seed=4)
    masks = Masks(model, LENGTH)
    masks.place(places_of([(start, strand)]), other_strand)
    layer = next(one for one in model.module.modules() if isinstance(one, FixedDropout))
    found = layer.mask(8, 0, LENGTH // BIN, torch.device("cpu"))[0]
    return found.flip(1) if (strand == "-") ^ other_strand else found


def test_overlapping_windows_and_both_strands_share_their_masks():
    here = masks_at(800, "+")
    assert torch.equal(masks_at(800 + 3 * BIN, "+")[:, :-3], here[:, 3:])
    assert torch.equal(masks_at(800, "-"), here)
    assert torch.equal(masks_at(800, "+", other_strand=True), here)
    assert torch.equal(masks_at(800, "-", other_strand=True), here)
    assert not torch.equal(masks_at(1200, "+"), here)


@pytest.mark.parametrize("turned", [False, True])
def test_every_saving_keeps_the_masks(turned):
    sequences = sequence_set([(800, "+"), (816, "+"), (40, "-"), (800, "-")], edits=3)
    settings = {"reverse_complement": turned, "batch_bases": 7 * LENGTH}
    fast = predict(network(seed=1), sequences, OUTPUTS, **settings)
    slow = predict(network(seed=1), sequences, OUTPUTS, savings=False, **settings)
    plain = predict(network(), sequences, OUTPUTS, **settings)
    for name, values in slow.values.items():
        np.testing.assert_allclose(fast.values[name], values, rtol=2e-5, atol=1e-6)
        assert np.abs(values - plain.values[name]).max() > 0.01


def test_sequences_of_one_window_share_stretches_and_masks(monkeypatch):
    monkeypatch.setattr("seqtrust.inference.engine._PLANNING", {"cpu": 0})
    sequences = sequence_set([(800, "+"), (400, "-")], edits=3)
    fast = predict(network(seed=1), sequences, OUTPUTS)
    slow = predict(network(seed=1), sequences, OUTPUTS, savings=False)
    for name, values in slow.values.items():
        np.testing.assert_allclose(fast.values[name], values, rtol=2e-5, atol=1e-6)


def test_equal_sequences_at_different_places_are_not_one():
    sequences = sequence_set([(800, "+"), (1200, "+")], edits=0)
    sequences.windows[1].bases[:] = sequences.windows[0].bases
    masked = predict(network(seed=1), sequences, OUTPUTS).values["profile"]
    plain = predict(network(), sequences, OUTPUTS).values["profile"]
    assert np.array_equal(plain[0], plain[1])
    assert np.abs(masked[0] - masked[1]).max() > 0.01


@pytest.mark.parametrize("strand", ["+", "-"])
def test_mutants_keep_the_masks_of_their_sequence(strand):
    sequences = sequence_set([(800, strand)], edits=0)
    settings = {"reverse_complement": True, "shifts": (-1, 0), "batch_bytes": None}
    given = settings | {"region": None, "threads": 1, "device": "cpu"}
    found = {}
    for savings in (True, False):
        outputs = {"profile": {}}
        with mutagenesis(network(seed=1), LENGTH, outputs, savings=savings, **given) as run:
            (row,) = run.rows(sequences)
            assert run.full_because == ("" if savings else "asked for")
        found[savings] = row.effects
    np.testing.assert_allclose(found[True], found[False], rtol=0, atol=2e-6)
    elsewhere = saturation(network(seed=1), sequences.codes(), {"profile": {}}, shifts=(-1, 0))
    assert np.abs(elsewhere.effects["profile"][0] - found[True]).max() > 1e-3


def test_a_masked_replicate_is_read_as_it_was_written(tmp_path):
    source, target = tmp_path / "r1.safetensors", tmp_path / "m1.safetensors"
    save_replicate(source, network())
    mask_replicate(source, target, seed=7)
    sequences = sequence_set([(800, "+")])
    found = predict(load_replicate(target), sequences, OUTPUTS)
    expected = predict(network(seed=7), sequences, OUTPUTS)
    assert np.array_equal(found.values["profile"], expected.values["profile"])
    with pytest.raises(InputError, match="has fixed dropout masks already"):
        mask_replicate(target, tmp_path / "m2.safetensors", seed=8)


def test_networks_without_dropout_are_refused(tmp_path):
    source = tmp_path / "r1.safetensors"
    save_replicate(source, network(parameters={"dropout": 0.0}))
    with pytest.raises(InputError, match=r"r1.safetensors: the network has no layer .*dropout"):
        mask_replicate(source, tmp_path / "m1.safetensors", seed=7)
    with pytest.raises(InputError, match="layer 0 is Dropout1d, which has no fixed masks"):
        fix_masks(torch.nn.Sequential(torch.nn.Dropout1d(0.1)), 1)


def test_masks_of_vectors_are_by_feature():
    layer = FixedDropout(0.5, seed=1, layer=0)
    layer.origin = torch.zeros(3, dtype=torch.long)
    values = torch.ones(3, 50)
    assert torch.equal(layer(values)[0], layer(values)[2])
    with pytest.raises(InputError, match="reads 4 axes"):
        layer(torch.ones(1, 2, 3, 4))
