"""Train one replicate; replicates differ in their seed only."""

from pathlib import Path

from seqtrust.genome import Genome, SplitRegions
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import save_replicate
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.models.training_set import train_replicate
from seqtrust.sequence_set import read_sequence_set
from seqtrust.targets import read_targets

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    checkpoint = Checkpoint(
        Path(snakemake.params.state), settings["checkpoint_minutes"], snakemake.params.code
    )
    genome = Genome(snakemake.input.fasta, snakemake.params.assembly, snakemake.params.build)
    model = train_replicate(
        read_sequence_set(snakemake.input.sequences),
        read_targets(
            snakemake.input.targets, genome, missing=settings["missing_targets"] == "mask"
        ),
        SplitRegions.from_bed(snakemake.input.splits, genome),
        seed=snakemake.params.seed,
        threads=snakemake.threads,
        device="cuda" if snakemake.resources.gpu else "cpu",
        build=genome.build,
        settings=settings,
        progress=log.info,
        checkpoint=checkpoint,
    )
    save_replicate(snakemake.output[0], model)
    checkpoint.remove()
