"""One replicate after repairs from a few labelled samples of every condition."""

from seqtrust.logs import log_to
from seqtrust.robustness.few_label_repair import SCHEMA, repair_scores
from seqtrust.robustness.shift_rows import write_rows
from seqtrust.robustness.stated_tables import read_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    world = open_world(snakemake.input.world)
    stated = read_stated(snakemake.input.predictions)
    rows = repair_scores(world, stated, seed=snakemake.params.seed, **snakemake.params.settings)
    log.info("%d rows", write_rows(snakemake.output[0], SCHEMA, world, rows))
