"""Convert a replicate's published weights."""

from seqtrust.genome import Genome, SplitRegions
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import save_replicate
from seqtrust.models.imports import import_replicate

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    model = import_replicate(
        snakemake.input.weights,
        settings["architecture"],
        settings["parameters"],
        snakemake.params.build,
        parameters_file=snakemake.input.get("parameters_file"),
        tracks_file=snakemake.input.get("tracks"),
    )
    if snakemake.input.get("regions"):
        genome = Genome(snakemake.input.fasta, snakemake.params.assembly, snakemake.params.build)
        model.record["regions"] = SplitRegions.from_bed(snakemake.input.regions, genome).rows()
    save_replicate(snakemake.output[0], model)
    log.info("imported %s", snakemake.input.weights)
