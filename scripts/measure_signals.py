"""Measure the windows of a set by signal files."""

from seqtrust.logs import log_to
from seqtrust.measured_sources import measure_signals
from seqtrust.sequence_set import read_sequence_set

with log_to(snakemake.log[0]) as log:
    count = measure_signals(
        snakemake.output[0],
        snakemake.input.table,
        read_sequence_set(snakemake.input.sequences),
        snakemake.params.settings,
        snakemake.input.get("blacklist"),
    )
    log.info("%d windows measured", count)
