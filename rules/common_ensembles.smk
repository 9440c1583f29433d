# Look-ups of ensembles: where replicates come from, and what trains, imports and runs them.
import json

from seqtrust.models.track_table import named_files


def replicates(ensemble):
    """Names of the replicates of an ensemble."""
    ((kind, model),) = ENSEMBLES[ensemble]["model"].items()
    if kind in ("same", "randomised"):
        return replicates(model["ensemble"])
    number = {"train": "replicates", "dropout": "masks"}.get(kind)
    count = model[number] if number else len(replicate_files(ensemble))
    return [f"r{index}" for index in range(1, count + 1)]


def architecture_of(ensemble):
    """The architecture of an ensemble's networks; none of the user's own or of a table."""
    (model,) = ENSEMBLES[ensemble]["model"].values()
    return architecture_of(model["ensemble"]) if "ensemble" in model else model.get("architecture")


def environment_of(*ensembles):
    """The environment that can run the networks of all these ensembles."""
    needed = sorted({architecture_of(ensemble) for ensemble in ensembles} & set(ADAPTERS))
    if len(needed) > 1:
        raise WorkflowError(
            f"no environment can run the architectures {' and '.join(needed)} in one job, because "
            "their packages exclude each other: plan them with one config each"
        )
    return f"../envs/{needed[0] if needed else 'gpu'}.yaml"


def environment(wildcards):
    """The environment of a job that runs an ensemble's networks."""
    if "ism" in wildcards.keys():
        return environment_of(MAPS[wildcards.ism]["ensemble"])
    if "attribution" in wildcards.keys():
        return environment_of(ATTRIBUTIONS[wildcards.attribution]["ensemble"])
    return environment_of(wildcards.ensemble)


def replicate_files(ensemble):
    """The input of every replicate that is not trained here: weights, a program or a table."""
    (entry,) = ENSEMBLES[ensemble]["model"].values()
    return [data_path(path) for path in entry["files" if "files" in entry else "programs"]]


def replicate_files_of(ensemble):
    """The replicates of an ensemble, whose cards hold facts and data splits."""
    return [f"<results>/ensembles/{ensemble}/{name}.safetensors" for name in replicates(ensemble)]


def ensembles_of_kind(kind):
    return [name for name, entry in ENSEMBLES.items() if kind in entry["model"]]


def measured_of_kind(kind):
    return [name for name, entry in config["measured"].items() if kind in entry]


def signal_inputs(wildcards):
    """The table, its signal files, the windows and the blacklist of measured windows."""
    settings = config["measured"][wildcards.measured]["bigwigs"]
    table = data_path(settings["table"])
    return {
        "table": table,
        "signals": [str(path) for path in named_files(table)] if Path(table).exists() else [],
        "sequences": f"<results>/sequences/{settings['set']}.parquet",
    } | given_paths(settings, "blacklist")


def teacher_inputs(wildcards):
    """The predictions that a network is to learn, and the windows that they are of."""
    settings = config["measured"][wildcards.measured]["predictions"]
    return {
        "predictions": prediction_shards(settings["ensemble"], settings["set"]),
        "sequences": f"<results>/sequences/{settings['set']}.parquet",
    }


def teachers(wildcards):
    return replicates(config["measured"][wildcards.measured]["predictions"]["ensemble"])


def signal_memory(wildcards, input, attempt):
    """Memory in MB: the windows, and the largest bedGraph as numbers; of bigWigs only bins are."""
    sizes = dict(zip(input, input.size_files_mb))
    graphs = [one for one in input.signals if not one.lower().endswith((".bw", ".bigwig"))]
    in_memory = [(8 if one.endswith(".gz") else 2) * sizes[one] for one in graphs]
    return int(3000 + 6 * sizes[input.sequences] + max(in_memory, default=0)) * attempt


def basenji_files(path):
    """The files of a folder in Basenji's layout: descriptions and shards."""
    folder = Path(data_path(path))
    named = [folder / name for name in ("statistics.json", "targets.txt", "sequences.bed")]
    return [str(file) for file in (*named, *sorted((folder / "tfrecords").glob("*.tfr")))]


def training_inputs(wildcards):
    settings = ENSEMBLES[wildcards.ensemble]["model"]["train"]
    files = bias_replicate(settings) | given_paths(settings, "parameters_file")
    files |= given_paths(settings.get("prior", {}), "motifs")
    if "basenji" in settings:
        return files | {"basenji": basenji_files(settings["basenji"]["path"])}
    return files | {
        "sequences": f"<results>/sequences/{settings['set']}.parquet",
        "targets": given_or_library(settings["targets"], "targets.tsv"),
        "splits": given_or_library(splits_of_replicate(wildcards), "splits.bed"),
    }


def bias_replicate(settings):
    """The trained bias network of a ChromBPNet."""
    if "bias" not in settings:
        return {}
    bias = settings["bias"]
    return {"bias": f"<results>/ensembles/{bias['ensemble']}/r{bias['replicate']}.safetensors"}


def splits_of_replicate(wildcards):
    splits = ENSEMBLES[wildcards.ensemble]["model"]["train"]["splits"]
    if not isinstance(splits, list):
        return splits
    if replicate_index(wildcards) >= len(splits):
        raise WorkflowError(
            f"ensembles/{wildcards.ensemble}/model/train/splits: there is no data split for "
            f"replicate {wildcards.replicate}: give one per replicate, or one for all"
        )
    return splits[replicate_index(wildcards)]


