"""Selective prediction: what is gained by leaving out what a model is unsure of.

Rows are kept in the order of an uncertainty, the smallest first; rows of equal uncertainty are
averaged over their orders. Functions take losses and uncertainties of shape (N, T), NaN losses
where not measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.calibration.forecasts import tie_means
from seqtrust.calibration.grouping import Floats, Groups, group_array, refuse_overlap
from seqtrust.errors import InputError

Flags = npt.NDArray[np.bool_]

COVERAGES = (1.0, 0.9, 0.8, 0.5, 0.2, 0.1)


def risk_coverage(losses: Floats, uncertainty: Floats) -> Floats:
    """Mean loss of the k rows of smallest uncertainty, k = 1..N (El-Yaniv and Wiener 2010).

    Returns:
        Shape (N, T); NaN beyond the number of measured rows of a track.

    Raises:
        InputError: shapes differ, an uncertainty is not finite, or a track has no loss.
    """
    measured = _checked(losses, uncertainty)
    rows = np.arange(1, len(losses) + 1)[:, None]
    risk = _ordered(losses, uncertainty, measured).cumsum(axis=0) / rows
    return np.where(rows <= measured.sum(axis=0), risk, np.nan)


def risk_at(curve: Floats, coverages: Sequence[float] = COVERAGES) -> Floats:
    """Risk of the ceil(c n) rows that are kept at each coverage c, shape (C, T).

    Args:
        curve: from `risk_coverage`.
        coverages: fractions in (0, 1].
    """
    kept = _kept(np.asarray(coverages), (~np.isnan(curve)).sum(axis=0))
    return np.take_along_axis(curve, kept - 1, axis=0)


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


def areas(losses: Floats, uncertainty: Floats) -> Areas:
    """Areas under the risk-coverage curve of every track.

    Raises:
        InputError: as in `risk_coverage`.
    """
    curve = risk_coverage(losses, uncertainty)
    places = np.arange(1, len(losses) + 1)[:, None]
    # NaN losses are sorted last
    best = np.nanmean(np.sort(losses, axis=0).cumsum(axis=0) / places, axis=0)
    aurc = np.nanmean(curve, axis=0)
    spread = np.nanmean(losses, axis=0) - best
    tiny = 1e-12 * np.nanmean(np.abs(losses), axis=0)
    return Areas(
        np.asarray(aurc),
        np.asarray(aurc - best),
        np.divide(aurc - best, spread, out=np.full_like(spread, np.nan), where=spread > tiny),
        np.asarray(np.nanmean(curve * places / (~np.isnan(curve)).sum(axis=0), axis=0)),
    )


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
        self, losses: Floats, uncertainty: Floats, groups: Sequence[str] | Groups
    ) -> tuple[Floats, Floats]:
        """Fraction kept and mean loss of what is kept elsewhere, shape (C, T) each.

        The risk is NaN where nothing is kept.

        Raises:
            InputError: a group was fitted on, or as in `risk_coverage`.
        """
        measured = _checked(losses, uncertainty)
        refuse_overlap(self.groups, group_array(groups, len(losses)))
        kept = (uncertainty <= self.values[:, None]) & measured
        count = kept.sum(axis=1)
        total = np.where(kept, losses, 0.0).sum(axis=1)
        risk = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
        return count / measured.sum(axis=0), risk


def fix_thresholds(
    uncertainty: Floats, groups: Sequence[str] | Groups, coverages: Sequence[float] = COVERAGES
) -> Thresholds:
    """The ceil(c n)-th smallest uncertainty of validation rows at each coverage c.

    Rows of equal uncertainty are kept together, so more than c may be kept.

    Args:
        uncertainty: shape (N, T).
        groups: shape (N,).
        coverages: fractions in (0, 1].
    """
    _checked(np.zeros_like(uncertainty), uncertainty)
    keys = group_array(groups, len(uncertainty))
    rows = np.full(uncertainty.shape[1], len(uncertainty))
    place = _kept(np.asarray(coverages), rows) - 1
    values = np.take_along_axis(np.sort(uncertainty, axis=0), place, axis=0)
    return Thresholds(tuple(coverages), values, frozenset(keys.tolist()))


def _ordered(losses: Floats, uncertainty: Floats, measured: Flags) -> Floats:
    """Losses from most to least certain, ties averaged, what is not measured last."""
    keys = np.where(measured, uncertainty, np.inf)
    order = np.argsort(keys, axis=0, kind="stable")
    sorted_keys = np.take_along_axis(keys, order, axis=0)
    values = np.take_along_axis(np.where(measured, losses, 0.0), order, axis=0)
    return tie_means(values, sorted_keys)


def _kept(coverages: Floats, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """ceil(c n), at least 1, shape (C, T)."""
    if ((coverages <= 0) | (coverages > 1)).any():
        raise InputError(f"coverages {coverages.tolist()} must lie above 0 and at most at 1")
    return np.maximum(np.ceil(np.round(coverages[:, None] * rows, 9)), 1).astype(np.int64)


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
