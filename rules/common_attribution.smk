# Look-ups of attribution: maps, consistency, TF-MoDISco, simulated grammars and populations.

from seqtrust.attribution.populations import (
    JUDGING,
    MODEL,
    OUTPUT,
    SELECTION,
    cells_of_population,
    maps_of,
)

POPULATIONS = config["populations"]
ATTRIBUTIONS = config["attributions"]
# entries of the config; those that a population needs have their own tables and figures
USER_ATTRIBUTIONS = [name for name, entry in ATTRIBUTIONS.items() if "population" not in entry]
MOTIF_POPULATIONS = [name for name, entry in POPULATIONS.items() if "motifs" in entry]
METHODS = sorted({method for entry in ATTRIBUTIONS.values() for method in entry["methods"]})


def attributed_ensemble(wildcards):
    """The ensemble whose replicates an attribution explains."""
    return ENSEMBLES[ATTRIBUTIONS[wildcards.attribution]["ensemble"]]


def attribution_inputs(wildcards):
    """The sequences, the replicate and, if the network is the user's own, its code."""
    entry = ATTRIBUTIONS[wildcards.attribution]
    ensemble = entry["ensemble"]
    return {
        "sequences": f"<results>/sequences/{entry['set']}.parquet",
        "replicate": f"<results>/ensembles/{ensemble}/{wildcards.replicate}.safetensors",
        "sources": sources_of(ensemble),
    }


def attribution_shards(attribution, method, replicate):
    """The maps of one method and replicate, shard by shard."""
    return gather.shards(
        f"<results>/attributions/{attribution}/{method}/{replicate}/{{scatteritem}}.parquet"
    )


def all_attribution_shards(attribution):
    """The maps of all methods and replicates: method by method, replicate by replicate."""
    entry = ATTRIBUTIONS[attribution]
    return [
        shard
        for method in entry["methods"]
        for replicate in replicates(entry["ensemble"])
        for shard in attribution_shards(attribution, method, replicate)
    ]


def attributed_output(wildcards):
    name = ATTRIBUTIONS[wildcards.attribution]["output"]
    return {name: attributed_ensemble(wildcards)["outputs"][name]}


def attribution_settings(wildcards):
    """What changes the maps of one method."""
    entry = ATTRIBUTIONS[wildcards.attribution]
    return {
        "method": wildcards.method,
        "settings": entry["methods"][wildcards.method],
        "region": entry.get("region"),
        "reverse_complement": entry["reverse_complement"],
        "least_converged": entry["least_converged"],
    }


def compared_attributions(least):
    """Entries of the config with at least so many pairs of a method and a replicate."""
    return [
        name
        for name in USER_ATTRIBUTIONS
        if len(ATTRIBUTIONS[name]["methods"]) * len(replicates(ATTRIBUTIONS[name]["ensemble"]))
        >= least
    ]


# title, entries, and the tables that it draws
ATTRIBUTION_FIGURES = {
    "consistency": ("Consistency of maps", USER_ATTRIBUTIONS, ["consistency.tsv"]),
    "nulls": ("Consistency and nulls", USER_ATTRIBUTIONS, ["nulls.tsv", "consistency.tsv"]),
    "agreement": ("Agreement of maps", compared_attributions(2), ["agreement.tsv"]),
    "logos": ("Maps as logos", USER_ATTRIBUTIONS, ["logos.parquet"]),
    "spheres": ("Directions", USER_ATTRIBUTIONS, ["spheres.parquet", "consistency.tsv"]),
    "kmers": ("K-mers", USER_ATTRIBUTIONS, ["spectra.parquet", "consistency.tsv"]),
    "sensitivity": (
        "Settings of the scores",
        [
            name
            for name in compared_attributions(3)
            if ATTRIBUTIONS[name]["consistency"]["sensitivity"]
        ],
        ["sensitivity.tsv"],
    ),
    "motifs": (
        "Shared motifs",
        [name for name in USER_ATTRIBUTIONS if "motifs" in ATTRIBUTIONS[name]],
        ["motifs.parquet"],
    ),
}
ATTRIBUTION_FIGURES = {name: made for name, made in ATTRIBUTION_FIGURES.items() if made[1]}
FIGURES += [f"attribution_{name}" for name in ATTRIBUTION_FIGURES]


