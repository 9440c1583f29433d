"""Faults of robustness benchmarks: shifts, worlds and models that cannot be."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqtrust.errors import nearest_clause
from seqtrust.robustness.benchmark_plan import (
    IDEAL,
    KIND_KEYS,
    ORACLE,
    Kind,
    base_of,
    kind_of,
    model_plans,
)

# what else a model of a kind may have
_KEYS: Mapping[Kind, tuple[str, ...]] = {
    "network": (
        "parameters", "replicates", "train", "prior", "groups", "weights", "known_noise",
    ),
    "ensemble": (),
    "masks": ("masks", "replicates"),
    "student": ("architecture", "parameters", "replicates", "train", "variance"),
    "kmers": ("parameters", "replicates", "prior"),
    "oracle": (),
    "ideal": (),
}  # fmt: skip


def faults(config: Mapping[str, Any]) -> Iterator[str]:
    """All of them, of a config with defaults filled in; each begins with the path of its key."""
    found = [
        fault
        for name, entry in config["robustness"].items()
        for fault in _entry_faults(f"robustness/{name}", entry)
    ]
    yield from found
    if not found:
        yield from _names_of_two_kinds(config["robustness"])


def _names_of_two_kinds(entries: Mapping[str, Any]) -> Iterator[str]:
    """Rules know the kind of a model by its name, in all benchmarks of a config."""
    known: dict[str, tuple[str, str]] = {}
    for benchmark, entry in entries.items():
        for plan in model_plans(entry).values():
            other, kind = known.setdefault(plan.name, (benchmark, plan.kind))
            if kind != plan.kind:
                yield (
                    f"robustness/{benchmark}/models/{plan.name}: robustness/{other} has a model of "
                    "this name and of another kind: rename one of the two"
                )


def _entry_faults(path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    models = entry["models"]
    if "worlds" in entry:
        known = entry["worlds"]["settings"].get("cells", 3)
        cells = [*entry["data"]["cells"], entry["data"]["test_cell"]]
        if wrong := [cell for cell in cells if cell >= known]:
            yield (
                f"{path}/data: there is no cell {wrong[0]}: a world has cell types 0 to {known - 1}"
            )
    calibrator = entry["tests"]["calibrator"]
    if calibrator not in entry["calibrators"]:
        yield f"{path}/tests/calibrator: {calibrator!r} is not among calibrators: add it there"
    for key, named in (
        ("show", entry.get("show", [])),
        *((f"{part}/models", entry[part].get("models", [])) for part in ("detection", "repair")),
    ):
        for name in named:
            if name not in models:
                yield f"{path}/{key}: there is no model {name!r}{nearest_clause(name, models)}"
    for name, model in models.items():
        where = f"{path}/models/{name}"
        if name in (ORACLE, IDEAL):
            yield f"{where}: this name belongs to a reference that is always there: choose another"
        yield from _model_faults(where, models, model)


def _model_faults(where: str, models: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[str]:
    kinds = [key for key in KIND_KEYS if key in model]
    if "students_of" in kinds and "architecture" in kinds:
        kinds.remove("architecture")
    if len(kinds) != 1:
        yield (
            f"{where}: expected exactly one of {', '.join(KIND_KEYS)}; found "
            f"{', '.join(kinds) or 'none'}"
        )
        return
    kind = kind_of(model)
    for key in model:
        if key not in (*_KEYS[kind], kinds[0], "compare"):
            yield f"{where}/{key}: a model with {kinds[0]} has none: leave it out"
    wanted: dict[Kind, tuple[Kind, str]] = {
        "ensemble": ("network", "architecture"),
        "masks": ("network", "architecture"),
        "student": ("ensemble", "members_of"),
    }
    if kind in wanted:
        base, (needed, by) = base_of(model, kind), wanted[kind]
        if base not in models:
            yield f"{where}/{kinds[0]}: there is no model {base!r}{nearest_clause(base, models)}"
        elif kind_of(models[base]) != needed:
            yield f"{where}/{kinds[0]}: {base!r} must be a model with {by}"
        elif kind == "ensemble" and models[base].get("replicates", 1) < 2:
            yield (
                f"{where}/members_of: {base!r} has one replicate, and one has no spread: give it "
                "replicates: 2 or more"
            )
    if (other := model.get("compare")) is not None and other not in models:
        yield f"{where}/compare: there is no model {other!r}{nearest_clause(other, models)}"
    parameters = model.get("parameters", {})
    if parameters.get("head") == "point":
        yield f"{where}/parameters/head: a point states no uncertainty: use gaussian or evidential"
    for key in ("prior", "control"):
        if key in parameters:
            yield f"{where}/parameters/{key}: fitted on training data: give prior: {{kind: ...}}"
