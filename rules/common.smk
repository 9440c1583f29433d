# Config, library and look-ups that several stages use.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

SCRIPTS = Path(workflow.current_basedir) / ".." / "scripts"
sys.path.insert(0, str(SCRIPTS.resolve()))

from seqtrust.code_digest import code_digest as digest_of
from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.models.adapters import ADAPTERS
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
SIGN_CALIBRATIONS = config["sign_calibration"]
PEOPLE = config["people_analyses"]
MEASURED_PEOPLE = {name: entry for name, entry in PEOPLE.items() if "expression" in entry}
LEVELLED_PEOPLE = {
    name: entry for name, entry in PEOPLE.items() if {"expression", "levels"} & set(entry)
}
MAPS = config["ism"]
PLANTED = config.get("planted", {})
SIMULATIONS = config["mr_simulations"]
SIMULATION_FIGURES = {"coverage": "coverage", "estimates": "estimates and truth"}
REFERENCE_ANALYSES = config["reference_analyses"]
MOTIF_ANALYSES = config["motif_analyses"]
EQTL_ANALYSES = config["eqtl_analyses"]
EQTL_TABLES = [
    "filters", "counts", "classes", "agreement", "pairs", "matching", "majority", "tracks",
    "attributes", "attribute_tests", "states", "bounds", "causal",
]  # fmt: skip
EQTL_FIGURES = {
    "classes": "eQTLs: class fractions per tissue",
    "agreement": "eQTLs: agreement and correctness",
    "pairs": "eQTLs: correlation of replicates",
    "majority": "eQTLs: majority vote",
    "tracks": "eQTLs: two scores",
    "attributes": "eQTLs: attributes by class",
    "states": "eQTLs: chromatin states",
    "bounds": "eQTLs: more replicates",
    "causal": "eQTLs: causal variants by number of replicates",
}
POPULATION_FIGURES = {
    "scores": "Populations: consistency and generalisation",
    "nulls": "Populations: consistency beside its null",
    "truth": "Populations: scores against the known truth",
    "regret": "Populations: regret of selection rules",
}
# of two models, from one of the tables of their cells
POPULATION_PAIR_FIGURES = {
    "spheres": ("Populations: directions of attributions", "spheres"),
    "kmers": ("Populations: k-mers under attributions", "spectra"),
    "logos": ("Populations: attribution maps", "logos"),
}
ROBUST_FIGURES = {
    "suite": "what shifts do to data",
    "severity": "error, coverage, variance and width by severity",
    "reliability": "reliability",
    "priors": "what structural priors change",
    "selection": "risk of what is kept",
    "errors": "parts of the error",
    "conformal": "calibrators under shift",
    "detection": "which test sees which shift",
    "delay": "labelled samples up to an alarm",
    "repair": "coverage after repair from a few labels",
    "labels": "labels needed",
}
# table that each is drawn from
ROBUST_TABLES = {
    **dict.fromkeys(ROBUST_FIGURES, "summary.parquet"),
    **{"suite": "suite.tsv", "reliability": "curves.parquet", "selection": "curves.parquet"},
    **{"detection": "detection.tsv", "delay": "detection.tsv"},
    **{"repair": "repair.tsv", "labels": "repair.tsv"},
}
EQTL_NEGATIVES = [
    score
    for entry in EQTL_ANALYSES.values()
    for score in entry["scores"].values()
    if "negatives" in score
]
TOGETHER = [name for name, entry in ENSEMBLES.items() if entry["inference"]["together"]]
HAPLOTYPE_SETS = [name for name, entry in SETS.items() if "haplotypes" in entry["source"]]
FIGURES = ["class_fractions"] if VERDICTS else []
if len({SETS[name]["length"] for name in HAPLOTYPE_SETS}) > 1:
    FIGURES.append("haplotype_counts")
if any("train" in entry["model"] and "population" not in entry for entry in ENSEMBLES.values()):
    FIGURES.append("training")
if not any("judging" in entry for entry in config["populations"].values()):
    del POPULATION_FIGURES["truth"], POPULATION_FIGURES["regret"]
