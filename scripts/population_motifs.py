"""Motifs that the models of a population find, combination by combination."""

import pandas as pd

from seqtrust.files import read_tsv, write_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    parts = []
    for path, about in zip(snakemake.input, snakemake.params.cells, strict=True):
        part = read_tsv(path)
        for place, (name, value) in enumerate(about.items()):
            part.insert(place, name, value)
        parts.append(part)
    write_tsv(snakemake.output[0], pd.concat(parts, ignore_index=True))
