"""The variants that drive the predictions of a block of genes across people."""

from seqtrust.logs import log_to
from seqtrust.tables import read_table, write_table
from seqtrust.uncertainty.people_dosages import DOSAGES, variants_by_gene
from seqtrust.uncertainty.people_drivers import driver_table, read_eqtls
from seqtrust.uncertainty.people_tables import DRIVERS, read_people

with log_to(snakemake.log[0]):
    files, settings = snakemake.input, snakemake.params.settings
    block = int(snakemake.wildcards.block), settings["variants"]["blocks"]
    people = read_people(files.people).part(*block)
    effects = read_eqtls(files.eqtls).effects if files.get("eqtls") else {}
    table = driver_table(
        people,
        variants_by_gene(read_table(files.dosages, DOSAGES), list(people.genes["gene"])),
        effects,
        settings["drivers"]["explained"],
        settings["drivers"]["most"],
    )
    write_table(snakemake.output[0], DRIVERS, table)
