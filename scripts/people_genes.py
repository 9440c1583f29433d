"""Correlations across people, their permutation null, and what they say in all."""

from seqtrust.files import read_tsv, write_tsv
from seqtrust.logs import log_to
from seqtrust.personal import read_populations
from seqtrust.tables import dump, write_table
from seqtrust.uncertainty.people_report import report
from seqtrust.uncertainty.people_tables import GENES, PAIRS, read_people

with log_to(snakemake.log[0]):
    files, settings, seed = snakemake.input, snakemake.params.settings, snakemake.params.seed
    people, samples = read_people(files.people), list(read_tsv(files.samples)["name"])
    populations = read_populations(files.get("populations"), samples)
    genes, pairs, tables = report(people, samples, populations, files, settings, seed)
    about = {"replicates": dump(people.replicates)}
    write_table(snakemake.output.genes, GENES, {str(name): genes[name] for name in genes}, about)
    write_table(snakemake.output.pairs, PAIRS, {str(name): pairs[name] for name in pairs}, about)
    for name, table in tables.items():
        write_tsv(snakemake.output[name], table)
