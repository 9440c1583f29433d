"""Fetch one published file that a run needs."""

from seqtrust.downloads.fetch import fetch
from seqtrust.downloads.table import read_downloads
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    fetch(
        read_downloads(snakemake.params.tables)[snakemake.params.download],
        snakemake.output[0],
        local=snakemake.input.stored or None,
        log=log.info,
    )
