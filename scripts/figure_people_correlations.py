"""Draw the correlation of prediction and expression across people, gene by gene."""

from seqtrust.figures.people import correlation_table, correlations
from seqtrust.figures.style import save_figure
from seqtrust.logs import log_to
from seqtrust.tables import read_table
from seqtrust.uncertainty.people_tables import GENES

with log_to(snakemake.log[0]):
    entries = snakemake.params.entries
    genes = [read_table(path, GENES).to_pandas() for path in snakemake.input]
    table = correlation_table(genes, entries)
    save_figure(correlations(table, entries), snakemake.output, table, snakemake.params.toy)
