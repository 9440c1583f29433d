"""Take the targets of one split from a data set in Basenji's layout."""

from pathlib import Path

from seqtrust.logs import log_to
from seqtrust.measured_sources import measure_basenji

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    count = measure_basenji(
        snakemake.output.measured,
        snakemake.output.windows,
        Path(snakemake.input[0]).parent,
        settings["split"],
        settings.get("folds"),
        log.info,
    )
    log.info("%d windows", count)
