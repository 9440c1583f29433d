"""Train one replicate; replicates differ in their seed only."""

from seqtrust.genome import Genome, SplitRegions
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import save_replicate
from seqtrust.models.training_set import train_replicate
from seqtrust.sequence_set import read_sequence_set
from seqtrust.targets import read_targets

with log_to(snakemake.log[0]) as log:
    genome = Genome(snakemake.input.fasta, snakemake.params.assembly, snakemake.params.build)
    model = train_replicate(
        read_sequence_set(snakemake.input.sequences),
        read_targets(snakemake.input.targets, genome),
        SplitRegions.from_bed(snakemake.input.splits, genome),
        seed=snakemake.params.seed,
        threads=snakemake.threads,
        device="cuda" if snakemake.resources.gpu else "cpu",
        build=genome.build,
        settings=snakemake.params.settings,
        progress=log.info,
    )
    save_replicate(snakemake.output[0], model)
