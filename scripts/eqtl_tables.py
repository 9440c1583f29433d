"""Classes, votes, pairs, attributes, states and bounds of one eQTL analysis."""

from seqtrust.files import read_tsv, write_tsv
from seqtrust.logs import log_to
from seqtrust.tables import read_table
from seqtrust.uncertainty.eqtl_report import eqtl_tables, read_published
from seqtrust.uncertainty.eqtls import UNITS
from seqtrust.uncertainty.states import read_states

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    names = [f"{score}/{kind}" for score, kind, _ in params.parts]
    filters = dict(zip(names, map(read_tsv, files.filters), strict=True))
    shown = zip(params.published.items(), files.get("published", []), strict=True)
    states = zip(params.tissues, files.get("states", []), strict=True)
    tables = eqtl_tables(
        read_table(files.units, UNITS).to_pandas(),
        params.settings,
        filters,
        {score: read_published(path, assay) for (score, assay), path in shown},
        {tissue: read_states(path) for tissue, path in states},
        params.seed,
    )
    for name, table in tables.items():
        write_tsv(snakemake.output[name], table)
