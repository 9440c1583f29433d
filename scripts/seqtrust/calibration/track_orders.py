"""Statistics of one track that need its rows in order: ENCE, ranks, risk against coverage."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from seqtrust.calibration import ordered, regression
from seqtrust.calibration.grouping import Floats, Groups
from seqtrust.calibration.ordered import Ints, Order
from seqtrust.calibration.resampling import Resamples, percentile_interval
from seqtrust.calibration.selective import Areas

Values = dict[tuple[str, str], Floats]
EVERY = "all"


@dataclass(frozen=True)
class TrackOrders:
    """The n rows of a track sorted once, by stated sd and by loss.

    Attributes:
        rows: in the order of the sd, shape (n,).
        by_sd: order of the rows by sd.
        by_loss: order of the rows by squared error.
        to_loss: place in the order by sd of every row in the order by loss, shape (n,).
        variance: stated, in the order by sd, shape (n,).
        losses: squared errors, in the order by sd, shape (n,).
        strata: places in the order by sd, and their own order, of every stratum.
    """

    rows: Ints
    by_sd: Order
    by_loss: Order
    to_loss: Ints
    variance: Floats
    losses: Floats
    strata: dict[str, tuple[Ints, Order]]

    @classmethod
    def of(cls, sd: Floats, losses: Floats, strata: Groups) -> Self:
        """Sort rows.

        Args:
            sd: stated sds, shape (n,).
            losses: squared errors, shape (n,).
            strata: labels of which curves are drawn apart, shape (n,).
        """
        by_sd, by_loss = Order.of(sd), Order.of(losses)
        place = np.empty(len(sd), dtype=np.int64)
        place[by_sd.rows] = np.arange(len(sd))
        ordered_sd, labels = sd[by_sd.rows], strata[by_sd.rows]
        parts = {}
        for name in sorted(set(labels.tolist())):
            places = np.flatnonzero(labels == name)
            parts[name] = places, Order.of(ordered_sd[places])
        return cls(
            by_sd.rows, by_sd, by_loss, place[by_loss.rows], ordered_sd**2, losses[by_sd.rows],
            parts,
        )  # fmt: skip

    def values(
        self, weights: Floats, coverages: Floats, bins: int, factors: dict[str, float]
    ) -> Values:
        """Statistics by name and subset or method, shape (R,), curves (R, C).

        Args:
            weights: of the rows in the order by sd, one row per round, shape (R, n).
            coverages: of the risk curves, shape (C,).
            bins: of the ENCE.
            factors: by method, what multiplies the variances of its ENCE.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._values(weights, coverages, bins, factors)

    def _values(
        self, weights: Floats, coverages: Floats, bins: int, factors: dict[str, float]
    ) -> Values:
        mass = self.by_sd.cumulative(weights)
        loss = self.by_sd.cumulative(weights * self.losses)
        aurc = ordered.area(mass, loss, self._values_of(self.by_sd, self.losses))
        own = weights.take(self.to_loss, axis=-1)
        best_mass = self.by_loss.cumulative(own)
        best_values = self.losses[self.to_loss]
        alone = self._values_of(self.by_loss, best_values)
        # without ties the area needs no more of the losses than their sum
        best_loss = loss if alone is not None else self.by_loss.cumulative(own * best_values)
        best = ordered.area(best_mass, best_loss, alone)
        whole = loss[..., -1] / mass[..., -1]
        found = Areas.of(aurc, ordered.generalised_area(mass, loss), best, whole, whole)
        values: Values = {
            ("aurc", EVERY): found.aurc,
            ("excess_aurc", EVERY): found.excess,
            ("normalised_aurc", EVERY): found.normalised,
            ("augrc", EVERY): found.augrc,
            ("risk", EVERY): ordered.risks_at(mass, loss, coverages),
        }
        if len(weights) == 1:
            best_loss = self.by_loss.cumulative(own * best_values)
            values["ideal_risk", EVERY] = ordered.risks_at(best_mass, best_loss, coverages)
        ranks = self.by_sd.ranks(mass, self.rows), self.by_loss.ranks(best_mass, self.rows)
        values["rank_correlation", EVERY] = regression.rank_product(*ranks, weights)
        if factors:
            stated = self.by_sd.cumulative(weights * self.variance)
            roots = regression.root_means(mass, stated, loss, bins)
            for method, factor in factors.items():
                scaled = roots[0] * np.sqrt(factor)
                values["ence", method] = regression.ence_of_bins(scaled, roots[1])
        for name, (places, order) in self.strata.items():
            part = weights.take(places, axis=-1)
            sums = order.cumulative(part), order.cumulative(part * self.losses[places])
            values["risk", name] = ordered.risks_at(*sums, coverages)
        return values

    @staticmethod
    def _values_of(order: Order, values: Floats) -> Floats | None:
        """Values of the keys, where no two rows share a key."""
        return values if len(order.ends) == len(order.rows) else None

    def with_intervals(
        self,
        resamples: Resamples,
        places: Ints,
        weights: Floats,
        coverages: Floats,
        bins: int,
        factors: dict[str, float],
    ) -> tuple[Values, Values, Values]:
        """`values` of the data, and low and high ends of their bootstrap intervals.

        Args:
            resamples: of all rows.
            places: of the n rows among all rows, shape (n,).
            weights: of the n rows, shape (n,).
            coverages: as in `values`.
            bins: as in `values`.
            factors: as in `values`.
        """
        settings = coverages, bins, factors
        own = weights[self.rows]
        point = {key: value[0] for key, value in self.values(own[None], *settings).items()}
        drawn = [
            self.values(block, *settings) for block in resamples.weights(places[self.rows], own)
        ]
        ends = {
            key: percentile_interval(np.concatenate([part[key] for part in drawn]).T)
            for key in drawn[0]
        }
        low = {key: np.asarray(pair[0]) for key, pair in ends.items()}
        return point, low, {key: np.asarray(pair[1]) for key, pair in ends.items()}
