"""Probabilities, sets and limits of signs, fitted on other groups than they are used on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.calibration.classification import Labelled
from seqtrust.calibration.conformal import SignSets
from seqtrust.calibration.grouping import Floats, Groups, refuse_overlap, shared_rows
from seqtrust.calibration.recalibration import fit_isotonic_probability, fit_platt
from seqtrust.calibration.selective import COVERAGES, fix_thresholds
from seqtrust.calibration.sign_rows import ORDERS, PROBABILITIES, SignRows
from seqtrust.errors import InputError

Flags = npt.NDArray[np.bool_]

NONE, PLATT, ISOTONIC = "none", "platt", "isotonic"
METHODS = (PLATT, ISOTONIC)
VALIDATION, FOLDS = "validation", "folds"
SET_LEVELS = (0.8, 0.9)


@dataclass(frozen=True)
class Plan:
    """What is fitted on what.

    Attributes:
        parts: rows to fit on and rows to judge, of every fit, shape (n,) each.
        left_out: validation rows that share a group with a judged row.
    """

    parts: list[tuple[Flags, Flags]]
    left_out: int

    @property
    def judged(self) -> Flags:
        """Rows that are judged, shape (n,)."""
        return np.any([judged for _, judged in self.parts], axis=0)


def validation_plan(splits: Groups, groups: Groups) -> Plan:
    """Fit on validation rows, judge all others (the training rows apart).

    Raises:
        InputError: there is no validation or no test row, or all validation rows share a group
            with a judged one.
    """
    fitted, judged = splits == VALIDATION, splits != VALIDATION
    if not fitted.any() or not (splits == "test").any():
        found = ", ".join(sorted(set(splits.tolist())))
        raise InputError(
            f"fitting on validation loci and judging on test loci needs rows of both (splits "
            f"found: {found}): take `fit: folds`"
        )
    taken = shared_rows([(key,) for key in groups], [(key,) for key in groups[judged]])
    left_out = fitted & taken
    if (left_out == fitted).all():
        raise InputError(
            f"all {int(fitted.sum())} validation rows share a group with a judged row: take "
            "`fit: folds`, or smaller groups"
        )
    return Plan([(fitted & ~left_out, judged)], int(left_out.sum()))


def fold_plan(groups: Groups, folds: int, seed: int) -> Plan:
    """Every group is judged by what is fitted on the other folds.

    Raises:
        InputError: there are fewer groups than folds.
    """
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < folds:
        raise InputError(
            f"{len(names)} groups cannot be dealt into {folds} folds: take fewer folds, or smaller "
            "groups"
        )
    fold_of = np.empty(len(names), dtype=np.int64)
    fold_of[np.random.default_rng(seed).permutation(len(names))] = np.arange(len(names)) % folds
    mine = fold_of[index]
    return Plan([(mine != fold, mine == fold) for fold in range(folds)], 0)


def mirrored(labelled: Labelled) -> Labelled:
    """Every row also with the other sign, each of half the weight; scores are odd in the sign."""
    weights = np.ones(len(labelled.scores)) if labelled.weights is None else labelled.weights
    return Labelled(
        np.concatenate([labelled.scores, -labelled.scores]),
        np.concatenate([labelled.labels, 1 - labelled.labels]),
        np.concatenate([labelled.groups, labelled.groups]),
        np.concatenate([weights, weights]) / 2,
    )


@dataclass(frozen=True)
class SignFits:
    """What was fitted, applied to the judged rows; rows that are not judged hold NaN or 0.

    Attributes:
        probabilities: of plus, by kind and method, shape (n,).
        sets: +1 for {+}, -1 for {-}, 0 for {+,-}, by kind and level, shape (n,).
        kept: rows within limits on the uncertainty, by order, shape (coverages, n).
    """

    probabilities: dict[tuple[str, str], Floats]
    sets: dict[tuple[str, float], Floats]
    kept: dict[str, Flags]


def fit_signs(rows: SignRows, plan: Plan, methods: Sequence[str], mirror: bool) -> SignFits:
    """Fit on one part of the rows and apply to the other, for every part of a plan.

    Conformal sets are of the probabilities as they are: a probability that was fitted to the
    calibration rows looks too good on them.

    Args:
        rows: of one track.
        plan: what is fitted on what.
        methods: of `METHODS`.
        mirror: fit to every row also with the other sign, so that the fit says how often a call
            is right and nothing of which sign is common.

    Raises:
        InputError: a group is fitted on and judged.
    """
    count = len(rows.labels)
    kinds = [(kind, method) for kind in PROBABILITIES for method in (NONE, *methods)]
    probabilities = {pair: np.full(count, np.nan) for pair in kinds}
    sets = {(kind, level): np.zeros(count) for kind in PROBABILITIES for level in SET_LEVELS}
    kept = {order: np.zeros((len(COVERAGES), count), dtype=bool) for order in ORDERS}
    for fitted, judged in plan.parts:
        for kind in PROBABILITIES:
            stated = rows.probability(kind)
            probabilities[kind, NONE][judged] = stated[judged]
            known, new = (_labelled(rows, stated, part) for part in (fitted, judged))
            conformal = SignSets.fit(known)
            for level in SET_LEVELS:
                sets[kind, level][judged] = conformal.sets(new, level)[:, 0]
            score = rows.score(kind)
            known, new = (_labelled(rows, score, part) for part in (fitted, judged))
            for method in methods:
                found = _recalibrated(method, mirrored(known) if mirror else known, new)
                probabilities[kind, method][judged] = found
        for order in ORDERS:
            uncertainty = rows.uncertainty(order)
            limits = fix_thresholds(uncertainty[fitted, None], rows.groups[fitted])
            refuse_overlap(limits.groups, rows.groups[judged])
            kept[order][:, judged] = uncertainty[judged] <= limits.values
    return SignFits(probabilities, sets, kept)


def _labelled(rows: SignRows, scores: Floats, chosen: Flags) -> Labelled:
    return Labelled(scores[chosen, None], rows.labels[chosen, None], rows.groups[chosen])


def _recalibrated(method: str, known: Labelled, new: Labelled) -> Floats:
    if method == PLATT:
        return fit_platt(known).apply(new).scores[:, 0]
    return fit_isotonic_probability(known).apply(new).scores[:, 0]
