"""Draw one figure of a robustness benchmark from its table."""

from pathlib import Path

import pandas as pd

from seqtrust.figures.robustness import FIGURES
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    path, params = Path(snakemake.input.table), snakemake.params
    table = pd.read_parquet(path) if path.suffix == ".parquet" else read_tsv(path)
    figure, shown = FIGURES[params.figure](table, params.entry)
    save_figure(figure, snakemake.output, shown, params.toy)
