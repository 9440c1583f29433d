"""Draw the correlation of pairs of replicates on reference windows."""

from seqtrust.figures.reference import joined, pairs_figure
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    analyses = snakemake.params.analyses
    table = joined([read_tsv(path) for path in snakemake.input.tables], analyses)
    figure = pairs_figure(table, analyses)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
