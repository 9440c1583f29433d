"""A real variant, from VCF to verdict, against the values of the published replicates."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from seqtrust.contrasts import CONTRASTS
from seqtrust.effects import compute_effects, reaches
from seqtrust.genes import Point
from seqtrust.genome import Genome, SplitRegions
from seqtrust.inference.predict import predict
from seqtrust.models.imports import import_replicate
from seqtrust.sequence_set import read_sequence_set, write_sequence_set
from seqtrust.sources.variant_inputs import read_variants
from seqtrust.sources.variants import VariantSequences
from seqtrust.variant_files import index
from seqtrust.verdicts import INCONSISTENT, judge_effects

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

# ALT - REF of 1,350,765 G>C at the acceptor 1,350,716, replicates 1 to 5, heart
PUBLISHED = [0.054142, 0.015252, -0.003157, 0.036901, 0.034199]


def test_replicates_disagree_on_a_real_variant_by_the_published_amounts(
    shared_data: Path, tmp_path: Path
) -> None:
    locus = shared_data / "locus_chr20_grch37"
    genome = Genome(locus / "GRCh37.20_1-2Mb.fa.gz", "grch37", "GRCh37")
    vcf = locus / "shapeit4_reference_1kg300.vcf.gz"
    index(vcf, tmp_path / "v.tbi")
    # the table says chr20, the FASTA and the VCF say 20
    chosen = {"vcf": {"region": "chr20:1350765-1350765", "snvs_only": True}}
    variants, _, _ = read_variants(genome, [str(vcf)], str(tmp_path / "v.tbi"), chosen, 0.0)
    site = Point("site", "20", 1_350_715, "-")
    collection = VariantSequences(genome, 10_001)
    content = collection.around_points([(variant, site) for variant in variants])
    write_sequence_set(tmp_path / "s.parquet", content, genome.provenance(10_001))
    sequences = read_sequence_set(tmp_path / "s.parquet")
    outputs = {"p_splice": {"bins": "centre"}}
    replicates = {}
    for number in range(1, 6):
        weights = shared_data / f"models_pangolin/final.{number}.0.3"
        model = import_replicate(weights, "pangolin", {"heads": ["heart_p_splice"]}, "GRCh37")
        replicates[f"r{number}"] = predict(model, sequences, outputs)
    contrasts = pa.Table.from_pylist(collection.contrasts, schema=CONTRASTS.arrow())
    columns = compute_effects(contrasts, sequences, replicates, reaches(replicates))
    assert columns["contrast_id"] == ["20_1350765_G_C:site"]
    np.testing.assert_allclose(columns["effect"][0], PUBLISHED, atol=1e-4)
    effects = pa.table({name: pa.array(values) for name, values in columns.items()})
    verdicts = judge_effects(effects, contrasts, sequences, SplitRegions({}), "p_splice")
    assert (verdicts["n_positive"][0], verdicts["n_negative"][0]) == (4, 1)
    assert verdicts["class"][0] == INCONSISTENT
    assert verdicts["split"] == ["unknown"]
