# Config, library and look-ups that several stages use.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

SCRIPTS = Path(workflow.current_basedir) / ".." / "scripts"
sys.path.insert(0, str(SCRIPTS.resolve()))

from seqtrust.code_digest import code_digest as digest_of
from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.models.source_files import source_files

try:
    config.update(
        checked_config(
            config,
            load_schema(SCRIPTS / ".." / "config" / "schemas" / "config.schema.json"),
        )
    )
except InputError as error:
    raise WorkflowError(str(error)) from None

ENSEMBLES = config["ensembles"]
SETS = config["sequence_sets"]
VERDICTS = config["verdicts"]
CALIBRATIONS = config["calibration"]
MAPS = config["ism"]
PLANTED = config.get("planted", {})
HAPLOTYPE_SETS = [name for name, entry in SETS.items() if "haplotypes" in entry["source"]]
FIGURES = ["class_fractions"]
if len({SETS[name]["length"] for name in HAPLOTYPE_SETS}) > 1:
    FIGURES.append("haplotype_counts")
if any("train" in entry["model"] for entry in ENSEMBLES.values()):
    FIGURES.append("training")
if config["randomness"]:
    FIGURES.append("randomness")
if CALIBRATIONS:
    FIGURES += ["calibration", "risk_coverage"]


def code_digest(script):
    """Digest of a rule's script and of the library modules that it reaches."""
    return digest_of(SCRIPTS / f"{script}.py", SCRIPTS)


def data_path(path):
    """A path of the config, with `{data}` replaced by the folder of real inputs."""
    return path.replace("{data}", config["data"])


def names(pattern_of):
    """A wildcard constraint that matches exactly the given names; none if there are none."""
    return "|".join(pattern_of) or "(?!)"


def assembly_of(wildcards):
    """The assembly that the job's wildcard belongs to."""
    if "assembly" in wildcards.keys():
        return wildcards.assembly
    entry = SETS[wildcards.set] if "set" in wildcards.keys() else ENSEMBLES[wildcards.ensemble]
    return entry["assembly"]


def assembly_fasta(name):
    """The FASTA of an assembly: the input, or what is made by shuffling or of a library."""
    entry = config["assemblies"][name]
    if "fasta" in entry:
        return data_path(entry["fasta"])
    if "library" in entry:
        return f"<results>/libraries/{entry['library']}.fa"
    return f"<results>/assemblies/{name}.fa"


def given_or_library(value, suffix):
    """The file that a setting names, or that is made of the library that it names."""
    if isinstance(value, str):
        return data_path(value)
    return f"<results>/libraries/{value['library']}.{suffix}"


def library_inputs(wildcards):
    settings = config["libraries"][wildcards.library]
    return {name: data_path(settings[name]["path"]) for name in ("sequences", "activities")}


def pairs_of(wildcards):
    chosen = SETS[wildcards.set]["source"]["pairs"]
    return given_or_library(chosen.get("path", chosen), "pairs.tsv")


def build(wildcards):
    return config["assemblies"][assembly_of(wildcards)]["build"]


def fasta(wildcards):
    return assembly_fasta(assembly_of(wildcards))


def shuffled_inputs(wildcards):
    settings = config["assemblies"][wildcards.assembly]["shuffled"]
    return {"fasta": assembly_fasta(settings["assembly"]), "windows": points(settings["points"])}


def sets_of_kind(kind):
    return [name for name, entry in SETS.items() if kind in entry["source"]]


def replicates(ensemble):
    """Names of the replicates of an ensemble."""
    ((kind, model),) = ENSEMBLES[ensemble]["model"].items()
    number = {"train": "replicates", "dropout": "masks"}.get(kind)
    count = model[number] if number else len(replicate_files(ensemble))
    return [f"r{index}" for index in range(1, count + 1)]


def replicate_files(ensemble):
    """The input of every replicate that is not trained here: weights, a program or a table."""
    (entry,) = ENSEMBLES[ensemble]["model"].values()
    return [data_path(path) for path in entry["files" if "files" in entry else "programs"]]


def replicate_files_of(ensemble):
    """The replicates of an ensemble, whose cards hold facts and data splits."""
    return [f"<results>/ensembles/{ensemble}/{name}.safetensors" for name in replicates(ensemble)]


def prediction_shards(ensemble, sequence_set):
    """The shards of all replicates, replicate by replicate."""
    return [
        shard
        for replicate in replicates(ensemble)
        for shard in gather.shards(
            f"<results>/predictions/{ensemble}/{sequence_set}/{replicate}/{{scatteritem}}.parquet"
        )
    ]


