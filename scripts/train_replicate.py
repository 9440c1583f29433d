"""Train one replicate; replicates differ in their seed only."""

from seqtrust.logs import log_to
from seqtrust.models.training_job import TrainingJob
from seqtrust.models.training_processes import run_job

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    run_job(
        TrainingJob(
            inputs={
                name: value if isinstance(value, str) else list(value)
                for name, value in snakemake.input.items()
            },
            output=snakemake.output[0],
            state=snakemake.params.state,
            code=snakemake.params.code,
            assembly=snakemake.params.assembly,
            build=snakemake.params.build,
            seed=snakemake.params.seed,
            threads=max(1, snakemake.threads // settings["processes"]),
            device="cuda" if snakemake.resources.gpu else "cpu",
            settings=settings,
        ),
        log.info,
    )
