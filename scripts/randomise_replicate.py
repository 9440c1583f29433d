"""Draw all weights of a replicate anew: a control for explanations."""

from seqtrust.logs import log_to
from seqtrust.models.randomised import randomise_replicate

with log_to(snakemake.log[0]) as log:
    source, seed = snakemake.input.replicate, snakemake.params.seed
    randomise_replicate(source, snakemake.output[0], seed)
    log.info("weights of seed %d for the network of %s", seed, source)