if config["populations"]:
    FIGURES += [f"population_{name}" for name in (*POPULATION_FIGURES, *POPULATION_PAIR_FIGURES)]
if config["randomness"]:
    FIGURES.append("randomness")
if config["trust"]:
    FIGURES.append("trust")
if CALIBRATIONS:
    FIGURES += ["calibration", "risk_coverage"]
if REFERENCE_ANALYSES:
    FIGURES += [
        f"reference_{panel}"
        for panel in ("accuracy", "pairs", "classes", "agreement", "attributes")
    ]
if MOTIF_ANALYSES:
    FIGURES += ["motif_agreement", "motif_ranks"]
if SIGN_CALIBRATIONS:
    FIGURES.append("sign_calibration")
FIGURES += [
    f"mr_simulation_{name}_{panel}"
    for name, entry in SIMULATIONS.items()
    for panel in [*SIMULATION_FIGURES, *(["published"] if "published" in entry else [])]
]
FIGURES += [
    f"robustness_{name}_{figure}" for name in config["robustness"] for figure in ROBUST_FIGURES
]
if EQTL_ANALYSES:
    FIGURES += [
        f"eqtl_{name}"
        for name in EQTL_FIGURES
        if name not in ("tracks", "states", "causal")
        or (name == "causal" and EQTL_NEGATIVES)
        or any(entry.get({"tracks": "compare"}.get(name, name)) for entry in EQTL_ANALYSES.values())
    ]
if PEOPLE:
    FIGURES += ["people_pairs", "people_drivers"]
if MEASURED_PEOPLE:
    FIGURES += ["people_correlations", "people_classes"]
if LEVELLED_PEOPLE:
    FIGURES.append("people_cross_gene")


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
    if "grammar" in entry:
        return f"<results>/grammars/{entry['grammar']}.fa"
    return f"<results>/assemblies/{name}.fa"


def given_or_library(value, suffix):
    """The file that a setting names, or that is made of the library or windows that it names."""
    if isinstance(value, str):
        return data_path(value)
    if "measured" in value:
        return f"<results>/measured/{value['measured']}.arrow"
    if "grammar" in value:
        return f"<results>/grammars/{value['grammar']}.{suffix}"
    return f"<results>/libraries/{value['library']}.{suffix}"


def library_inputs(wildcards):
    return measured_library_inputs(config["libraries"][wildcards.library])


def measured_library_inputs(settings):
    """Tables of a library: of sequences, of activities, and of counts of tracks."""
    files = {
        name: data_path(settings[name]["path"])
        for name in ("sequences", "activities")
        if name in settings
    }
    return files | {
        f"counts_{name}": [data_path(path) for path in track["barcodes"]["paths"]]
        for name, track in settings["tracks"].items()
        if "barcodes" in track
    }


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


def predictions_of_all(ensemble):
    """The files of all replicates that one job predicts, for the wildcards set and scatteritem."""
    return [
        f"<results>/predictions/{ensemble}/{{set}}/{replicate}/{{scatteritem}}.parquet"
        for replicate in replicates(ensemble)
    ]


def memory_of_all(ensemble):
    """Memory in MB of a job that predicts all replicates."""
    count = len(replicates(ensemble))
    return lambda wildcards, input, attempt: int(2000 + 3 * count * input.size_mb) * attempt


def prediction_shards(ensemble, sequence_set):
    """The shards of all replicates, replicate by replicate."""
    return [
        shard
        for replicate in replicates(ensemble)
        for shard in gather.shards(
            f"<results>/predictions/{ensemble}/{sequence_set}/{replicate}/{{scatteritem}}.parquet"
        )
    ]


def pairs_in(entry):
    """Every ensemble that stands beside a set in an entry of the config, with the set."""
    if not isinstance(entry, dict):
        return
    if isinstance(entry.get("set"), str):
        named = [entry["ensemble"]] if "ensemble" in entry else []
        for name in named + (compared_ensembles(entry) if "sources" in entry else []):
            yield name, entry["set"]
    for inner in entry.values():
        yield from pairs_in(inner)


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


