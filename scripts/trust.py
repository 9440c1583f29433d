"""Trust scores of a verdict's units, and their ranking on held-out loci."""

import pyarrow as pa

from seqtrust.contrasts import CONTRASTS
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import Column, read_table, write_table
from seqtrust.uncertainty import trust, trust_sources
from seqtrust.uncertainty.people_tables import GENES
from seqtrust.verdicts import SCHEMA, regions_of, splits_of

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    settings, known = params.settings, {}
    if files.get("sequences"):
        sequences = read_sequence_set(files.sequences)
        if files.get("contrasts"):
            references = trust_sources.references_of(read_table(files.contrasts, CONTRASTS))
        else:
            references = trust_sources.references_of_genes(sequences)
    if files.get("training"):
        training = read_sequence_set(files.training)
        splits = splits_of(training, regions_of(*map(read_card, files.cards)))
        known[trust.DISTANCE] = trust_sources.likeness_of_units(
            sequences, references, training, splits
        )
    if files.get("maps"):
        size = len(files.maps) // len(params.replicates["maps"])
        shards = [files.maps[row : row + size] for row in range(0, len(files.maps), size)]
        found = trust_sources.map_agreement(shards)
        known[trust.AGREEMENT] = trust_sources.of_references(references, found)
    if files.get("distilled"):
        distilled = read_replicates(files.distilled, params.replicates["distilled"])
        spread = trust_sources.predicted_spread(distilled, settings["distilled"]["output"])
        known[trust.DISTILLED] = trust_sources.of_references(references, spread)
    tables = {name: trust.read_scores(files[f"table_{name}"]) for name in settings["tables"]}
    if files.get("genes"):
        units = read_table(files.genes, GENES).to_pandas()
        columns = trust.gene_scores(units, known, tables)
    else:
        columns = trust.unit_scores(read_table(files.verdicts, SCHEMA).to_pandas(), known, tables)
    own = [Column(name, pa.float64(), "score of a table of the config") for name in tables]
    write_table(snakemake.output.units, trust.UNITS, columns, extra=own)
    write_tsv(snakemake.output.ranking, trust.ranked(columns, settings["held_out"], params.seed))
