"""Draw one figure of Deep MR for all entries."""

from seqtrust.figures.deep_mr_panels import panel
from seqtrust.figures.style import save_figure
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    tables = dict(snakemake.input.items())
    figure, table = panel(snakemake.params.panel, tables, snakemake.params.labels)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
