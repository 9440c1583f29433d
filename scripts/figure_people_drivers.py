"""Draw which variants drive predictions across people, and who agrees on them."""

import pandas as pd

from seqtrust.figures.people import driver_table, drivers
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to
from seqtrust.tables import read_table
from seqtrust.uncertainty.people_tables import DRIVERS

with log_to(snakemake.log[0]):
    entries, files = snakemake.params.entries, iter(snakemake.input.drivers)
    found = [
        pd.concat([read_table(next(files), DRIVERS).to_pandas() for _ in range(blocks)])
        for blocks in [entry["variants"]["blocks"] for entry in entries.values()]
    ]
    statistics = [read_tsv(path) for path in snakemake.input.statistics]
    table = driver_table([part.reset_index(drop=True) for part in found], statistics, entries)
    save_figure(drivers(table, entries), snakemake.output, table, snakemake.params.toy)
