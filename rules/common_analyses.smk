# Look-ups of the analyses: what each reads, and of which ensembles.


def calibration_inputs(wildcards):
    """Predictions, targets and, where windows are not grouped by block, the table of groups."""
    entry = CALIBRATIONS[wildcards.calibration]
    files = predicted_inputs(entry) | {"targets": given_or_library(entry["targets"], "targets.tsv")}
    group = entry["group"]
    if isinstance(group, str) or "library" in group:
        files["groups"] = given_or_library(group, "groups.tsv")
    return files


def sign_calibration_inputs(wildcards):
    """The verdict and, where loci are not groups, the table of their groups."""
    entry = SIGN_CALIBRATIONS[wildcards.sign_calibration]
    return {"verdicts": f"<results>/verdicts/{entry['verdict']}.parquet"} | given_paths(
        entry, "groups"
    )


def calibrated_replicates(wildcards):
    return replicates(CALIBRATIONS[wildcards.calibration]["ensemble"])


def reference_inputs(wildcards):
    """Predictions, measured tracks, TSS, assays and signal files of a reference analysis."""
    entry = REFERENCE_ANALYSES[wildcards.reference]
    files = predicted_inputs(entry) | assays_of(entry)
    files["targets"] = given_or_library(entry["targets"], "targets.tsv")
    if "points" in entry:
        files["points"] = points(entry["points"])
        files["fasta"] = assembly_fasta(SETS[entry["set"]]["assembly"])
    return files | {"signals": [data_path(path) for path in entry["signals"].values()]}


def agreed_settings(wildcards):
    return config["point_sets"][wildcards.points]["agreed"]


def motif_inputs(wildcards):
    """Predictions, contrasts, motifs and assays of a motif analysis."""
    entry = MOTIF_ANALYSES[wildcards.motifs]
    chosen = SETS[entry["set"]]["source"]["insertions"]
    return (
        predicted_inputs(entry)
        | assays_of(entry)
        | {
            "contrasts": f"<results>/contrasts/{entry['set']}.parquet",
            "pwms": data_path(chosen["motifs"]["path"]),
        }
    )


def eqtl_parts(wildcards):
    """Score, kind and output of every verdict of an eQTL analysis."""
    return [
        [name, kind, VERDICTS[score[kind]]["output"]]
        for name, score in EQTL_ANALYSES[wildcards.eqtls]["scores"].items()
        for kind in ("positives", "negatives")
        if kind in score
    ]


def eqtl_verdicts(wildcards):
    """The names of these verdicts, in the same order."""
    scores = EQTL_ANALYSES[wildcards.eqtls]["scores"]
    return [scores[name][kind] for name, kind, _ in eqtl_parts(wildcards)]


def eqtl_states(wildcards):
    """The BED of chromatin states of every tissue; of `all` where there is one for all."""
    given = EQTL_ANALYSES[wildcards.eqtls].get("states", {})
    given = {"all": given} if isinstance(given, str) else given
    return {tissue: data_path(path) for tissue, path in given.items()}


def eqtl_state_tissues(wildcards):
    return list(eqtl_states(wildcards))


def eqtl_published(wildcards):
    """The scores that published values stand beside."""
    scores = EQTL_ANALYSES[wildcards.eqtls]["scores"]
    return {name: score for name, score in scores.items() if "published" in score}


def eqtl_unit_inputs(wildcards):
    verdicts = eqtl_verdicts(wildcards)
    entries = [VERDICTS[name] for name in verdicts]
    files = {
        "verdicts": [f"<results>/verdicts/{name}.parquet" for name in verdicts],
        "effects": [
            f"<results>/effects/{entry['ensemble']}/{entry['set']}.parquet" for entry in entries
        ],
        "contrasts": [f"<results>/contrasts/{entry['set']}.parquet" for entry in entries],
        "states": list(eqtl_states(wildcards).values()),
    }
    return files | given_paths(EQTL_ANALYSES[wildcards.eqtls], "conservation")


