"""Judge whether replicates order people as their expression does."""

from seqtrust.files import read_tsv
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.personal import PERMUTED, judge_people, read_expression, read_populations
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.sources.haplotypes import HAPLOTYPES
from seqtrust.tables import dump, read_table, write_table
from seqtrust.verdicts import SCHEMA, regions_of

with log_to(snakemake.log[0]):
    files, settings = snakemake.input, snakemake.params.settings
    samples = list(read_tsv(files.samples)["name"])
    columns, permuted = judge_people(
        read_replicates(files.predictions, snakemake.params.replicates),
        read_sequence_set(files.sequences),
        read_table(files.haplotypes, HAPLOTYPES).to_pandas(),
        samples,
        read_expression(files.expression),
        regions_of(*map(read_card, files.cards)),
        settings["output"],
        read_populations(files.get("populations"), samples),
        settings["calls"]["people"]["permutations"],
        snakemake.params.seed,
    )
    about = {"replicates": dump(snakemake.params.replicates)}
    write_table(snakemake.output.verdicts, SCHEMA, columns, about)
    write_table(snakemake.output.permuted, PERMUTED, permuted, about)
