"""Populations of models: every combination of some factors becomes an ensemble of the config.

Training, prediction and attribution then work as for any other ensemble. What a population adds
is named after it: ensembles `{population}_{level}_{level}...` and the controls
`{population}_randomised`, `_shuffled` and `_artefact`, and attributions `{ensemble}_selection`
and `{ensemble}_judging`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from seqtrust.errors import InputError, nearest_clause

OUTPUT = "attributed"
SELECTION, JUDGING = "selection", "judging"
RANDOMISED, SHUFFLED, ARTEFACT = "randomised", "shuffled", "artefact"
MODEL, CONTROL = "model", "control"


@dataclass(frozen=True)
class Cell:
    """One ensemble of a population.

    Attributes:
        population: its name.
        ensemble: name of the ensemble.
        levels: level of every factor, in the order of the config; of a control those that it
            was made of.
        kind: `model` or `control`.
        control: `randomised`, `shuffled` or `artefact`; empty for models.
    """

    population: str
    ensemble: str
    levels: dict[str, str]
    kind: str = MODEL
    control: str = ""

    @property
    def label(self) -> str:
        """Its levels, or what kind of control it is, in words."""
        return self.control or " ".join(self.levels.values())


def cells_of_population(population: str, entry: Mapping[str, Any]) -> list[Cell]:
    """The ensembles of a population: models in the order of the factors, then controls.

    Args:
        population: its name.
        entry: its entry of the config.
    """
    factors = entry["factors"]
    combinations = [
        dict(zip(factors, levels, strict=True)) for levels in product(*factors.values())
    ]
    cells = [
        Cell(population, "_".join((population, *levels.values())), levels)
        for levels in combinations
        if not _left_out(levels, entry)
    ]
    controls = entry["controls"]
    wanted = {
        RANDOMISED: controls[RANDOMISED],
        SHUFFLED: controls["shuffled_targets"],
        ARTEFACT: ARTEFACT in controls,
    }
    return cells + [
        Cell(population, f"{population}_{name}", dict(controls["cell"]), CONTROL, name)
        for name, there in wanted.items()
        if there
    ]


def _left_out(levels: Mapping[str, str], entry: Mapping[str, Any]) -> bool:
    return any(one.items() <= levels.items() for one in entry["without"])


def maps_of(cell: Cell, part: str, entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a cell's models are chosen by or judged on; the artefact has sequences of its own.

    Args:
        cell: of the population.
        part: `selection` or `judging`.
        entry: the population's entry of the config.

    Returns:
        Settings with the set `maps`; None where the population has no such part.
    """
    if part not in entry:
        return None
    own = entry["controls"][ARTEFACT][part] if cell.control == ARTEFACT else {}
    return {**entry[part], **own}


