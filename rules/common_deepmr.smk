# Look-ups of Deep MR: parts, recalibrations, and what stands beside.

DEEP_MR = config["deep_mr"]
DEEP_MR_FIGURES = {
    "effects": "Global effects",
    "forest": "Effects of single loci",
    "loci": "Instruments of single loci",
    "diagnostics": "Diagnostics",
    "controls": "Controls",
    "changes": "What published choices change",
    "spacing": "Effects by motif distance",
    "reliability": "Recalibration of tasks",
}


def deep_mr_with(key, absent):
    """The entries that have a setting other than what its absence is."""
    return [name for name, entry in DEEP_MR.items() if entry.get(key, absent) != absent]


DEEP_MR_ENTRIES = {panel: list(DEEP_MR) for panel in DEEP_MR_FIGURES} | {
    "controls": [
        name
        for name, entry in DEEP_MR.items()
        if entry["controls"]["no_path"] or entry["controls"]["shuffled_heads"]
    ],
    "changes": deep_mr_with("compare_published", False),
    "spacing": deep_mr_with("spacing", None),
    "reliability": deep_mr_with("recalibration", "none"),
}
FIGURES += [f"deep_mr_{panel}" for panel in DEEP_MR_FIGURES if DEEP_MR_ENTRIES[panel]]


def deep_mr_maps(name):
    """The entry of `ism` that an analysis takes its effects from."""
    return MAPS[DEEP_MR[name]["ism"]]


def deep_mr_replicates(wildcards):
    """Names of the replicates; none of a table."""
    if "ism" not in DEEP_MR[wildcards.deepmr]:
        return []
    return replicates(deep_mr_maps(wildcards.deepmr)["ensemble"])


def deep_mr_parts(name, folder, suffix):
    """A file per shard of loci; of a table there is one."""
    pattern = f"<results>/deepmr/{name}/{folder}/{{scatteritem}}.{suffix}"
    if "ism" in DEEP_MR[name]:
        return list(gather.shards(pattern))
    return [pattern.replace("{scatteritem}", "table")]


def deep_mr_recalibration(name):
    """Kind of an analysis' recalibration and its settings, defaults filled in."""
    chosen = DEEP_MR[name]["recalibration"]
    if chosen == "none":
        return None, {}
    ((kind, settings),) = chosen.items()
    return kind, {"split": "validation", "judged_on": "test"} | settings


def deep_mr_kinds(wildcards):
    """Recalibrations that are fitted: the one of the config, and the published one beside it."""
    kind, _ = deep_mr_recalibration(wildcards.deepmr)
    return list(dict.fromkeys([kind, "published"])) if kind != "platt" else [kind]


def deep_mr_shard_inputs(wildcards):
    """The maps of all replicates for one shard, and the recalibration where there is one."""
    name, item = wildcards.deepmr, wildcards.part
    entry = DEEP_MR[name]
    files = {
        "maps": [
            f"<results>/ism/{entry['ism']}/{replicate}/{item}.parquet"
            for replicate in deep_mr_replicates(wildcards)
        ]
    }
    if deep_mr_recalibration(name)[0]:
        files["recalibration"] = f"<results>/deepmr/{name}.recalibration.json"
    return files


def deep_mr_instrument_inputs(wildcards):
    name = wildcards.deepmr
    maps = deep_mr_maps(name)
    files = deep_mr_shard_inputs(wildcards) | {
        "moments": deep_mr_parts(name, "moments", "json"),
        "sequences": f"<results>/sequences/{maps['set']}.parquet",
        "cards": replicate_files_of(maps["ensemble"]),
    }
    return files | given_paths(DEEP_MR[name]["instruments"].get("spans", {}), "motifs")


def deep_mr_recalibration_inputs(wildcards):
    ensemble = deep_mr_maps(wildcards.deepmr)["ensemble"]
    _, settings = deep_mr_recalibration(wildcards.deepmr)
    files = predicted_inputs({"ensemble": ensemble, "set": settings["set"]})
    return files | {"targets": given_or_library(settings["targets"], "targets.tsv")}


def deep_mr_global_inputs(wildcards):
    name = wildcards.deepmr
    kinds = {"instruments": "instruments", "local": "local", "diagnostics": "diagnostics"}
    files = {key: deep_mr_parts(name, folder, "parquet") for key, folder in kinds.items()}
    beside = given_paths(DEEP_MR[name], "published", "published_statistics")
    if "published_statistics" in beside:
        beside["statistics"] = beside.pop("published_statistics")
    return files | beside


def deep_mr_memory(wildcards, input, attempt):
    """Memory in MB of all loci; without the effects of single replicates it is less."""
    entry = DEEP_MR[wildcards.deepmr]
    each = entry["main"] == "per_replicate" or entry["instruments"]["cross_fitted"]
    factor = 60 if each else 20
    return int(2000 + factor * input.size_mb) * attempt


def deep_mr_spacing_inputs(wildcards):
    name = wildcards.deepmr
    return {
        "instruments": deep_mr_parts(name, "instruments", "parquet"),
        "sequences": f"<results>/sequences/{deep_mr_maps(name)['set']}.parquet",
        "motifs": data_path(DEEP_MR[name]["spacing"]["motifs"]),
    } | given_paths(DEEP_MR[name]["spacing"], "published")


def deep_mr_figure_inputs(panel):
    """The tables of a figure, kind by kind, every kind for all its entries."""
    kinds = {
        "effects": ["global.tsv", "verdicts.tsv"],
        "forest": ["local.parquet", "global.tsv", "scatter.tsv"],
        "loci": ["scatter.tsv", "local.parquet"],
        "diagnostics": ["diagnostics.parquet"],
        "controls": ["controls.tsv", "control_effects.tsv"],
    }.get(panel, [f"{panel}.tsv"])
    return {
        kind.split(".")[0].replace("global", "effects"): [
            f"<results>/deepmr/{name}.{kind}" for name in DEEP_MR_ENTRIES[panel]
        ]
        for kind in kinds
    }


def deep_mr_recalibrated_pairs():
    """Ensembles and the sets on which recalibrations are fitted."""
    return [
        (deep_mr_maps(name)["ensemble"], deep_mr_recalibration(name)[1]["set"])
        for name in DEEP_MR_ENTRIES["reliability"]
    ]
