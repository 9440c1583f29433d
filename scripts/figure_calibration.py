"""Draw reliability, coverage against nominal coverage, and coverage against width."""

from seqtrust.calibration.assessment import SCHEMA
from seqtrust.figures.calibration import calibration_figure, calibration_table
from seqtrust.figures.style import save_figure
from seqtrust.logs import log_to
from seqtrust.tables import read_table

with log_to(snakemake.log[0]):
    tables = [read_table(path, SCHEMA).to_pandas() for path in snakemake.input]
    table = calibration_table(tables, snakemake.params.calibrations)
    figure = calibration_figure(table, snakemake.params.calibrations)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
