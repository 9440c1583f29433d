"""The Pangolin architecture, and parity with its published weights where they are at hand."""

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
from seqtrust.models.pangolin import HEADS

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
WEIGHTS = SHARED / "models_pangolin"
FASTA = SHARED / "locus_chr20_grch37" / "GRCh37.20_1-2Mb.fa.gz"
CONTEXT = 5000

# Expected of the published files in replicate order, on GRCh37 (1-based); both genes are on the
# minus strand.
SITE_PROBABILITY = {
    1_356_135: (0.96525, 0.95395, 0.95429, 0.97357, 0.97321),
    1_373_606: (0.71587, 0.90954, 0.83307, 0.86746, 0.95276),
}
VARIANT, SITE = (1_350_765, "G", "C"), 1_350_716
VARIANT_EFFECT = (0.054142, 0.015252, -0.003157, 0.036901, 0.034199)


def minus_strand(position, variant=None):
    """Codes of the 10,001 bp around a 1-based position, as transcribed from the minus strand."""
    pysam = pytest.importorskip("pysam")
    with pysam.FastaFile(str(FASTA)) as fasta:
        bases_around = list(fasta.fetch("20", position - 1 - CONTEXT, position + CONTEXT).upper())
    if variant:
        at, reference, alternative = variant
        index = at - (position - CONTEXT)
        assert bases_around[index] == reference
        bases_around[index] = alternative
    return bases.reverse_complement(bases.encode("".join(bases_around)))


def test_heads_become_tracks_in_the_order_asked_for():
    heads = ["brain_p_splice", "heart_usage"]
    model = build_model("pangolin", {"heads": heads}, [], "GRCh38")
    assert [track.name for track in model.facts.tracks] == heads
    assert model.parameters == {"heads": heads}
    with pytest.raises(InputError, match="heart_p_splice"):
        build_model("pangolin", {"heads": ["heart"]}, [], "GRCh38")
    with pytest.raises(InputError, match="leave the tracks out"):
        build_model("pangolin", {}, [Track("heart")], "GRCh38")


@pytest.mark.slow
def test_every_head_is_a_probability_at_base_resolution():
    model = build_model("pangolin", {"heads": list(HEADS)}, [], "GRCh38")
    codes = np.random.default_rng(0).integers(0, 5, (1, 2 * CONTEXT + 7)).astype(np.uint8)
    predictions = model.predict(codes)
    assert predictions.shape == (1, 7, len(HEADS))
    assert bool(((predictions > 0) & (predictions < 1)).all())
    with pytest.raises(InputError, match="more than 10000 bp"):
        model.predict(codes[:, : 2 * CONTEXT])


@pytest.mark.slow
def test_receptive_field_is_what_gradients_reach():
    model = build_model("pangolin", {"heads": ["heart_usage"]}, [], "GRCh38")
    module = model.module.double()
    for name, parameter in module.named_parameters():
        # Positive weights keep every path open; small ones keep the sigmoid in its range.
        parameter.data = 0.1 / parameter[0].numel() * torch.ones_like(parameter)
        if name.endswith("bias"):
            parameter.data.zero_()
    sequence = torch.full((1, 4, 2 * CONTEXT + 3), 0.25, dtype=torch.float64, requires_grad=True)
    module(sequence)[0, 1, 0].backward()
    reached = torch.nonzero(sequence.grad[0].sum(0)).flatten()
    assert (int(reached[0]), int(reached[-1]) + 1) == model.facts.reach(1, 1)
    assert len(reached) == model.facts.receptive_field == 10_001


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.skipif(not WEIGHTS.exists(), reason="skipped: no shared data")
@pytest.mark.parametrize("replicate", [1, 2, 3, 4, 5])
def test_published_weights_give_the_expected_predictions(replicate, tmp_path):
    source = WEIGHTS / f"final.{replicate}.0.3"
    save_replicate(
        tmp_path / "replicate.safetensors", import_replicate(source, "pangolin", {}, "GRCh38")
    )
    model = load_replicate(tmp_path / "replicate.safetensors")
    codes = [minus_strand(site) for site in SITE_PROBABILITY]
    codes += [minus_strand(SITE), minus_strand(SITE, VARIANT)]
    first, second, reference, alternative = model.predict(np.stack(codes))[:, 0, 0].tolist()
    expected = [values[replicate - 1] for values in SITE_PROBABILITY.values()]
    assert [first, second] == pytest.approx(expected, abs=1e-4)
    assert alternative - reference == pytest.approx(VARIANT_EFFECT[replicate - 1], abs=1e-4)


@pytest.mark.shared_data
@pytest.mark.skipif(not WEIGHTS.exists(), reason="skipped: no shared data")
def test_import_keeps_every_published_tensor():
    source = WEIGHTS / "final.1.4.3"
    published = torch.load(source, map_location="cpu", weights_only=True)
    model = import_replicate(source, "pangolin", {"heads": ["brain_p_splice"]}, "GRCh38")
    kept = model.module.state_dict()
    assert set(kept) == set(published)
    assert all(torch.equal(kept[name], published[name]) for name in published)
    assert model.record["source_name"] == "final.1.4.3"
