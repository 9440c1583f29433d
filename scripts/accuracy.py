"""Correlate predictions with measured tracks."""

from seqtrust.accuracy import correlation_table
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.targets import open_targets
from seqtrust.verdicts import regions_of

with log_to(snakemake.log[0]):
    table = correlation_table(
        read_replicates(snakemake.input.predictions, snakemake.params.replicates),
        read_sequence_set(snakemake.input.sequences),
        open_targets(snakemake.input.targets, missing=True),
        regions_of(*map(read_card, snakemake.input.cards)),
        snakemake.params.settings["output"],
    )
    write_tsv(snakemake.output[0], table)
