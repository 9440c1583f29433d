"""Read the dosages of the variants around a block of genes."""

import numpy as np

from seqtrust.files import whole_file
from seqtrust.genotypes import GenotypeFile
from seqtrust.logs import log_to
from seqtrust.tables import streamed_table
from seqtrust.uncertainty.people_dosages import DOSAGES, cis_variants, gram, rows_of
from seqtrust.uncertainty.people_tables import read_people

with log_to(snakemake.log[0]) as log:
    files, settings = snakemake.input, snakemake.params.settings["variants"]
    people = read_people(files.people).part(int(snakemake.wildcards.block), settings["blocks"])
    genotypes = GenotypeFile(files.variants, files.index, files.get("samples"))
    total, count = np.zeros((len(genotypes.names), len(genotypes.names))), 0
    with streamed_table(snakemake.output.dosages, DOSAGES, {}) as write:
        for row in people.genes.itertuples():
            place = str(row.contig), int(row.start), int(row.end)
            found = cis_variants(genotypes, *place, settings["flank"], snakemake.params.snvs_only)
            write(rows_of(str(row.gene), found))
            products, number = gram(found.common(settings["min_frequency"]).dosages)
            total, count = total + products, count + number
    with whole_file(snakemake.output.gram) as temporary, open(temporary, "wb") as file:
        np.save(file, total)
    log.info("%d genes, %d people, %d common variants", len(people.genes), len(total), count)
