"""Tests for a shift in every condition, from one replicate's predictions and errors."""

from seqtrust.logs import log_to
from seqtrust.robustness.shift_detection import SCHEMA, DetectionSettings, detections
from seqtrust.robustness.shift_rows import write_rows
from seqtrust.robustness.stated_tables import read_stated
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    world = open_world(snakemake.input.world)
    settings = DetectionSettings(
        **{key: tuple(value) if isinstance(value, list) else value
           for key, value in snakemake.params.settings.items()}
    )  # fmt: skip
    stated = read_stated(snakemake.input.predictions)
    rows = detections(world, stated, settings, snakemake.params.seed)
    log.info("%d rows", write_rows(snakemake.output[0], SCHEMA, world, rows))
