"""Run TF-MoDISco on the attribution maps of one replicate, or on the ensemble's mean map."""

from seqtrust.attribution.map_tables import read_attributions
from seqtrust.attribution.motif_discovery import discover, joined_maps, write_patterns
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    params, paths = snakemake.params, list(snakemake.input)
    each = len(paths) // params.replicates
    parts = [paths[first : first + each] for first in range(0, len(paths), each)]
    maps = joined_maps([read_attributions(part, params.track) for part in parts])
    found = discover(maps, seed=params.seed, **params.settings)
    write_patterns(snakemake.output[0], found, params.settings)
    log.info("%d maps used, %d unusable, %d not drawn", found.maps, found.unusable, found.not_drawn)
    if not found.patterns:
        log.info("no pattern found: no sign has enough seqlets, or no cluster of them is a motif")
    for pattern in found.patterns:
        log.info("%s: %d seqlets", pattern.name, pattern.seqlets)