def variant_parts(name):
    """The files of a variant file by name: one, or one per chromosome with a number each."""
    path = config["variant_files"][name]["path"]
    if isinstance(path, str):
        return {name: data_path(path)}
    return {f"{name}_part{number}": data_path(one) for number, one in enumerate(path, start=1)}


VARIANT_PATHS = {
    part: path for name in config["variant_files"] for part, path in variant_parts(name).items()
}


def vcf(part):
    """A bgzipped VCF or a BCF: the input itself, or what is made of a plain VCF."""
    path = VARIANT_PATHS[part]
    return path if path.endswith((".gz", ".bcf")) else f"<results>/variants/{part}.vcf.gz"


def indexed(name):
    """The VCFs or BCFs of a variant file with the indices that are made of them."""
    files = [vcf(part) for part in variant_parts(name)]
    indices = [
        f"<results>/variants/{part}.{'csi' if vcf(part).endswith('.bcf') else 'tbi'}"
        for part in variant_parts(name)
    ]
    several = isinstance(config["variant_files"][name]["path"], list)
    return {
        "variants": files if several else files[0],
        "index": indices if several else indices[0],
    }


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
    """The BED or point file that windows come from; tiles have none, nor contigs of any split."""
    ((kind, choice),) = chosen.items()
    if kind == "contigs" and "split" in choice:
        return {"windows": given_or_library(choice["splits"], "splits.bed")}
    if kind == "bed" and "measured" in choice:
        return {"windows": f"<results>/measured/{choice['measured']}.bed"}
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
        files["variants"] = [files["variants"]]
    else:
        files = table_inputs(chosen["of"]["table"])
    if "anchor" in chosen:
        files["points"] = points(chosen["anchor"]["points"])
    return files


def table_inputs(settings):
    """The tables of fine-mapped variants, and the genes that the nearest is chosen of."""
    paths = [settings["path"]] if isinstance(settings["path"], str) else settings["path"]
    files = {"variants": [data_path(path) for path in paths]}
    if "nearest_gene" in settings:
        files["genes"] = points(settings["nearest_gene"]["points"])
    return files


def haplotype_inputs(wildcards):
    """The genotypes, the windows, and the list of samples, if any."""
    chosen = SETS[wildcards.set]["source"]["haplotypes"]
    samples = {"samples": data_path(chosen["samples"])} if "samples" in chosen else {}
    return indexed(chosen["variant_file"]) | window_file(chosen["windows"]) | samples


def people_inputs(wildcards):
    entry = VERDICTS[wildcards.verdict]
    files = {
        "haplotypes": f"<results>/haplotypes/{entry['set']}.parquet",
        "samples": f"<results>/haplotypes/{entry['set']}.samples.tsv",
    }
    given = given_paths(entry["calls"]["people"], "expression", "populations")
    return predicted_inputs(entry) | files | given


def given_paths(settings, *keys):
    """The files that settings name, where they do."""
    return {key: data_path(settings[key]) for key in keys if key in settings}


def judged_inputs(wildcards):
    """The verdicts and, of people, the calls with people permuted."""
    stem = f"<results>/verdicts/{wildcards.verdict}"
    if "people" in VERDICTS[wildcards.verdict]["calls"]:
        return {"verdicts": f"{stem}.parquet", "permuted": f"{stem}.permuted.parquet"}
    return {"verdicts": f"{stem}.parquet"}


def points_of_kind(kind):
    return [name for name, entry in config["point_sets"].items() if kind in entry]


def file_settings(wildcards):
    return config["point_sets"][wildcards.points]["file"]


def predicted_settings(wildcards):
    return config["point_sets"][wildcards.points]["predicted"]


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
    } | given_paths(entry["calls"]["signs"].get("tissue_tracks", {}), "table")


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


def assays_of(entry):
    """The table of assays, where there is one; patterns of names are parameters."""
    given = entry.get("assays")
    return {"assays": data_path(given)} if isinstance(given, str) else {}
