"""Draw the class fractions of genes across people beside people permuted."""

from seqtrust.figures.people import class_table, classes
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    entries = snakemake.params.entries
    table = class_table([read_tsv(path) for path in snakemake.input], entries)
    save_figure(classes(table, entries), snakemake.output, table, snakemake.params.toy)
