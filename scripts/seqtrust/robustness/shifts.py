"""Shifts between training and use, with ladders of severity.

A covariate shift changes which sequences come, a concept shift what they do, a technical shift how
that is measured; a mixed one more than one of these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from seqtrust.errors import InputError, nearest_clause
from seqtrust.robustness.assay import Assay
from seqtrust.robustness.checks import refuse_outside

ShiftType = Literal["none", "covariate", "concept", "technical", "mixed"]


@dataclass(frozen=True)
class Shift:
    """What differs from training; every field at its default changes nothing.

    Attributes:
        name: of the family, as in `LADDERS`.
        severity: step of its ladder, from 1; 0 without shift.
        gc_mean: mean GC content of backgrounds.
        site_turnover: share of the uniform distribution in what instances are drawn from.
        pwm_drift: share of motif columns that name other bases, for cells and instances alike.
        rho: correlation of the new additive program with the old one.
        cell_sd: measure in the test cell type, whose own part of motif weights has this sd.
        multiplicative: factor of the noise that depends on activity.
        additive: sd of added noise, in sds of activity.
        depth: factor of the barcodes per sequence.
        offset: of the batch, in sds of activity.
        gain: of the batch.
        gc_bias: log2 per unit of GC content.
        substitutions: share of the bases that a model sees which are read wrongly.
        masked: share of the bases that a model sees which are N.
        swaps: share of the sequences whose measurements belong to each other's barcodes.
        draw: which of the random programs or drifts.

    Raises:
        InputError: a value makes no sense.
    """

    name: str = "ID"
    severity: int = 0
    gc_mean: float | None = None
    site_turnover: float = 0.0
    pwm_drift: float = 0.0
    rho: float = 1.0
    cell_sd: float | None = None
    multiplicative: float = 1.0
    additive: float = 0.0
    depth: float = 1.0
    offset: float = 0.0
    gain: float = 1.0
    gc_bias: float = 0.0
    substitutions: float = 0.0
    masked: float = 0.0
    swaps: float = 0.0
    draw: int = 0

    def __post_init__(self) -> None:
        what = f"shift {self.label}"
        shares = ("site_turnover", "pwm_drift", "rho", "substitutions", "masked", "swaps")
        for name in shares:
            refuse_outside(what, name, getattr(self, name), 0, 1)
        for name in ("multiplicative", "additive", "severity", "draw"):
            refuse_outside(what, name, getattr(self, name), 0, np.inf)
        for name in ("offset", "gain", "gc_bias"):
            refuse_outside(what, name, getattr(self, name), -np.inf, np.inf)
        refuse_outside(what, "depth", self.depth, 1e-6, np.inf)
        for name, high in (("gc_mean", 1.0), ("cell_sd", np.inf)):
            if getattr(self, name) is not None:
                refuse_outside(what, name, getattr(self, name), 0, high)
        if self.rho != 1 and self.cell_sd is not None:
            raise InputError(f"{what}: rho and cell_sd both set the program: give one of the two")

    @property
    def label(self) -> str:
        """Name and severity: `GC-2`, `ID`."""
        return f"{self.name}-{self.severity}" if self.severity else self.name

    @property
    def type(self) -> ShiftType:
        """What kind of shift the changed factors make."""
        kinds: set[ShiftType] = {_KINDS[name] for name in self.changed}
        if not kinds:
            return "none"
        return kinds.pop() if len(kinds) == 1 else "mixed"

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the factors that differ from training."""
        return tuple(name for name in _KINDS if getattr(self, name) != _DEFAULTS[name])

    @property
    def inputs(self) -> tuple[float | None, float, float, int]:
        """What decides which molecules are drawn and read: equal for shifts that share them."""
        return (
            self.gc_mean, self.site_turnover, self.pwm_drift, self.draw if self.pwm_drift else 0,
        )  # fmt: skip

    def assay(self, assay: Assay, activity_sd: float) -> Assay:
        """The assay under this shift.

        Args:
            assay: of the training data.
            activity_sd: the unit of `offset` and `additive`, log2.
        """
        return replace(
            assay,
            offset=assay.offset + self.offset * activity_sd,
            gain=assay.gain * self.gain,
            gc_bias=assay.gc_bias + self.gc_bias,
            multiplicative=assay.multiplicative * self.multiplicative,
            additive=float(np.hypot(assay.additive, self.additive * activity_sd)),
            depth=assay.depth * self.depth,
        )


