"""Everything that personal genomes say, from the tables of the steps before."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from seqtrust.files import read_tsv
from seqtrust.personal import expression_of, read_expression
from seqtrust.tables import read_table
from seqtrust.uncertainty.people_correlations import Floats
from seqtrust.uncertainty.people_drivers import read_eqtls
from seqtrust.uncertainty.people_summary import (
    CLASSES,
    CROSS_GENE,
    class_table,
    cross_gene,
    driver_statistics,
    gene_table,
    pair_table,
    statistics_table,
)
from seqtrust.uncertainty.people_tables import (
    DRIVERS,
    People,
    read_covariate_values,
    read_gene_numbers,
)


def report(
    people: People,
    samples: Sequence[str],
    populations: Sequence[int],
    files: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, pd.DataFrame]]:
    """The tables of genes and of pairs of replicates, and the small tables by name.

    Args:
        people: predictions across people.
        samples: names of the people.
        populations: number of each person's population.
        files: paths of the drivers, and where there are any of expression, levels, covariates,
            linear and eqtls.
        settings: an entry of `people_analyses`.
        seed: seed of permutations and bootstraps.
    """
    names = list(people.genes["gene"])
    measured, levels = None, None
    if "expression" in settings:
        measured = expression_of(read_expression(files["expression"]), names, samples)
        levels = mean_expression(measured)
    if "levels" in settings:
        levels = read_gene_numbers(files["levels"], ["level"])["level"].reindex(names).to_numpy()
    covariates = read_covariate_values(files.get("covariates"))
    pairs = pair_table(people, covariates)
    linear = [read_tsv(path) for path in files.get("linear", [])]
    genes, null = gene_table(
        people,
        pairs,
        measured,
        populations,
        settings["permutations"],
        seed,
        covariates,
        pd.concat(linear, ignore_index=True) if linear else None,
        read_eqtls(files["eqtls"]).p_values if "eqtls" in settings else None,
        settings["fdr"],
    )
    drivers = pa.concat_tables([read_table(path, DRIVERS) for path in files["drivers"]])
    tables = {
        "classes": pd.DataFrame(columns=list(CLASSES))
        if null is None
        else class_table(genes, null),
        "statistics": statistics_table(genes, seed),
        "cross_gene": pd.DataFrame(columns=list(CROSS_GENE))
        if levels is None
        else cross_gene(people, levels, seed),
        "drivers": driver_statistics(drivers.to_pandas(), len(people.replicates), seed),
    }
    return genes, pairs, tables


def mean_expression(measured: Floats) -> Floats:
    """Mean over people, shape (G,); NaN for a gene that nobody has."""
    known = np.isfinite(measured)
    counts = known.sum(axis=1)
    sums = np.where(known, measured, 0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
