"""Class fractions, reference levels and headline numbers of one verdict."""

import numpy as np

from seqtrust.consistency import class_fractions, headline_numbers
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.personal import PERMUTED
from seqtrust.tables import read_table
from seqtrust.verdicts import SCHEMA

with log_to(snakemake.log[0]):
    verdicts = read_table(snakemake.input.verdicts, SCHEMA).to_pandas()
    about = snakemake.wildcards.verdict, snakemake.params.kind, snakemake.params.seed
    unanimous = None
    if path := snakemake.input.get("permuted"):
        unanimous = np.array(read_table(path, PERMUTED)["unanimous"].to_pylist(), dtype=np.int8)
    write_tsv(snakemake.output.fractions, class_fractions(verdicts, *about, unanimous))
    write_tsv(snakemake.output.headlines, headline_numbers(verdicts, *about))
