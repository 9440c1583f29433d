"""Architecture borzoi: the package's network, at reduced size and with random weights."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from seqtrust.errors import InputError
from seqtrust.inference.predict import predict
from seqtrust.models.architectures import build_model
from seqtrust.models.borzoi import BorzoiParameters, Unsquash, unsquash_of
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate
from seqtrust.models.model import one_hot
from seqtrust.sequence_set import Edit, Sequence, SequenceSet, StoredWindow

borzoi_pytorch = pytest.importorskip(
    "borzoi_pytorch", reason="skipped: borzoi-pytorch is not installed (make test-adapters)"
)
from borzoi_pytorch.config_borzoi import BorzoiConfig  # noqa: E402

pytestmark = pytest.mark.slow
LENGTH = 1024
SMALL = {"input_length": LENGTH, "predicted_bins": 8, "channels": 24, "depth": 1, "heads": 2}
SQUASHED = SMALL | {"unsquash": False}
TABLE = Path(borzoi_pytorch.__file__).parent / "precomputed" / "targets.txt"
CAGE_PLUS, RNA = 0, 7522


@pytest.fixture(scope="module")
def network():
    """The package's network, with weights in every layer; also its head of mouse tracks."""
    torch.manual_seed(5)
    made = borzoi_pytorch.Borzoi.from_hparams(
        dim=24, depth=1, heads=2, bins_to_return=8, enable_mouse_head=True
    )
    for name, weight in made.named_parameters():
        if "to_out" in name:
            torch.nn.init.normal_(weight, std=0.3)
    # statistics of what it reads, without which hardly anything of the sequence is left
    made.train()
    for layer in made.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.momentum = None
    with torch.no_grad():
        made(one_hot(torch.from_numpy(some_codes(2, seed=9))))
    made.eval()
    return made


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("borzoi") / "model.safetensors"
    save_file({name: one.contiguous() for name, one in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def model(weights):
    return import_replicate(weights, "borzoi", SQUASHED, "GRCh38")


def some_codes(count=1, seed=1):
    return np.random.default_rng(seed).integers(0, 4, (count, LENGTH)).astype(np.uint8)


def rows():
    with TABLE.open(newline="") as opened:
        return list(csv.DictReader(opened, delimiter="\t"))


def squashed(coverage, row):
    """A bin's coverage as training had it, from the published steps: power, limit, scale."""
    power = 0.75 if row["sum_stat"] == "sum_sqrt" else 1.0
    limit = float(row["clip_soft"])
    value = coverage**power
    if value > limit:
        value = limit + (value - limit) ** 0.5
    return value * float(row["scale"])


def test_predictions_are_the_packages(model, network):
    codes = some_codes(2)
    codes[1, 30:60] = 4
    with torch.inference_mode():
        expected = network(one_hot(torch.from_numpy(codes))).transpose(1, 2)
    assert expected.std(dim=1).min() > 1e-3
    torch.testing.assert_close(model.predict(codes), expected)


def test_a_replicate_survives_its_file(model, tmp_path):
    save_replicate(tmp_path / "r", model)
    loaded = load_replicate(tmp_path / "r")
    assert loaded.facts == model.facts
    assert torch.equal(loaded.predict(some_codes()), model.predict(some_codes()))


def test_a_pytorch_file_gives_the_same(network, model, tmp_path):
    torch.save(network.state_dict(), tmp_path / "weights.bin")
    other = import_replicate(tmp_path / "weights.bin", "borzoi", SQUASHED, "GRCh38")
    assert torch.equal(other.predict(some_codes()), model.predict(some_codes()))


def test_tracks_and_their_strands_are_those_of_the_packages_table(model):
    tracks, table = model.facts.tracks, rows()
    assert len(tracks) == len(table) == 7611
    assert [track.name for track in tracks] == [row["description"] for row in table]
    assert list(model.facts.swapped_tracks()) == [int(row["strand_pair"]) for row in table]
    assert tracks[RNA].assay == "RNA"


def test_published_facts_and_sizes():
    parameters, config = BorzoiParameters(), BorzoiConfig()
    assert (parameters.channels, parameters.depth, parameters.heads) == (
        (config.dim, config.depth, config.heads)
    )
    assert parameters.predicted_bins == config.bins_to_return == 6144
    assert (parameters.input_length, parameters.crop) == (524_288, 163_840)
    small = build_model("borzoi", SMALL, (), "GRCh38").facts
    assert (small.bin_width, small.crop, small.bins(LENGTH)) == (32, (LENGTH - 8 * 32) // 2, 8)
    assert small.reach(0, 0)[1] >= LENGTH
    assert (small.output_scale, small.alphabet) == ("counts", "ACGT")


@pytest.mark.parametrize("coverage", [0.0, 0.4, 90.0, 2_800.0, 40_000.0])
def test_unsquashing_undoes_squashing_on_every_track(coverage):
    table = rows()
    values = torch.tensor([squashed(coverage, row) for row in table], dtype=torch.float64)
    undone = unsquash_of(TABLE).double()(values.expand(1, 2, -1))
    torch.testing.assert_close(undone, torch.full_like(undone, coverage), rtol=1e-5, atol=1e-7)


def test_unsquashing_is_the_packages():
    values = 30 * torch.rand(1, 4, 1)
    unsquash = Unsquash(torch.tensor([0.01]), torch.tensor([384.0]), torch.tensor([0.75]))
    from borzoi_pytorch.pytorch_borzoi_utils import undo_squashed_scale

    torch.testing.assert_close(unsquash(values), undo_squashed_scale(values))


def test_predictions_are_unsquashed_unless_asked_otherwise(model, weights):
    coverage = import_replicate(weights, "borzoi", SMALL, "GRCh38")
    assert coverage.parameters["unsquash"]
    found, kept = coverage.predict(some_codes())[0], model.predict(some_codes())[0]
    table = rows()
    for track in (CAGE_PLUS, RNA):
        for bin_ in (0, 7):
            again = squashed(found[bin_, track].double().item(), table[track])
            assert again == pytest.approx(kept[bin_, track].item(), rel=1e-4)


def test_a_sequence_set_is_predicted_on_both_strands(model):
    bases = some_codes()[0]
    window = StoredWindow("w", "hg38", "c", 100, 0, LENGTH, "+", 100, bases)
    base = "ACGT"[(bases[500] + 1) % 4]
    sequences = SequenceSet(
        [window], [Sequence("ref", 0, ()), Sequence("alt", 0, (Edit(600, 601, base),))]
    )
    wanted = [CAGE_PLUS, RNA]
    made = predict(model, sequences, {"profile": {"tracks": wanted}}, reverse_complement=True)
    codes = sequences.codes()
    turned = model.predict((3 - codes)[:, ::-1].copy()).flip(1)[..., [1, RNA]]
    expected = ((model.predict(codes)[..., wanted] + turned) / 2).transpose(1, 2)
    np.testing.assert_allclose(made.values["profile"], expected, rtol=1e-4, atol=1e-5)
    assert "network (ConvolutionsAndAttention)" in made.metadata["full_passes"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"input_length": 1000}, "input_length is 1000 bp, but must be a multiple of 128 bp"),
        ({"predicted_bins": 7}, "predicted_bins is 7, but must leave out as many of 32 bins"),
        ({"depth": 0}, "borzoi: depth is 0, but must be at least 1"),
        ({"heads": 2.5}, "borzoi: heads is 2.5, but must be a whole number"),
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters, message):
    with pytest.raises(InputError, match=message):
        build_model("borzoi", SMALL | parameters, (), "")


def test_another_number_of_tracks_is_refused():
    with pytest.raises(InputError, match="1 tracks, but the network of architecture 'borzoi'"):
        build_model("borzoi", SMALL, (Track("a"),), "")


def test_names_of_the_users_table_are_taken(model):
    renamed = tuple(replace(track, name=str(row)) for row, track in enumerate(model.facts.tracks))
    assert build_model("borzoi", SMALL, renamed, "GRCh38").facts.tracks == renamed