def consistency_inputs(wildcards):
    """The maps of all methods and replicates of an entry, and their sequences."""
    entry = ATTRIBUTIONS[wildcards.attribution]
    return {
        "maps": all_attribution_shards(wildcards.attribution),
        "sequences": f"<results>/sequences/{entry['set']}.parquet",
    }


def motif_methods(attribution):
    """The methods whose maps motifs are looked for in."""
    entry = ATTRIBUTIONS[attribution]
    full = [method for method in entry["methods"] if method != "input_gradient"]
    return entry["motifs"].get("methods", full)


def mapped_replicates(wildcards):
    """The replicates of a file of motifs: one, or all for those of the mean map."""
    if wildcards.replicate != "ensemble":
        return [wildcards.replicate]
    return replicates(ATTRIBUTIONS[wildcards.attribution]["ensemble"])


def motif_maps(wildcards):
    """The maps that motifs are looked for in: replicate by replicate, shard by shard."""
    return [
        shard
        for replicate in mapped_replicates(wildcards)
        for shard in attribution_shards(wildcards.attribution, wildcards.method, replicate)
    ]


def discovery_settings(wildcards):
    """What changes the motifs that are found."""
    settings = ATTRIBUTIONS[wildcards.attribution]["motifs"]
    keys = ("most_maps", "window", "flank", "width", "least_seqlets", "clusterings")
    return {key: settings[key] for key in keys}


def motif_replicates(attribution):
    """The replicates, and the mean map of several."""
    names = replicates(ATTRIBUTIONS[attribution]["ensemble"])
    return names + ["ensemble"] if len(names) > 1 else names


def motif_consistency_inputs(wildcards):
    """The motifs of all methods and replicates, and what they are compared with."""
    attribution = wildcards.attribution
    files = {
        "patterns": [
            f"<results>/attributions/{attribution}/motifs/{method}/{replicate}.parquet"
            for method in motif_methods(attribution)
            for replicate in motif_replicates(attribution)
        ]
    }
    known = ATTRIBUTIONS[attribution]["motifs"].get("known")
    if isinstance(known, dict):
        grammar = known["grammar"]
        files["known"] = data_path(config["grammars"][grammar]["motifs"])
        files["pool"] = f"<results>/grammars/{grammar}.motifs.tsv"
    elif known is not None:
        files["known"] = data_path(known)
    return files


def explained_attributions(population):
    """The attributions of a population's ensembles that motifs are looked for in, by ensemble."""
    part = JUDGING if JUDGING in POPULATIONS[population] else SELECTION
    return {cell.ensemble: f"{cell.ensemble}_{part}" for cell in population_cells(population)}


def grammar_motifs(wildcards):
    return data_path(config["grammars"][wildcards.grammar]["motifs"])


def population_cells(population):
    """The ensembles of a population, models first."""
    return cells_of_population(population, POPULATIONS[population])


def population_pairs():
    """The ensembles of all populations and the sets that they predict."""
    return [
        (cell.ensemble, maps_of(cell, SELECTION, POPULATIONS[population])["set"])
        for population in POPULATIONS
        for cell in population_cells(population)
    ]


def population_models(population):
    """The ensembles of a population without its controls."""
    return [cell for cell in population_cells(population) if cell.kind == MODEL]


def population_parts(population):
    """What models are chosen by and, where a truth is known, judged on."""
    return [part for part in (SELECTION, JUDGING) if part in POPULATIONS[population]]


def population_maps(population, ensemble, part):
    """The maps of all replicates of a cell, replicate by replicate."""
    (method,) = POPULATIONS[population]["method"]
    return [
        shard
        for replicate in replicates(ensemble)
        for shard in attribution_shards(f"{ensemble}_{part}", method, replicate)
    ]


def mapped_models(population):
    """Part, ensemble and replicate of every model's maps, with the number of shards."""
    return [
        {
            "part": part,
            "ensemble": cell.ensemble,
            "replicate": replicate,
            "shards": config["shards"],
        }
        for part in population_parts(population)
        for cell in population_models(population)
        for replicate in replicates(cell.ensemble)
    ]