def differing_splits(ensemble):
    """Whether replicates were trained on different parts of the data."""
    splits = ENSEMBLES[ensemble]["model"].get("train", {}).get("splits")
    return isinstance(splits, list) and len(set(splits)) > 1


def training_settings(wildcards):
    """What changes the replicate: one more replicate does not train the others anew."""
    settings = ENSEMBLES[wildcards.ensemble]["model"]["train"]
    other = ("replicates", "splits", "parameters_file", "hours")
    used = {name: value for name, value in settings.items() if name not in other}
    if "prior" in used:
        used["prior"] = {"gc": used["prior"]["gc"]}
    if "basenji" in used:
        used["basenji"] = used["basenji"] | {"path": data_path(used["basenji"]["path"])}
    return used | {"processes": training_processes(wildcards)}


def training_memory(wildcards, input, attempt):
    """Memory of a training job in MB: every process holds its data, or the windows of its stream."""
    settings = training_settings(wildcards)
    one = 4000 + 10 * input.size_mb
    if "basenji" in settings:
        source = settings["basenji"]
        kept = source["buffer"] + 8 * settings["batch_size"]
        one = 6000 + 2 * kept * window_bytes(Path(source["path"])) / 1e6
    return int(settings["processes"] * one) * attempt


def window_bytes(folder):
    """Bytes of a window in memory, in Basenji's layout; 0 where the job will say what is wrong."""
    try:
        found = json.loads((folder / "statistics.json").read_text())
        return found["seq_length"] + 2 * found["target_length"] * found["num_targets"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def training_processes(wildcards):
    """One per GPU, or as many as the config says."""
    ensemble = ENSEMBLES[wildcards.ensemble]
    return ensemble["gpu"] or ensemble["model"]["train"]["processes"]


def training_threads(wildcards):
    """Of all processes of a job together."""
    return training_processes(wildcards) * ENSEMBLES[wildcards.ensemble]["threads"]


def trained_replicates():
    """The files of replicates that are trained in the run, and their ensembles and names.

    Those of populations are not among them, which are too many for a figure of every one.
    """
    return {
        f"<results>/ensembles/{ensemble}/{replicate}.safetensors": [ensemble, replicate]
        for ensemble in ensembles_of_kind("train")
        if "population" not in ENSEMBLES[ensemble]
        for replicate in replicates(ensemble)
    }


def import_inputs(wildcards):
    """The weights of one replicate, and what describes all of them."""
    settings = ENSEMBLES[wildcards.ensemble]["model"]["import"]
    described = [key for key in ("parameters_file", "tracks") if key in settings]
    files = {key: data_path(settings[key]) for key in described}
    files |= known_splits(wildcards)
    return {"weights": data_path(settings["files"][replicate_index(wildcards)])} | files


def same_replicate(wildcards):
    """The replicate that another ensemble has under this name."""
    ensemble = ENSEMBLES[wildcards.ensemble]["model"]["same"]["ensemble"]
    return f"<results>/ensembles/{ensemble}/{wildcards.replicate}.safetensors"


def randomised_replicate(wildcards):
    """The replicate whose weights are drawn anew."""
    ensemble = ENSEMBLES[wildcards.ensemble]["model"]["randomised"]["ensemble"]
    return f"<results>/ensembles/{ensemble}/{wildcards.replicate}.safetensors"


def masked_replicate(wildcards):
    """The replicate that dropout masks are drawn for."""
    model = ENSEMBLES[wildcards.ensemble]["model"]["dropout"]
    return f"<results>/ensembles/{model['ensemble']}/r{model['replicate']}.safetensors"


def known_splits(wildcards):
    """What a model was trained on, if stated; contigs are named as in the FASTA."""
    (entry,) = ENSEMBLES[wildcards.ensemble]["model"].values()
    if "regions" not in entry:
        return {}
    return {"regions": data_path(entry["regions"]), "fasta": fasta(wildcards)}


def own_network(wildcards):
    """The function that builds the network, or nothing where programs are given."""
    return network_of(wildcards.ensemble)


def network_of(ensemble):
    model = ENSEMBLES[ensemble]["model"]
    for kind in ("dropout", "same", "randomised"):
        if kind in model:
            return network_of(model[kind]["ensemble"])
    own = model.get("own", {})
    if "entrypoint" not in own:
        return {}
    network = {name: own[name] for name in ("entrypoint", "arguments")}
    return network | {"folder": data_path(own["folder"])}


def own_sources(wildcards):
    """The user's source files that the network is made of; an edited one runs again."""
    return sources_of(wildcards.ensemble)


def sources_of(ensemble):
    network = network_of(ensemble)
    if not network:
        return []
    return [str(path) for path in source_files(network["entrypoint"], network["folder"])]


def own_inputs(wildcards):
    files = replicate_files(wildcards.ensemble)
    weights = files[replicate_index(wildcards)]
    stated = "receptive_field" in ENSEMBLES[wildcards.ensemble]["model"]["own"]["facts"]
    return {
        "weights": weights,
        "first": weights if stated else files[0],
        "sources": own_sources(wildcards),
    } | known_splits(wildcards)


def table_of(wildcards):
    return replicate_files(wildcards.ensemble)[replicate_index(wildcards)]


def replicate_index(wildcards):
    return replicates(wildcards.ensemble).index(wildcards.replicate)
