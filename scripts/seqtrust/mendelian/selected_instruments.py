"""Which mutations of a shard are instruments, for which task and by which rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seqtrust.errors import InputError
from seqtrust.mendelian.effect_moments import SUBSETS, Moments
from seqtrust.mendelian.effects import Effects, Flags
from seqtrust.mendelian.instrument_tables import EVEN, ODD, PUBLISHED, RULE, Instruments, Integers
from seqtrust.mendelian.instruments import strong, surer_than, top_per_position, within_spans
from seqtrust.mendelian.mutation_effects import MutationEffects
from seqtrust.mendelian.residual_errors import RESIDUAL
from seqtrust.statistics import Floats

THRESHOLDS = {"strong": 10.0, "surer_than": 1.96, "published_z": 3.0, "all": 0.0}


@dataclass(frozen=True)
class Rule:
    """What makes a mutation an instrument.

    Attributes:
        rule: `strong` (F), `surer_than` (|b| / se), `published_z` (|z| over all loci, positions
            and alleles) or `all`.
        threshold: of the rule; None: the usual one.
        top_per_position: how many alleles of a position, the largest first; 0: all.
        cross_fitted: choose by the replicates of even and of odd index too.
    """

    rule: str = "strong"
    threshold: float | None = None
    top_per_position: int = 1
    cross_fitted: bool = False

    @property
    def limit(self) -> float:
        """The threshold that holds."""
        return THRESHOLDS[self.rule] if self.threshold is None else self.threshold

    def keeps(self, exposure: Effects, mean_sd: tuple[float, float]) -> Flags:
        """Instruments by effects of shape (K, M); `mean_sd` is that of all effects of the run."""
        if self.rule == "published_z":
            kept = beyond_z(exposure.beta, mean_sd, self.limit)
        elif self.rule == "strong":
            kept = strong(exposure, self.limit)
        elif self.rule == "surer_than":
            kept = surer_than(exposure, self.limit)
        else:
            kept = np.isfinite(exposure.beta) & (exposure.se > 0)
        if self.top_per_position:
            kept &= top_per_position(exposure, self.top_per_position)
        return kept


def beyond_z(beta: Floats, mean_sd: tuple[float, float], threshold: float) -> Flags:
    """`instruments.published_z` with mean and sd of all shards."""
    mean, sd = mean_sd
    if not sd > 0:
        return np.zeros(beta.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        return np.abs((beta - mean) / sd) >= threshold


def selected_instruments(
    made: MutationEffects,
    moments: Moments,
    splits: Mapping[str, str],
    rule: Rule,
    *,
    se: str = "moderated",
    published_threshold: float | None = None,
    recalibrated: MutationEffects | None = None,
    spans: Mapping[str, Sequence[Integers]] | None = None,
) -> Instruments:
    """The instruments of one shard.

    Args:
        made: effects of all mutations.
        moments: of all shards.
        splits: data split by locus.
        rule: of the config.
        se: kind of standard error; `residual` is of one network, which has no replicates.
        published_threshold: of the published rule, where it is compared.
        recalibrated: the same effects after the published recalibration.
        spans: per task, motif instances of every locus; mutations elsewhere are no instruments by
            the rule of the config.

    Raises:
        InputError: one network is to be cross-fitted.
    """
    if se == RESIDUAL and rule.cross_fitted:
        raise InputError(
            "deep_mr: instruments/cross_fitted chooses and estimates by different replicates, and "
            "se: residual is of one network: set cross_fitted to false"
        )
    T, (K, M) = len(made.tasks), made.effects.shape[2:]
    errors = {
        name: moments.standard_errors(made.effects[part], se, name)
        for name, part in SUBSETS.items()
        if name == "all" or rule.cross_fitted
    }
    beta = made.effects.mean(axis=0)
    mean, sd = moments.effect_mean_sd
    chosen = np.zeros((K, M, T), dtype=np.int8)
    bits = {"all": RULE, "even": EVEN, "odd": ODD}
    for task, name in enumerate(made.tasks):
        of_all = float(mean[task]), float(sd[task])
        for subset, error in errors.items():
            own = Effects(
                made.effects[SUBSETS[subset], task].mean(axis=0),
                error[task],
                position=made.position,
            )
            kept = rule.keeps(own, of_all)
            if spans is not None:
                kept &= within_spans(own, spans[name])
            chosen[..., task] |= np.where(kept, bits[subset], 0).astype(np.int8)
        if published_threshold is not None:
            kept = beyond_z(beta[task], of_all, published_threshold)
            chosen[..., task] |= np.where(kept, PUBLISHED, 0).astype(np.int8)
    locus, place = np.nonzero((chosen > 0).any(axis=-1))

    def rows(values: Floats) -> Floats:
        # (..., T, K, M) -> (..., R, T)
        return np.moveaxis(values[..., locus, place], -2, -1)

    return Instruments(
        made.tasks,
        made.loci,
        tuple(splits[name] for name in made.loci),
        locus.astype(np.int64),
        tuple(made.names[locus, place].tolist()),
        made.position[place].astype(np.int64),
        rows(beta),
        rows(errors["all"]),
        None if se == RESIDUAL else rows(made.effects),
        None if recalibrated is None else rows(recalibrated.effects),
        chosen[locus, place],
        moments.scales,
        se,
    )
