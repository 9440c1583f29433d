"""Class fractions, reference levels and headline numbers of one verdict."""

from seqtrust.consistency import class_fractions, headline_numbers
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.tables import read_table
from seqtrust.verdicts import SCHEMA

with log_to(snakemake.log[0]):
    verdicts = read_table(snakemake.input[0], SCHEMA).to_pandas()
    about = snakemake.wildcards.verdict, snakemake.params.kind, snakemake.params.seed
    write_tsv(snakemake.output.fractions, class_fractions(verdicts, *about))
    write_tsv(snakemake.output.headlines, headline_numbers(verdicts, *about))
