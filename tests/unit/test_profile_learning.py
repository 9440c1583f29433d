"""BPNet and ChromBPNet learn the toy's cuts: held-out profiles, totals, footprints, the bias."""

import json
from pathlib import Path

import numpy as np
import pysam
import pytest
import torch

from seqtrust import bases
from seqtrust.config import load_schema
from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.measured import MeasuredWindows
from seqtrust.measured_sources import measure_signals
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.chrombpnet import as_measured
from seqtrust.models.losses import make_loss
from seqtrust.models.training_set import train_replicate
from seqtrust.motifs import read_meme
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.sources import toy_profiles

ROOT = Path(__file__).parents[2]
TOY = ROOT / "resources" / "toy"
NETWORK = {
    "channels": 16,
    "first_kernel": 13,
    "layers": 3,
    "profile_kernel": 25,
    "padding": "valid",
    "input_length": 288,
}
CROP, POSITIONS = 32, 224
BLOCKS = [
    ("train", "toy2", 0, 150_000),
    ("validation", "toy2", 150_000, 175_000),
    ("test", "toy2", 300_000, 350_000),
]
REGIONS = SplitRegions.from_rows(BLOCKS)


@pytest.fixture(scope="module")
def genome():
    with pysam.FastaFile(str(TOY / "genome.fa")) as fasta:
        return {contig: bases.encode(fasta.fetch(contig)) for contig in fasta.references}


def tiles(genome, blocks):
    windows = [
        StoredWindow(
            f"{contig}:{start}", "toy", contig, start, 0, 288, "+", start,
            genome[contig][start : start + 288],
        )
        for _, contig, first, last in blocks
        for start in range(first, last - 288 + 1, POSITIONS)
    ]  # fmt: skip
    return SequenceSet(windows, [Sequence(f"s{row}", row) for row in range(len(windows))])


def measured(folder, sequences, table="cut_tracks_control.tsv"):
    path = folder / "cuts.arrow"
    settings = {"bin_width": 1, "crop": CROP, "missing": "zero"}
    measure_signals(path, TOY / table, sequences, settings)
    return MeasuredWindows(path)


def trained(sequences, targets, regions=REGIONS, bias=None, **settings):
    schema = load_schema(ROOT / "config" / "schemas" / "config.schema.json")
    known = schema["$defs"]["train"]["properties"]
    defaults = {name: one["default"] for name, one in known.items() if "default" in one}
    return train_replicate(
        sequences,
        targets,
        regions,
        seed=1,
        threads=1,
        device="cpu",
        build="toy1",
        settings=defaults
        | {
            "architecture": "bpnet",
            "parameters": NETWORK,
            "control": ["cuts_control"],
            "loss": "multinomial_counts",
            "count_weight": 20,
            "learning_rate": 8e-3,
            "epochs": 6,
            "validation_metric": "loss",
        }
        | settings,
        progress=lambda line: None,
        bias=bias,
    )


@pytest.fixture(scope="module")
def motifs():
    return {motif.name: motif for motif in read_meme(TOY / "motifs.meme")}


@pytest.fixture(scope="module")
def threshold():
    return json.loads((TOY / "truth.json").read_text())["grammar"]["threshold"]


@pytest.fixture(scope="module")
def data(genome, tmp_path_factory):
    sequences = tiles(genome, BLOCKS)
    return sequences, measured(tmp_path_factory.mktemp("cuts"), sequences)


@pytest.fixture(scope="module")
def bpnet(data):
    return trained(*data, parameters=NETWORK | {"control": 1})


@pytest.fixture(scope="module")
def held_out(data):
    """Codes (N, L), cuts of both strands (N, positions, 2) and control (N, positions, 1)."""
    sequences, targets = data
    rows = [row for row, one in enumerate(sequences.windows) if one.window.start >= 300_000]
    values = np.stack([targets.of_window(sequences.windows[row], CROP) for row in rows])
    return sequences.codes()[rows], values[..., :2], values[..., 2:]


def with_control(model, held_out):
    codes, _, control = held_out
    with torch.inference_mode():
        inputs = model.encode(torch.from_numpy(codes))
        return model.module(inputs, torch.from_numpy(control)).numpy()


def divergence(p, q):
    """Mean Jensen-Shannon divergence of profiles (N, positions), in bits."""
    p, q = (values / values.sum(axis=1, keepdims=True) for values in (p, q))
    middle = (p + q) / 2
    terms = [np.where(x > 0, x * np.log2(np.maximum(x, 1e-30) / middle), 0) for x in (p, q)]
    return float(np.mean((terms[0] + terms[1]).sum(axis=1) / 2))


def of_windows(values):
    return np.log1p(values.sum(axis=(1, 2)))


def test_bpnet_predicts_cuts_of_held_out_sequence(bpnet, held_out):
    """Without the control, as at inference; the mean profile knows nothing of a sequence."""
    codes, cuts, _ = held_out
    found = bpnet.predict(codes).numpy()
    shuffled = np.random.default_rng(1).permutation(len(cuts))
    r = np.corrcoef(found.ravel(), cuts.ravel())[0, 1]
    assert r > 0.35
    assert abs(np.corrcoef(found.ravel(), cuts[shuffled].ravel())[0, 1]) < 0.05
    assert np.corrcoef(of_windows(found), of_windows(cuts))[0, 1] > 0.3
    assert abs(np.corrcoef(of_windows(found), of_windows(cuts[shuffled]))[0, 1]) < 0.2
    for strand in range(2):
        some = cuts[..., strand].sum(axis=1) >= 5
        observed, predicted = cuts[some, :, strand], found[some, :, strand]
        mean = np.broadcast_to(cuts[..., strand].mean(axis=0) + 1e-3, observed.shape)
        assert divergence(observed, predicted) < divergence(observed, mean) - 0.1


