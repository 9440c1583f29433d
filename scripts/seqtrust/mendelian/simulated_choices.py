"""What may be chosen in an analysis of simulated loci: replicates, instruments, estimator."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.mendelian.effects import Effects, Estimate, Flags
from seqtrust.mendelian.instruments import published_z, strong, surer_than, top_per_position
from seqtrust.mendelian.likelihood import raps
from seqtrust.mendelian.ratios import weighted_median
from seqtrust.mendelian.regression import egger, ivw
from seqtrust.statistics import Floats

Estimator = Callable[[Effects, Effects], Estimate]
DRAWS = 200  # of the bootstrap of a weighted median
ESTIMATORS: dict[str, tuple[Estimator, bool]] = {
    "per_replicate": (ivw, True),
    "per_replicate_egger": (egger, True),
    "ivw": (ivw, False),
    "egger": (egger, False),
    "robust_egger": (partial(egger, robust=True), False),
    "weighted_median": (partial(weighted_median, draws=DRAWS), False),
    "raps": (partial(raps, overdispersion=True), False),
}


@dataclass(frozen=True)
class Loci:
    """What one path gives to be analysed: effects of J substitutions at K loci.

    Attributes:
        replicates: shape (2, E, K, J): exposure and outcome; NaN where there is no substitution.
        causal: noise-free causal effects, shape (2, K, J).
        ideal: noise-free effects with confounders, same shape.
        position: of the substitutions, shape (J,).
        span: which substitutions are in the exposure motif, shape (K, J).
        slopes: true slope of every locus, shape (K,).
        further: effects in further networks, shape (2, R, K, J), if any.
        factors: of the variances of exposure and outcome, for calibration "variance".
        other_slopes: true slopes of other loci of the same process.
        other: noise-free causal effects of the exposure motifs of other loci, shape (2, M, P), for
            the truth `population`.
        other_se: standard errors of exposure and outcome effects that go with them.
    """

    replicates: Floats
    causal: Floats
    ideal: Floats
    position: npt.NDArray[np.int64]
    span: Flags
    slopes: Floats
    further: Floats | None = None
    factors: tuple[float, float] = (1.0, 1.0)
    other_slopes: Floats = field(default_factory=lambda: np.empty(0))
    other: Floats | None = None
    other_se: tuple[float, float] = (1.0, 1.0)

    def members(self, number: int) -> "Loci":
        """The same of the first replicates."""
        return replace(self, replicates=self.replicates[:, :number])


@dataclass(frozen=True)
class Rule:
    """Which substitutions are instruments.

    Attributes:
        kind: "all", "strong" ((b / se)^2), "surer" (|b| / se) or "published_z".
        threshold: of the kind.
        span: those in the exposure motif only.
        top_per_position: the largest of each position only.
        cross_fitted: chosen with one half of the replicates, estimated with the other.
    """

    kind: str = "strong"
    threshold: float = 10.0
    span: bool = True
    top_per_position: bool = False
    cross_fitted: bool = False

    def mask(self, exposure: Effects, span: Flags) -> Flags:
        """The instruments, shape of the effects."""
        kept = np.isfinite(exposure.beta)
        if self.kind == "strong":
            kept &= strong(exposure, self.threshold)
        elif self.kind == "surer":
            kept &= surer_than(exposure, self.threshold)
        elif self.kind == "published_z":
            kept &= published_z(exposure, self.threshold)
        if self.span:
            kept &= span
        if self.top_per_position:
            kept &= top_per_position(exposure.keep(kept))
        return kept


@dataclass(frozen=True)
class Analysis:
    """One choice of all that can be chosen.

    Attributes:
        members: replicates used.
        rule_name: of the rule.
        rule: of the instruments.
        estimator: name in `ESTIMATORS`.
        calibration: "none", or "variance": replicates spread by a factor fitted on labels.
    """

    members: int
    rule_name: str
    rule: Rule
    estimator: str
    calibration: str = "none"

    @property
    def key(self) -> dict[str, Any]:
        """The columns that name it."""
        return {
            "members": self.members,
            "rule": self.rule_name,
            "estimator": self.estimator,
            "calibration": self.calibration,
        }


def analyses_of(
    members: Sequence[int],
    rules: Mapping[str, Mapping[str, Any]],
    estimators: Sequence[str],
    calibration: Sequence[str],
) -> list[Analysis]:
    """The product of all choices; cross-fitting needs four replicates and is left out below."""
    return [
        Analysis(number, name, Rule(**rule), estimator, kind)
        for number in members
        for name, rule in rules.items()
        for estimator in estimators
        for kind in calibration
        if number >= 4 or not rule.get("cross_fitted", False)
    ]
