"""Put a toy's planted truth beside what the run recovered."""

from seqtrust.files import read_tsv, write_tsv
from seqtrust.logs import log_to
from seqtrust.planted import compare, read_truth
from seqtrust.tables import read_table
from seqtrust.verdicts import SCHEMA

with log_to(snakemake.log[0]):
    claims = compare(
        read_truth(snakemake.input.truth),
        read_tsv(snakemake.input.genes),
        read_tsv(snakemake.input.accuracy),
        read_table(snakemake.input.verdicts, SCHEMA).to_pandas(),
    )
    write_tsv(snakemake.output[0], claims)
