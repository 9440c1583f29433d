"""Maps of gradients along lines: integrated and expected gradients.

Maps are the mean gradient on the line, for all four bases, not times the difference from the
baseline, which the published definition has: multiplied so, the entries of the bases that are
there add up to the change of the prediction (completeness), which is how convergence is judged.
"""

from dataclasses import dataclass

import numpy as np
import torch

from seqtrust.attribution.explained import View
from seqtrust.attribution.gradients import Made, mean_gradient, predicted, to_numpy, to_singles
from seqtrust.bases import UNKNOWN, Codes

# shuffled sequences whose predictions say how far a model's predictions vary
SPREAD = 16
# of that standard deviation: smaller changes of a prediction are not explained to a percentage
LEAST = 0.01


@dataclass(frozen=True)
class PathSettings:
    """Settings of integrated gradients.

    Attributes:
        baseline: "shuffled", "zero" or "uniform".
        baselines: shuffled ones.
        steps: on a line, at first.
        most_steps: at which doubling ends.
        tolerance: largest relative error of completeness.
    """

    baseline: str = "shuffled"
    baselines: int = 1
    steps: int = 25
    most_steps: int = 800
    tolerance: float = 0.01


def integrated_gradients(
    view: View, codes: Codes, rng: np.random.Generator, settings: PathSettings
) -> Made:
    """Mean gradient from baselines to the sequence (Sundararajan et al. 2017).

    The integral is that of the trapezoid rule, whose steps are halved until completeness holds
    for all tracks, or there would be too many.

    Args:
        view: strand and network.
        codes: of one sequence as shown, (L,).
        rng: of the shuffles.
        settings: see there.
    """
    shown = view.encode(codes[None])
    baselines = _baselines(view, codes, rng, settings)
    change = (shown - baselines).double()
    values, at_baselines = predicted(view, shown), predicted(view, baselines)
    scale = scale_of_change(view, codes, rng, values, at_baselines)
    steps = settings.steps
    means = _gradients_at(view, shown, baselines, _inner(steps)) / steps
    means = means + (_gradient_of(view, baselines) + _gradient_of(view, shown)) / (2 * steps)
    while True:
        errors = completeness_errors(means, change, values - at_baselines, scale)
        if bool((errors <= settings.tolerance).all()) or 2 * steps > settings.most_steps:
            break
        halves = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
        means = means / 2 + _gradients_at(view, shown, baselines, halves) / (2 * steps)
        steps *= 2
    return Made(
        to_numpy(values),
        to_singles(view.kept_bases(means.mean(dim=0)))[None],
        errors=to_numpy(errors)[None],
        steps=np.full((1, view.tracks), steps),
    )


def expected_gradients(
    view: View, codes: Codes, rng: np.random.Generator, baselines: int, samples: int
) -> Made:
    """Mean gradient at random points of lines from shuffled baselines (Erion et al. 2021).

    Args:
        view: strand and network.
        codes: of one sequence as shown, (L,).
        rng: of the shuffles and points.
        baselines: shuffled sequences.
        samples: points; each takes the next baseline in turn.
    """
    shown = view.encode(codes[None])
    starts = view.encode(shuffles(codes, rng, baselines))
    place = torch.from_numpy(rng.uniform(size=samples).astype(np.float32)).to(shown.device)
    lines = starts[torch.arange(samples) % baselines]
    points = lines + place[:, None, None] * (shown - lines)
    mean, se = mean_gradient(view, points, codes)
    return Made(to_numpy(predicted(view, shown)), to_singles(mean)[None], se=se[None])


def shuffles(codes: Codes, rng: np.random.Generator, count: int) -> Codes:
    """Sequences (count, L) with the bases of one (L,) in random order; every N stays in place."""
    made = np.repeat(codes[None], count, axis=0)
    known = codes != UNKNOWN
    made[:, known] = rng.permuted(made[:, known], axis=1)
    return made


def scale_of_change(
    view: View,
    codes: Codes,
    rng: np.random.Generator,
    values: torch.Tensor,
    at_baselines: torch.Tensor,
) -> torch.Tensor:
    """What errors of completeness are divided by, (tracks,).

    That is the mean absolute change of the prediction, but at least a hundredth of the standard
    deviation of predictions over shuffles of the sequence: where two sequences happen to be
    predicted alike, a percentage of their difference says nothing. Shuffles of the sequence
    itself are taken, and not other sequences, so that shards do not change what converges.

    Args:
        view: strand and network.
        codes: of the sequence as shown, (L,).
        rng: of the shuffles.
        values: of the sequence, (1, tracks).
        at_baselines: of the baselines, (B, tracks).
    """
    spread = predicted(view, view.encode(shuffles(codes, rng, SPREAD))).std(dim=0)
    change = (values - at_baselines).abs().mean(dim=0)
    return torch.maximum(change, LEAST * spread)


def completeness_errors(
    multipliers: torch.Tensor, change: torch.Tensor, differences: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """How far contributions miss the change of the prediction, relative to `scale`: (tracks,).

    Args:
        multipliers: per baseline, (B, tracks, 4, L).
        change: of the input from each baseline, (B, 4, L).
        differences: of predictions from those at the baselines, (B, tracks).
        scale: (tracks,).

    Returns:
        The mean over baselines of the absolute error; 0 where nothing changes and nothing is
        contributed.
    """
    found = (multipliers * change[:, None]).sum(dim=(-1, -2))
    missed = (found - differences).abs().mean(dim=0)
    return torch.where(missed == 0, missed, missed / scale)


def _baselines(
    view: View, codes: Codes, rng: np.random.Generator, settings: PathSettings
) -> torch.Tensor:
    if settings.baseline == "shuffled":
        return view.encode(shuffles(codes, rng, settings.baselines))
    shown = view.encode(codes[None])
    level = 0.25 if settings.baseline == "uniform" else 0.0
    known = torch.from_numpy(codes != UNKNOWN).to(shown.device)
    return torch.full_like(shown, level) * known


def _inner(steps: int) -> torch.Tensor:
    return torch.arange(1, steps, dtype=torch.float64) / steps


def _gradient_of(view: View, inputs: torch.Tensor) -> torch.Tensor:
    """Gradients float64 (N, tracks, 4, L)."""
    parts = inputs.split(view.at_once)
    return torch.cat([view.gradients(part)[1].double() for part in parts])


def _gradients_at(
    view: View, shown: torch.Tensor, baselines: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """Sum over places of [0, 1] on the line from each baseline, (B, tracks, 4, L) float64."""
    totals = []
    for start in baselines:
        line = shown[0] - start
        total = torch.zeros((view.tracks, *start.shape), dtype=torch.float64, device=start.device)
        for part in places.to(start).split(view.at_once):
            points = start + part[:, None, None] * line
            total += view.gradients(points)[1].double().sum(dim=0)
        totals.append(total)
    return torch.stack(totals)
