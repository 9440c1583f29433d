"""Draw the error of what is kept against the fraction kept."""

from seqtrust.calibration.assessment import SCHEMA
from seqtrust.figures.calibration import risk_figure, risk_table
from seqtrust.figures.style import save_figure
from seqtrust.logs import log_to
from seqtrust.tables import read_table

with log_to(snakemake.log[0]):
    tables = [read_table(path, SCHEMA).to_pandas() for path in snakemake.input]
    table = risk_table(tables, snakemake.params.calibrations)
    figure = risk_figure(table, snakemake.params.calibrations)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
