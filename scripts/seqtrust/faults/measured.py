"""Faults of reporter assays: tracks of libraries, and assays in robustness benchmarks."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqtrust.errors import nearest_clause

_RESERVED = ("train", "validation", "calibration", "ID")


def faults(config: Mapping[str, Any]) -> Iterator[str]:
    """All of them, of a config with defaults filled in; each begins with the path of its key."""
    for name, library in config["libraries"].items():
        yield from _library_faults(f"libraries/{name}", library)
    for name, entry in config["robustness"].items():
        if ("worlds" in entry) == ("tables" in entry):
            yield (
                f"robustness/{name}: expected exactly one of worlds (simulated) and tables (an "
                "assay)"
            )
        elif "tables" in entry:
            yield from _entry_faults(f"robustness/{name}", entry, config["libraries"])


def _library_faults(path: str, library: Mapping[str, Any]) -> Iterator[str]:
    sequences, activities = library["sequences"], library.get("activities", {})
    if "id" not in sequences and (
        "id" in activities or activities.get("path") != sequences["path"]
    ):
        yield f"{path}/sequences: name a column id, unless activities have none and are this file"
    for name, track in library["tracks"].items():
        where = f"{path}/tracks/{name}"
        if ("value" in track) == ("barcodes" in track):
            yield f"{where}: expected exactly one of value and barcodes"
        elif "value" in track and "activities" not in library:
            yield f"{path}: track {name!r} has a value, but there is no table of activities"
        if "barcodes" in track and (more := [key for key in _OF_VALUES if key in track]):
            yield f"{where}/{more[0]}: barcodes tell it themselves: leave it out"
        if "observation_sd" in track and ("observations" not in track or "sd" in track):
            yield f"{where}/observation_sd: it needs observations beside it, and no sd"


_OF_VALUES = ("sd", "observation_sd", "observations")


def _entry_faults(
    path: str, entry: Mapping[str, Any], libraries: Mapping[str, Any]
) -> Iterator[str]:
    tables = entry["tables"]
    if entry["shifts"] != "all":
        yield f"{path}/shifts: those of an assay stand under tables/shifts"
    if tables["library"] not in libraries:
        clause = nearest_clause(tables["library"], libraries)
        yield f"{path}/tables/library: there is no library {tables['library']!r}{clause}"
        return
    tracks = libraries[tables["library"]]["tracks"]
    yield from _track_faults(f"{path}/tables/track", tables["track"], tracks)
    splits = tables["splits"]
    dealt = [name for name in ("validation", "calibration", "test")
             if name not in splits.get("values", {})]  # fmt: skip
    if sum(splits[name] for name in dealt) >= 1:
        yield f"{path}/tables/splits: {', '.join(dealt)} leave nothing for training: lower a share"
    if "gc" in tables and tables["gc"][0] >= tables["gc"][1]:
        yield f"{path}/tables/gc: the second quantile must be larger"
    yield from _step_faults(f"{path}/tables/shifts", tables, tracks)
    yield from _model_faults(path, entry, tracks)


def _step_faults(path: str, tables: Mapping[str, Any], tracks: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set(_RESERVED)
    for ladder, steps in tables["shifts"].items():
        for name, step in steps.items():
            where = f"{path}/{ladder}/{name}"
            if name in seen:
                yield f"{where}: this name is taken by another data set: rename the step"
            seen.add(name)
            if ("track" in step) != ("type" in step):
                yield f"{where}: track and type (concept or technical) belong together"
            if "gc" in step and step["gc"][0] >= step["gc"][1]:
                yield f"{where}/gc: the second quantile must be larger"
            track = step.get("track", tables["track"])
            yield from _track_faults(f"{where}/track", track, tracks)
            if "depth" in step and "barcodes" not in tracks.get(track, {}):
                yield (
                    f"{where}/depth: track {track!r} is not made of counts of barcodes, so no "
                    "reads are known that could be thinned"
                )


def _track_faults(where: str, track: str, tracks: Mapping[str, Any]) -> Iterator[str]:
    if track not in tracks:
        yield f"{where}: the library has no track {track!r}{nearest_clause(track, tracks)}"


def _model_faults(path: str, entry: Mapping[str, Any], tracks: Mapping[str, Any]) -> Iterator[str]:
    tables = entry["tables"]
    used = {tables["track"]} | {
        step["track"]
        for steps in tables["shifts"].values()
        for step in steps.values()
        if "track" in step
    }
    telling = {"sd", "observation_sd", "barcodes"}
    silent = [name for name in sorted(used) if not telling & set(tracks.get(name, {}))]
    for name, model in entry["models"].items():
        where = f"{path}/models/{name}"
        kind = model.get("prior", {}).get("kind")
        if kind in ("scans", "shuffled") and "motifs" not in entry:
            yield f"{where}/prior: name a MEME file under {path}/motifs to scan with"
        if kind == "columns" and "features" not in tables:
            yield f"{where}/prior: name a table of numbers under {path}/tables/features"
        if kind == "upper_bound":
            yield f"{where}/prior: nobody knows the features of an assay: use kind: columns"
        if model.get("known_noise") and silent:
            yield (
                f"{where}/known_noise: track {silent[0]!r} has no column sd or observation_sd: "
                "name one, or leave known_noise out"
            )
        if model.get("groups", "gc_decile") != "gc_decile":
            yield f"{where}/groups: an assay has gc_decile alone"
