"""The MPRA-DragoNN architecture; its published weights know activators from repressors."""

from pathlib import Path

import numpy as np
import pytest
from keras_twins import convolution, normalisation

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate
from seqtrust.models.keras_weights import read_layers
from seqtrust.motifs import choose_motifs, read_meme

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
WEIGHTS = SHARED / "models_mpra_dragonn" / "ConvModel_pretrained.hdf5"
FASTA = SHARED / "locus_chr20_grch37" / "GRCh37.20_1-2Mb.fa.gz"
MOTIFS = SHARED / "motifs" / "H12CORE_meme_format.meme"
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason="skipped: no shared data")

LENGTH = 145
K562_MINIMAL_PROMOTER = ["k562_minp_rep1", "k562_minp_rep2", "k562_minp_pooled"]


@pytest.fixture(scope="module")
def model():
    return import_replicate(WEIGHTS, "mpra_dragonn", {}, "")


@pytest.fixture(scope="module")
def tiles():
    """Codes (190, 145): a tile every 5 kb of the real sequence."""
    pysam = pytest.importorskip("pysam")
    with pysam.FastaFile(str(FASTA)) as fasta:
        starts = range(1_020_000, 1_970_000, 5_000)
        return np.stack([bases.encode(fasta.fetch("20", at, at + LENGTH)) for at in starts])


def test_facts_and_size():
    model = build_model("mpra_dragonn", {}, [], "")
    assert model.facts.labels()[:3] == tuple(K562_MINIMAL_PROMOTER)
    assert model.facts.labels()[3:6] == ("k562_sv40p_rep1", "k562_sv40p_rep2", "k562_sv40p_pooled")
    assert model.facts.labels()[6] == "hepg2_minp_rep1"
    assert len(set(model.facts.labels())) == 12
    assert (model.facts.input_length, model.facts.bin_width) == (LENGTH, LENGTH)
    assert model.predict(np.zeros((2, LENGTH), dtype=np.uint8)).shape == (2, 1, 12)
    with pytest.raises(InputError, match="takes 145 bp"):
        model.predict(np.zeros((1, 146), dtype=np.uint8))
    with pytest.raises(InputError, match="the tracks are fixed"):
        build_model("mpra_dragonn", {}, [Track("a")] * 12, "")


@pytest.mark.shared_data
@needs_weights
def test_published_weights_compute_what_numpy_does(model, tiles, tmp_path):
    save_replicate(tmp_path / "r.safetensors", model)
    layers = [list(layer.arrays.values()) for layer in read_layers(WEIGHTS) if layer.arrays]
    values = np.eye(5, 4)[tiles[:5]]
    for convolved, normalised in zip(layers[0:6:2], layers[1:6:2], strict=True):
        values = np.maximum(convolution(values, *convolved, padding="valid"), 0)
        values = normalisation(values, *normalised, epsilon=1e-3)
    kernel, bias = layers[6]
    expected = values.reshape(5, -1) @ kernel + bias
    found = load_replicate(tmp_path / "r.safetensors").predict(tiles[:5])[:, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.shared_data
@needs_weights
@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("NRF1.H12CORE.0.PS.A", 1),
        ("ELK1.H12CORE.0.PSM.A", 1),
        ("SP1.H12CORE.0.P.B", 1),
        ("REST.H12CORE.0.P.B", -1),
    ],
)
def test_inserted_motifs_act_as_known(model, tiles, name, direction):
    (motif,) = choose_motifs(read_meme(MOTIFS), [name], MOTIFS)
    changed = tiles.copy()
    start = (LENGTH - motif.width) // 2
    changed[:, start : start + motif.width] = motif.consensus
    tracks = [model.facts.labels().index(track) for track in K562_MINIMAL_PROMOTER]
    effects = (model.predict(changed) - model.predict(tiles))[:, 0, tracks].mean(dim=1).numpy()
    standard_error = effects.std(ddof=1) / np.sqrt(len(effects))
    assert direction * effects.mean() > 4 * standard_error
