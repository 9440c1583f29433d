"""Real genomes and real replicates: agreement across people needs no expression."""

from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from seqtrust.contrasts import CONTRASTS
from seqtrust.genome import Genome, SplitRegions, Window
from seqtrust.genotypes import GenotypeFile
from seqtrust.inference.predict import predict
from seqtrust.models.imports import import_replicate
from seqtrust.sequence_set import read_sequence_set, write_sequence_set
from seqtrust.sources.haplotype_rules import HaplotypeRules
from seqtrust.sources.haplotypes import HAPLOTYPES, HaplotypeSequences
from seqtrust.tables import read_table, streamed_table
from seqtrust.uncertainty.people_dosages import cis_variants
from seqtrust.uncertainty.people_drivers import driver_rows
from seqtrust.uncertainty.people_summary import pair_table
from seqtrust.uncertainty.people_tables import people_predictions
from seqtrust.variant_files import index

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

SITE, PEOPLE = 1_350_715, 80


def test_replicates_across_real_people(shared_data: Path, tmp_path: Path) -> None:
    locus = shared_data / "locus_chr20_grch37"
    genome = Genome(locus / "GRCh37.20_1-2Mb.fa.gz", "grch37", "GRCh37")
    vcf = locus / "shapeit4_reference_1kg300.vcf.gz"
    index(vcf, tmp_path / "v.tbi")
    some = GenotypeFile(vcf, tmp_path / "v.tbi").names[:PEOPLE]
    genotypes = GenotypeFile(vcf, tmp_path / "v.tbi", some)
    window = Window("grch37", "20", SITE, 5000, 10_001, "-")
    rules = HaplotypeRules(variants="all", min_frequency=0.15)
    source = HaplotypeSequences(genome, genotypes, [("site", window)], rules)
    metadata = genome.provenance(10_001)
    with (
        streamed_table(tmp_path / "h.parquet", HAPLOTYPES, metadata) as haplotypes,
        streamed_table(tmp_path / "c.parquet", CONTRASTS, metadata) as contrasts,
    ):
        write_sequence_set(tmp_path / "s.parquet", source.content(haplotypes, contrasts), metadata)
    sequences = read_sequence_set(tmp_path / "s.parquet")
    replicates = {}
    for number in (1, 3):
        weights = shared_data / f"models_pangolin/final.{number}.0.3"
        model = import_replicate(weights, "pangolin", {"heads": ["heart_p_splice"]}, "GRCh37")
        replicates[f"r{number}"] = predict(model, sequences, {"p_splice": {"bins": "centre"}})
    table = read_table(tmp_path / "h.parquet", HAPLOTYPES).to_pandas()
    about = SplitRegions({}), "p_splice", None, "identity"
    people = people_predictions(replicates, sequences, table, PEOPLE, *about)
    assert people.values.shape == (2, 1, PEOPLE)
    first = replicates["r1"]
    by_id = dict(zip(first.sequence_ids, first.values["p_splice"][:, 0, 0], strict=True))
    for person in (0, 17, PEOPLE - 1):
        mine = [by_id[key] for key in table[table["sample"] == person]["sequence_id"]]
        assert len(mine) == 2
        # values that differ by less than the noise are one
        assert people.values[0, 0, person] == pytest.approx(np.mean(mine), abs=1e-5)
    pairs = pair_table(people)
    expected = pd.Series(people.values[0, 0]).corr(pd.Series(people.values[1, 0]))
    assert pairs["pearson"].tolist() == [pytest.approx(expected)]
    variants = cis_variants(genotypes, "20", window.start, window.end, 0, False).common(0.15)
    with pysam.VariantFile(str(vcf), index_filename=str(tmp_path / "v.tbi")) as file:
        counts = {
            f"20_{record.pos}_{record.ref}_{record.alts[0]}": [
                sum(record.samples[name]["GT"]) for name in some
            ]
            for record in file.fetch("20", window.start, window.end)
            if len(record.alts) == 1
        }
    for name, dosages in zip(variants.names, variants.dosages, strict=True):
        assert dosages.tolist() == counts[name], name
    gene = people.genes.iloc[0].to_dict()
    rows = pd.DataFrame(
        driver_rows(gene, people.values[:, 0], people.replicates, variants, {}, 0.9, 10)
    )
    last = rows.groupby("replicate")["r2"].max()
    assert (last >= 0.9).all()
    assert (rows["r2_all"] > 0.95).all()
    # the nearest common SNV carries both replicates, in one direction
    lead = rows[rows["step"] == 1].set_index("replicate")
    assert set(lead["variant"]) == {"20_1350672_T_C"}
    assert lead["slope"].to_dict() == {
        "r1": pytest.approx(-0.02847, abs=1e-4),
        "r3": pytest.approx(-0.05165, abs=1e-4),
    }
