"""The known density ratio of a shift of GC content, for weighted conformal intervals."""

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, ndtr

from seqtrust.errors import InputError
from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.sequences import SequenceSettings
from seqtrust.robustness.worlds import World

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_STEP = 2.5e-4


def gc_density_ratio(world: World, condition: Condition, gc_mean: float) -> Floats:
    """Density of a world with another mean GC content to that of training, shape (N,).

    Of sequence and planted instances together: instances do not depend on the shift, so the ratio
    is that of the backgrounds, with the GC content of each background integrated out.

    Args:
        world: with independent bases as background.
        condition: rows to weigh, of any mean GC content.
        gc_mean: of the shifted world.

    Raises:
        InputError: backgrounds are shuffles, whose density is not known.
    """
    if world.pool is not None:
        raise InputError(
            "the density ratio of shuffled backgrounds is not known: estimate it from GC contents "
            "(calibration.density_ratio), or use a world with independent bases"
        )
    settings = world.settings.sequences
    pairs = np.stack([condition.background_gc, condition.background_bases])
    unique, places = np.unique(pairs, axis=1, return_inverse=True)
    log_density = [
        background_log_density(settings, mean, unique[0], unique[1])
        for mean in (gc_mean, settings.gc_mean)
    ]
    return np.exp(log_density[0] - log_density[1])[places.ravel()]


def background_log_density(
    settings: SequenceSettings, gc_mean: float, strong: Integers, bases: Integers
) -> Floats:
    """Natural log probability of one background, shape (N,).

    The integral over g of (g / 2)^strong ((1 - g) / 2)^(bases - strong), where g is Gaussian and
    clipped: the mass beyond an end of the range sits on the end.

    Args:
        settings: spread and range of g.
        gc_mean: mean of g.
        strong: G and C of each background, shape (N,).
        bases: bases of each, shape (N,).
    """
    g, mass = _gc_law(settings, gc_mean)
    with np.errstate(divide="ignore"):
        log_mass = np.log(mass)
    weak = (bases - strong)[:, None]
    log_likelihood = strong[:, None] * np.log(g / 2) + weak * np.log((1 - g) / 2)
    return logsumexp(log_likelihood + log_mass, axis=1)


def _gc_law(settings: SequenceSettings, gc_mean: float) -> tuple[Floats, Floats]:
    """Values of g and their masses, shape (points,) each."""
    low, high = settings.gc_range
    if settings.gc_sd == 0 or low == high:
        return np.array([np.clip(gc_mean, low, high)]), np.ones(1)
    edges = np.linspace(low, high, max(2, round((high - low) / _STEP)) + 1)
    cumulative = ndtr((edges - gc_mean) / settings.gc_sd)
    inner = np.diff(cumulative)
    values = np.concatenate([[low], (edges[:-1] + edges[1:]) / 2, [high]])
    return values, np.concatenate([[cumulative[0]], inner, [1 - cumulative[-1]]])
