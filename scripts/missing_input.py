"""Say where to get an input that the workflow cannot fetch."""

from seqtrust.errors import InputError
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    raise InputError(f"{snakemake.output[0]} is missing. {snakemake.params.source}")
