"""Estimators that allow for errors of the exposure effects: likelihood, debiased and robust scores.

With D = s_y^2 + tau^2 + theta^2 s_x^2 - 2 theta s_xy the residual r = y - theta x has variance D,
where s_xy = psi s_x s_y is the covariance of the two errors of an instrument.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.integrate import quad
from scipy.special import chdtrc

from seqtrust.errors import InputError
from seqtrust.mendelian.covariance import shared_error
from seqtrust.mendelian.effects import Effects, Estimate, Pairs, made_estimate, paired
from seqtrust.statistics import Floats

HUBER, TUKEY = 1.345, 4.685
ANGLES = 401  # slopes at which losses are compared
HALVINGS = 80
NO_EFFECT = "the exposure effects are no larger than their errors: the denominator is not positive"
NO_OPTIMUM = "the likelihood has no curvature at its maximum"


class Loss(NamedTuple):
    """A loss of standardised residuals and its derivative.

    Attributes:
        value: the loss.
        slope: its first derivative.
        bend: its second derivative.
    """

    value: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    bend: Callable[[Floats], Floats]


def _tukey_bend(t: Floats) -> Floats:
    u = (t / TUKEY) ** 2
    return np.where(u < 1, (1 - u) * (1 - 5 * u), 0.0)


LOSSES = {
    "l2": Loss(lambda t: t**2 / 2, lambda t: t, np.ones_like),
    "huber": Loss(
        lambda t: np.where(np.abs(t) <= HUBER, t**2 / 2, HUBER * (np.abs(t) - HUBER / 2)),
        lambda t: np.clip(t, -HUBER, HUBER),
        lambda t: (np.abs(t) <= HUBER).astype(np.float64),
    ),
    "tukey": Loss(
        lambda t: TUKEY**2 / 6 * (1 - (1 - np.minimum((t / TUKEY) ** 2, 1)) ** 3),
        lambda t: t * (1 - np.minimum((t / TUKEY) ** 2, 1)) ** 2,
        _tukey_bend,
    ),
}


class Model(NamedTuple):
    """The instruments and what their errors are.

    Attributes:
        pairs: the instruments.
        sxy: covariance of the two errors of each.
    """

    pairs: Pairs
    sxy: Floats

    def variance(self, theta: Floats, tau2: Floats) -> Floats:
        """D; theta and tau2 of shape (..., 1)."""
        p = self.pairs
        return p.sy**2 + tau2 + (theta * p.sx) ** 2 - 2 * theta * self.sxy

    def standardised(self, theta: Floats, tau2: Floats) -> Floats:
        """Residuals over their sd; 0 where not used."""
        p = self.pairs
        return (p.y - theta * p.x) / np.sqrt(self.variance(theta, tau2))

    def score(self, theta: Floats, tau2: Floats, loss: Loss) -> Floats:
        """Derivative of the summed loss by theta, shape (...); all arguments (..., 1)."""
        p, D = self.pairs, self.variance(theta, tau2)
        r = p.y - theta * p.x
        turn = -(p.x * D + r * (theta * p.sx**2 - self.sxy)) / D**1.5
        return (loss.slope(r / np.sqrt(D)) * turn).sum(axis=-1)


def _model(exposure: Effects, outcome: Effects, psi: npt.ArrayLike | str) -> Model:
    pairs = paired(exposure, outcome)
    sxy = shared_error(exposure, outcome, psi) * pairs.sx * pairs.sy
    # an error correlation of 1 leaves a slope at which a residual has no variance
    limit = 0.999 * pairs.sx * pairs.sy
    return Model(pairs, np.where(pairs.used, np.clip(sxy, -limit, limit), 0.0))


def maximum_likelihood(
    exposure: Effects,
    outcome: Effects,
    model: str = "random",
    *,
    psi: npt.ArrayLike | str = 0.0,
    level: float = 0.95,
) -> Estimate:
    """Maximum likelihood with the true exposure effects as parameters (Burgess et al. 2013).

    They are maximised out, so that only the slope is searched for.

    Args:
        exposure: effects of J instruments, shape (..., J).
        outcome: effects of the same instruments.
        model: `random`: the standard error is multiplied by the residual sd where that is above
            1; `fixed`: it is not.
        psi: correlation of the two errors of an instrument: a number, an array, or `replicates`.
        level: of the interval.

    Returns:
        The slope. Diagnostics: `Q` and `Q_p` (twice the loss at the maximum), `instruments`.
    """
    if model not in ("random", "fixed"):
        raise InputError(f"model is {model!r}; known: random, fixed")
    m = _model(exposure, outcome, psi)
    p, loss = m.pairs, LOSSES["l2"]
    nothing = np.zeros((*p.count.shape, 1))
    theta = _best_slope(m, nothing, loss)
    t = theta[..., None]
    D, r = m.variance(t, nothing), p.y - t * p.x
    N = p.x * (p.sy**2 - t * m.sxy) + p.y * (t * p.sx**2 - m.sxy)
    turned = p.y * p.sx**2 - p.x * m.sxy
    parts = (p.x * N - r * turned) / D**2 + 4 * r * N * (t * p.sx**2 - m.sxy) / D**3
    bend = (p.used * parts).sum(axis=-1)
    Q = (m.standardised(t, nothing) ** 2).sum(axis=-1)
    degrees = np.maximum(p.count - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = 1 / np.sqrt(bend)
    if model == "random":
        se = se * np.maximum(1, np.sqrt(Q / degrees))
    return made_estimate(
        theta,
        se,
        p.because(~(bend > 0), NO_OPTIMUM).reason,
        level=level,
        diagnostics={"Q": Q, "Q_p": chdtrc(degrees, Q), "instruments": p.count},
    )


def raps(
    exposure: Effects,
    outcome: Effects,
    loss: str = "l2",
    overdispersion: bool = False,
    *,
    psi: npt.ArrayLike | str = 0.0,
    level: float = 0.95,
) -> Estimate:
    """Robust adjusted profile score (Zhao et al. 2020).

    Args:
        exposure: effects of J instruments, shape (..., J).
        outcome: effects of the same instruments.
        loss: `l2`, `huber` (1.345) or `tukey` (4.685) of the standardised residuals.
        overdispersion: estimate a variance tau^2 of pleiotropic effects too.
        psi: correlation of the two errors of an instrument: a number, an array, or `replicates`.
        level: of the interval.

    Returns:
        The slope. Diagnostics: `tau2`, `instruments`.

    Raises:
        InputError: an unknown loss.
    """
    if loss not in LOSSES:
        raise InputError(f"raps: loss is {loss!r}; known: {', '.join(LOSSES)}")
    m, rho = _model(exposure, outcome, psi), LOSSES[loss]
    p = m.pairs
    tau2 = np.zeros((*p.count.shape, 1))
    theta = _best_slope(m, tau2, LOSSES["l2"] if overdispersion else rho)
    reason = p.reason
    if overdispersion:
        theta, tau2, _ = _with_dispersion(m, theta, LOSSES["l2"])
        settled = np.ones(theta.shape, dtype=bool)
        if loss != "l2":
            theta, tau2, settled = _with_dispersion(m, theta, rho, tau2)
        reason = p.because(~settled, "slope and overdispersion did not converge").reason
    t = theta[..., None]
    D, sy2 = m.variance(t, tau2), p.sy**2 + tau2
    delta, c1, c2, c3 = _constants(loss)
    N = (p.x**2 - p.sx**2) * sy2 + (p.y**2 - sy2) * p.sx**2 - 2 * (p.x * p.y - m.sxy) * m.sxy
    information = (p.used * N / D**2).sum(axis=-1)
    noise = (p.used * (p.sx**2 * sy2 - m.sxy**2) / D**2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = c1 * (information + noise) / (delta * information) ** 2
        if overdispersion:
            cross = -delta * (p.used * (t * p.sx**2 - m.sxy) / D**2).sum(axis=-1)
            own = -(delta + c3) / 2 * (p.used * p.sx**2 / D**2).sum(axis=-1)
            spread = c2 * (p.used * p.sx**4 / D**2).sum(axis=-1)
            variance = variance + spread * (cross / (delta * information * own)) ** 2
    reason = np.where((reason == "") & ~(information > 0), NO_EFFECT, reason)
    return made_estimate(
        theta,
        np.sqrt(np.where(variance > 0, variance, np.nan)),
        reason,
        level=level,
        diagnostics={"tau2": tau2[..., 0], "instruments": p.count},
    )


def divw(
    exposure: Effects,
    outcome: Effects,
    overdispersion: bool = True,
    *,
    psi: npt.ArrayLike | str = 0.0,
    level: float = 0.95,
) -> Estimate:
    """Debiased inverse-variance weighting (Ye et al. 2021).

    Arguments as of `raps`. With psi the covariance of the errors is taken off the numerator, as
    the exposure's variance is off the denominator.

    Returns:
        The slope. Diagnostics: `tau2`, `condition` ((mean F - 1) sqrt(J), which should be above
        20), `instruments`.
    """
    m = _model(exposure, outcome, psi)
    p, w = m.pairs, m.pairs.outcome_weights
    below = (w * (p.x**2 - p.sx**2)).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = (w * (p.x * p.y - m.sxy)).sum(axis=-1) / below
    t = theta[..., None]
    tau2 = _moment_dispersion(m, t) if overdispersion else np.zeros_like(theta)
    D = m.variance(t, tau2[..., None])
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (w**2 * (p.x**2 * D + (t * p.sx**2 - m.sxy) ** 2)).sum(axis=-1)
        se = np.sqrt(spread) / np.abs(below)
    return made_estimate(
        theta,
        se,
        p.because(below <= 0, NO_EFFECT).reason,
        level=level,
        diagnostics={"tau2": tau2, "condition": _condition(p), "instruments": p.count},
    )


def pivw(
    exposure: Effects,
    outcome: Effects,
    overdispersion: bool = True,
    *,
    penalty: float = 1.0,
    level: float = 0.95,
) -> Estimate:
    """Penalised inverse-variance weighting (Xu et al. 2023), for weak instruments.

    Args:
        exposure: effects of J instruments, shape (..., J).
        outcome: effects of the same instruments, with independent errors.
        overdispersion: allow for a variance of pleiotropic effects.
        penalty: of a denominator near 0.
        level: of the interval.

    Returns:
        The slope. Diagnostics as of `divw`.
    """
    m = _model(exposure, outcome, 0.0)
    p, w = m.pairs, m.pairs.outcome_weights
    v2 = (w**2 * (4 * (p.x**2 - p.sx**2) * p.sx**2 + 2 * p.sx**4)).sum(axis=-1)
    v12 = (2 * w**2 * p.y * p.x * p.sx**2).sum(axis=-1)
    below = (w * (p.x**2 - p.sx**2)).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(below**2 / 4 + penalty * v2)
        moved = below / 2 + np.where(below < 0, -root, root)
        theta = ((w * p.x * p.y).sum(axis=-1) + v12 / v2 * (moved - below)) / moved
    t = theta[..., None]
    tau2 = _moment_dispersion(m, t) if overdispersion else np.zeros_like(theta)
    D = m.variance(t, tau2[..., None])
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (w**2 * (p.x**2 * D + (t * p.sx**2) ** 2)).sum(axis=-1)
        se = np.sqrt(spread) / np.abs(moved)
    reason = p.because(~(np.isfinite(theta) & (v2 > 0)), NO_EFFECT).reason
    diagnostics = {"tau2": tau2, "condition": _condition(p), "instruments": p.count}
    return made_estimate(theta, se, reason, level=level, diagnostics=diagnostics)


def _condition(pairs: Pairs) -> Floats:
    F = (pairs.used * (pairs.x / pairs.sx) ** 2).sum(axis=-1)
    return (F / np.maximum(pairs.count, 1) - 1) * np.sqrt(pairs.count)


def _moment_dispersion(m: Model, theta: Floats) -> Floats:
    """tau^2 by moments, not below 0."""
    p, w = m.pairs, m.pairs.outcome_weights
    excess = (p.y - theta * p.x) ** 2 - m.variance(theta, np.zeros_like(theta))
    total = np.maximum(w.sum(axis=-1), np.finfo(float).tiny)
    return np.maximum(0, np.nan_to_num((w * excess).sum(axis=-1) / total))


def _best_slope(m: Model, tau2: Floats, loss: Loss) -> Floats:
    """The slope with the smallest summed loss, shape (...).

    Losses are compared on a grid and at the slope of every instrument, whose basin a redescending
    loss may not leave; the root of the score is then halved in between the best one's neighbours.
    """
    p = m.pairs
    number = np.maximum(p.count, 1)
    unit = np.sqrt((p.used * p.sy**2).sum(axis=-1) / number)
    unit = unit / np.sqrt((p.used * p.sx**2).sum(axis=-1) / number).clip(np.finfo(float).tiny)
    strength = np.sqrt((p.used * (p.x / p.sx) ** 2).sum(axis=-1) / number)
    unit = np.where(unit > 0, unit, 1.0)[..., None] / np.maximum(1, strength)[..., None]
    grid = np.sinh(np.linspace(-14, 14, ANGLES)) * unit
    own = np.divide(p.y, p.x, out=np.zeros_like(p.x), where=p.x != 0)
    slopes = np.sort(np.concatenate([grid, own], axis=-1), axis=-1)
    total = np.stack(
        [
            (p.used * loss.value(m.standardised(slopes[..., at, None], tau2))).sum(axis=-1)
            for at in range(slopes.shape[-1])
        ],
        axis=-1,
    )
    best = total.argmin(axis=-1)[..., None]
    low = np.take_along_axis(slopes, np.maximum(best - 1, 0), axis=-1)
    high = np.take_along_axis(slopes, np.minimum(best + 1, slopes.shape[-1] - 1), axis=-1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rising = m.score(middle, tau2, loss)[..., None] > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return ((low + high) / 2)[..., 0]


def _with_dispersion(
    m: Model, theta: Floats, loss: Loss, tau2: Floats | None = None
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Slope and overdispersion in turns, and where they came to rest."""
    p = m.pairs
    delta = _expected(lambda t: t * loss.slope(t))
    largest = 100 * ((p.used * (p.y**2 + p.sy**2)).max(axis=-1, initial=0.0))[..., None]
    tau2 = np.zeros((*p.count.shape, 1)) if tau2 is None else tau2

    def excess(theta: Floats, tau2: Floats) -> Floats:
        D, t = m.variance(theta, tau2), m.standardised(theta, tau2)
        total = (p.used * p.sx**2 * (t * loss.slope(t) - delta) / D).sum(axis=-1)
        return np.asarray(total)[..., None]

    going = np.ones(p.count.shape, dtype=bool)
    for _ in range(100):
        t = theta[..., None]
        low, high = np.zeros_like(largest), largest
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            positive = excess(t, middle) > 0
            low, high = np.where(positive, middle, low), np.where(positive, high, middle)
        moved_tau2 = np.where(excess(t, np.zeros_like(low)) > 0, (low + high) / 2, 0.0)
        moved = _best_slope(m, moved_tau2, loss)
        close = np.abs(moved - theta) <= 1e-10 * np.abs(moved)
        going = ~(close & (np.abs(moved_tau2 - tau2) <= 1e-10 * moved_tau2)[..., 0])
        theta, tau2 = moved, moved_tau2
        if not going.any():
            break
    return theta, tau2, ~going


def _expected(of: Callable[[Floats], Floats]) -> float:
    """Mean of a function of a standard normal number."""
    density = 1 / np.sqrt(2 * np.pi)

    def weighed(t: float) -> float:
        return float(of(np.array(t))) * density * np.exp(-t * t / 2)

    edges = [-12, -TUKEY, -HUBER, HUBER, TUKEY, 12]
    return float(sum(quad(weighed, a, b)[0] for a, b in pairwise(edges)))


def _constants(loss: str) -> tuple[float, float, float, float]:
    """What the score's variance depends on: delta, c1, c2 and c3 of Zhao et al. 2020."""
    rho = LOSSES[loss]
    delta = _expected(lambda t: t * rho.slope(t))
    c1 = _expected(lambda t: rho.slope(t) ** 2)
    c2 = _expected(lambda t: (t * rho.slope(t)) ** 2) - delta**2
    return delta, c1, c2, _expected(lambda t: t**2 * rho.bend(t))
