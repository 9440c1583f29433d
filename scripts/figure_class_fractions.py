"""Draw the class fractions of all verdicts beside their reference levels."""

from seqtrust.figures.replicate_uncertainty import class_fraction_table, class_fractions
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    verdicts = snakemake.params.verdicts
    table = class_fraction_table([read_tsv(path) for path in snakemake.input], verdicts)
    figure = class_fractions(table, verdicts)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
