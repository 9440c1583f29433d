"""Cis-SNP predictor and heritability of a block of genes."""

from seqtrust.files import read_tsv, write_tsv
from seqtrust.logs import log_to
from seqtrust.personal import expression_of, read_expression
from seqtrust.tables import read_table
from seqtrust.uncertainty.people_dosages import DOSAGES, variants_by_gene
from seqtrust.uncertainty.people_linear import linear_table, read_heritability
from seqtrust.uncertainty.people_tables import read_covariate_values, read_people

with log_to(snakemake.log[0]):
    files, settings = snakemake.input, snakemake.params.settings
    block = int(snakemake.wildcards.block), settings["variants"]["blocks"]
    genes = list(read_people(files.people).part(*block).genes["gene"])
    samples = list(read_tsv(files.samples)["name"])
    table = linear_table(
        variants_by_gene(read_table(files.dosages, DOSAGES), genes),
        expression_of(read_expression(files.expression), genes, samples, missing_genes=True),
        read_covariate_values(files.get("covariates")),
        settings["variants"]["min_frequency"],
        settings["linear"]["folds"],
        snakemake.params.seed,
        read_heritability(files.get("heritability")),
    )
    write_tsv(snakemake.output[0], table)
