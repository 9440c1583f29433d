"""Scores of one replicate under every shift of a world."""

from seqtrust.logs import log_to
from seqtrust.robustness.score_tables import write_scores
from seqtrust.robustness.shift_scores import shift_scores
from seqtrust.robustness.stated_tables import read_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    world = open_world(snakemake.input.world)
    scores = shift_scores(
        world,
        read_stated(snakemake.input.predictions),
        snakemake.params.calibrators,
        snakemake.params.seed,
    )
    log.info("%d scores", write_scores(snakemake.output[0], world, scores))