def map_inputs(wildcards):
    """The sequences, the replicate and, if the network is the user's own, its code."""
    entry = MAPS[wildcards.ism]
    ensemble = entry["ensemble"]
    return {
        "sequences": f"<results>/sequences/{entry['set']}.parquet",
        "replicate": f"<results>/ensembles/{ensemble}/{wildcards.replicate}.safetensors",
        "sources": sources_of(ensemble),
    }


def mapped_ensemble(wildcards):
    return ENSEMBLES[MAPS[wildcards.ism]["ensemble"]]


def mapped_output(wildcards):
    name = MAPS[wildcards.ism]["output"]
    return {name: mapped_ensemble(wildcards)["outputs"][name]}


def map_shards(name):
    """The maps of all replicates, replicate by replicate."""
    return [
        shard
        for replicate in replicates(MAPS[name]["ensemble"])
        for shard in gather.shards(f"<results>/ism/{name}/{replicate}/{{scatteritem}}.parquet")
    ]


def vcf(name):
    """A bgzipped VCF or a BCF: the input itself, or what is made of a plain VCF."""
    path = data_path(config["variant_files"][name]["path"])
    return path if path.endswith((".gz", ".bcf")) else f"<results>/variants/{name}.vcf.gz"


def indexed(name):
    """A VCF or BCF with the index that is made of it."""
    suffix = "csi" if vcf(name).endswith(".bcf") else "tbi"
    return {"variants": vcf(name), "index": f"<results>/variants/{name}.{suffix}"}


def points(name):
    """The file of a point set: the input, what lies in its region, or what a model found."""
    entry = config["point_sets"][name]
    if "file" in entry and "region" not in entry["file"]:
        return data_path(entry["file"]["path"])
    return f"<results>/points/{name}.bed"


def attempted(megabytes):
    """Memory in MB that grows with every attempt."""
    return lambda wildcards, attempt: megabytes * attempt


def window_file(chosen):
    """The BED or point file that windows come from; tiles and contigs have none."""
    ((kind, choice),) = chosen.items()
    if kind == "bed":
        return {"windows": data_path(choice["path"])}
    return {"windows": points(choice["points"])} if kind == "points" else {}


def windows_of(wildcards):
    return window_file(SETS[wildcards.set]["source"]["reference"])


def insertion_inputs(wildcards):
    """The motifs, the windows that they are written over, and the known effects, if any."""
    chosen = SETS[wildcards.set]["source"]["insertions"]
    truth = {"truth": data_path(chosen["truth"])} if "truth" in chosen else {}
    motifs = {"motifs": data_path(chosen["motifs"]["path"])}
    return motifs | truth | window_file(chosen["backgrounds"])


def variants_of(wildcards):
    """The VCF with its index, or the table, and the points that windows are anchored at."""
    chosen = SETS[wildcards.set]["source"]["variants"]
    if "vcf" in chosen["of"]:
        files = indexed(chosen["of"]["vcf"]["variant_file"])
    else:
        files = {"variants": data_path(chosen["of"]["table"]["path"])}
    if "anchor" in chosen:
        files["points"] = points(chosen["anchor"]["points"])
    return files


def haplotype_inputs(wildcards):
    """The genotypes, the windows, and the list of samples, if any."""
    chosen = SETS[wildcards.set]["source"]["haplotypes"]
    samples = {"samples": data_path(chosen["samples"])} if "samples" in chosen else {}
    return indexed(chosen["variant_file"]) | window_file(chosen["windows"]) | samples


def people_inputs(wildcards):
    entry = VERDICTS[wildcards.verdict]
    return predicted_inputs(entry) | {
        "haplotypes": f"<results>/haplotypes/{entry['set']}.parquet",
        "samples": f"<results>/haplotypes/{entry['set']}.samples.tsv",
        "expression": data_path(entry["calls"]["people"]["expression"]),
    }


def points_of_kind(kind):
    return [name for name, entry in config["point_sets"].items() if kind in entry]


def file_settings(wildcards):
    return config["point_sets"][wildcards.points]["file"]


def predicted_settings(wildcards):
    return config["point_sets"][wildcards.points]["predicted"]


def ensembles_of_kind(kind):
    return [name for name, entry in ENSEMBLES.items() if kind in entry["model"]]