def eqtl_table_inputs(wildcards):
    sets = [VERDICTS[name]["set"] for name in eqtl_verdicts(wildcards)]
    return {
        "units": f"<results>/eqtls/{wildcards.eqtls}.units.parquet",
        "filters": [f"<results>/sequences/{name}.filters.tsv" for name in sets],
        "states": list(eqtl_states(wildcards).values()),
        "published": [
            data_path(score["published"]["table"]) for score in eqtl_published(wildcards).values()
        ],
    }


def people_settings(wildcards):
    return PEOPLE[wildcards.people]


def people_predicted(wildcards):
    """Predictions, and which sequences are whose."""
    entry = people_settings(wildcards)
    return predicted_inputs(entry) | {
        "haplotypes": f"<results>/haplotypes/{entry['set']}.parquet",
        "samples": f"<results>/haplotypes/{entry['set']}.samples.tsv",
    }


def people_genotypes(wildcards):
    """The genotypes that the set's haplotypes were made of, and its list of samples."""
    chosen = SETS[people_settings(wildcards)["set"]]["source"]["haplotypes"]
    return indexed(chosen["variant_file"]) | given_paths(chosen, "samples")


def people_snvs_only(wildcards):
    return SETS[people_settings(wildcards)["set"]]["source"]["haplotypes"]["variants"] == "snvs"


def people_blocks(wildcards, folder, suffix):
    """A file per block of genes."""
    return [
        f"<results>/people/{wildcards.people}.{folder}/{block}.{suffix}"
        for block in range(people_settings(wildcards)["variants"]["blocks"])
    ]


def people_of(wildcards, *keys):
    """The predictions across people, the names of the people, covariates and given files."""
    entry = people_settings(wildcards)
    stem = f"<results>/people/{wildcards.people}"
    files = {
        "people": f"{stem}.predictions.parquet",
        "samples": f"<results>/haplotypes/{entry['set']}.samples.tsv",
    }
    if "covariates" in entry:
        files["covariates"] = f"{stem}.covariates.tsv"
    return files | given_paths(entry, *keys)


def people_covariate_inputs(wildcards):
    entry = people_settings(wildcards)
    if "table" in entry["covariates"]:
        samples = f"<results>/haplotypes/{entry['set']}.samples.tsv"
        return given_paths(entry["covariates"], "table") | {"samples": samples}
    return {"grams": people_blocks(wildcards, "dosages", "gram.npy")}


def people_linear_inputs(wildcards):
    dosages = f"<results>/people/{wildcards.people}.dosages/{wildcards.block}.parquet"
    return people_of(wildcards, "expression", "heritability") | {"dosages": dosages}


def people_driver_inputs(wildcards):
    stem = f"<results>/people/{wildcards.people}"
    return {
        "people": f"{stem}.predictions.parquet",
        "dosages": f"{stem}.dosages/{wildcards.block}.parquet",
    } | given_paths(people_settings(wildcards), "eqtls")


def people_gene_inputs(wildcards):
    files = people_of(wildcards, "expression", "populations", "eqtls", "levels")
    files["drivers"] = people_blocks(wildcards, "drivers", "parquet")
    if "expression" in files:
        files["linear"] = people_blocks(wildcards, "linear", "tsv")
    return files


def compared_ensembles(entry):
    """The ensembles of all sources of randomness, each once."""
    return list(dict.fromkeys(name for names in entry["sources"].values() for name in names))


def randomness_inputs(wildcards):
    """Effects of all ensembles with their contrasts, or predictions with their sequences."""
    entry = config["randomness"][wildcards.randomness]
    ensembles = compared_ensembles(entry)
    if entry["quantity"] == "effect":
        return {
            "data": [f"<results>/effects/{name}/{entry['set']}.parquet" for name in ensembles],
            "contrasts": f"<results>/contrasts/{entry['set']}.parquet",
        }
    return {
        "data": [shard for name in ensembles for shard in prediction_shards(name, entry["set"])],
        "sequences": f"<results>/sequences/{entry['set']}.parquet",
    }


def randomness_ensembles(wildcards):
    """The ensembles in the order of their data, with the names of their replicates."""
    entry = config["randomness"][wildcards.randomness]
    return {name: replicates(name) for name in compared_ensembles(entry)}


