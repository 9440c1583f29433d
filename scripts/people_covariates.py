"""Covariates of the people of a set: principal components of genotypes, or a given table."""

import numpy as np

from seqtrust.files import read_tsv, write_tsv
from seqtrust.logs import log_to
from seqtrust.uncertainty.people_dosages import (
    covariate_table,
    principal_components,
    read_covariates,
)

with log_to(snakemake.log[0]):
    settings = snakemake.params.settings["covariates"]
    if "table" in settings:
        names = list(read_tsv(snakemake.input.samples)["name"])
        values = read_covariates(snakemake.input.table, names)
    else:
        grams = [np.load(path) for path in snakemake.input.grams]
        values = principal_components(grams, settings["principal_components"])
    write_tsv(snakemake.output[0], covariate_table(values))
