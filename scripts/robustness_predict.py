"""What one replicate of a network states of the data sets of a world."""

from seqtrust.logs import log_to
from seqtrust.models.checkpoint import load_replicate
from seqtrust.robustness.benchmark_predictions import predict_world
from seqtrust.robustness.benchmark_worlds import training_seed
from seqtrust.robustness.stated_tables import write_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    world = open_world(snakemake.input.world)
    number, replicate = int(snakemake.wildcards.world), int(snakemake.wildcards.replicate)
    stated = predict_world(
        load_replicate(snakemake.input.replicate),
        world,
        world.names(taught=snakemake.params.taught),
        threads=snakemake.threads,
        device="cuda" if snakemake.resources.gpu else "cpu",
        masks=snakemake.params.masks,
        seed=training_seed(snakemake.params.seed, number, replicate),
    )
    write_stated(snakemake.output[0], stated)