def trust_judged(entry):
    """The entry that a trust score is about, of people or of verdicts."""
    return PEOPLE[entry["people"]] if "people" in entry else VERDICTS[entry["verdict"]]


def trust_inputs(wildcards):
    """The verdict and what scores are made of: tables, training windows, maps, a distilled network."""
    entry = config["trust"][wildcards.trust]
    judged = trust_judged(entry)
    if "people" in entry:
        files = {"genes": f"<results>/people/{entry['people']}.genes.parquet"}
    else:
        files = {"verdicts": f"<results>/verdicts/{entry['verdict']}.parquet"}
    files |= {f"table_{name}": data_path(path) for name, path in entry["tables"].items()}
    if "training" in entry:
        files |= {
            "training": f"<results>/sequences/{entry['training']['set']}.parquet",
            "cards": replicate_files_of(judged["ensemble"]),
        }
    if "maps" in entry:
        files["maps"] = [
            shard
            for replicate in replicates(judged["ensemble"])
            for shard in attribution_shards(
                entry["maps"]["attribution"], entry["maps"]["method"], replicate
            )
        ]
    if "distilled" in entry:
        files["distilled"] = prediction_shards(entry["distilled"]["ensemble"], judged["set"])
    if {"training", "maps", "distilled"} & set(entry):
        files["sequences"] = f"<results>/sequences/{judged['set']}.parquet"
        if "people" not in entry:
            files["contrasts"] = f"<results>/contrasts/{judged['set']}.parquet"
    return files


def trust_replicates(wildcards):
    """Names of the replicates that maps are of, and of those that have learned their spread."""
    entry = config["trust"][wildcards.trust]
    distilled = entry.get("distilled", {}).get("ensemble")
    return {
        "maps": replicates(trust_judged(entry)["ensemble"]),
        "distilled": replicates(distilled) if distilled else [],
    }


def predicted_pairs():
    """Ensembles and the sets that the config has them predict, but for tables made elsewhere."""
    pairs = {}
    for section, entries in config.items():
        if section not in ("ensembles", "sequence_sets", "ism", "attributions"):
            pairs |= dict.fromkeys(pairs_in(entries))
    for entry in config["trust"].values():
        if "distilled" in entry:
            pairs[entry["distilled"]["ensemble"], trust_judged(entry)["set"]] = None
    pairs |= dict.fromkeys(population_pairs())
    pairs |= dict.fromkeys(deep_mr_recalibrated_pairs())
    tables = ensembles_of_kind("table")
    return [pair for pair in pairs if pair[0] not in tables]


def computed_groups():
    """Kind, name, set and files of everything that inference makes in a run."""
    maps = [("ism", name, entry["set"], map_shards(name)) for name, entry in MAPS.items()]
    return [("predict", *pair, prediction_shards(*pair)) for pair in predicted_pairs()] + maps


def planned_entry(ensemble, sequence_set):
    """What the plan of a set's predictions needs to know."""
    entry = ENSEMBLES[ensemble]
    return {
        "ensemble": ensemble,
        "set": sequence_set,
        "replicates": len(replicates(ensemble)),
        "outputs": entry["outputs"],
        "inference": entry["inference"],
    }


def planted_inputs(wildcards):
    judged = VERDICTS[PLANTED["verdict"]]
    files = {
        "truth": data_path(PLANTED["truth"]),
        "genes": data_path(PLANTED["genes"]),
        "accuracy": f"<results>/accuracy/{PLANTED['accuracy']}.tsv",
        "verdicts": f"<results>/verdicts/{PLANTED['verdict']}.parquet",
        "effects": f"<results>/effects/{judged['ensemble']}/{judged['set']}.parquet",
    }
    for kind in ("peaks", "motifs"):
        if kind in PLANTED:
            files[kind] = f"<results>/consistency/{PLANTED[kind]}.headlines.tsv"
    if "people" in PLANTED:
        files["people"] = f"<results>/verdicts/{PLANTED['people']}.parquet"
    return files
