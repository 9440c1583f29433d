"""The config: its schema, its defaults, and messages that name the nearest valid key."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from seqtrust.attribution.populations import expand_populations, in_populations
from seqtrust.errors import InputError, nearest_clause

REFERENCES = {
    "assembly": "assemblies",
    "variant_file": "variant_files",
    "points": "point_sets",
    "set": "sequence_sets",
    "ensemble": "ensembles",
    "accuracy": "accuracy",
    "verdict": "verdicts",
    "library": "libraries",
    "measured": "measured",
    "positives": "verdicts",
    "negatives": "verdicts",
    "analysis": "reference_analyses",
    "attribution": "attributions",
    "grammar": "grammars",
    "population": "populations",
}


def load_schema(path: str | Path) -> dict[str, Any]:
    """Read the JSON schema."""
    return json.loads(Path(path).read_text())


def checked_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The config with defaults filled in, and with the ensembles that populations stand for.

    Raises:
        InputError: a key is unknown (the message names the nearest valid one), a value is of
            the wrong kind, or a name refers to nothing; all faults are listed at once.
    """
    filled = _without_faults(config, schema)
    if not filled["populations"]:
        return filled
    return _without_faults(expand_populations(filled), schema, expanded=True)


def _without_faults(
    config: Mapping[str, Any], schema: Mapping[str, Any], expanded: bool = False
) -> dict[str, Any]:
    """The config with defaults filled in; an error that lists its faults."""
    faults = [_message(error) for error in Draft202012Validator(schema).iter_errors(dict(config))]
    if not faults:
        filled = _filled(config, schema, schema)
        faults = list(_dangling_names(filled))
        if not faults:
            return filled
    if expanded:
        faults = in_populations(faults, config)
    raise InputError("the config has faults:\n" + "\n".join(f"  - {fault}" for fault in faults))


def _message(error: ValidationError) -> str:
    where = "/".join(str(part) for part in error.absolute_path) or "top level"
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(schema["properties"])
        unknown = [key for key in error.instance if key not in known]
        return "; ".join(
            f"{where}: unknown key {key!r}{nearest_clause(key, known)}" for key in unknown
        )
    if "propertyNames" in error.schema_path and error.validator == "pattern":
        return f"{where}: {error.instance!r} is no valid name: use a-z, 0-9 and _"
    if error.validator in ("minProperties", "maxProperties") and "properties" in schema:
        kinds = ", ".join(schema["properties"])
        found = ", ".join(instance) or "none"
        return f"{where}: expected exactly one of {kinds}; found {found}"
    if error.validator == "anyOf" and "description" in schema:
        return f"{where}: {instance!r}; expected {schema['description']}"
    if error.validator == "oneOf":
        choices = ", ".join(choice["required"][0] for choice in schema["oneOf"])
        return f"{where}: expected exactly one of {choices}"
    return f"{where}: {error.message}"


