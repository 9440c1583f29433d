"""Faults of names in the config that refer to other parts of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqtrust.errors import nearest_clause

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


def faults(config: Mapping[str, Any]) -> Iterator[str]:
    """All of them, of a config with defaults filled in; each begins with the path of its key."""
    yield from _unknown_names(config)
    yield from _unknown_outputs(config)
    yield from _unknown_sources(config)
    yield from _nothing_asked(config)


def _unknown_names(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of names that refer to nothing."""
    for part, entries in config.items():
        if isinstance(entries, Mapping):
            for path, section, value in _references(entries, part):
                known = list(config[section])
                if value not in known:
                    nearest = nearest_clause(value, known)
                    yield f"{path}: there is no {value!r} under {section}{nearest}"


def _references(entry: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if not isinstance(entry, Mapping):
        return
    for key, value in entry.items():
        if key in REFERENCES and isinstance(value, str):
            yield f"{path}/{key}", REFERENCES[key], value
        elif key not in ("parameters", "arguments", "where", "factors", "cell", "without"):
            yield from _references(value, f"{path}/{key}")


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


def _nothing_asked(config: Mapping[str, Any]) -> Iterator[str]:
    """A fault of a config that names neither an input nor an analysis."""
    parts = ("assemblies", "mr_simulations", "robustness")
    if not any(config[part] for part in parts) and not config.get("deep_mr"):
        yield (
            "top level: there is nothing to do: give assemblies with what is asked of them, "
            "mr_simulations or robustness"
        )
