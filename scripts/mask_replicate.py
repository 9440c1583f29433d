"""Give a replicate dropout masks that stay the same: one more replicate of MC dropout."""

from seqtrust.logs import log_to
from seqtrust.models.checkpoint import mask_replicate

with log_to(snakemake.log[0]) as log:
    source, seed = snakemake.input.replicate, snakemake.params.seed
    mask_replicate(source, snakemake.output[0], seed)
    log.info("masks of seed %d for %s", seed, source)
