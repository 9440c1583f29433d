"""Effects of instruments on exposure and outcome, and what an estimate of their relation holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, ndtri, polygamma, stdtr, stdtrit

from seqtrust.errors import InputError
from seqtrust.statistics import Floats

Flags = npt.NDArray[np.bool_]
Words = npt.NDArray[np.str_]

LEAST = 3  # instruments below which no causal effect is estimated


@dataclass(frozen=True)
class Effects:
    """Effects of J instruments (mutations) on one quantity, for any number of loci or pairs.

    Loci with fewer than J instruments are filled up with NaN.

    Attributes:
        beta: effects, shape (..., J).
        se: their standard errors, same shape.
        replicates: the effect in each replicate, shape (E, ..., J); what needs them raises
            without.
        position: 0-based position of each mutation in its locus, shape (..., J) or (J,).
        locus: name of each locus, shape (...).
    """

    beta: Floats
    se: Floats
    replicates: Floats | None = None
    position: npt.NDArray[np.int64] | None = None
    locus: npt.NDArray[np.object_] | None = None

    def __post_init__(self) -> None:
        """Make arrays of what was given, and check their shapes."""
        beta = np.asarray(self.beta, dtype=np.float64)
        object.__setattr__(self, "beta", beta)
        object.__setattr__(self, "se", np.asarray(self.se, dtype=np.float64))
        if beta.ndim == 0:
            raise InputError("effects need an axis of instruments: beta is a single number")
        if self.se.shape != beta.shape:
            raise InputError(
                f"effects: beta has shape {beta.shape} and se {self.se.shape}; make them equal"
            )
        if self.replicates is not None:
            replicates = np.asarray(self.replicates, dtype=np.float64)
            object.__setattr__(self, "replicates", replicates)
            if replicates.shape[1:] != beta.shape:
                raise InputError(
                    f"effects: replicates have shape {replicates.shape}, expected (replicates, "
                    f"{', '.join(map(str, beta.shape))}): replicates come first"
                )
        for name in ("position", "locus"):
            given = getattr(self, name)
            if given is not None:
                shape = beta.shape if name == "position" else beta.shape[:-1]
                array = np.asarray(given)
                try:
                    np.broadcast_to(array, shape)
                except ValueError:
                    raise InputError(
                        f"effects: {name} has shape {array.shape}, expected {shape}"
                    ) from None
                object.__setattr__(self, name, array)

    @classmethod
    def from_replicates(
        cls,
        d: npt.ArrayLike,
        position: npt.ArrayLike | None = None,
        locus: npt.ArrayLike | None = None,
        se: str = "moderated",
    ) -> Effects:
        """Mean effects and standard errors from the effects in each replicate.

        Args:
            d: mutant minus reference of one replicate, both with the same weights and the same
                dropout mask, shape (E, ..., J), NaN where a locus has fewer instruments.
            position: as the attribute.
            locus: as the attribute.
            se: `moderated`: sd (ddof 1) / sqrt(E), variances drawn together over all instruments
                given (Smyth 2004); `mean`: the same without; `published`: sd (ddof 0), undivided,
                which is the spread of one replicate and not an error of the mean.

        Raises:
            InputError: fewer than two replicates, or an unknown kind of error.
        """
        values = np.asarray(d, dtype=np.float64)
        if values.ndim < 2 or len(values) < 2:
            raise InputError(
                f"effects of replicates have shape {values.shape}, expected (replicates, ..., "
                "instruments) with at least two replicates"
            )
        if se == "published":
            error = values.std(axis=0)
        elif se in ("moderated", "mean"):
            variance = values.var(axis=0, ddof=1)
            if se == "moderated":
                variance = moderated_variance(variance, len(values) - 1)
            error = np.sqrt(variance / len(values))
        else:
            raise InputError(f"unknown kind of error {se!r}: moderated, mean or published")
        return cls(
            values.mean(axis=0),
            error,
            values,
            None if position is None else np.asarray(position),
            None if locus is None else np.asarray(locus),
        )

    def of_replicates(self, what: str) -> Floats:
        """The effects per replicate, shape (E, ..., J).

        Args:
            what: the method that needs them, for the message.

        Raises:
            InputError: there are none.
        """
        if self.replicates is None:
            raise InputError(
                f"{what} needs the effects of every replicate, because errors of instruments are "
                "correlated: make the effects with Effects.from_replicates"
            )
        return self.replicates

    def keep(self, kept: Flags) -> Effects:
        """These effects with NaN where not kept; `kept` has the shape of beta."""
        return Effects(
            np.where(kept, self.beta, np.nan),
            np.where(kept, self.se, np.nan),
            None if self.replicates is None else np.where(kept, self.replicates, np.nan),
            self.position,
            self.locus,
        )

    def per_replicate(self) -> Effects:
        """One set of effects per replicate, with the sd of one replicate's effect as its error.

        Returns:
            Effects of shape (E, ..., J) without replicates.
        """
        values = self.of_replicates("per-replicate estimation")
        spread = np.broadcast_to(self.se * np.sqrt(len(values)), values.shape)
        return Effects(values, spread, None, self.position)


def moderated_variance(variance: Floats, df: int) -> Floats:
    """Variances drawn towards a common prior (Smyth 2004).

    A scaled F distribution is fitted to all finite positive variances by the moments of their
    logarithms; a variance becomes the mean of itself and the prior, weighted by degrees of
    freedom. Zeros stay zero: they are no estimates.

    Args:
        variance: any shape; NaN is left out.
        df: degrees of freedom of each.
    """
    known = np.isfinite(variance) & (variance > 0)
    if known.sum() < 2:
        return variance
    logs = np.log(variance[known])
    prior = variance_prior(float(logs.mean()), float(logs.var(ddof=1)), df)
    return np.where(known, drawn_to(prior, variance, df), variance)


def variance_prior(mean: float, spread: float, df: int) -> tuple[float, float]:
    """The variance that others are drawn towards, and its degrees of freedom (may be infinite).

    Args:
        mean: of the logarithms of the variances.
        spread: variance of these logarithms (ddof 1).
        df: degrees of freedom of each variance.
    """
    centre = mean - float(digamma(df / 2)) + float(np.log(df / 2))
    excess = spread - float(polygamma(1, df / 2))
    if excess <= 0:
        return float(np.exp(centre)), float("inf")
    prior_df = 2 * _inverse_trigamma(excess)
    return float(np.exp(centre + digamma(prior_df / 2) - np.log(prior_df / 2))), prior_df


def drawn_to(prior: tuple[float, float], variance: Floats, df: int) -> Floats:
    """The mean of each variance and the prior's, weighted by degrees of freedom."""
    value, prior_df = prior
    if np.isinf(prior_df):
        return np.full_like(variance, value)
    return (prior_df * value + df * variance) / (prior_df + df)


