"""A simulated world with all its data sets."""

from seqtrust.logs import log_to
from seqtrust.motifs import read_meme
from seqtrust.robustness.benchmark_worlds import benchmark_data
from seqtrust.robustness.world_tables import WorldFacts, write_world

with log_to(snakemake.log[0]) as log:
    given = snakemake.input.get("motifs")
    facts = WorldFacts.of(
        int(snakemake.wildcards.world),
        snakemake.params.worlds,
        snakemake.params.data["cells"],
        read_meme(given) if given else None,
    )
    world = facts.world()
    data = benchmark_data(
        facts, world, snakemake.params.data, snakemake.params.shifts, snakemake.params.seed
    )
    write_world(snakemake.output[0], facts, world, data)
    log.info("activity has a standard deviation of %.2f", world.activity_sd)
