"""One figure of a Deep MR simulation."""

from seqtrust.figures.mr_simulations import PANELS, shown_tables
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    tables = {name: read_tsv(files[name]) for name in ("rounds", "summary", "published")}
    table = shown_tables(params.panel, tables)
    save_figure(PANELS[params.panel](table, params.label), snakemake.output, table, params.toy)
