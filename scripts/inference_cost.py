"""Plan what predicting every set with every ensemble will take."""

from seqtrust.files import write_tsv
from seqtrust.inference.cost import estimate
from seqtrust.inference_tables import cost_row, cost_table
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import load_replicate
from seqtrust.sequence_set import read_sequence_set

PLANNED = ("reverse_complement", "shifts", "batch_bases", "savings")

with log_to(snakemake.log[0]) as log:
    params, rows = snakemake.params, []
    for entry, replicate, sequences in zip(
        params.planned, snakemake.input.replicates, snakemake.input.sequences, strict=True
    ):
        cost = estimate(
            load_replicate(replicate),
            read_sequence_set(sequences),
            entry["outputs"],
            jobs=params.jobs,
            threads=snakemake.threads,
            device="cuda" if snakemake.resources.gpu else "cpu",
            **params.cost,
            **{name: entry["inference"][name] for name in PLANNED},
        )
        rows.append(cost_row(entry["ensemble"], entry["set"], entry["replicates"], cost))
        log.info("%s, %s: %s", entry["ensemble"], entry["set"], cost)
    write_tsv(snakemake.output[0], cost_table(rows))
