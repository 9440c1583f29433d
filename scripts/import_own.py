"""Import one replicate of the user's own model and check it against its facts."""

from seqtrust.genome import Genome, SplitRegions
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import save_replicate
from seqtrust.models.model import torch_threads
from seqtrust.models.own import import_entrypoint, import_program

with log_to(snakemake.log[0]) as log, torch_threads(snakemake.threads):
    weights, params = snakemake.input.weights, snakemake.params
    known = {"measured_on": snakemake.input.first, "facts": params.facts, "build": params.build}
    if params.network:
        model = import_entrypoint(weights, **params.network, **known)
    else:
        model = import_program(weights, **known)
    if snakemake.input.get("regions"):
        genome = Genome(snakemake.input.fasta, params.assembly, params.build)
        model.record["regions"] = SplitRegions.from_bed(snakemake.input.regions, genome).rows()
    save_replicate(snakemake.output[0], model)
    log.info("imported %s: %s", weights, model.facts)
