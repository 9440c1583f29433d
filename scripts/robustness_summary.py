"""Scores of all models over worlds and replicates, and the tests of claims."""

import pandas as pd

from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.robustness.benchmark_plan import model_plans
from seqtrust.robustness.claims import claims_table
from seqtrust.robustness.score_tables import read_scores, write_summary
from seqtrust.robustness.shift_summary import summary_table

with log_to(snakemake.log[0]) as log:
    entry, seed = snakemake.params.entry, snakemake.params.seed
    plans = model_plans(entry)
    parts = zip(snakemake.input.scores, snakemake.params.replicates, strict=True)
    fits = pd.concat([read_scores(path, *name) for path, name in parts], ignore_index=True)
    summary = summary_table(fits, plans, seed)
    write_summary(snakemake.output.summary, summary)
    write_tsv(snakemake.output.text, summary)
    tests = claims_table(fits, plans, entry["tests"], seed, snakemake.params.toy)
    write_tsv(snakemake.output.tests, tests)
    verdicts = tests.loc[tests["part"] == "all", "verdict"].value_counts()
    log.info("%s", ", ".join(f"{count} {name}" for name, count in verdicts.items()))