def test_the_control_explains_what_the_sequence_does_not(bpnet, held_out):
    codes, cuts, _ = held_out
    expected = torch.from_numpy(cuts)
    loss = make_loss("multinomial_counts", bpnet.facts, beta=0.5, masked=False, count_weight=20)
    shown, alone = (
        loss(torch.from_numpy(found), expected).item()
        for found in (with_control(bpnet, held_out), bpnet.predict(codes).numpy())
    )
    assert shown < alone - 1
    totals = [
        np.corrcoef(of_windows(found), of_windows(cuts))[0, 1]
        for found in (with_control(bpnet, held_out), bpnet.predict(codes).numpy())
    ]
    assert totals[0] > totals[1]


def test_bpnet_recovers_a_planted_footprint(bpnet, motifs, threshold):
    """The strongest motif in random sequence: where its cuts are, and on which strand more."""
    motif, footprint = motifs["TOY1"], toy_profiles.FOOTPRINTS["TOY1"]
    backgrounds = np.random.default_rng(3).integers(0, 4, (100, 288)).astype(np.uint8)
    start = 144 - motif.width // 2
    for strand in range(2):
        site = motif.consensus if strand == 0 else 3 - motif.consensus[::-1]
        codes = backgrounds.copy()
        codes[:, start : start + motif.width] = site
        found = (bpnet.predict(codes) - bpnet.predict(backgrounds)).numpy().mean(axis=0)
        truth = np.mean(
            [toy_profiles.expected_cuts(one, motifs, threshold)[:, CROP:-CROP].T for one in codes],
            axis=0,
        )
        assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.8
        centre = 144 - CROP
        for reading, side in enumerate((-1, 1)):
            peak = centre + side * footprint.offset
            assert abs(int(found[:, reading].argmax()) - peak) <= 3
        assert found[:, strand].max() > 1.2 * found[:, 1 - strand].max()


@pytest.fixture(scope="module")
def bias(genome, motifs, threshold, tmp_path_factory):
    """A bias network of the parts of the training blocks that hold no site."""
    blocks = [
        (split, contig, start, end)
        for contig, start, end, split in (
            line.split("\t") for line in (TOY / "splits.bed").read_text().splitlines()
        )
        if split != "test" and contig != "toy1"
    ]
    blocks = [(split, contig, int(start), int(end)) for split, contig, start, end in blocks]
    every = tiles(genome, blocks)
    background = [
        window
        for window in every.windows
        if toy_profiles.expected_cuts(window.bases, motifs, threshold).sum() < 4
    ]
    sequences = SequenceSet(background, [Sequence(w.name, i) for i, w in enumerate(background)])
    targets = measured(tmp_path_factory.mktemp("bias"), sequences, "cut_tracks.tsv")
    small = {"channels": 8, "first_kernel": 7, "layers": 0, "profile_kernel": 1}
    regions = SplitRegions.from_rows(blocks)
    parameters = NETWORK | small | {"output_length": POSITIONS}
    return trained(sequences, targets, regions, control=[], parameters=parameters, epochs=4)


@pytest.fixture(scope="module")
def chrombpnet(data, bias, tmp_path_factory):
    sequences, _ = data
    targets = measured(tmp_path_factory.mktemp("main"), sequences, "cut_tracks.tsv")
    return trained(
        sequences, targets, bias=bias, control=[], architecture="chrombpnet", epochs=4,
        parameters=NETWORK | {"output_length": POSITIONS},
    )  # fmt: skip


def preferred(codes):
    """Log of the planted preference, (N, positions, 2)."""
    return np.log(np.stack([toy_profiles.preference(one).T[CROP:-CROP] for one in codes]))


def agreement(model, codes):
    return np.corrcoef(np.log(model.predict(codes).numpy()).ravel(), preferred(codes).ravel())[0, 1]


def test_the_bias_network_learns_the_preference(bias, held_out):
    assert agreement(bias, held_out[0]) > 0.6


def test_chrombpnet_learns_beside_a_bias_network_that_stays(chrombpnet, bias, held_out, tmp_path):
    codes, cuts, _ = held_out
    before, after = bias.module.network.state_dict(), chrombpnet.module.bias.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    corrected = chrombpnet.predict(codes)
    with as_measured(chrombpnet.module):
        whole = chrombpnet.predict(codes)
        with_bias = agreement(chrombpnet, codes)
    assert np.corrcoef(whole.numpy().ravel(), cuts.ravel())[0, 1] > 0.3
    assert np.corrcoef(corrected.numpy().ravel(), cuts.ravel())[0, 1] > 0.2
    assert agreement(chrombpnet, codes) < with_bias - 0.2
    assert bool((whole.sum(dim=1) > corrected.sum(dim=1)).all())
    assert chrombpnet.record["bias"] == bias.record
    save_replicate(tmp_path / "r1", chrombpnet)
    stored = load_replicate(tmp_path / "r1")
    assert stored.parameters["without_bias"]
    assert torch.equal(stored.predict(codes), corrected)


def test_training_of_a_chrombpnet_says_what_bias_it_needs(data, bias):
    with pytest.raises(InputError, match=r"needs a trained bias network.*without bias"):
        trained(*data, architecture="chrombpnet")
    with pytest.raises(InputError, match="found architecture 'bpnet' with bias"):
        trained(*data, bias=bias)
