"""A simulated world with all its data sets."""

from seqtrust.logs import log_to
from seqtrust.motifs import read_meme
from seqtrust.robustness.background_pool import read_pool
from seqtrust.robustness.benchmark_worlds import benchmark_data
from seqtrust.robustness.sequences import SequenceSettings
from seqtrust.robustness.world_tables import WorldFacts, write_world

with log_to(snakemake.log[0]) as log:
    motifs, pool = (snakemake.input.get(key) for key in ("motifs", "pool"))
    length = snakemake.params.worlds["sequences"].get("length", SequenceSettings.length)
    facts = WorldFacts.of(
        int(snakemake.wildcards.world),
        snakemake.params.worlds,
        snakemake.params.data["cells"],
        read_meme(motifs) if motifs else None,
        read_pool(pool, length) if pool else None,
    )
    world = facts.world()
    data = benchmark_data(
        facts, world, snakemake.params.data, snakemake.params.shifts, snakemake.params.seed
    )
    write_world(snakemake.output[0], facts, world, data)
    log.info("activity has a standard deviation of %.2f", world.activity_sd)
