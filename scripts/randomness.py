"""Variance between replicates by source of randomness."""

from itertools import islice

from seqtrust.contrasts import CONTRASTS
from seqtrust.effects import SCHEMA as EFFECTS
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import read_table
from seqtrust.uncertainty.randomness import (
    Units,
    effect_units,
    predicted_noise,
    prediction_units,
    randomness,
)

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    settings = params.settings
    chosen = settings["output"], settings.get("track")
    of_effects, noise = settings["quantity"] == "effect", {}
    if of_effects:
        contrasts = read_table(files.contrasts, CONTRASTS)
        found = [effect_units(read_table(path, EFFECTS), contrasts, *chosen) for path in files.data]
        units = dict(zip(params.ensembles, found, strict=True))
    else:
        ids = read_sequence_set(files.sequences).ids()
        count = len(files.data) // sum(map(len, params.ensembles.values()))
        shards, units = iter(files.data), {}
        for name, replicates in params.ensembles.items():
            predicted = read_replicates(list(islice(shards, count * len(replicates))), replicates)
            units[name] = prediction_units(predicted, ids, *chosen)
            if name in settings["noise"]:
                output = settings["noise"][name]
                noise[name] = predicted_noise(predicted, ids, chosen[0], output, chosen[1])
    sources = {
        source: Units.joined([units[name] for name in names])
        for source, names in settings["sources"].items()
    }
    table = randomness(sources, settings["sources"], params.seed, signs=of_effects, noise=noise)
    write_tsv(snakemake.output[0], table)
