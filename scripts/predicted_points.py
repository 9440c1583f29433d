"""Find the positions at which the mean prediction of the replicates is high."""

from seqtrust.genes import write_points
from seqtrust.logs import log_to
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.sources.predicted import high_positions

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    points = high_positions(
        read_replicates(snakemake.input.predictions, snakemake.params.replicates),
        read_sequence_set(snakemake.input.sequences),
        settings["output"],
        settings["at_least"],
    )
    write_points(snakemake.output[0], points)
    log.info("%d points", len(points))
