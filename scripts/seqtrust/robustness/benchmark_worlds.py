"""Data sets of a world of the benchmark: for training, for calibration, and under every shift."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqtrust.robustness.conditions import Condition, sample, sample_many
from seqtrust.robustness.shifts import IN_DISTRIBUTION, LADDERS, Shift, named_shift
from seqtrust.robustness.world_tables import CALIBRATION, TRAIN, VALIDATION, WorldFacts
from seqtrust.robustness.worlds import World
from seqtrust.sources.seeds import named_generator


def chosen_shifts(chosen: str | Mapping[str, Any]) -> tuple[Shift, ...]:
    """No shift, then the steps that are asked for.

    Those with the same inputs stand next to each other, which `sample_many` wants.

    Args:
        chosen: `all`, or steps (`all` or a list) by the name of their ladder.

    Raises:
        InputError: there is no such ladder or step.
    """
    asked: Mapping[str, Any] = dict.fromkeys(LADDERS, "all") if isinstance(chosen, str) else chosen
    found = []
    for name, steps in asked.items():
        ladder = LADDERS.get(name, ())
        numbers = list(range(1, len(ladder) + 1)) if steps == "all" else list(steps)
        found += [named_shift(name, number) for number in numbers or [0]]
    order = list(dict.fromkeys(shift.inputs for shift in (IN_DISTRIBUTION, *found)))
    unique = [shift for shift in dict.fromkeys(found) if shift.severity]
    return (IN_DISTRIBUTION, *sorted(unique, key=lambda shift: order.index(shift.inputs)))


def benchmark_data(
    facts: WorldFacts,
    world: World,
    data: Mapping[str, Any],
    shifts: str | Mapping[str, Any],
    seed: int,
) -> Iterator[tuple[str, Condition]]:
    """Every data set of a world with its name; the training data come first.

    Args:
        facts: of the world.
        world: made from them.
        data: number of sequences by data set (`test`: of every condition) and `test_cell`.
        shifts: as in `chosen_shifts`.
        seed: of the config; draws belong to it, the world and the data set.
    """
    for name in (TRAIN, VALIDATION, CALIBRATION):
        drawn = data_seed(seed, facts.settings.seed, name)
        yield name, sample(world, IN_DISTRIBUTION, data[name], drawn, facts.assay, facts.cells)
    drawn = data_seed(seed, facts.settings.seed, "test")
    for condition in sample_many(
        world, chosen_shifts(shifts), data["test"], drawn, facts.assay, facts.cells,
        data["test_cell"],
    ):  # fmt: skip
        yield condition.shift.label, condition


def data_seed(seed: int, world: int, name: str) -> int:
    """The seed of a data set."""
    return int(named_generator(seed, "robustness", str(world), name).integers(1 << 31))


def training_seed(seed: int, world: int, replicate: int) -> int:
    """The seed of a replicate: the same for all models, so that they are compared in pairs."""
    return data_seed(seed, world, f"replicate {replicate}")