def training_inputs(wildcards):
    settings = ENSEMBLES[wildcards.ensemble]["model"]["train"]
    return {
        "sequences": f"<results>/sequences/{settings['set']}.parquet",
        "targets": given_or_library(settings["targets"], "targets.tsv"),
        "splits": given_or_library(splits_of_replicate(wildcards), "splits.bed"),
    }


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
    other = ("replicates", "splits")
    return {name: value for name, value in settings.items() if name not in other}


def trained_replicates():
    """The files of all replicates that are trained in the run, and their ensembles and names."""
    return {
        f"<results>/ensembles/{ensemble}/{replicate}.safetensors": [ensemble, replicate]
        for ensemble in ensembles_of_kind("train")
        for replicate in replicates(ensemble)
    }


def import_inputs(wildcards):
    """The weights of one replicate, and what describes all of them."""
    settings = ENSEMBLES[wildcards.ensemble]["model"]["import"]
    described = [key for key in ("parameters_file", "tracks") if key in settings]
    files = {key: data_path(settings[key]) for key in described}
    return {"weights": data_path(settings["files"][replicate_index(wildcards)])} | files


def masked_replicate(wildcards):
    """The replicate that dropout masks are drawn for."""
    model = ENSEMBLES[wildcards.ensemble]["model"]["dropout"]
    return f"<results>/ensembles/{model['ensemble']}/r{model['replicate']}.safetensors"


def known_splits(wildcards):
    """What the user's own model was trained on, if stated; contigs are named as in the FASTA."""
    (entry,) = ENSEMBLES[wildcards.ensemble]["model"].values()
    if "regions" not in entry:
        return {}
    return {"regions": data_path(entry["regions"]), "fasta": fasta(wildcards)}


def own_network(wildcards):
    """The function that builds the network, or nothing where programs are given."""
    return network_of(wildcards.ensemble)


def network_of(ensemble):
    model = ENSEMBLES[ensemble]["model"]
    if "dropout" in model:
        return network_of(model["dropout"]["ensemble"])
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


def labelled_verdicts():
    """The verdicts, with a word where replicates differ by more than their seeds."""
    words = {True: " (replicates differ by data split)", False: ""}
    return {
        name: entry | {"label": entry["label"] + words[differing_splits(entry["ensemble"])]}
        for name, entry in VERDICTS.items()
    }


def verdicts_of_kind(*kinds):
    return [name for name, entry in VERDICTS.items() if set(kinds) & set(entry["calls"])]


def predicted_inputs(entry):
    """Predictions, sequences and cards for an entry with an ensemble and a set."""
    return {
        "predictions": prediction_shards(entry["ensemble"], entry["set"]),
        "sequences": f"<results>/sequences/{entry['set']}.parquet",
        "cards": replicate_files_of(entry["ensemble"]),
    }


def effect_inputs(wildcards):
    entry = VERDICTS[wildcards.verdict]
    return {
        "effects": f"<results>/effects/{entry['ensemble']}/{entry['set']}.parquet",
        "contrasts": f"<results>/contrasts/{entry['set']}.parquet",
        "sequences": f"<results>/sequences/{entry['set']}.parquet",
        "cards": replicate_files_of(entry["ensemble"]),
    }


def bin_inputs(wildcards):
    entry = VERDICTS[wildcards.verdict]
    files = predicted_inputs(entry)
    if "peaks" in entry["calls"]:
        files["targets"] = given_or_library(entry["calls"]["peaks"]["targets"], "targets.tsv")
    return files


def judged_replicates(wildcards):
    return replicates(VERDICTS[wildcards.verdict]["ensemble"])


def call_kind(wildcards):
    (kind,) = VERDICTS[wildcards.verdict]["calls"]
    return kind


def calibration_inputs(wildcards):
    """Predictions, targets and, where windows are not grouped by block, the table of groups."""
    entry = CALIBRATIONS[wildcards.calibration]
    files = predicted_inputs(entry) | {"targets": given_or_library(entry["targets"], "targets.tsv")}
    group = entry["group"]
    if isinstance(group, str) or "library" in group:
        files["groups"] = given_or_library(group, "groups.tsv")
    return files


def calibrated_replicates(wildcards):
    return replicates(CALIBRATIONS[wildcards.calibration]["ensemble"])


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


def planted_inputs(wildcards):
    return {
        "truth": data_path(PLANTED["truth"]),
        "genes": data_path(PLANTED["genes"]),
        "accuracy": f"<results>/accuracy/{PLANTED['accuracy']}.tsv",
        "verdicts": f"<results>/verdicts/{PLANTED['verdict']}.parquet",
    }
