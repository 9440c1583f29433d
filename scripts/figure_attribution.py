"""Draw one figure of all entries of attributions."""

from seqtrust.figures.attribution_figures import attribution_figure
from seqtrust.figures.style import save_figure
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    params = snakemake.params
    inputs = [snakemake.input[kind] for kind in params.kinds]
    figure, table = attribution_figure(params.figure, inputs, params.labels)
    save_figure(figure, snakemake.output, table, params.toy)
