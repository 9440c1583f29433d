"""Train one replicate of a network of the robustness benchmark in one world."""

from pathlib import Path

from seqtrust.logs import log_to
from seqtrust.models.checkpoint import save_replicate
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.robustness.benchmark_plan import NetworkPlan
from seqtrust.robustness.benchmark_training import train_network
from seqtrust.robustness.benchmark_worlds import data_seed, training_seed
from seqtrust.robustness.stated_tables import read_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    seed, number = snakemake.params.seed, int(snakemake.wildcards.world)
    teacher = snakemake.input.get("teacher")
    checkpoint = Checkpoint(
        Path(snakemake.params.state), snakemake.params.minutes, snakemake.params.code
    )
    model = train_network(
        open_world(snakemake.input.world),
        NetworkPlan(**snakemake.params.plan),
        seed=training_seed(seed, number, int(snakemake.wildcards.replicate)),
        prior_seed=data_seed(seed, number, "prior"),
        threads=snakemake.threads,
        device="cuda" if snakemake.resources.gpu else "cpu",
        checkpoint=checkpoint,
        progress=log.info,
        teacher=read_stated(teacher) if teacher else None,
    )
    save_replicate(snakemake.output[0], model)
    checkpoint.remove()
