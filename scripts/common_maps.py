"""Find the sequences whose maps are usable for all models of a population."""

from itertools import accumulate, pairwise

from seqtrust.attribution.common_maps import common_maps, require_disjoint
from seqtrust.attribution.map_tables import read_attributions
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.sequence_set import read_sequence_set

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    judged = [read_sequence_set(path) for path in files.judged]
    for name, path in zip(params.chosen, files.chosen, strict=True):
        for sequences in judged:
            require_disjoint(read_sequence_set(path), sequences, (name, params.judged))
    bounds = pairwise(accumulate((one["shards"] for one in params.models), initial=0))
    models = (
        (one["part"], one["ensemble"], one["replicate"], read_attributions(files.maps[first:end]))
        for one, (first, end) in zip(params.models, bounds, strict=True)
    )
    usable, common = common_maps(models, params.least_usable)
    write_tsv(snakemake.output.usable, usable)
    write_tsv(snakemake.output.common, common)
    log.info("%d sequences that all models have", len(common))
