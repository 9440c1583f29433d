"""Draw agreement against correctness over true peaks."""

from seqtrust.figures.reference import agreement_figure, joined
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    analyses = snakemake.params.analyses
    table = joined([read_tsv(path) for path in snakemake.input.tables], analyses)
    figure = agreement_figure(table, analyses)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
