"""Instruments from a table of summary statistics."""

from seqtrust.logs import log_to
from seqtrust.mendelian.instrument_tables import write_instruments
from seqtrust.mendelian.loci_of_pairs import located
from seqtrust.mendelian.stage import published_threshold, rule_of
from seqtrust.mendelian.summary_statistics import read_summary_statistics

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    made = read_summary_statistics(
        snakemake.input[0], rule_of(settings["instruments"]), published_threshold(settings)
    )
    made = located(made, settings)
    write_instruments(snakemake.output[0], made)
    log.info("%d instruments of %d loci", len(made.names), len(made.loci))
