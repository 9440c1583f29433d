"""Draw a consistent and an inconsistent model of every population side by side."""

from itertools import accumulate, pairwise
from pathlib import Path

from seqtrust.figures.population_pairs import FIGURES, chosen_rows, schema_of
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to
from seqtrust.tables import read_table

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    schema, parts = schema_of(params.figure), []
    bounds = pairwise(accumulate(params.tables.values(), initial=0))
    for models, (first, end) in zip(files.models, bounds, strict=True):
        tables = {
            Path(path).name.split(".")[0]: read_table(path, schema).to_pandas()
            for path in files.drawn[first:end]
        }
        parts.append(chosen_rows(read_tsv(models), tables))
    figure, table = FIGURES[params.figure](parts, params.labels)
    save_figure(figure, snakemake.output, table, params.toy)
