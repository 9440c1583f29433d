"""Scores of one replicate under every shift of a world."""

from seqtrust.logs import log_to
from seqtrust.robustness import shift_curves
from seqtrust.robustness.score_tables import write_scores
from seqtrust.robustness.shift_rows import write_rows
from seqtrust.robustness.shift_scores import shift_scores
from seqtrust.robustness.stated_tables import read_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    world = open_world(snakemake.input.world)
    stated = read_stated(snakemake.input.predictions)
    scores = shift_scores(world, stated, snakemake.params.calibrators, snakemake.params.seed)
    log.info("%d scores", write_scores(snakemake.output.scores, world, scores))
    curves = shift_curves.shift_curves(world, stated)
    points = write_rows(snakemake.output.curves, shift_curves.SCHEMA, world, curves)
    log.info("%d points of curves", points)
