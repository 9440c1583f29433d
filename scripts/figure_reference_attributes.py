"""Draw what the classes of true peaks differ in."""

from seqtrust.figures.reference import attributes_figure, attributes_table
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    analyses = snakemake.params.analyses
    table = attributes_table(
        [read_tsv(path) for path in snakemake.input.attributes],
        [read_tsv(path) for path in snakemake.input.tests],
        analyses,
    )
    figure = attributes_figure(table, analyses)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
