"""Shifts of measured data: other sequences, other measurements of the same ones, fewer reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqtrust.robustness.shifts import Shift, ShiftType


@dataclass(frozen=True)
class MeasuredShift(Shift):
    """A step of a ladder of the config; no factor of a simulation is known of it.

    Attributes:
        step: its name, or "" for the data without a shift.
        kind: what differs.
    """

    step: str = ""
    kind: ShiftType = "none"

    @property
    def label(self) -> str:
        """The name of the step; `ID` without a shift."""
        return self.step or self.name

    @property
    def type(self) -> ShiftType:
        """As it was stated."""
        return self.kind


def shift_of(plain: Mapping[str, Any]) -> Shift:
    """The shift that `dataclasses.asdict` wrote."""
    return MeasuredShift(**plain) if "kind" in plain else Shift(**plain)


def step_kind(step: Mapping[str, Any]) -> ShiftType:
    """What a step of the config changes: a `type` belongs to `track`."""
    kinds: set[ShiftType] = set()
    if "where" in step or "gc" in step:
        kinds.add("covariate")
    if "track" in step:
        kinds.add(step["type"])
    if "depth" in step:
        kinds.add("technical")
    return kinds.pop() if len(kinds) == 1 else "mixed"
