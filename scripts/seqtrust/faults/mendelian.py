"""Faults of Deep MR and of its simulations."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqtrust.errors import nearest_clause


def faults(config: Mapping[str, Any]) -> Iterator[str]:
    """All of them, of a config with defaults filled in; each begins with the path of its key."""
    yield from _causes_without_maps(config)
    yield from _simulations_of_nothing(config)


def _causes_without_maps(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of Deep MR on maps that are not there, or that need what a table has not."""
    for name, entry in config["deep_mr"].items():
        known, chosen = list(config["ism"]), entry.get("ism")
        if chosen is not None and chosen not in known:
            nearest = nearest_clause(chosen, known)
            yield f"deep_mr/{name}/ism: there is no {chosen!r} under ism{nearest}"
        if chosen is None:
            for key, plain in (("recalibration", "none"), ("spacing", None), ("task_tracks", None)):
                if entry.get(key, plain) != plain:
                    yield f"deep_mr/{name}/{key}: a table has no sequences: leave {key} out"
            if "spans" in entry["instruments"]:
                yield f"deep_mr/{name}/instruments/spans: a table has no sequences: leave it out"


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
