"""The config: its schema, its defaults, and messages that name the nearest valid key."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

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
}


def load_schema(path: str | Path) -> dict[str, Any]:
    """Read the JSON schema."""
    return json.loads(Path(path).read_text())


def checked_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The config with defaults filled in.

    Raises:
        InputError: a key is unknown (the message names the nearest valid one), a value is of
            the wrong kind, or a name refers to nothing; all faults are listed at once.
    """
    faults = [_message(error) for error in Draft202012Validator(schema).iter_errors(dict(config))]
    if not faults:
        filled = _filled(config, schema, schema)
        faults = list(_dangling_names(filled))
        if not faults:
            return filled
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
    yield from _maps_of_tables(config)
    yield from _masks_of_nothing(config)
    yield from _unknown_sources(config)


def _unknown_outputs(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of outputs that an ensemble does not have."""
    entries = {f"verdicts/{name}": entry for name, entry in config["verdicts"].items()}
    entries |= {f"accuracy/{name}": entry for name, entry in config["accuracy"].items()}
    entries |= {f"calibration/{name}": entry for name, entry in config["calibration"].items()}
    entries |= {f"ism/{name}": entry for name, entry in config["ism"].items()}
    for name, entry in config["point_sets"].items():
        if "predicted" in entry:
            entries[f"point_sets/{name}/predicted"] = entry["predicted"]
    for path, entry in entries.items():
        ensemble, output = entry["ensemble"], entry["output"]
        known = list(config["ensembles"].get(ensemble, {}).get("outputs", [output]))
        if output not in known:
            nearest = nearest_clause(output, known)
            yield f"{path}/output: ensemble {ensemble!r} has no output {output!r}{nearest}"


def _maps_of_tables(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of maps that no network is there for."""
    for name, entry in config["ism"].items():
        ensemble = entry["ensemble"]
        if "table" in config["ensembles"].get(ensemble, {}).get("model", {}):
            yield (
                f"ism/{name}/ensemble: {ensemble!r} is a table of predictions, which has none of "
                "mutants: name an ensemble with a network"
            )


def _masks_of_nothing(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of dropout masks for replicates that are not there or have no dropout."""
    for name, entry in config["ensembles"].items():
        if "dropout" not in entry["model"]:
            continue
        settings = entry["model"]["dropout"]
        path = f"ensembles/{name}/model/dropout"
        for kind, model in (
            config["ensembles"].get(settings["ensemble"], {}).get("model", {}).items()
        ):
            if kind in ("table", "dropout"):
                yield (
                    f"{path}/ensemble: {settings['ensemble']!r} is of kind {kind}, whose "
                    "replicates have no dropout to fix: name one of kind train, import or own"
                )
                continue
            files = model.get("files", model.get("programs", []))
            count = model.get("replicates", len(files))
            if settings["replicate"] > count:
                yield (
                    f"{path}/replicate: there is no replicate {settings['replicate']} of "
                    f"{settings['ensemble']!r}, which has {count}"
                )


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


def _references(entry: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if not isinstance(entry, Mapping):
        return
    for key, value in entry.items():
        if key in REFERENCES and isinstance(value, str):
            yield f"{path}/{key}", REFERENCES[key], value
        elif key not in ("parameters", "arguments", "where"):
            yield from _references(value, f"{path}/{key}")
