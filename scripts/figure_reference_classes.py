"""Draw the classes of bins, true peaks and true peaks at a TSS."""

from seqtrust.figures.reference import classes_figure, classes_table
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to
from seqtrust.tables import read_table
from seqtrust.uncertainty.reference_classes import SCHEMA

with log_to(snakemake.log[0]):
    analyses = snakemake.params.analyses
    table = classes_table(
        [read_table(path, SCHEMA).to_pandas() for path in snakemake.input.classes],
        [read_tsv(path) for path in snakemake.input.assays],
        analyses,
    )
    figure = classes_figure(table, analyses)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
