"""Convert a replicate's published weights."""

from seqtrust.logs import log_to
from seqtrust.models.checkpoint import import_replicate, save_replicate

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    model = import_replicate(
        snakemake.input.weights,
        settings["architecture"],
        settings["parameters"],
        snakemake.params.build,
    )
    save_replicate(snakemake.output[0], model)
    log.info("imported %s", snakemake.input.weights)
