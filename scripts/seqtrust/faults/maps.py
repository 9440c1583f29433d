"""Faults of maps, of motifs in them, and of trust scores that read them."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqtrust.errors import nearest_clause


def faults(config: Mapping[str, Any]) -> Iterator[str]:
    """All of them, of a config with defaults filled in; each begins with the path of its key."""
    yield from _maps_of_tables(config)
    yield from _maps_of_many_numbers(config)
    yield from _motifs_without_maps(config)
    yield from _trust_without_truth(config)
    yield from _trust_of_other_sets(config)


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
