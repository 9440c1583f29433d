"""An ensemble as a mixture: its mean, and variance between and within replicates."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.calibration.grouping import Floats
from seqtrust.errors import InputError


@dataclass(frozen=True)
class Mixture:
    """Mean and variance of an ensemble, in the shape of one replicate's predictions.

    Attributes:
        mean: mean of the replicates' means, in units of the prediction.
        between: variance of the replicates' means, units squared.
        within: mean of the variances that replicates state, units squared; 0 where they
            state none.
    """

    mean: Floats
    between: Floats
    within: Floats

    @property
    def variance(self) -> Floats:
        """Total variance: between plus within (Lakshminarayanan et al. 2017)."""
        return self.between + self.within


class RunningMixture:
    """A mixture whose components arrive one by one (Welford 1962).

    Replicates of an ensemble, passes of MC dropout, and passes of every replicate are all
    components: by the law of total variance the order and the nesting do not matter.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Floats = np.zeros(())
        self._squares: Floats = np.zeros(())
        self._within: Floats = np.zeros(())
        self._stated: bool | None = None

    def add(self, mean: npt.ArrayLike, variance: npt.ArrayLike | None = None) -> None:
        """Add one component.

        Args:
            mean: its predictions, any shape.
            variance: the variances that it states, the same shape, or None.

        Raises:
            InputError: shapes differ, a value is not finite, a variance is negative, or some
                components state a variance and others do not.
        """
        value = np.asarray(mean, dtype=np.float64)
        stated = variance is not None
        within = np.zeros_like(value) if variance is None else np.asarray(variance, np.float64)
        if within.shape != value.shape or (self.count and value.shape != self._mean.shape):
            raise InputError(
                f"component {self.count + 1} of the mixture has means {value.shape} and variances "
                f"{within.shape}; all must have one shape"
            )
        if not (np.isfinite(value).all() and np.isfinite(within).all() and (within >= 0).all()):
            raise InputError(
                f"component {self.count + 1} of the mixture has a mean that is not finite, or a "
                "variance that is not finite or negative: predict it again"
            )
        if self._stated not in (None, stated):
            raise InputError("some components of the mixture state a variance and others do not")
        self._stated = stated
        self.count += 1
        step = value - self._mean
        self._mean = self._mean + step / self.count
        self._squares = self._squares + step * (value - self._mean)
        self._within = self._within + (within - self._within) / self.count

    def result(self, ddof: int = 1) -> Mixture:
        """The mixture of what was added.

        Args:
            ddof: 1 estimates the variance between replicates that were never trained; 0 is the
                variance of the mixture of just these.

        Raises:
            InputError: there are not more components than `ddof`.
        """
        if self.count <= ddof:
            raise InputError(
                f"{self.count} replicates have no variance between them: at least {ddof + 1} "
                "are needed"
            )
        return Mixture(self._mean, self._squares / (self.count - ddof), self._within)


def mixture(means: Floats, variances: Floats | None = None, ddof: int = 1) -> Mixture:
    """The mixture of R components.

    Args:
        means: shape (R, ...).
        variances: the same shape, or None where components state none.
        ddof: as in `RunningMixture.result`.
    """
    running = RunningMixture()
    for index, mean in enumerate(means):
        running.add(mean, None if variances is None else variances[index])
    return running.result(ddof)
