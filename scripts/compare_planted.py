"""Put a toy's planted truth beside what the run recovered."""

from itertools import chain

import pyarrow.compute as pc

from seqtrust.effects import SCHEMA as EFFECTS
from seqtrust.files import read_tsv, write_tsv
from seqtrust.logs import log_to
from seqtrust.planted import compare, read_truth
from seqtrust.planted_claims import effect_claims, motif_claims, people_claims, reference_claims
from seqtrust.tables import read_table
from seqtrust.verdicts import SCHEMA

with log_to(snakemake.log[0]):
    files = snakemake.input
    truth, genes = read_truth(files.truth), read_tsv(files.genes)
    verdicts = read_table(files.verdicts, SCHEMA).to_pandas()
    effects = read_table(files.effects, EFFECTS)
    effects = effects.filter(pc.equal(effects["output"], snakemake.params.output))
    references = zip(
        effects["contrast_id"].to_pylist(), effects["reference"].to_pylist(), strict=True
    )
    claims = [effect_claims(genes, verdicts, dict(references))]
    if files.get("peaks"):
        claims.insert(0, reference_claims(truth, read_tsv(files.peaks)))
    if files.get("people"):
        people = read_table(files.people, SCHEMA).to_pandas()
        claims.append(people_claims(truth, genes, people))
    if files.get("motifs"):
        claims.append(motif_claims(read_tsv(files.motifs)))
    accuracy = read_tsv(files.accuracy)
    write_tsv(snakemake.output[0], compare(truth, genes, accuracy, verdicts, chain(*claims)))
