"""What a shift should cost: closed forms, the unshifted ideal, and a decomposition of errors.

If a model is calibrated in training with mean predicted variance V, and a shift adds an error D
that it does not see, its variance ratio is V / (V + D), and its intervals cover as those of a
Gaussian whose sd is stated too small by the root of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.robustness.assay import Assay
from seqtrust.robustness.checks import refuse_outside, refuse_unknown_cells
from seqtrust.robustness.readout import GC_CENTRE
from seqtrust.robustness.worlds import World

Floats = npt.NDArray[np.float64]


def variance_ratio(variance: float, added: float) -> float:
    """Mean stated variance over mean squared error, V / (V + D).

    Args:
        variance: mean stated variance V of a model that is calibrated without the shift.
        added: mean squared error D that the shift adds.
    """
    return variance / (variance + added)


def coverage(level: float, ratio: float) -> float:
    """Coverage of central Gaussian intervals of a nominal level at a variance ratio."""
    refuse_outside("coverage", "level", level, 0, 1)
    refuse_outside("coverage", "ratio", ratio, 0, np.inf)
    return float(2 * ndtr(ndtri((1 + level) / 2) * np.sqrt(ratio)) - 1)


def ratio_at(level: float, covered: float) -> float:
    """The variance ratio at which intervals of a nominal level cover `covered`."""
    refuse_outside("ratio", "level", level, 0, 1)
    refuse_outside("ratio", "covered", covered, 0, 1)
    return float((ndtri((1 + covered) / 2) / ndtri((1 + level) / 2)) ** 2)


def rewiring_error(rho: float, activity_variance: float) -> float:
    """D of rewiring for a model that knows the old program: 2 (1 - rho) Var(activity)."""
    return 2 * (1 - rho) * activity_variance


def batch_error(offset: float, gain: float, activity_variance: float) -> float:
    """D of a batch: offset^2 + (gain - 1)^2 Var(activity), for activities of mean 0."""
    return offset**2 + (gain - 1) ** 2 * activity_variance


def gc_bias_error(gc_bias: float, gc: Floats) -> float:
    """D of a technical GC bias: its square times the mean of (GC - .45)^2."""
    return float(gc_bias**2 * np.mean((gc - GC_CENTRE) ** 2))


def multiplicative_error(factor: float, noise_variance: float) -> float:
    """D of noise that is `factor` times as large: (factor^2 - 1) times its mean variance."""
    return (factor**2 - 1) * noise_variance


def depth_error(assay: Assay, factor: float) -> float:
    """D of `factor` times the barcodes: psi E[1 / depth] (1 / factor - 1)."""
    return assay.psi * assay.mean_inverse_depth() * (1 / factor - 1)


def ideal_predictions(
    world: World, codes: Codes, assay: Assay | None = None, cells: Sequence[int] = (0,)
) -> tuple[Floats, Floats]:
    """Mean and sd of the best model of the training data, log2, shape (N,) each.

    It knows the training world, but neither the shift, nor the depth of a sequence, nor its cell
    type: with several, it states their average and adds their spread to the variance.

    Args:
        world: what is true in training.
        codes: sequences that it sees, shape (N, L).
        assay: of training, in the Gaussian mode; the default assay if None.
        cells: cell types of training.

    Raises:
        InputError: the assay counts.
    """
    known = assay or Assay()
    if known.counts is not None:
        raise InputError(
            "the ideal model is known for the Gaussian mode only: use an assay without counts"
        )
    refuse_unknown_cells(cells, world.cells)
    terms = world.readout.terms(codes)
    activity = np.stack([world.program(cell).activity(terms) for cell in cells])
    means = known.mean(activity, terms[:, -1] + GC_CENTRE)
    noise = known.activity_noise(activity, world.activity_sd) ** 2
    steady = known.additive**2 + known.psi * known.mean_inverse_depth()
    return means.mean(axis=0), np.sqrt(noise.mean(axis=0) + steady + means.var(axis=0))


def excess_risk(predicted: Floats, mean: Floats) -> float:
    """Mean squared distance of predictions from the true means."""
    return float(np.mean((predicted - mean) ** 2))


@dataclass(frozen=True)
class ErrorParts:
    """The parts of a mean squared error; they add up to it exactly.

    Attributes:
        noise: mean squared distance of measurements from their true means.
        cross: twice the mean product of noise and error of the mean: 0 but for sampling.
        offset: squared mean error of the mean.
        gain: what the best line through predictions would mend beyond the offset.
        residual: what no line would mend.
    """

    noise: float
    cross: float
    offset: float
    gain: float
    residual: float

    @property
    def excess(self) -> float:
        """Excess risk: offset, gain and residual."""
        return self.offset + self.gain + self.residual

    @property
    def total(self) -> float:
        """Mean squared error."""
        return self.noise + self.cross + self.excess


def error_parts(predicted: Floats, mean: Floats, observed: Floats) -> ErrorParts:
    """Decompose a mean squared error.

    Args:
        predicted: shape (N,).
        mean: true means, shape (N,).
        observed: measurements, shape (N,).
    """
    noise, error = observed - mean, mean - predicted
    centred, spread = error - error.mean(), predicted - predicted.mean()
    variance = float(spread @ spread)
    slope = float(spread @ centred) / variance if variance > 0 else 0.0
    return ErrorParts(
        noise=float(np.mean(noise**2)),
        cross=float(2 * np.mean(noise * error)),
        offset=float(error.mean() ** 2),
        gain=float(slope**2 * variance / len(predicted)),
        residual=float(np.mean((centred - slope * spread) ** 2)),
    )
