# Look-ups of the robustness benchmark: models, worlds, replicates and what a job needs of an entry.
from seqtrust.robustness.benchmark_plan import (
    job_limit,
    mask_count,
    model_plans,
    network_plan,
    teachers as models_that_teach,
)

ROBUSTNESS = config["robustness"]
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
        for world in ROBUSTNESS[name]["worlds"]["seeds"]
        for replicate in range(1, plan.replicates + 1)
    ]


def robust_scores(wildcards):
    return [
        f"<results>/robustness/{wildcards.robustness}/scores/{model}/{world}.{replicate}.parquet"
        for model, world, replicate in robust_fits(wildcards.robustness)
    ]


def world_inputs(wildcards):
    """The motifs of a world, where they are read from a file."""
    entry = robustness_of(wildcards)
    return {"motifs": data_path(entry["motifs"])} if "motifs" in entry else {}


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
    """Settings of a k-mer model."""
    settings = robust_model(wildcards).settings
    return {**settings.get("parameters", {}), "kind": settings["kmers"]}


def robust_summary_entry(wildcards):
    """What the summary needs of an entry."""
    entry = robustness_of(wildcards)
    return {key: entry[key] for key in ("models", "worlds", "tests")}


def is_teacher(wildcards):
    return wildcards.model in models_that_teach(robustness_of(wildcards))
