"""Draw one figure of all eQTL analyses."""

from seqtrust.figures.eqtls import FIGURES, labelled
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    tables = [read_tsv(path) for path in snakemake.input]
    table = labelled(tables, snakemake.params.analyses)
    figure = FIGURES[snakemake.params.figure](table)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
