"""The assay: from mean activity to a measurement with a known mean and sd."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.robustness.checks import refuse_outside
from seqtrust.robustness.count_moments import CountSettings
from seqtrust.robustness.readout import GC_CENTRE
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Measurements of N sequences, log2.

    Attributes:
        mean: true mean of the measurement given sequence and depth, shape (N,).
        sd: its true standard deviation, shape (N,).
        observed: shape (N,).
        depth: barcodes, shape (N,).
    """

    mean: Floats
    sd: Floats
    observed: Floats
    depth: Floats


@dataclass(frozen=True)
class Assay:
    """Every factor of an assay.

    The mean is offset + gain x activity + gc_bias x (GC - .45). The variance is
    (multiplicative x e^l)^2 + psi / depth + additive^2 with
    l = ln(noise) - slope x clip(activity / activity_sd, -clip, clip): weak sequences are noisier.
    Depth is log-normal around base_depth x depth.

    With `counts`, the measurement is log2((RNA + 1) / (DNA + 1)) of negative-binomial counts in the
    place of psi / depth; mean and sd are still known (to 2e-4), but noise is not quite Gaussian.

    Attributes:
        offset: of the batch, log2.
        gain: of the batch.
        gc_bias: technical, log2 per unit of GC content.
        multiplicative: factor m of the noise that depends on activity.
        additive: sd of noise that depends on nothing, log2.
        depth: factor delta of the barcodes per sequence.
        base_depth: median barcodes per sequence at delta 1.
        depth_spread: sd of log depth.
        psi: variance of the measurement times barcodes.
        noise: sd at mean activity, log2.
        slope: fall of log sd per sd of activity.
        clip: activities further than this from the mean have its noise, sds.
        counts: None, or the mode of counts.

    Raises:
        InputError: a value makes no sense.
    """

    offset: float = 0.0
    gain: float = 1.0
    gc_bias: float = 0.0
    multiplicative: float = 1.0
    additive: float = 0.0
    depth: float = 1.0
    base_depth: float = 30.0
    depth_spread: float = 0.6
    psi: float = 2.0
    noise: float = 0.35
    slope: float = 0.30
    clip: float = 2.5
    counts: CountSettings | None = None

    def __post_init__(self) -> None:
        for name in ("offset", "gain", "gc_bias", "slope"):
            refuse_outside("assay", name, getattr(self, name), -np.inf, np.inf)
        for name in ("multiplicative", "additive", "depth_spread", "psi", "clip"):
            refuse_outside("assay", name, getattr(self, name), 0, np.inf)
        for name in ("depth", "base_depth", "noise"):
            refuse_outside("assay", name, getattr(self, name), 1e-6, np.inf)

    def mean(self, activity: Floats, gc: Floats) -> Floats:
        """Mean of a measurement in the Gaussian mode, shape (N,)."""
        return self.offset + self.gain * activity + self.gc_bias * (gc - GC_CENTRE)

    def activity_noise(self, activity: Floats, activity_sd: float) -> Floats:
        """Sd of the noise that depends on activity, shape (N,)."""
        steps = np.clip(activity / activity_sd, -self.clip, self.clip)
        return self.multiplicative * self.noise * np.exp(-self.slope * steps)

    def mean_inverse_depth(self) -> float:
        """Mean of 1 / depth (of a log-normal)."""
        return float(np.exp(self.depth_spread**2 / 2) / (self.base_depth * self.depth))

    def measure(self, activity: Floats, gc: Floats, activity_sd: float, seed: int) -> Measured:
        """Measure sequences.

        Args:
            activity: mean activity, log2, shape (N,).
            gc: GC content, shape (N,).
            activity_sd: between training sequences, log2.
            seed: of depth and noise; the same draws for any factors.
        """
        centre = self.mean(activity, gc)
        own = np.hypot(self.activity_noise(activity, activity_sd), self.additive)
        drawn = named_generator(seed, "depth").standard_normal(len(activity))
        depth = self.base_depth * self.depth * np.exp(self.depth_spread * drawn)
        error = named_generator(seed, "noise").standard_normal(len(activity))
        if self.counts is None:
            sd = np.sqrt(own**2 + self.psi / depth)
            return Measured(centre, sd, centre + sd * error, depth)
        rng = named_generator(seed, "counts")
        dna = self.counts.draw(depth, rng)
        rna = self.counts.draw(depth * np.exp2(centre + own * error), rng)
        mean, sd = self.counts.log_ratio_moments(depth, centre, own)
        return Measured(mean, sd, np.log2((rna + 1) / (dna + 1)), depth)
