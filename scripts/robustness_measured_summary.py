"""Scores of all models on an assay, its conditions, and the tests of claims."""

import pandas as pd

from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.robustness.benchmark_plan import model_plans
from seqtrust.robustness.measured_claims import measured_claims
from seqtrust.robustness.measured_conditions import conditions_table
from seqtrust.robustness.measured_peaks import read_peaks
from seqtrust.robustness.measured_summary import PeakScores, measured_summary
from seqtrust.robustness.score_tables import read_scores, write_summary
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    entry, files, params = snakemake.params.entry, snakemake.input, snakemake.params
    plans = model_plans(entry)
    named = list(zip(files.scores, files.peaks, params.replicates, strict=True))
    fits = pd.concat([read_scores(path, *name) for path, _, name in named], ignore_index=True)
    peaks = pd.concat([read_peaks(path, *name) for _, path, name in named], ignore_index=True)
    scores = PeakScores(fits, peaks)
    worlds = [open_world(path) for path in files.worlds]
    write_tsv(snakemake.output.conditions, conditions_table(worlds))
    summary = measured_summary(fits, scores, plans, params.seed)
    write_summary(snakemake.output.summary, summary)
    write_tsv(snakemake.output.text, summary)
    shifted = summary.drop_duplicates("data_set").query("type != 'none'")
    tests = measured_claims(shifted, scores, plans, entry["tests"], params.toy)
    write_tsv(snakemake.output.tests, tests)
    verdicts = tests.loc[tests["part"] == "all", "verdict"].value_counts()
    log.info("%s", ", ".join(f"{count} {name}" for name, count in verdicts.items()))
