"""Which mutations are instruments: masks of the shape of the effects, to be combined with &."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects, Estimate, Flags, made_estimate

Selector = Callable[[Effects], Flags]


def published_z(exposure: Effects, threshold: float = 3.0) -> Flags:
    """The published rule: |z| of effects over all loci, positions and alleles together.

    z is (b - mean) / sd (ddof 0), so that it says how large an effect is among all effects of
    the exposure, not how sure it is. Published thresholds are 1 (simulation) and 3 (BPNet).
    """
    known = exposure.beta[np.isfinite(exposure.beta)]
    sd = known.std() if known.size else 0.0
    if sd == 0:
        return np.zeros(exposure.beta.shape, dtype=bool)
    return np.abs((exposure.beta - known.mean()) / sd) >= threshold


def surer_than(exposure: Effects, threshold: float = 1.96) -> Flags:
    """|b| / se of at least a threshold."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (exposure.se > 0) & (np.abs(exposure.beta) / exposure.se >= threshold)


def strong(exposure: Effects, F: float = 10.0) -> Flags:
    """(b / se)^2 of at least F (Staiger and Stock 1997)."""
    return surer_than(exposure, float(np.sqrt(F)))


def top_per_position(exposure: Effects, number: int = 1) -> Flags:
    """The largest |b| of each position of each locus, the first of equals.

    Mutations of one position share the reference base and most of their error.

    Raises:
        InputError: the effects have no positions.
    """
    if exposure.position is None:
        raise InputError("top_per_position needs effects with positions")
    size = np.nan_to_num(np.abs(exposure.beta), nan=-1.0)
    position = np.broadcast_to(exposure.position, size.shape)
    order = np.lexsort((-size, position), axis=-1)
    places = np.take_along_axis(position, order, axis=-1)
    index = np.arange(size.shape[-1])
    first = np.concatenate(
        [np.ones((*places.shape[:-1], 1), dtype=bool), places[..., 1:] != places[..., :-1]], axis=-1
    )
    begin = np.maximum.accumulate(np.where(first, index, 0), axis=-1)
    kept = np.zeros(size.shape, dtype=bool)
    np.put_along_axis(kept, order, index - begin < number, axis=-1)
    return kept & (size >= 0)


def within_spans(exposure: Effects, spans: Sequence[npt.ArrayLike]) -> Flags:
    """Mutations inside motif instances.

    Args:
        exposure: effects with positions, shape (..., J).
        spans: per locus, in the order of the flattened leading axes, an array of shape (M, 2)
            of 0-based half-open intervals; M may be 0.

    Raises:
        InputError: no positions, or not as many lists of spans as loci.
    """
    if exposure.position is None:
        raise InputError("within_spans needs effects with positions")
    position = np.broadcast_to(exposure.position, exposure.beta.shape)
    rows = position.reshape(-1, position.shape[-1])
    if len(spans) != len(rows):
        raise InputError(f"there are {len(rows)} loci and spans of {len(spans)}")
    kept = np.zeros(rows.shape, dtype=bool)
    for row, given in enumerate(spans):
        for begin, end in np.asarray(given, dtype=np.int64).reshape(-1, 2):
            kept[row] |= (rows[row] >= begin) & (rows[row] < end)
    return kept.reshape(position.shape)


def cross_fitted(
    exposure: Effects,
    outcome: Effects,
    select: Selector,
    estimator: Callable[[Effects, Effects], Estimate],
    *,
    se: str = "moderated",
    level: float = 0.95,
) -> Estimate:
    """Select instruments with one half of the replicates, estimate with the other; both ways.

    Effects that were selected for their size are too large in the replicates that selected them
    (winner's curse), and not in others.

    Args:
        exposure: effects with at least four replicates, shape (..., J).
        outcome: effects of the same replicates.
        select: of instruments, by the exposure effects of the selecting half.
        estimator: of the causal effect.
        se: as in `Effects.from_replicates`.
        level: of the interval.

    Returns:
        The mean of the two estimates. Its variance is the mean of their variances: they share
        loci and instruments, so that no gain from averaging is claimed. A locus needs both.
        Diagnostics: `difference` of the two.

    Raises:
        InputError: fewer than four replicates.
    """
    x, y = exposure.of_replicates("cross-fitting"), outcome.of_replicates("cross-fitting")
    if len(x) < 4 or len(x) != len(y):
        raise InputError(
            f"cross-fitting needs the same 4 or more replicates on both sides; found {len(x)} and "
            f"{len(y)}"
        )
    halves = (slice(0, len(x), 2), slice(1, len(x), 2))
    made = []
    for chosen, rest in (halves, halves[::-1]):
        kept = select(_of(x[chosen], exposure, se))
        made.append(estimator(_of(x[rest], exposure, se).keep(kept), _of(y[rest], outcome, se)))
    first, second = made
    reason = np.where(np.asarray(first.reason) == "", second.reason, first.reason)
    with np.errstate(invalid="ignore"):
        return made_estimate(
            (np.asarray(first.estimate) + second.estimate) / 2,
            np.sqrt((np.asarray(first.se) ** 2 + np.asarray(second.se) ** 2) / 2),
            reason,
            df=np.fmin(first.df, second.df),
            level=level,
            diagnostics={"difference": np.asarray(first.estimate) - second.estimate},
        )


def _of(replicates: npt.NDArray[np.float64], effects: Effects, se: str) -> Effects:
    return Effects.from_replicates(replicates, effects.position, effects.locus, se)
