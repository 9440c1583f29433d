"""Selective prediction: what is gained by leaving out what a model is unsure of.

Rows are kept in the order of an uncertainty, the smallest first; rows of equal uncertainty are
averaged over their orders. Functions take losses and uncertainties of shape (N, T), NaN losses
where not measured, and weights of shape (N,), which count rows: a weight of 2 is two rows, so
that their scale matters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.calibration import ordered
from seqtrust.calibration.forecasts import checked_weights
from seqtrust.calibration.grouping import Floats, Groups, group_array, refuse_overlap
from seqtrust.calibration.ordered import Order
from seqtrust.errors import InputError

Flags = npt.NDArray[np.bool_]

COVERAGES = (1.0, 0.9, 0.8, 0.5, 0.2, 0.1)


def risk_coverage(losses: Floats, uncertainty: Floats, weights: Floats | None = None) -> Floats:
    """Mean loss of the k rows of smallest uncertainty, k = 1..N (El-Yaniv and Wiener 2010).

    Returns:
        Shape (N, T); NaN beyond the number of measured rows of a track.

    Raises:
        InputError: shapes differ, an uncertainty is not finite, a track has no loss, or a weight
            is not positive.
    """
    found = np.full(losses.shape, np.nan)
    for track, part in enumerate(_sorted(losses, uncertainty, weights)):
        kept = np.cumsum(part.weights)
        found[: len(kept), track] = ordered.sums_at(part.mass, kept, part.loss)[0] / kept
    return found


def risk_at(
    losses: Floats,
    uncertainty: Floats,
    coverages: Sequence[float] | Floats = COVERAGES,
    weights: Floats | None = None,
) -> Floats:
    """Risk of the ceil(c n) rows that are kept at each coverage c, shape (C, T).

    Args:
        losses: shape (N, T).
        uncertainty: shape (N, T).
        coverages: fractions in (0, 1].
        weights: of the rows; n is their sum.

    Raises:
        InputError: as in `risk_coverage`, or a coverage is not in (0, 1].
    """
    wanted = checked_coverages(coverages)
    parts = _sorted(losses, uncertainty, weights)
    return np.stack([ordered.risks_at(part.mass, part.loss, wanted) for part in parts], axis=1)


@dataclass(frozen=True)
class Areas:
    """Areas under risk against the fraction kept, shape (T,) each.

    Attributes:
        aurc: (1/n) sum R(k/n) (Geifman et al. 2019).
        excess: `aurc` minus that of rows sorted by their loss.
        normalised: `excess` over that of a random order: 0 is the order of the losses, 1 no
            better than chance, above 1 harmful; NaN where all losses are equal and no order
            differs from another.
        augrc: (1/n) sum (k/n) R(k/n) (Traub et al. 2024); R(1) / 2 for a random order.
    """

    aurc: Floats
    excess: Floats
    normalised: Floats
    augrc: Floats

    @classmethod
    def of(cls, aurc: Floats, augrc: Floats, best: Floats, whole: Floats, size: Floats) -> "Areas":
        """Areas of a curve beside the best one, any shape.

        Args:
            aurc: of the curve.
            augrc: of the curve.
            best: AURC of rows sorted by their loss.
            whole: risk of all rows.
            size: mean absolute loss, beside which a difference may be nothing but rounding.
        """
        spread = whole - best
        known = spread > 1e-12 * size
        normalised = np.full(np.shape(spread), np.nan)
        np.divide(aurc - best, spread, out=normalised, where=known)
        return cls(aurc, aurc - best, normalised, augrc)


def areas(losses: Floats, uncertainty: Floats, weights: Floats | None = None) -> Areas:
    """Areas under the risk-coverage curve of every track.

    Raises:
        InputError: as in `risk_coverage`.
    """
    curves = _sorted(losses, uncertainty, weights)
    ideal = _sorted(losses, np.nan_to_num(losses), weights)
    found = []
    for part, best in zip(curves, ideal, strict=True):
        curve = part.mass, part.loss
        both = ordered.area(*curve), ordered.generalised_area(*curve)
        lowest = ordered.area(best.mass, best.loss)
        found.append((*both, lowest, part.loss[-1] / part.mass[-1], part.size))
    return Areas.of(*np.array(found).T)


@dataclass(frozen=True)
class _Sorted:
    """The measured rows of one track from most to least certain.

    Attributes:
        weights: of the rows, shape (n,).
        mass: cumulative weights at the end of every uncertainty, shape (B + 1,).
        loss: cumulative weighted losses.
        size: mean absolute loss.
    """

    weights: Floats
    mass: Floats
    loss: Floats
    size: float


def _sorted(losses: Floats, uncertainty: Floats, weights: Floats | None) -> Iterator[_Sorted]:
    measured = _checked(losses, uncertainty)
    counts = np.ones(len(losses)) if weights is None else checked_weights(weights, len(losses))
    for loss, key, known in zip(losses.T, uncertainty.T, measured.T, strict=True):
        order = Order.of(key[known])
        own, values = counts[known][order.rows], loss[known][order.rows]
        size = float((np.abs(values) * own).sum() / own.sum())
        yield _Sorted(own, order.cumulative(own), order.cumulative(own * values), size)


def group_curves(losses: Floats, uncertainty: Floats, strata: Groups) -> dict[str, Floats]:
    """`risk_coverage` within every stratum: selection may harm a minority (Shah et al. 2021).

    Args:
        losses: shape (N, T).
        uncertainty: shape (N, T).
        strata: label per row, shape (N,); tracks need a loss in each.
    """
    return {
        str(name): risk_coverage(losses[strata == name], uncertainty[strata == name])
        for name in np.unique(strata)
    }


@dataclass(frozen=True)
class Thresholds:
    """Uncertainties up to which rows are kept, fixed on validation data.

    Attributes:
        coverages: fractions of the validation rows that are kept, C of them.
        values: shape (C, T), in units of the uncertainty.
        groups: of the validation rows.
    """

    coverages: tuple[float, ...]
    values: Floats
    groups: frozenset[str]

    def reached(
        self,
        losses: Floats,
        uncertainty: Floats,
        groups: Sequence[str] | Groups,
        weights: Floats | None = None,
    ) -> tuple[Floats, Floats]:
        """Fraction kept and mean loss of what is kept elsewhere, shape (C, T) each.

        The risk is NaN where nothing is kept.

        Raises:
            InputError: a group was fitted on, or as in `risk_coverage`.
        """
        measured = _checked(losses, uncertainty)
        refuse_overlap(self.groups, group_array(groups, len(losses)))
        counts = np.ones(len(losses)) if weights is None else checked_weights(weights, len(losses))
        own = np.where(measured, counts[:, None], 0.0)
        kept = np.where(uncertainty <= self.values[:, None], own, 0.0)
        count = kept.sum(axis=1)
        total = (kept * np.where(measured, losses, 0.0)).sum(axis=1)
        risk = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
        return count / own.sum(axis=0), risk


def fix_thresholds(
    uncertainty: Floats,
    groups: Sequence[str] | Groups,
    coverages: Sequence[float] = COVERAGES,
    weights: Floats | None = None,
) -> Thresholds:
    """The ceil(c n)-th smallest uncertainty of validation rows at each coverage c.

    Rows of equal uncertainty are kept together, so more than c may be kept.

    Args:
        uncertainty: shape (N, T).
        groups: shape (N,).
        coverages: fractions in (0, 1].
        weights: of the rows; n is their sum.
    """
    wanted = checked_coverages(coverages)
    keys = group_array(groups, len(uncertainty))
    values = []
    for track, part in enumerate(_sorted(np.zeros_like(uncertainty), uncertainty, weights)):
        # the last bit of a sum of weights must not move a row
        kept = ordered.kept_mass(part.mass[-1], wanted) * (1 - 1e-12)
        place = np.searchsorted(part.mass[1:], kept)
        values.append(np.unique(uncertainty[:, track])[place])
    return Thresholds(tuple(coverages), np.stack(values, axis=1), frozenset(keys.tolist()))


def checked_coverages(coverages: Sequence[float] | Floats) -> Floats:
    """Coverages as an array, shape (C,).

    Raises:
        InputError: one is not in (0, 1].
    """
    wanted = np.asarray(coverages, dtype=np.float64)
    if ((wanted <= 0) | (wanted > 1)).any():
        raise InputError(f"coverages {wanted.tolist()} must lie above 0 and at most at 1")
    return wanted


def _checked(losses: Floats, uncertainty: Floats) -> Flags:
    """Where there is a loss, shape (N, T)."""
    if losses.ndim != 2 or losses.shape != uncertainty.shape:
        raise InputError(
            f"losses {losses.shape} and uncertainties {uncertainty.shape} must both be rows x "
            "tracks"
        )
    if not np.isfinite(uncertainty).all():
        row, track = (int(index) for index in np.argwhere(~np.isfinite(uncertainty))[0])
        raise InputError(
            f"the uncertainty in row {row} of track {track} is not a finite number: "
            "rows cannot be ordered by it"
        )
    measured = ~np.isnan(losses)
    empty = np.flatnonzero(~measured.any(axis=0))
    if empty.size:
        raise InputError(
            f"track {int(empty[0])} has no loss among {len(losses)} rows ({empty.size} such "
            "tracks): leave it out"
        )
    return measured
