"""Judge whether replicates order people as their expression does."""

from seqtrust.files import read_tsv
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.personal import judge_people, read_expression
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.sources.haplotypes import HAPLOTYPES
from seqtrust.tables import dump, read_table, write_table
from seqtrust.verdicts import SCHEMA, regions_of

with log_to(snakemake.log[0]):
    columns = judge_people(
        read_replicates(snakemake.input.predictions, snakemake.params.replicates),
        read_sequence_set(snakemake.input.sequences),
        read_table(snakemake.input.haplotypes, HAPLOTYPES).to_pandas(),
        list(read_tsv(snakemake.input.samples)["name"]),
        read_expression(snakemake.input.expression),
        regions_of(*map(read_card, snakemake.input.cards)),
        snakemake.params.settings["output"],
    )
    write_table(
        snakemake.output[0], SCHEMA, columns, {"replicates": dump(snakemake.params.replicates)}
    )
