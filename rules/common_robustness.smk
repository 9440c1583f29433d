# Look-ups of the robustness benchmark: models, worlds, replicates and what a job needs of an entry.
from seqtrust.robustness.benchmark_plan import (
    job_limit,
    mask_count,
    model_plans,
    network_plan,
    shown_models,
    teachers as models_that_teach,
    world_seeds,
    watched_models,
)

ROBUSTNESS = config["robustness"]
SIMULATED_ROBUSTNESS = [name for name, entry in ROBUSTNESS.items() if "worlds" in entry]
MEASURED_ROBUSTNESS = [name for name, entry in ROBUSTNESS.items() if "tables" in entry]
ROBUST_MODELS = {name: model_plans(entry) for name, entry in ROBUSTNESS.items()}


def robustness_of(wildcards):
    return ROBUSTNESS[wildcards.robustness]


def robust_model(wildcards):
    return ROBUST_MODELS[wildcards.robustness][wildcards.model]


def robust_names(*kinds):
    """A wildcard constraint: models of some kinds, of all benchmarks."""
    return names(
        sorted(
            {
                plan.name
                for plans in ROBUST_MODELS.values()
                for plan in plans.values()
                if plan.kind in kinds
            }
        )
    )


def robust_fits(name):
    """Model, world and replicate of every table of scores of a benchmark."""
    return [
        (plan.name, world, replicate)
        for plan in ROBUST_MODELS[name].values()
        for world in world_seeds(ROBUSTNESS[name])
        for replicate in range(1, plan.replicates + 1)
    ]


def robust_scores(wildcards):
    return [
        f"<results>/robustness/{wildcards.robustness}/scores/{model}/{world}.{replicate}.parquet"
        for model, world, replicate in robust_fits(wildcards.robustness)
    ]


def robust_watched(name, part):
    """The fits of a benchmark whose shifts are looked for, or that are mended."""
    models = watched_models(ROBUSTNESS[name], part)
    return [fit for fit in robust_fits(name) if fit[0] in models]


def robust_followed(wildcards):
    """Tables of detection, repair and curves of a benchmark."""
    name = wildcards.robustness
    parts = {part: robust_watched(name, part) for part in ("detection", "repair")}
    return {
        part: [
            f"<results>/robustness/{name}/{part}/{model}/{world}.{replicate}.parquet"
            for model, world, replicate in fits
        ]
        for part, fits in {**parts, "curves": robust_fits(name)}.items()
    }


def robust_worlds(name):
    """Numbers of the worlds of a benchmark."""
    return list(dict.fromkeys(world for _, world, _ in robust_fits(name)))


def robust_detection(wildcards):
    """Settings of the tests for a shift."""
    settings = robustness_of(wildcards)["detection"]
    return {key: value for key, value in settings.items() if key != "models"}


def robust_repair(wildcards):
    """Settings of repairs."""
    return {key: robustness_of(wildcards)["repair"][key] for key in ("labels", "draws")}


def robust_figure_entry(wildcards):
    """What figures need of an entry."""
    entry = robustness_of(wildcards)
    plans = ROBUST_MODELS[wildcards.robustness].values()
    return {
        "label": entry["label"],
        "show": shown_models(entry),
        "watched": {part: watched_models(entry, part)[0] for part in ("detection", "repair")},
        "calibrator": entry["tests"]["calibrator"],
        "level": entry["detection"]["level"],
        "priors": {plan.name: plan.compare for plan in plans if plan.settings.get("prior")},
    }


def world_inputs(wildcards):
    """The motifs and backgrounds of a world, where they are read from a file."""
    entry = robustness_of(wildcards)
    return {key: data_path(entry[key]) for key in ("motifs", "pool") if key in entry}


def robust_teacher_inputs(wildcards):
    """The predictions that a student learns from."""
    plan = robust_model(wildcards)
    if plan.kind != "student":
        return {}
    folder = f"<results>/robustness/{wildcards.robustness}/predictions"
    return {"teacher": f"{folder}/{plan.base}/{wildcards.world}.1.parquet"}


def predicting_replicate(wildcards):
    """The network that predicts: its own, or the one whose dropout is drawn."""
    plan = robust_model(wildcards)
    trained = plan.base if plan.kind == "masks" else plan.name
    return (
        f"<results>/robustness/{wildcards.robustness}/models/{trained}/"
        f"{wildcards.world}.{wildcards.replicate}.safetensors"
    )


def mixture_members(wildcards):
    """The predictions of all replicates of a model in one world."""
    base = ROBUST_MODELS[wildcards.robustness][robust_model(wildcards).base]
    return [
        f"<results>/robustness/{wildcards.robustness}/predictions/{base.name}/"
        f"{wildcards.world}.{replicate}.parquet"
        for replicate in range(1, base.replicates + 1)
    ]


def robust_plan(wildcards):
    return network_plan(robustness_of(wildcards), wildcards.model).to_dict()


def robust_kmers(wildcards):
    """Settings of a k-mer model, and of its prior."""
    settings = robust_model(wildcards).settings
    prior = {"prior": settings["prior"]} if "prior" in settings else {}
    return {**settings.get("parameters", {}), "kind": settings["kmers"], **prior}


def robust_summary_entry(wildcards):
    """What the summary needs of an entry."""
    entry = robustness_of(wildcards)
    return {key: entry[key] for key in ("models", "worlds", "tables", "tests") if key in entry}


def is_teacher(wildcards):
    return wildcards.model in models_that_teach(robustness_of(wildcards))


def measured_split_inputs(wildcards):
    """Tables of an assay, and the motifs and numbers that priors know."""
    entry = robustness_of(wildcards)
    tables = entry["tables"]
    library = tables["library"]
    files = measured_library_inputs(config["libraries"][library])
    if "motifs" in entry:
        files["motifs"] = data_path(entry["motifs"])
    if "features" in tables:
        files["features"] = data_path(tables["features"]["path"])
    return files


def measured_split_worlds(wildcards):
    """The splits of an assay."""
    return {
        "worlds": [
            f"<results>/robustness/{wildcards.robustness}/worlds/{world}.parquet"
            for world in robust_worlds(wildcards.robustness)
        ]
    }


def robust_peaks(wildcards):
    return [
        f"<results>/robustness/{wildcards.robustness}/peaks/{model}/{world}.{replicate}.parquet"
        for model, world, replicate in robust_fits(wildcards.robustness)
    ]