def _filled(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """A copy of `value` with the schema's defaults where a key is absent."""
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        other = schema.get("additionalProperties")
        filled = {}
        for key, item in value.items():
            inner = properties.get(key, other if isinstance(other, Mapping) else {})
            filled[key] = _filled(item, inner, root)
        for key, inner in properties.items():
            if key not in filled and "default" in inner:
                filled[key] = _filled(inner["default"], inner, root)
        return filled
    if isinstance(value, list):
        return [_filled(item, schema.get("items", {}), root) for item in value]
    return value


def _dangling_names(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of names that refer to other parts of the config."""
    for part, entries in config.items():
        if isinstance(entries, Mapping):
            for path, section, value in _references(entries, part):
                known = list(config[section])
                if value not in known:
                    nearest = nearest_clause(value, known)
                    yield f"{path}: there is no {value!r} under {section}{nearest}"
    yield from _unknown_outputs(config)
    yield from _analyses_of_other_sets(config)
    yield from _maps_of_tables(config)
    yield from _maps_of_many_numbers(config)
    yield from _motifs_without_maps(config)
    yield from _masks_of_nothing(config)
    yield from _inference_without_network(config)
    yield from _unknown_sources(config)
    yield from _people_without_haplotypes(config)
    yield from _variants_of_many_files(config)
    yield from _signs_of_other_verdicts(config)
    yield from _trust_without_truth(config)
    yield from _trust_of_other_sets(config)
    yield from _scores_of_no_eqtls(config)
    yield from _measured_of_other_kinds(config)
    yield from _training_without_windows(config)
    yield from _bias_without_network(config)
    yield from _causes_without_maps(config)
    yield from _simulations_of_nothing(config)
    yield from _nothing_asked(config)


def _unknown_outputs(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of outputs that an ensemble does not have."""
    entries = {f"verdicts/{name}": entry for name, entry in config["verdicts"].items()}
    entries |= {f"accuracy/{name}": entry for name, entry in config["accuracy"].items()}
    entries |= {f"calibration/{name}": entry for name, entry in config["calibration"].items()}
    entries |= {f"ism/{name}": entry for name, entry in config["ism"].items()}
    entries |= {
        f"people_analyses/{name}": entry for name, entry in config["people_analyses"].items()
    }
    for part in ("reference_analyses", "motif_analyses", "attributions"):
        entries |= {f"{part}/{name}": entry for name, entry in config[part].items()}
    for part, kind in (("point_sets", "predicted"), ("measured", "predictions")):
        for name, entry in config[part].items():
            if kind in entry:
                entries[f"{part}/{name}/{kind}"] = entry[kind]
    for path, entry in entries.items():
        ensemble, output = entry["ensemble"], entry["output"]
        known = list(config["ensembles"].get(ensemble, {}).get("outputs", [output]))
        if output not in known:
            nearest = nearest_clause(output, known)
            yield f"{path}/output: ensemble {ensemble!r} has no output {output!r}{nearest}"


def _analyses_of_other_sets(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of analyses of reference windows and motifs whose set is of another kind."""
    for part, kind in (("reference_analyses", "reference"), ("motif_analyses", "insertions")):
        for name, entry in config[part].items():
            source = config["sequence_sets"].get(entry["set"], {}).get("source", {kind: {}})
            if kind not in source:
                yield (
                    f"{part}/{name}/set: {entry['set']!r} is a set of kind {', '.join(source)}: "
                    f"name one of kind {kind}"
                )
    for name, entry in config["point_sets"].items():
        chosen = entry.get("agreed", {}).get("analysis")
        if chosen and "points" not in config["reference_analyses"].get(chosen, {"points": ""}):
            yield (
                f"point_sets/{name}/agreed/analysis: {chosen!r} has no points, so that no bin "
                f"holds a TSS: give reference_analyses/{chosen} the points"
            )


def _maps_of_tables(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of maps that no network is there for."""
    entries = [(part, name) for part in ("ism", "attributions") for name in config[part]]
    for part, name in entries:
        ensemble = config[part][name]["ensemble"]
        if "table" in config["ensembles"].get(ensemble, {}).get("model", {}):
            yield (
                f"{part}/{name}/ensemble: {ensemble!r} is a table of predictions, which has none "
                "of mutants: name an ensemble with a network"
            )


def _maps_of_many_numbers(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of attributions of more than one number per track, and of empty regions."""
    for name, entry in config["attributions"].items():
        outputs = config["ensembles"].get(entry["ensemble"], {}).get("outputs", {})
        output = outputs.get(entry["output"], {"reduction": "sum"})
        bins = output.get("bins", "all")
        several = isinstance(bins, list) and bins[1] - bins[0] > 1
        if output["reduction"] == "none" and several:
            yield (
                f"attributions/{name}/output: {entry['output']!r} has several bins per track, and "
                "an attribution is of one number: choose an output with reduction sum or mean, or "
                "with one bin"
            )
        first, stop = entry.get("region", (0, 1))
        if first >= stop:
            yield f"attributions/{name}/region: [{first}, {stop}) is empty: the first must be less"


def _motifs_without_maps(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of motifs by methods without maps of all four bases, and of planted ones unknown."""
    for name, entry in config["attributions"].items():
        motifs, path = entry.get("motifs"), f"attributions/{name}/motifs"
        if motifs is None:
            continue
        full = [method for method in entry["methods"] if method != "input_gradient"]
        for method in motifs.get("methods", [] if full else ["input_gradient"]):
            if method not in full:
                yield (
                    f"{path}/methods: there are no maps of all four bases by {method!r}"
                    f"{nearest_clause(method, full)}: name methods of attributions/{name}, but not "
                    "input_gradient"
                )
        if "planted" in motifs and "known" not in motifs:
            yield f"{path}/planted: give the MEME file that has these motifs as known"


def _inference_without_network(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of ways of predicting that tables or models of the user's own do not have."""
    for name, entry in config["ensembles"].items():
        path, inference = f"ensembles/{name}/inference", entry["inference"]
        if "table" in entry["model"]:
            for key, plain in (("together", False), ("precision", "float32"), ("published", None)):
                if inference.get(key, plain) != plain:
                    yield (
                        f"{path}/{key}: {name!r} is a table of predictions, which are taken as "
                        f"they are: leave {key} out"
                    )
        if "own" in entry["model"] and inference["stack"] is True:
            yield (
                f"{path}/stack: replicates of a model of your own go in turn, because nothing "
                "says that they are built alike: set stack to auto or false"
            )


def _masks_of_nothing(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of ensembles made of another one that has no such replicates."""
    for name, entry in config["ensembles"].items():
        for kind, refused in (
            ("dropout", ("table", "dropout", "same", "randomised")),
            ("same", ("table", "same", "randomised")),
            ("randomised", ("table", "dropout", "same", "randomised")),
        ):
            if kind not in entry["model"]:
                continue
            settings = entry["model"][kind]
            path, other = f"ensembles/{name}/model/{kind}", settings["ensemble"]
            for found, model in config["ensembles"].get(other, {}).get("model", {}).items():
                count = model.get("replicates", len(model.get("files", model.get("programs", []))))
                if found in refused:
                    yield (
                        f"{path}/ensemble: {other!r} is of kind {found}, which has no network of "
                        "its own: name the ensemble whose replicates are trained, imported or own"
                    )
                elif settings.get("replicate", 1) > count and found != "dropout":
                    yield (
                        f"{path}/replicate: there is no replicate {settings['replicate']} of "
                        f"{other!r}, which has {count}"
                    )


def _trust_without_truth(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of trust scores that would know the truth, or have none to be held against."""
    for name, entry in config["trust"].items():
        calls = config["verdicts"].get(entry.get("verdict"), {}).get("calls", {"signs": {}})
        if "signs" not in calls:
            yield (
                f"trust/{name}/verdict: {entry['verdict']!r} is of kind {', '.join(calls)}: name a "
                "verdict of kind signs, or an entry of people_analyses under people"
            )
        analyses = config["people_analyses"]
        people = entry.get("people")
        if people is not None and people not in analyses:
            nearest = nearest_clause(people, list(analyses))
            yield f"trust/{name}/people: there is no {people!r} under people_analyses{nearest}"
        elif people is not None and "expression" not in analyses[people]:
            yield f"trust/{name}/people: {people!r} has no expression to be right about"


def _trust_of_other_sets(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of trust scores whose maps are of other sequences, or that no output gives."""
    for name, entry in config["trust"].items():
        part, key = ("people_analyses", "people") if "people" in entry else ("verdicts", "verdict")
        judged = config[part].get(entry[key], {})
        if "maps" in entry and judged:
            maps = config["attributions"].get(entry["maps"]["attribution"])
            path, method = f"trust/{name}/maps", entry["maps"]["method"]
            if maps and method not in maps["methods"]:
                yield f"{path}/method: no {method!r}{nearest_clause(method, maps['methods'])}"
            for what, section in (("ensemble", "ensembles"), ("set", "sequence_sets")):
                there = judged[what] in config[section]
                if maps and there and maps[what] != judged[what]:
                    yield (
                        f"{path}/attribution: its {what} is {maps[what]!r}, that of "
                        f"{entry[key]!r} is {judged[what]!r}: the maps must be of what is judged"
                    )
        if "distilled" in entry:
            output, ensemble = entry["distilled"]["output"], entry["distilled"]["ensemble"]
            known = list(config["ensembles"].get(ensemble, {}).get("outputs", [output]))
            if output not in known:
                nearest = nearest_clause(output, known)
                yield f"trust/{name}/distilled: {ensemble!r} has no output {output!r}{nearest}"


def _unknown_sources(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of sources of randomness whose ensembles are unknown or lack the output."""
    for name, entry in config["randomness"].items():
        for source, ensembles in entry["sources"].items():
            path = f"randomness/{name}/sources/{source}"
            for ensemble in ensembles:
                known = list(config["ensembles"])
                if ensemble not in known:
                    nearest = nearest_clause(ensemble, known)
                    yield f"{path}: there is no {ensemble!r} under ensembles{nearest}"
                elif entry["output"] not in config["ensembles"][ensemble]["outputs"]:
                    yield f"{path}: ensemble {ensemble!r} has no output {entry['output']!r}"
        yield from _unknown_noise(name, entry, config)


def _unknown_noise(name: str, entry: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    compared = {one for ensembles in entry["sources"].values() for one in ensembles}
    for ensemble, output in entry["noise"].items():
        path = f"randomness/{name}/noise/{ensemble}"
        if ensemble not in compared:
            yield f"{path}: {ensemble!r} is in no source{nearest_clause(ensemble, compared)}"
        elif output not in config["ensembles"][ensemble]["outputs"]:
            yield f"{path}: ensemble {ensemble!r} has no output {output!r}"
        if entry["quantity"] != "prediction":
            yield f"{path}: predicted noise stands beside predictions: set quantity: prediction"


def _variants_of_many_files(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of variant sets that read one VCF where the config lists several."""
    for name, entry in config["sequence_sets"].items():
        chosen = entry["source"].get("variants", {}).get("of", {}).get("vcf", {})
        file = config["variant_files"].get(chosen.get("variant_file"), {})
        if isinstance(file.get("path"), list):
            yield (
                f"sequence_sets/{name}/source/variants/of/vcf/variant_file: "
                f"{chosen['variant_file']!r} lists several files, which only haplotypes read: "
                "give every file a set of its own"
            )


def _signs_of_other_verdicts(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of calibrations of signs whose verdict calls none."""
    for name, entry in config["sign_calibration"].items():
        calls = config["verdicts"].get(entry["verdict"], {}).get("calls", {})
        if calls and "signs" not in calls:
            yield (
                f"sign_calibration/{name}/verdict: {entry['verdict']!r} calls {', '.join(calls)}, "
                "which have no sign to calibrate: name a verdict of kind signs"
            )


def _scores_of_no_eqtls(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of eQTL analyses whose verdicts or pairs of scores do not fit."""
    for name, entry in config["eqtl_analyses"].items():
        for score, parts in entry["scores"].items():
            path = f"eqtl_analyses/{name}/scores/{score}"
            kinds = [kind for kind in ("positives", "negatives") if kind in parts]
            verdicts = {kind: config["verdicts"].get(parts[kind]) for kind in kinds}
            judged = {kind: verdict for kind, verdict in verdicts.items() if verdict}
            for kind, verdict in judged.items():
                unknown: dict[str, Any] = {"source": {"variants": {}}}
                source = config["sequence_sets"].get(verdict["set"], unknown)["source"]
                if "signs" not in verdict["calls"] or "variants" not in source:
                    yield (
                        f"{path}/{kind}: {parts[kind]!r} is no verdict on the signs of variants: "
                        "name one of kind signs on a set made of variants"
                    )
            same = [(verdict["ensemble"], verdict["output"]) for verdict in judged.values()]
            if len(set(same)) > 1 and all(name in config["ensembles"] for name, _ in same):
                yield (
                    f"{path}/negatives: judged on output {same[1][1]!r} of {same[1][0]!r}, the "
                    f"positives on {same[0][1]!r} of {same[0][0]!r}: their replicates cannot be "
                    "compared"
                )
        for pair in entry["compare"]:
            for score in pair:
                if score not in entry["scores"]:
                    yield (
                        f"eqtl_analyses/{name}/compare: there is no score {score!r}"
                        f"{nearest_clause(score, entry['scores'])}"
                    )


def _measured_of_other_kinds(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of measured windows of sets that have edits, and of windows that no BED is made of."""
    for name, entry in config["measured"].items():
        for kind in ("bigwigs", "predictions"):
            chosen = entry.get(kind, {}).get("set")
            source = config["sequence_sets"].get(chosen, {}).get("source", {"reference": {}})
            if "reference" not in source:
                yield (
                    f"measured/{name}/{kind}/set: {chosen!r} is a set of kind "
                    f"{', '.join(source)}: name one of kind reference"
                )
    for name, entry in config["sequence_sets"].items():
        chosen = entry["source"].get("reference", {}).get("bed", {}).get("measured")
        if chosen and "basenji" not in config["measured"].get(chosen, {"basenji": {}}):
            yield (
                f"sequence_sets/{name}/source/reference/bed/measured: {chosen!r} is made of "
                f"{', '.join(config['measured'][chosen])}, whose windows are those of its own "
                "set: name that set"
            )


def _training_without_windows(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of training on nothing, or on two data sets."""
    parts = ("set", "targets", "splits")
    for name, entry in config["ensembles"].items():
        train = entry["model"].get("train")
        if train is None:
            continue
        path = f"ensembles/{name}/model/train"
        for part in parts:
            if "basenji" in train and part in train:
                yield f"{path}/{part}: leave it out, basenji has its own windows and targets"
            elif "basenji" not in train and part not in train:
                yield f"{path}: {part!r} is missing: give set, targets and splits, or basenji"
        if "basenji" in train:
            other = {"training_fraction": 1.0, "bootstrap": False, "control": [], "strands": []}
            other |= {"shuffled_targets": False}
            for key, plain in other.items():
                if train[key] != plain:
                    yield (
                        f"{path}/{key}: windows and tracks of a folder of Basenji are used as they "
                        f"are: leave {key} out"
                    )


def _causes_without_maps(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of Deep MR on maps that are not there, or that need what a table has not."""
    for name, entry in config["deep_mr"].items():
        known, chosen = list(config["ism"]), entry.get("ism")
        if chosen is not None and chosen not in known:
            nearest = nearest_clause(chosen, known)
            yield f"deep_mr/{name}/ism: there is no {chosen!r} under ism{nearest}"
        if chosen is None:
            for key, plain in (("recalibration", "none"), ("spacing", None)):
                if entry.get(key, plain) != plain:
                    yield f"deep_mr/{name}/{key}: a table has no sequences: leave {key} out"
            if "spans" in entry["instruments"]:
                yield f"deep_mr/{name}/instruments/spans: a table has no sequences: leave it out"


def _bias_without_network(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of bias networks, which only a ChromBPNet has, and which are trained BPNets."""
    for name, entry in config["ensembles"].items():
        train = entry["model"].get("train", {"architecture": ""})
        path = f"ensembles/{name}/model/train/bias"
        if (train["architecture"] == "chrombpnet") != ("bias" in train):
            yield f"{path}: architecture chrombpnet needs it, and no other takes it"
        elif "bias" in train and "basenji" in train:
            yield f"{path}: it needs counts at single bases, which basenji has not"
        elif "bias" in train:
            bias = train["bias"]
            other = config["ensembles"].get(bias["ensemble"], {}).get("model", {}).get("train", {})
            if other.get("architecture") != "bpnet" or other["replicates"] < bias["replicate"]:
                yield (
                    f"{path}: there is no trained replicate {bias['replicate']} of architecture "
                    f"bpnet in {bias['ensemble']!r}"
                )


def _people_without_haplotypes(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of analyses of people on sets that are not made of people's haplotypes."""
    for name, entry in config["people_analyses"].items():
        source = config["sequence_sets"].get(entry["set"], {}).get("source", {"haplotypes": {}})
        if "haplotypes" not in source:
            yield (
                f"people_analyses/{name}/set: {entry['set']!r} is made of {', '.join(source)}, "
                "which have no people: name a set of haplotypes"
            )


def _references(entry: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if not isinstance(entry, Mapping):
        return
    for key, value in entry.items():
        if key in REFERENCES and isinstance(value, str):
            yield f"{path}/{key}", REFERENCES[key], value
        elif key not in ("parameters", "arguments", "where", "factors", "cell", "without"):
            yield from _references(value, f"{path}/{key}")


def _simulations_of_nothing(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of Deep MR simulations without replicates, or whose grid names no law."""
    for name, entry in config["mr_simulations"].items():
        path = f"mr_simulations/{name}"
        if not {"oracle", "networks"} & set(entry):
            yield f"{path}: there is nothing to analyse: give oracle, networks or both"
        if "networks" not in entry:
            wanted = [key for key in ("published",) if key in entry]
            wanted += ["analyses/published"] if entry["analyses"]["published"] else []
            for key in wanted:
                yield f"{path}/{key}: the published analysis is of networks: give networks"
        elif entry["networks"]["further"] == 1:
            yield f"{path}/networks/further: 1 has no error of its own: give 0, or at least 2"
        for number, block in enumerate(entry["grid"]):
            for law in block["laws"]:
                if law not in entry["laws"]:
                    nearest = nearest_clause(law, entry["laws"])
                    yield f"{path}/grid/{number}/laws: there is no law {law!r}{nearest}"
        for law, settings in entry["laws"].items():
            low, high = settings.get("uniform", (0, 1))
            if low > high:
                yield f"{path}/laws/{law}/uniform: {low} is above {high}: give lowest and highest"


def _nothing_asked(config: Mapping[str, Any]) -> Iterator[str]:
    """A fault of a config that names neither an input nor an analysis."""
    if not any(config[part] for part in ("assemblies", "mr_simulations")) and not config.get(
        "deep_mr"
    ):
        yield (
            "top level: there is nothing to do: give assemblies with what is asked of them, or "
            "mr_simulations"
        )
