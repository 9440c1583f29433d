"""Errors that instruments share: between outcomes, and between exposure and outcome."""

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects, Pairs
from seqtrust.statistics import Floats

NEEDS_MATRIX = "a correlation between instruments must be symmetric with ones on the diagonal"


def error_correlation(exposure: Effects, outcome: Effects, pooled: bool = True) -> Floats:
    """Correlation of exposure and outcome errors over replicates, often called psi.

    Args:
        exposure: effects with replicates, shape (..., J).
        outcome: effects of the same replicates, in the same order.
        pooled: one value per locus, shape (..., 1), because a correlation over five replicates
            is mostly noise; otherwise one per instrument, shape (..., J).

    Raises:
        InputError: one side has no replicates, or their numbers differ.
    """
    x = exposure.of_replicates("the correlation of exposure and outcome errors")
    y = outcome.of_replicates("the correlation of exposure and outcome errors")
    if len(x) != len(y):
        raise InputError(
            f"the exposure has {len(x)} replicates and the outcome {len(y)}: both must be effects "
            "of the same replicates in one order"
        )
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    parts = [(x * y).sum(axis=0), (x**2).sum(axis=0), (y**2).sum(axis=0)]
    if pooled:
        parts = [np.nansum(part, axis=-1, keepdims=True) for part in parts]
    both, of_x, of_y = parts
    scale = np.sqrt(of_x * of_y)
    return np.divide(both, scale, out=np.zeros_like(both), where=scale > 0)


def shared_error(exposure: Effects, outcome: Effects, psi: npt.ArrayLike | str) -> Floats:
    """What an estimator's argument `psi` stands for: its value, or that of the replicates.

    Raises:
        InputError: a value that is no correlation, or no replicates.
    """
    if isinstance(psi, str):
        if psi != "replicates":
            raise InputError(f"psi is {psi!r}; give numbers in [-1, 1], or 'replicates'")
        return error_correlation(exposure, outcome)
    values = np.asarray(psi, dtype=np.float64)
    if (np.abs(values) > 1).any():
        raise InputError("psi is a correlation: numbers in [-1, 1]")
    return values


def outcome_correlation(outcome: Effects, correlation: npt.ArrayLike | str, pairs: Pairs) -> Floats:
    """Correlation of the outcome errors, shape (..., J, J); the identity where not used.

    Args:
        outcome: effects of the outcome.
        correlation: the matrix, or `replicates`.
        pairs: which instruments are used.

    Raises:
        InputError: a wrong matrix, or no replicates.
    """
    if isinstance(correlation, str):
        if correlation != "replicates":
            raise InputError(f"correlation is {correlation!r}; give a matrix, or 'replicates'")
        rho = shrunk_correlation(outcome.of_replicates("correlation='replicates'"))
    else:
        rho = np.asarray(correlation, dtype=np.float64)
        size = pairs.x.shape[-1]
        if rho.shape[-2:] != (size, size):
            raise InputError(
                f"the correlation has shape {rho.shape}, expected (..., {size}, {size})"
            )
        known = pairs.used[..., :, None] & pairs.used[..., None, :]
        wrong = known & (np.abs(rho - np.swapaxes(rho, -1, -2)) > 1e-8)
        diagonal = np.diagonal(rho, axis1=-2, axis2=-1)
        if wrong.any() or (pairs.used & (np.abs(diagonal - 1) > 1e-8)).any():
            raise InputError(NEEDS_MATRIX)
    both = pairs.used[..., :, None] & pairs.used[..., None, :]
    full = np.where(both, rho, np.eye(pairs.x.shape[-1]))
    if (np.linalg.eigvalsh(full)[..., 0] <= 1e-12).any():
        raise InputError(
            "the correlation between instruments is singular: shrink it, or prune instruments"
        )
    return full


def shrunk_correlation(replicates: Floats) -> Floats:
    """Correlation between instruments over replicates, drawn towards the identity.

    The weight of the identity is that of Schaefer and Strimmer (2005): the summed variances of
    the correlations over their summed squares. With E replicates the matrix itself has a rank
    of at most E - 1.

    Args:
        replicates: shape (E, ..., J); instruments without spread correlate with none.

    Returns:
        Shape (..., J, J).
    """
    number = len(replicates)
    if number < 3:
        raise InputError(f"a correlation between instruments needs 3 replicates; found {number}")
    centred = replicates - replicates.mean(axis=0)
    sd = centred.std(axis=0, ddof=1)
    known = sd > 0
    z = np.divide(centred, sd, out=np.zeros_like(centred), where=known)
    moved = np.moveaxis(z, 0, -1)
    products = moved[..., :, None, :] * moved[..., None, :, :]
    mean = products.mean(axis=-1)
    correlation = mean * number / (number - 1)
    variance = ((products - mean[..., None]) ** 2).sum(axis=-1) * number / (number - 1) ** 3
    off = ~np.eye(z.shape[-1], dtype=bool)
    total = (correlation**2 * off).sum(axis=(-1, -2))
    noise = (variance * off).sum(axis=(-1, -2))
    identity = np.divide(noise, total, out=np.ones_like(noise), where=total > 0)
    # an instrument more than replicates would leave the matrix singular
    least = 1e-3 if z.shape[-1] >= number else 0.0
    weight = np.clip(identity, least, 1)[..., None, None]
    return np.where(off, (1 - weight) * correlation, 1.0)
