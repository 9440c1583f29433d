"""The Xpresso architecture, and parity with its published weights where they are at hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.imports import import_replicate

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
WEIGHTS = SHARED / "models_xpresso"
FASTA = SHARED / "locus_chr20_grch37" / "GRCh37.20_1-2Mb.fa.gz"
GM12878 = WEIGHTS / "GM12878_trainepoch.06-0.5062.h5"
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason="skipped: no shared data")

# 1-based, minus strand, GRCh37; the value is the published network's for this promoter with
# zeros for the six half-life features.
FKBP1A_TSS = 1_373_806
FKBP1A_EXPRESSION = 0.70352


def promoter():
    """Codes (1, 10,500) of FKBP1A's promoter as transcribed: TSS - 3,500 to TSS + 6,999."""
    pysam = pytest.importorskip("pysam")
    with pysam.FastaFile(str(FASTA)) as fasta:
        text = fasta.fetch("20", FKBP1A_TSS - 3501, FKBP1A_TSS + 6999)
    return bases.reverse_complement(bases.encode(text))[None]


def test_facts_and_size():
    model = build_model("xpresso", {}, [], "GRCh37")
    assert sum(parameter.numel() for parameter in model.module.parameters()) == 112_357
    facts = model.facts
    assert (facts.input_length, facts.bin_width, facts.crop) == (10_500, 10_500, 0)
    assert facts.receptive_field == 10_500
    assert (facts.output_scale, facts.strand_specific) == ("log_expression", True)
    assert facts.tracks == (Track("expression", "RNA-seq"),)
    codes = np.zeros((2, 10_500), dtype=np.uint8)
    assert model.predict(codes).shape == (2, 1, 1)
    with pytest.raises(InputError, match="takes 10500 bp"):
        model.predict(codes[:, :-1])


def test_half_life_features_are_six_constants(tmp_path):
    model = build_model("xpresso", {"half_life": [0.1, 0.2, 0.3, 0.4, 0.5, 9.0]}, [], "GRCh37")
    save_replicate(tmp_path / "r.safetensors", model)
    loaded = load_replicate(tmp_path / "r.safetensors")
    assert loaded.parameters == {"half_life": [0.1, 0.2, 0.3, 0.4, 0.5, 9.0]}
    seen = []
    loaded.module.layers[7].register_forward_hook(lambda *parts: seen.append(parts[-1]))
    loaded.predict(np.zeros((2, 10_500), dtype=np.uint8))
    expected = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 9.0]).expand(2, -1)
    assert seen[0].shape == (2, 1126)
    assert torch.equal(seen[0][:, -6:], expected)
    with pytest.raises(InputError, match="half_life has 2 values, expected 6"):
        build_model("xpresso", {"half_life": [0, 1]}, [], "GRCh37")


@pytest.mark.shared_data
@needs_weights
def test_published_weights_give_the_expected_expression(tmp_path):
    save_replicate(
        tmp_path / "r.safetensors",
        import_replicate(GM12878, "xpresso", {}, "GRCh37", [Track("GM12878", "RNA-seq")]),
    )
    model = load_replicate(tmp_path / "r.safetensors")
    assert model.predict(promoter()).item() == pytest.approx(FKBP1A_EXPRESSION, abs=1e-5)
    # the other strand is another promoter
    assert abs(model.predict(bases.reverse_complement(promoter())).item() - FKBP1A_EXPRESSION) > 0.1


@pytest.mark.shared_data
@needs_weights
def test_the_files_describe_the_network_that_is_built_in():
    general = import_replicate(GM12878, "keras", {"output_scale": "log_expression"}, "GRCh37")
    built_in = import_replicate(GM12878, "xpresso", {}, "GRCh37")
    codes = np.concatenate([promoter(), np.full((1, 10_500), bases.UNKNOWN, dtype=np.uint8)])
    assert torch.equal(general.predict(codes), built_in.predict(codes))
    rates = [layer["rate"] for layer in general.parameters["layers"] if layer["class"] == "Dropout"]
    built_in_rates = [
        layer.p for layer in built_in.module.modules() if isinstance(layer, torch.nn.Dropout)
    ]
    assert built_in_rates == pytest.approx(rates, rel=1e-2)


@pytest.mark.shared_data
@needs_weights
def test_all_published_files_are_read():
    found = [
        import_replicate(path, "xpresso", {}, "").predict(promoter()).item()
        for path in sorted(WEIGHTS.glob("*.h5"))
    ]
    assert len(found) == len({round(value, 3) for value in found}) == 5
    assert np.isfinite(found).all()
