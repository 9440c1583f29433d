"""What the oracle or the ideal model states of the data sets of a world."""

from seqtrust.logs import log_to
from seqtrust.robustness.stated_tables import ideal, oracle, write_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]):
    world = open_world(snakemake.input.world)
    made = oracle if snakemake.wildcards.model == "oracle" else ideal
    write_stated(snakemake.output[0], made(world, world.names(taught=False)).items())