_DEFAULTS = {item.name: item.default for item in fields(Shift)}

# wrongly read bases change what a model sees and, given that, what is measured
_KINDS: Mapping[str, ShiftType] = {
    "gc_mean": "covariate", "site_turnover": "covariate", "pwm_drift": "mixed",
    "rho": "concept", "cell_sd": "concept",
    "multiplicative": "technical", "additive": "technical", "depth": "technical",
    "offset": "technical", "gain": "technical", "gc_bias": "technical", "swaps": "technical",
    "substitutions": "mixed", "masked": "mixed",
}  # fmt: skip

_STEPS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "GC": {"gc_mean": (0.50, 0.55, 0.65, 0.75)},
    "SITE": {"site_turnover": (0.05, 0.10, 0.25, 0.50)},
    "PWM": {"pwm_drift": (0.1, 0.2, 0.4, 0.6)},
    "REW": {"rho": (0.9, 0.7, 0.4, 0.0)},
    "CELL": {"cell_sd": (0.20, 0.35, 0.70, 1.20)},
    "NOISE-M": {"multiplicative": (1.5, 2.0, 4.0)},
    "NOISE-A": {"additive": (0.5, 1.0, 2.0)},
    "DEPTH": {"depth": (1 / 2, 1 / 4, 1 / 16)},
    "BATCH": {"offset": (0.25, 0.5, 1.0), "gain": (1.0, 1.25, 1.5)},
    "GCBIAS": {"gc_bias": (2.0, 5.0, 10.0)},
    "ART": {
        "substitutions": (0.001, 0.005, 0.02),
        "masked": (0.001, 0.005, 0.02),
        "swaps": (0.01, 0.03, 0.10),
    },
}


def _ladder(name: str, steps: Mapping[str, Sequence[float]]) -> tuple[Shift, ...]:
    number = min(map(len, steps.values()))
    rungs: list[dict[str, Any]] = [
        {key: values[step] for key, values in steps.items()} for step in range(number)
    ]
    return tuple(Shift(name, step, **rung) for step, rung in enumerate(rungs, start=1))


# several shifts at a time have the steps of the shortest ladder
_COMBINED = ("GC", "BATCH", "DEPTH")

LADDERS: Mapping[str, tuple[Shift, ...]] = {
    **{name: _ladder(name, steps) for name, steps in _STEPS.items()},
    "COMBO": _ladder(
        "COMBO", {key: values for name in _COMBINED for key, values in _STEPS[name].items()}
    ),
}

IN_DISTRIBUTION = Shift()


def named_shift(name: str, severity: int, /, **parameters: Any) -> Shift:
    """A step of a ladder.

    Args:
        name: of the ladder.
        severity: from 1; 0 is no shift.
        parameters: fields of `Shift` to set otherwise than the ladder.

    Raises:
        InputError: there is no such ladder, step or field, or a value makes no sense.
    """
    if name not in LADDERS:
        raise InputError(f"there is no shift {name!r}{nearest_clause(name, LADDERS)}")
    ladder = LADDERS[name]
    if severity not in range(len(ladder) + 1):
        raise InputError(
            f"shift {name} has severities 1 to {len(ladder)} (0: no shift), not {severity}: choose "
            "one of them, or set its parameters by name"
        )
    own = [key for key in _DEFAULTS if key not in ("name", "severity")]
    for key in parameters:
        if key not in own:
            raise InputError(f"shift {name} has no parameter {key!r}{nearest_clause(key, own)}")
    start = ladder[severity - 1] if severity else IN_DISTRIBUTION
    return replace(start, **parameters)


def every_shift() -> tuple[Shift, ...]:
    """No shift, and every step of every ladder."""
    return (IN_DISTRIBUTION, *(step for ladder in LADDERS.values() for step in ladder))
