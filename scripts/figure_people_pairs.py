"""Draw whether replicates order people alike, right or wrong."""

from seqtrust.figures.people import joined, pairs
from seqtrust.figures.style import save_figure
from seqtrust.logs import log_to
from seqtrust.tables import read_table
from seqtrust.uncertainty.people_tables import GENES, PAIRS

with log_to(snakemake.log[0]):
    entries = snakemake.params.entries
    table = joined([read_table(p, PAIRS).to_pandas() for p in snakemake.input.pairs], entries)
    genes = [read_table(path, GENES).to_pandas() for path in snakemake.input.genes]
    save_figure(pairs(table, genes, entries), snakemake.output, table, snakemake.params.toy)
