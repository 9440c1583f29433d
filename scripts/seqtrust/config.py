"""The config: its schema, its defaults, and messages that name the nearest valid key."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from seqtrust.attribution.populations import expand_populations, in_populations
from seqtrust.errors import InputError, nearest_clause
from seqtrust.faults import analyses, ensembles, maps, measured, mendelian, references, robustness

_CHECKS = (references, ensembles, maps, analyses, mendelian, measured, robustness)


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
        faults = [fault for check in _CHECKS for fault in check.faults(filled)]
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
        choices = [choice["required"][0] for choice in schema["oneOf"]]
        given = instance if isinstance(instance, Mapping) else {}
        found = ", ".join(name for name in choices if name in given) or "none"
        return f"{where}: expected exactly one of {', '.join(choices)}; found {found}"
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
