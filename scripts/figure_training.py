"""Draw training loss and validation metric per epoch of every replicate."""

from seqtrust.figures.style import save_figure
from seqtrust.figures.training import training_curves, training_table
from seqtrust.logs import log_to
from seqtrust.models.card import read_card

with log_to(snakemake.log[0]):
    records = [read_card(path).record for path in snakemake.input]
    table = training_table(records, snakemake.params.replicates)
    save_figure(training_curves(table), snakemake.output, table, snakemake.params.toy)
