"""Draw the trust scores of every entry by the area under their risk."""

from seqtrust.figures.style import labelled_parts, save_figure
from seqtrust.figures.trust import trust_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    parts = [read_tsv(path) for path in snakemake.input]
    table = labelled_parts(parts, snakemake.params.labels)
    save_figure(trust_figure(table), snakemake.output, table, snakemake.params.toy)
