"""Draw the accuracy of replicates on held-out reference windows."""

from seqtrust.figures.reference import accuracy_figure, held_out, joined
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    analyses = snakemake.params.analyses
    tables = [read_tsv(path) for path in snakemake.input.tables]
    table = held_out(joined(tables, analyses))
    figure = accuracy_figure(table, analyses)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
