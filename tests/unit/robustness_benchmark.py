"""A small world on disk for the tests of the robustness benchmark."""

from dataclasses import astuple

from seqtrust.robustness.benchmark_worlds import benchmark_data
from seqtrust.robustness.world_tables import WorldFacts, open_world, write_world

WORLDS = {
    "settings": {"motifs": 3, "width": 6, "reference": 2000},
    "sequences": {"length": 48, "slot": 8, "rate": 0.8},
    "assay": {},
}
SHIFTS = {
    "GC": [1, 2], "SITE": [2], "PWM": [2], "REW": [1, 4], "CELL": [3], "NOISE-M": [3],
    "NOISE-A": [3], "DEPTH": [3], "BATCH": [3], "GCBIAS": [2], "ART": [3], "COMBO": [2],
}  # fmt: skip


def written_world(path, seed=3, shifts=SHIFTS, sizes=(600, 200, 2000, 2500), worlds=WORLDS):
    """A world's table; sizes of training, validation, calibration and test."""
    facts = WorldFacts.of(seed, worlds, [0])
    world = facts.world()
    names = ("train", "validation", "calibration", "test")
    data = dict(zip(names, sizes, strict=True)) | {"test_cell": -1}
    write_world(path, facts, world, benchmark_data(facts, world, data, shifts, seed=7))
    return open_world(path)


def values_of(rows):
    """Values of scores by all other fields, in their order; the value is the last one."""
    return {tuple(fields): value for *fields, value in map(astuple, rows)}
