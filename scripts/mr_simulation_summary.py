"""Metrics of all rounds of a Deep MR simulation, and published values beside them."""

import pandas as pd

from seqtrust.files import read_input_table, write_tsv
from seqtrust.logs import log_to
from seqtrust.mendelian.simulated_study import ROUNDS
from seqtrust.mendelian.simulated_summary import PUBLISHED, published_comparison, summary_table
from seqtrust.tables import read_table

with log_to(snakemake.log[0]) as log:
    tables = [read_table(path, ROUNDS).to_pandas() for path in snakemake.input.rounds]
    rounds = pd.concat([table.dropna(axis=1, how="all") for table in tables], ignore_index=True)
    rounds = rounds.reindex(columns=[one.name for one in ROUNDS.columns])
    write_tsv(snakemake.output.rounds, rounds)
    summary = summary_table(rounds)
    write_tsv(snakemake.output.summary, summary)
    if snakemake.input.get("published"):
        published = read_input_table(snakemake.input.published)
    else:
        published = pd.DataFrame(columns=list(PUBLISHED))
    beside = published_comparison(summary, published, snakemake.params.law)
    write_tsv(snakemake.output.published, beside)
    log.info("%d rows of %d tables", len(summary), len(tables))