def _inverse_trigamma(value: float) -> float:
    """The x at which the trigamma function has a value, by Newton's method on 1 / trigamma."""
    x = 0.5 + 1 / value
    for _ in range(50):
        at = float(polygamma(1, x))
        step = at * (1 - at / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x


@dataclass(frozen=True)
class Pairs:
    """Instruments with both effects; entries that are not used have effects 0 and errors 1.

    Attributes:
        x: exposure effects, shape (..., J); `sx` their errors.
        y: outcome effects; `sy` their errors.
        used: which entries count.
        count: how many, shape (...).
        reason: why a locus has no estimate, empty where it may have one, shape (...).
    """

    x: Floats
    sx: Floats
    y: Floats
    sy: Floats
    used: Flags
    count: Floats
    reason: Words

    @property
    def oriented(self) -> tuple[Floats, Floats]:
        """Effects turned so that those on the exposure are positive."""
        return np.abs(self.x), np.where(self.x < 0, -self.y, self.y)

    @property
    def outcome_weights(self) -> Floats:
        """1 / variance of the outcome effects, 0 where not used."""
        return self.used / self.sy**2

    def because(self, failed: Flags, reason: str) -> Pairs:
        """The same with a reason where `failed` and none was given before."""
        words = np.where((self.reason == "") & failed, reason, self.reason)
        return Pairs(self.x, self.sx, self.y, self.sy, self.used, self.count, words)


def paired(
    exposure: Effects, outcome: Effects, *, least: int = LEAST, ratios: bool = False
) -> Pairs:
    """Bring the effects of both sides together and name what cannot be estimated.

    Args:
        exposure: effects on the exposure.
        outcome: effects of the same instruments on the outcome; shapes broadcast.
        least: fewest instruments.
        ratios: leave out instruments without effect on the exposure: they have no ratio.

    Raises:
        InputError: the shapes do not fit.
    """
    try:
        x, sx, y, sy = np.broadcast_arrays(exposure.beta, exposure.se, outcome.beta, outcome.se)
    except ValueError:
        raise InputError(
            f"exposure effects have shape {exposure.beta.shape} and outcome effects "
            f"{outcome.beta.shape}: both need the same instruments on the last axis"
        ) from None
    position = exposure.position if exposure.position is not None else outcome.position
    if x.shape[-1] == 0:
        # a column of nothing, so that maxima and last elements exist
        x = sx = y = sy = np.full((*x.shape[:-1], 1), np.nan)
        position = None
    used = ~(np.isnan(x) | np.isnan(sx) | np.isnan(y) | np.isnan(sy))
    infinite = used & (np.isinf(x) | np.isinf(sx) | np.isinf(y) | np.isinf(sy))
    unsure = used & ((sx <= 0) | (sy <= 0))
    if ratios:
        used = used & (x != 0)
    count = used.sum(axis=-1)
    at_one = np.zeros(count.shape, dtype=bool)
    if position is not None:
        places = np.broadcast_to(position, used.shape).astype(np.float64)
        low = np.where(used, places, np.inf).min(axis=-1, initial=np.inf)
        at_one = low == np.where(used, places, -np.inf).max(axis=-1, initial=-np.inf)
    tells = [
        (infinite.any(axis=-1), "an effect or standard error is infinite"),
        (unsure.any(axis=-1), "a standard error is not positive"),
        (count < least, f"fewer than {least} instruments"),
        (~(used & (x != 0)).any(axis=-1), "no instrument has an effect on the exposure"),
        (at_one, "all instruments are at one position"),
    ]
    reason = np.select([failed for failed, _ in tells], [words for _, words in tells], default="")
    fine = used & (reason == "")[..., None]
    values = [np.where(fine, array, filler) for array, filler in ((x, 0), (sx, 1), (y, 0), (sy, 1))]
    number = np.where(reason == "", count, 0).astype(np.float64)
    return Pairs(values[0], values[1], values[2], values[3], fine, number, reason)


@dataclass(frozen=True)
class Estimate:
    """A causal effect, in outcome units per exposure unit; arrays of shape (...), or numbers.

    Attributes:
        estimate: NaN where `reason` says why.
        se: standard error.
        interval: lower and upper bound.
        p: of no effect, two-sided.
        df: degrees of freedom of t; infinite where the quantiles are normal.
        reason: why there is no estimate, else empty.
        diagnostics: what else the estimator says, by name.
    """

    estimate: Floats
    se: Floats
    interval: tuple[Floats, Floats]
    p: Floats
    df: Floats
    reason: Words
    diagnostics: Mapping[str, Floats] = field(default_factory=dict)


def t_quantile(level: float, df: npt.ArrayLike) -> Floats:
    """Quantile of the central interval of a level; normal for infinite df, NaN for df <= 0."""
    degrees = np.asarray(df, dtype=np.float64)
    normal = ndtri((1 + level) / 2)
    return np.where(np.isinf(degrees), normal, stdtrit(degrees, (1 + level) / 2))


def two_sided(ratio: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """Two-sided p of estimate / se."""
    return np.asarray(2 * stdtr(np.asarray(df, dtype=np.float64), -np.abs(ratio)))


def made_estimate(
    estimate: npt.ArrayLike,
    se: npt.ArrayLike,
    reason: Words,
    *,
    df: npt.ArrayLike = np.inf,
    level: float = 0.95,
    diagnostics: Mapping[str, npt.ArrayLike] | None = None,
    bounds: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    p: npt.ArrayLike | None = None,
) -> Estimate:
    """An estimate with interval and p, NaN exactly where there is a reason.

    Args:
        estimate: shape (...).
        se: same shape.
        reason: same shape; where it is empty and the estimate or its error is not finite, it
            becomes "the computation did not give a finite number".
        df: of t, broadcast.
        level: of the interval.
        diagnostics: by name; of shape (...), or with more axes behind.
        bounds: the interval, where it is not estimate +- quantile * se.
        p: where it is not that of estimate / se.
    """
    value, error = np.asarray(estimate, dtype=np.float64), np.asarray(se, dtype=np.float64)
    odd = ~(np.isfinite(value) & np.isfinite(error))
    words = np.where((reason == "") & odd, "the computation did not give a finite number", reason)
    failed = words != ""
    value, error = np.where(failed, np.nan, value), np.where(failed, np.nan, error)
    degrees = np.broadcast_to(np.asarray(df, dtype=np.float64), value.shape)
    if bounds is None:
        half = t_quantile(level, degrees) * error
        bounds = (value - half, value + half)
    if p is None:
        with np.errstate(invalid="ignore", divide="ignore"):
            p = two_sided(value / error, degrees)
    low, high, p = (np.where(failed, np.nan, array) for array in (*bounds, p))
    more = {}
    for name, array in (diagnostics or {}).items():
        numbers = np.asarray(array, dtype=np.float64)
        behind = failed.reshape(failed.shape + (1,) * (numbers.ndim - failed.ndim))
        more[name] = np.where(behind, np.nan, numbers)[()]
    df_out = np.where(failed, np.nan, degrees)[()]
    return Estimate(value[()], error[()], (low[()], high[()]), p[()], df_out, words[()], more)
