"""Errors of outcome effects where there is one network: the spread around the line of a locus.

A single network has no replicates to tell how sure its effects are. As a function of the sequence
they are exact but for rounding, and a slope over the mutations of a locus is as sure as the
mutations lie on one line. So the outcome effects of a locus get one error, the residual sd around
the line of the estimator itself, as in ordinary least squares. What other networks would say is
not in it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from seqtrust.mendelian.effects import Effects, Estimate, made_estimate, paired
from seqtrust.mendelian.regression import through_origin
from seqtrust.statistics import Floats

Estimator = Callable[[Effects, Effects], Estimate]
RESIDUAL = "residual"


def residual_sd(exposure: Effects, outcome: Effects) -> Floats:
    """Residual sd (J - 1 degrees of freedom) around the line through the origin, shape (..., 1).

    All instruments of a locus weigh the same. NaN of fewer than two.
    """
    pairs = paired(exposure, outcome, least=2)
    used = pairs.used.astype(np.float64)
    slope, _ = through_origin(pairs.x, pairs.y, used)
    return _sd(pairs.y - slope[..., None] * pairs.x, used, 1)


def with_residual_errors(exposure: Effects, outcome: Effects) -> Effects:
    """Outcome effects whose error is the residual sd of their locus, where that is larger."""
    return _with_error(outcome, residual_sd(exposure, outcome))


def by_residuals(estimator: Estimator) -> Estimator:
    """The estimator with errors from residuals around its own line.

    It runs twice: with the residual sd around the line through the origin, then with its own: what
    it reports as `sigma` or `phi`, else the residual sd around its line. Degrees of freedom are
    J - 1, or J - 2 if it has an intercept. IVW and MR-Egger become ordinary least squares with
    intervals of t.

    Args:
        estimator: of local effects.
    """

    def estimated(exposure: Effects, outcome: Effects) -> Estimate:
        through = with_residual_errors(exposure, outcome)
        first = estimator(exposure, through)
        found = first.diagnostics
        pairs = paired(exposure, through)
        lost = 2 if "intercept" in found else 1
        scale = found.get("sigma", found.get("phi"))
        if scale is None:
            x, y = pairs.oriented
            intercept = np.asarray(found.get("intercept", 0.0))[..., None]
            line = np.asarray(first.estimate)[..., None] * x + intercept
            sd = _sd(y - line, pairs.used.astype(np.float64), lost)
        else:
            error = np.where(pairs.used, pairs.sy, 0).max(axis=-1, keepdims=True)
            sd = np.asarray(scale)[..., None] * error
        made = estimator(exposure, _with_error(outcome, sd))
        df = np.broadcast_to(np.maximum(pairs.count - lost, 1), np.shape(made.estimate))
        plain = made_estimate(made.estimate, made.se, np.asarray(made.reason), df=df)
        return replace(plain, diagnostics=made.diagnostics)

    return estimated


def _sd(residuals: Floats, used: Floats, lost: int) -> Floats:
    """Root of the sum of squares over J - lost, shape (..., 1); NaN where that is not positive."""
    df = used.sum(axis=-1, keepdims=True) - lost
    squares = (used * residuals**2).sum(axis=-1, keepdims=True)
    return np.sqrt(np.divide(squares, df, out=np.full_like(squares, np.nan), where=df > 0))


def _with_error(effects: Effects, sd: Floats) -> Effects:
    """The same with one error per locus, not below those that the effects have."""
    beta = np.broadcast_to(effects.beta, np.broadcast_shapes(effects.beta.shape, sd.shape))
    own = np.broadcast_to(effects.se, beta.shape)
    return Effects(beta, np.fmax(own, sd) + 0 * own, None, effects.position)
