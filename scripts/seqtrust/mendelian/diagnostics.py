"""What speaks for and against an estimate, per locus and per pair of tasks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc
from scipy.stats import false_discovery_control

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects, Estimate, Words, paired, two_sided
from seqtrust.mendelian.regression import egger, ivw
from seqtrust.statistics import Floats

Estimator = Callable[[Effects, Effects], Estimate]


@dataclass(frozen=True)
class LocusDiagnostics:
    """Diagnostics of every locus, shape (...); NaN where `reason` says why.

    Attributes:
        instruments: J.
        positions: different positions; NaN if none are known.
        effective: (sum of weights)^2 / sum of squared weights, weights (b_x / s_y)^2.
        F: mean of (b_x / s_x)^2.
        I2_GX: 1 if errors of the exposure do not weaken MR-Egger.
        Q_ivw: heterogeneity around the line through the origin; p in `Q_ivw_p`.
        Q_egger: around MR-Egger's line; p in `Q_egger_p`.
        rucker: Q_ivw - Q_egger; p in `rucker_p`.
        intercept: of MR-Egger; `intercept_se`, `intercept_p`.
        positive: share of instruments with a positive effect on the exposure.
        curvature: quadratic coefficient of outcome on exposure effects; p in `curvature_p`.
        reason: why there are none, else empty.
    """

    instruments: Floats
    positions: Floats
    effective: Floats
    F: Floats
    I2_GX: Floats
    Q_ivw: Floats
    Q_ivw_p: Floats
    Q_egger: Floats
    Q_egger_p: Floats
    rucker: Floats
    rucker_p: Floats
    intercept: Floats
    intercept_se: Floats
    intercept_p: Floats
    positive: Floats
    curvature: Floats
    curvature_p: Floats
    reason: Words


def locus_diagnostics(exposure: Effects, outcome: Effects) -> LocusDiagnostics:
    """All diagnostics of every locus; effects of shape (..., J)."""
    pairs = paired(exposure, outcome)
    plain, line = ivw(exposure, outcome), egger(exposure, outcome)
    number = np.maximum(pairs.count, 1)
    weight = pairs.outcome_weights * pairs.x**2
    total = (weight**2).sum(axis=-1)
    effective = np.divide(
        weight.sum(axis=-1) ** 2, total, out=np.zeros_like(total), where=total > 0
    )
    positions = np.full(pairs.count.shape, np.nan)
    given = exposure.position if exposure.position is not None else outcome.position
    if given is not None:
        places = np.sort(np.where(pairs.used, given, np.inf), axis=-1)
        new = (places[..., 1:] != places[..., :-1]) & np.isfinite(places[..., 1:])
        positions = new.sum(axis=-1) + np.isfinite(places[..., 0])
    bend, bend_p = _curvature(pairs.x, pairs.y, pairs.outcome_weights, number)
    fits, more = plain.diagnostics, line.diagnostics
    rucker = np.maximum(0, np.asarray(fits["Q"]) - more["Q"])
    failed = pairs.reason != ""

    def shown(values: npt.ArrayLike) -> Floats:
        return np.where(failed, np.nan, values)[()]

    return LocusDiagnostics(
        instruments=pairs.count[()],
        positions=shown(positions),
        effective=shown(effective),
        F=fits["F"],
        I2_GX=more["I2_GX"],
        Q_ivw=fits["Q"],
        Q_ivw_p=fits["Q_p"],
        Q_egger=more["Q"],
        Q_egger_p=more["Q_p"],
        rucker=rucker[()],
        rucker_p=np.asarray(chdtrc(1, rucker))[()],
        intercept=more["intercept"],
        intercept_se=more["intercept_se"],
        intercept_p=more["intercept_p"],
        positive=shown((pairs.used & (pairs.x > 0)).sum(axis=-1) / number),
        curvature=shown(bend),
        curvature_p=shown(bend_p),
        reason=line.reason,
    )


def _curvature(x: Floats, y: Floats, w: Floats, number: Floats) -> tuple[Floats, Floats]:
    """Quadratic coefficient of a parabola through the origin, and its p from t(J - 2).

    Outcome effects that level off with the exposure's make a slope that depends on the size of
    the mutations. The residual variance is not taken below that of the outcome's errors.
    """
    a, b, c = ((w * x**power).sum(axis=-1) for power in (2, 3, 4))
    first, second = (w * x * y).sum(axis=-1), (w * x**2 * y).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        free = c - b**2 / a
        free = np.where(free > 1e-10 * c, free, np.nan)
        bend = (second - b * first / a) / free
        slope = (first - b * bend) / a
        rest = y - slope[..., None] * x - bend[..., None] * x**2
        df = np.maximum(number - 2, 1)
        variance = np.maximum(1, (w * rest**2).sum(axis=-1) / df) / free
        return bend, two_sided(bend / np.sqrt(variance), df)


def leave_one_position_out(
    exposure: Effects, outcome: Effects, estimator: Estimator = ivw
) -> Estimate:
    """Estimates without the position of each instrument.

    Args:
        exposure: effects with positions, shape (..., J).
        outcome: effects of the same instruments.
        estimator: of the effect.

    Returns:
        Shape (..., J): without all instruments at the position of instrument j. Where all
        instruments of the rest are at one position there is no estimate.

    Raises:
        InputError: no positions.
    """
    given = exposure.position if exposure.position is not None else outcome.position
    if given is None:
        raise InputError("leave_one_position_out needs effects with positions")
    shape = np.broadcast_shapes(exposure.beta.shape, outcome.beta.shape)
    position = np.broadcast_to(given, shape)
    other = np.moveaxis(position[..., :, None] != position[..., None, :], -2, 0)
    x = Effects(
        np.where(other, exposure.beta, np.nan), np.where(other, exposure.se, np.nan), None, position
    )
    made = estimator(x, outcome)

    def last(array: Floats) -> Floats:
        return np.moveaxis(np.asarray(array), 0, -1)

    return Estimate(
        last(made.estimate),
        last(made.se),
        (last(made.interval[0]), last(made.interval[1])),
        last(made.p),
        last(made.df),
        np.moveaxis(np.asarray(made.reason), 0, -1),
    )


def benjamini_hochberg(p: npt.ArrayLike) -> Floats:
    """q-values over all numbers given (Benjamini and Hochberg 1995); NaN stays NaN."""
    values = np.asarray(p, dtype=np.float64)
    q = np.full(values.shape, np.nan)
    known = np.isfinite(values)
    if known.any():
        q[known] = false_discovery_control(values[known])
    return q


@dataclass(frozen=True)
class Limits:
    """Where the answer to "may Deep MR be applied here" turns: conventions, not theorems.

    Attributes:
        loci: fewest with an estimate.
        F: smallest median over loci of the mean F.
        I2_GX: smallest median of I2_GX; below, slopes of MR-Egger are diluted.
        pleiotropic: largest share of loci with an intercept at q < .05.
        curved: largest share of loci with a curvature at q < .05.
        turned: largest share of loci whose sign hangs on one position.
        control_error: largest share of controls without a path that are called at .05.
    """

    loci: int = 10
    F: float = 10.0
    I2_GX: float = 0.9
    pleiotropic: float = 0.1
    curved: float = 0.1
    turned: float = 0.1
    control_error: float = 0.1


@dataclass(frozen=True)
class Applicability:
    """May Deep MR be applied to this pair.

    Attributes:
        applicable: no limit is broken.
        reasons: the broken limits, with what was found; empty if applicable.
        found: every number that was looked at.
    """

    applicable: bool
    reasons: tuple[str, ...]
    found: Mapping[str, float] = field(default_factory=dict)


def applicability(
    loci: LocusDiagnostics,
    left_out: Estimate | None = None,
    control_p: npt.ArrayLike | None = None,
    limits: Limits | None = None,
) -> Applicability:
    """One verdict for a pair of tasks from the diagnostics of its loci.

    Args:
        loci: diagnostics of shape (K,).
        left_out: estimates without each position, shape (K, J); without, that is not asked.
        control_p: p of controls without a path (shuffled heads, unrelated tasks); without, the
            verdict says nothing of type I error.
        limits: other limits than the usual.
    """
    limit = limits or Limits()
    known = np.atleast_1d(np.asarray(loci.reason)) == ""
    found = {"loci": float(known.sum())}
    if known.sum() < limit.loci:
        reason = f"{known.sum()} loci have an estimate, fewer than {limit.loci}"
        return Applicability(False, (reason,), found)

    def significant(p: Floats) -> float:
        return float((benjamini_hochberg(np.atleast_1d(p)[known]) < 0.05).mean())

    found["F"] = float(np.median(np.atleast_1d(loci.F)[known]))
    found["I2_GX"] = float(np.median(np.atleast_1d(loci.I2_GX)[known]))
    found["pleiotropic"] = significant(loci.intercept_p)
    found["curved"] = significant(loci.curvature_p)
    tells = [
        (found["F"] < limit.F, f"weak instruments: median mean F {found['F']:.3g}"),
        (found["I2_GX"] < limit.I2_GX, f"MR-Egger is diluted: median I2_GX {found['I2_GX']:.3g}"),
        (
            found["pleiotropic"] > limit.pleiotropic,
            f"pleiotropy with a direction: {found['pleiotropic']:.0%} of loci have an intercept",
        ),
        (
            found["curved"] > limit.curved,
            f"effects are not linear: {found['curved']:.0%} of loci are curved",
        ),
    ]
    if left_out is not None:
        signs = np.sign(np.asarray(left_out.estimate)[known])
        turned = (signs == 1).any(axis=-1) & (signs == -1).any(axis=-1)
        found["turned"] = float(turned.mean())
        words = f"one position decides the sign of {found['turned']:.0%} of loci"
        tells.append((found["turned"] > limit.turned, words))
    if control_p is not None:
        p = np.asarray(control_p, dtype=np.float64)
        if not np.isfinite(p).any():
            raise InputError("applicability: the controls have no p; leave control_p out")
        found["control_error"] = float((p[np.isfinite(p)] < 0.05).mean())
        words = f"{found['control_error']:.0%} of controls without a path are called"
        tells.append((found["control_error"] > limit.control_error, words))
    reasons = tuple(words for broken, words in tells if broken)
    return Applicability(not reasons, reasons, found)
