"""Trust scores of a verdict's units, and their ranking on held-out loci."""

import pyarrow as pa

from seqtrust.contrasts import CONTRASTS
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import Column, read_table, write_table
from seqtrust.uncertainty.people_tables import GENES
from seqtrust.uncertainty.trust import (
    UNITS,
    gene_scores,
    likeness_of_units,
    ranked,
    read_scores,
    references_of,
    references_of_genes,
    unit_scores,
)
from seqtrust.verdicts import SCHEMA, regions_of, splits_of

with log_to(snakemake.log[0]):
    files, settings = snakemake.input, snakemake.params.settings
    like = {}
    if files.get("training"):
        sequences, training = read_sequence_set(files.sequences), read_sequence_set(files.training)
        if files.get("contrasts"):
            references = references_of(read_table(files.contrasts, CONTRASTS))
        else:
            references = references_of_genes(sequences)
        splits = splits_of(training, regions_of(*map(read_card, files.cards)))
        like = likeness_of_units(sequences, references, training, splits)
    tables = {name: read_scores(files[f"table_{name}"]) for name in settings["tables"]}
    if files.get("genes"):
        columns = gene_scores(read_table(files.genes, GENES).to_pandas(), like, tables)
    else:
        columns = unit_scores(read_table(files.verdicts, SCHEMA).to_pandas(), like, tables)
    own = [Column(name, pa.float64(), "score of a table of the config") for name in tables]
    write_table(snakemake.output.units, UNITS, columns, extra=own)
    write_tsv(
        snakemake.output.ranking, ranked(columns, settings["held_out"], snakemake.params.seed)
    )
