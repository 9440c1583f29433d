"""Draw reliability of signs, and wrong signs against the fraction kept."""

from seqtrust.calibration.sign_assessment import SCHEMA
from seqtrust.figures.sign_calibration import sign_figure, sign_table
from seqtrust.figures.style import save_figure
from seqtrust.logs import log_to
from seqtrust.tables import read_table

with log_to(snakemake.log[0]):
    tables = [read_table(path, SCHEMA).to_pandas() for path in snakemake.input]
    table = sign_table(tables, snakemake.params.sign_calibrations)
    figure = sign_figure(table, snakemake.params.sign_calibrations)
    save_figure(figure, snakemake.output, table, snakemake.params.toy)
