"""Draw the consistency of motifs against their knock-out probability."""

from seqtrust.figures.motifs import ranks_figure
from seqtrust.figures.reference import joined
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    analyses = snakemake.params.analyses
    table = joined([read_tsv(path) for path in snakemake.input.ranks], analyses)
    tests = joined([read_tsv(path) for path in snakemake.input.tests], analyses)
    figure = ranks_figure(table, tests, analyses)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
