"""Draw the correlation over genes of reference predictions with mean expression."""

from seqtrust.figures.people import cross_gene, joined
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    entries = snakemake.params.entries
    table = joined([read_tsv(path) for path in snakemake.input], entries)
    save_figure(cross_gene(table, entries), snakemake.output, table, snakemake.params.toy)
