"""Train a k-mer baseline in a world, and what it states of the data sets."""

from seqtrust.logs import log_to
from seqtrust.robustness.benchmark_kmers import predict_kmers
from seqtrust.robustness.benchmark_worlds import data_seed, training_seed
from seqtrust.robustness.stated_tables import write_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]):
    world = open_world(snakemake.input.world)
    number, replicate = int(snakemake.wildcards.world), int(snakemake.wildcards.replicate)
    seed = training_seed(snakemake.params.seed, number, replicate)
    known = data_seed(snakemake.params.seed, number, "prior")
    stated = predict_kmers(world, world.names(taught=False), snakemake.params.settings, seed, known)
    write_stated(snakemake.output[0], stated)
