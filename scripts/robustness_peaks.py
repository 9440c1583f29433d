"""Scores of one replicate on an assay with random weights of the peaks."""

from seqtrust.logs import log_to
from seqtrust.robustness.measured_peaks import peak_draws, write_peaks
from seqtrust.robustness.stated_tables import read_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    draws = peak_draws(
        open_world(snakemake.input.world),
        read_stated(snakemake.input.predictions),
        snakemake.params.calibrators,
        snakemake.params.seed,
    )
    log.info("%d scores", write_peaks(snakemake.output[0], draws))