def common_map_inputs(wildcards):
    """The maps of all models, and the sets that models are chosen by and judged on."""
    population = wildcards.population
    chosen = POPULATIONS[population][SELECTION]
    judged = POPULATIONS[population].get(JUDGING)
    return {
        "maps": [
            shard
            for part in population_parts(population)
            for cell in population_models(population)
            for shard in population_maps(population, cell.ensemble, part)
        ],
        "chosen": [f"<results>/sequences/{chosen[key]}.parquet" for key in ("set", "maps")],
        "judged": [f"<results>/sequences/{judged['maps']}.parquet"] if judged else [],
    }


def population_cell(wildcards):
    """The cell of a population that an ensemble is."""
    cells = population_cells(wildcards.population)
    return next(cell for cell in cells if cell.ensemble == wildcards.ensemble)


def scored_cell(population, ensemble, control, levels):
    """What scoring a cell needs to know of it."""
    (method,) = POPULATIONS[population]["method"]
    return {
        "ensemble": ensemble,
        "control": control,
        "levels": levels,
        "method": method,
        "region": POPULATIONS[population].get("region"),
        "parts": population_parts(population),
    }


def scored_sequences(population, maps):
    """The sequences of the maps, and the truth of those that models are judged on."""
    files = {
        f"{part}_sequences": f"<results>/sequences/{settings['maps']}.parquet"
        for part, settings in maps.items()
    }
    if JUDGING in maps:
        files["truth"] = f"<results>/grammars/{maps[JUDGING]['truth']['grammar']}.truth.parquet"
    if all(POPULATIONS[population][part]["maps"] == maps[part]["maps"] for part in maps):
        files["common"] = f"<results>/populations/{population}.common.tsv"
        files["usable"] = f"<results>/populations/{population}.usable.tsv"
    return files


def cell_inputs(wildcards):
    """Predictions, targets and maps of a cell's models."""
    population, ensemble = wildcards.population, wildcards.ensemble
    cell, entry = population_cell(wildcards), POPULATIONS[population]
    maps = {part: maps_of(cell, part, entry) for part in population_parts(population)}
    chosen = maps[SELECTION]
    return (
        {
            "predictions": prediction_shards(ensemble, chosen["set"]),
            "sequences": f"<results>/sequences/{chosen['set']}.parquet",
            "targets": given_or_library(chosen["targets"], "targets.tsv"),
        }
        | {f"{part}_maps": population_maps(population, ensemble, part) for part in maps}
        | scored_sequences(population, maps)
    )


def truth_control_inputs(wildcards):
    """The sequences whose true maps are scored."""
    entry = POPULATIONS[wildcards.population]
    parts = population_parts(wildcards.population)
    return scored_sequences(wildcards.population, {part: entry[part] for part in parts})


def population_files(population, suffix, controls=True):
    """One of the tables of every cell and, where it is wanted, of the truth."""
    cells = population_cells(population) if controls else population_models(population)
    truth = ["truth"] if controls and POPULATIONS[population]["controls"]["truth"] else []
    names = [cell.ensemble for cell in cells] + truth
    return [f"<results>/populations/{population}/{name}.{suffix}" for name in names]


def selection_inputs(wildcards):
    """Scores of all models and controls, and values of judged sequences of models."""
    population = wildcards.population
    return {
        "scores": population_files(population, "tsv"),
        "sequences": (
            population_files(population, "sequences.parquet", controls=False)
            if JUDGING in POPULATIONS[population]
            else []
        ),
    }


def sequenced_models(wildcards):
    """The ensembles whose values of judged sequences there are."""
    population = wildcards.population
    judged = JUDGING in POPULATIONS[population]
    return [cell.ensemble for cell in population_models(population)] if judged else []


def drawn_models(suffix):
    """One of the tables of every model and control, population by population."""
    return [path for population in POPULATIONS for path in population_files(population, suffix)]


def drawn_counts():
    """How many such tables every population has."""
    return {population: len(population_files(population, "")) for population in POPULATIONS}
