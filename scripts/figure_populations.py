"""Draw one figure of all populations from their tables."""

from seqtrust.figures.populations import FIGURES, Population, table_of
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    populations = [
        Population(name, entry, *map(read_tsv, paths))
        for (name, entry), *paths in zip(
            params.populations.items(), files.models, files.selection, files.correlations,
            strict=True,
        )
    ]  # fmt: skip
    draw, part = FIGURES[params.figure]
    save_figure(draw(populations), snakemake.output, table_of(populations, part), params.toy)