def expand_populations(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the ensembles and attributions that its populations stand for.

    Args:
        config: a valid config with defaults filled in; may have been expanded before.

    Raises:
        InputError: factors, levels or names that do not fit; all faults are listed at once.
    """
    faults = list(_faults(config))
    if faults:
        raise InputError("the config has faults:\n" + "\n".join(f"  - {one}" for one in faults))
    ensembles, attributions = dict(config["ensembles"]), dict(config["attributions"])
    for population, entry in config["populations"].items():
        for cell in cells_of_population(population, entry):
            ensembles[cell.ensemble] = _ensemble(cell, entry)
            for part in (SELECTION, JUDGING):
                maps = maps_of(cell, part, entry)
                if maps is not None:
                    attributions[f"{cell.ensemble}_{part}"] = _attribution(cell, part, maps, entry)
    return {**config, "ensembles": ensembles, "attributions": attributions}


def in_populations(faults: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """Faults of expanded entries, said once for all cells of a population that have them.

    Args:
        faults: texts that begin with the path of an entry.
        config: with the populations.
    """
    of_entry: dict[str, tuple[str, Cell]] = {}
    for population, entry in config["populations"].items():
        for cell in cells_of_population(population, entry):
            of_entry[f"ensembles/{cell.ensemble}"] = ("", cell)
            for part in (SELECTION, JUDGING):
                of_entry[f"attributions/{cell.ensemble}_{part}"] = (f"{part}: ", cell)
    found: dict[str, list[Cell]] = {}
    for fault in faults:
        path = fault.partition(": ")[0].split("/")
        part, *cells = of_entry.get("/".join(path[:2]), ("",))
        rest = fault if not cells else fault[len("/".join(path[:2])) :].lstrip("/: ")
        found.setdefault(part + rest, []).extend(cells)
    known = dict.fromkeys(cell.ensemble for _, cell in of_entry.values())
    return [_where(cells, known) + text for text, cells in found.items()]


def _where(cells: Sequence[Cell], known: Iterable[str]) -> str:
    """The population of these cells, and the first of them in the order of the known."""
    if not cells:
        return ""
    with_fault = {cell.ensemble for cell in cells}
    names = [name for name in known if name in with_fault]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"populations/{cells[0].population}, ensemble {names[0]}{more}: "


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with other settings over them; what is a mapping in both is merged, too."""
    found = dict(first)
    for key, value in second.items():
        both = isinstance(found.get(key), Mapping) and isinstance(value, Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def _training(cell: Cell, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The `train` entry of a cell."""
    train = dict(entry["train"])
    for factor, level in cell.levels.items():
        train = merged(train, entry["factors"][factor][level])
    if cell.control == SHUFFLED:
        train["shuffled_targets"] = True
    if cell.control == ARTEFACT:
        # another grammar's set, targets and splits take the place of these, whatever their kind
        train |= entry["controls"][ARTEFACT]["train"]
    return train


def _ensemble(cell: Cell, entry: Mapping[str, Any]) -> dict[str, Any]:
    if cell.control == RANDOMISED:
        original = "_".join((cell.population, *(cell.levels[name] for name in entry["factors"])))
        model: dict[str, Any] = {RANDOMISED: {"ensemble": original}}
    else:
        model = {"train": _training(cell, entry)}
    artefact = entry["controls"].get(ARTEFACT, {})
    return {
        "assembly": artefact["assembly"] if cell.control == ARTEFACT else entry["assembly"],
        "model": model,
        "outputs": {OUTPUT: entry["output"]},
        "inference": {"together": True, **entry["inference"]},
        "threads": entry["threads"],
        "gpu": entry["gpu"],
        "population": cell.population,
    }


def _attribution(
    cell: Cell, part: str, maps: Mapping[str, Any], entry: Mapping[str, Any]
) -> dict[str, Any]:
    same = ["region", "reverse_complement", "least_converged", "consistency"]
    if part == (JUDGING if JUDGING in entry else SELECTION):
        same.append("motifs")
    return {
        "ensemble": cell.ensemble,
        "set": maps["maps"],
        "output": OUTPUT,
        "label": f"{entry['label']}, {cell.label}",
        "methods": entry["method"],
        **{key: entry[key] for key in same if key in entry},
        "population": cell.population,
    }


def _faults(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of factors, controls and names."""
    made: dict[str, str] = {}
    for population, entry in config["populations"].items():
        path = f"populations/{population}"
        chosen = entry.get("class")
        if chosen is not None and chosen not in entry["factors"]:
            yield (
                f"{path}/class: there is no factor {chosen!r}"
                f"{nearest_clause(chosen, entry['factors'])}"
            )
        tracks = entry["output"].get("tracks", "all")
        if not isinstance(tracks, str) and len(tracks) > 1:
            yield (
                f"{path}/output/tracks: models are scored by the maps of one track, but "
                f"{len(tracks)} are named: choose one, or make a population of each"
            )
        faults = list(_combination_faults(path, entry))
        yield from faults
        if ARTEFACT in entry["controls"] and JUDGING not in entry:
            yield f"{path}/controls/artefact: it needs judging, which the population does not have"
        if entry["controls"]["truth"] and JUDGING not in entry:
            yield f"{path}/controls/truth: it needs judging, where the truth is named"
        if not faults:
            yield from _clashes(population, entry, config, made)


def _combination_faults(path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Faults of combinations that are left out, and of the one that controls are made of."""
    controls, factors = entry["controls"], entry["factors"]
    for number, levels in enumerate(entry["without"]):
        yield from _unknown_levels(f"{path}/without/{number}", levels, factors)
    trained = controls[RANDOMISED] or controls["shuffled_targets"] or ARTEFACT in controls
    if not trained:
        return
    cell = controls.get("cell", {})
    yield from _unknown_levels(f"{path}/controls/cell", cell, factors)
    for factor in factors:
        if factor not in cell:
            yield f"{path}/controls/cell: the level of factor {factor!r} is missing"
    if _left_out(cell, entry):
        yield f"{path}/controls/cell: this combination is left out by {path}/without"


def _unknown_levels(
    path: str, levels: Mapping[str, str], factors: Mapping[str, Any]
) -> Iterator[str]:
    for factor, level in levels.items():
        if factor not in factors:
            yield f"{path}: there is no factor {factor!r}{nearest_clause(factor, factors)}"
        elif level not in factors[factor]:
            yield (
                f"{path}/{factor}: there is no level {level!r}"
                f"{nearest_clause(level, factors[factor])}"
            )


def _clashes(
    population: str, entry: Mapping[str, Any], config: Mapping[str, Any], made: dict[str, str]
) -> Iterator[str]:
    """Faults of names that two entries would have; `made` grows by the names of this one."""
    for cell in cells_of_population(population, entry):
        parts = [part for part in (SELECTION, JUDGING) if part in entry]
        names = [f"ensembles/{cell.ensemble}"]
        names += [f"attributions/{cell.ensemble}_{part}" for part in parts]
        for name in names:
            section, _, key = name.partition("/")
            there = config[section].get(key)
            if name in made or (there is not None and there.get("population") != population):
                other = f"{made[name]} makes" if name in made else "the config has"
                yield (
                    f"populations/{population}: {cell.label!r} would be {name}, which {other} "
                    "already: give the population, a level or the other entry another name"
                )
            made[name] = f"{cell.label!r} of populations/{population}"
