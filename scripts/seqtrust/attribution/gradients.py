"""Maps of gradients: saliency, gradient times input, SmoothGrad."""

from dataclasses import dataclass

import numpy as np
import torch

from seqtrust.attribution.explained import Doubles, Singles, View
from seqtrust.bases import UNKNOWN, Codes


@dataclass(frozen=True)
class Made:
    """Maps of some sequences as one strand has them.

    Attributes:
        values: what is explained, (N, tracks).
        maps: of kept positions, (N, tracks, P, 4).
        errors: convergence errors (N, tracks), or None.
        se: Monte Carlo standard errors of the whole map, centred over bases, in units of the
            map: the root of the summed variances of its entries, (N, tracks), or None.
        steps: points on a line, (N, tracks), or None.
    """

    values: Doubles
    maps: Singles
    errors: Doubles | None = None
    se: Doubles | None = None
    steps: Doubles | None = None


def saliency(view: View, codes: Codes) -> Made:
    """Gradient with respect to the one-hot sequence (Simonyan et al. 2014), all four channels.

    Args:
        view: strand and network.
        codes: base codes as shown, (N, L).
    """
    values, gradients = view.gradients(view.encode(codes))
    return Made(to_numpy(values), to_singles(view.kept_bases(gradients)))


def input_gradient(view: View, codes: Codes) -> Made:
    """Gradient minus its mean over bases, of the base that is there; zero for the others.

    The mean is subtracted before the mask, because a gradient is fixed up to a number per
    position: all four channels never rise together.

    Args:
        view: strand and network.
        codes: base codes as shown, (N, L).
    """
    made = saliency(view, codes)
    shown = codes[:, slice(*view.kept)]
    own = (shown[..., None] == np.arange(4))[:, None]
    centred = made.maps - made.maps.mean(axis=-1, keepdims=True)
    return Made(made.values, centred * own)


def smoothgrad(view: View, codes: Codes, rng: np.random.Generator, samples: int, sd: float) -> Made:
    """Mean gradient at copies of the sequence with Gaussian noise (Smilkov et al. 2017).

    Args:
        view: strand and network.
        codes: of one sequence as shown, (L,).
        rng: of the noise.
        samples: noisy copies.
        sd: of the noise, in units of the one-hot input; an N has none.
    """
    shown = view.encode(codes[None])
    noise = rng.normal(0.0, sd, (samples, 4, len(codes))).astype(np.float32)
    noise[..., codes == UNKNOWN] = 0.0
    points = shown + torch.from_numpy(noise).to(shown.device)
    mean, se = mean_gradient(view, points, codes)
    return Made(to_numpy(predicted(view, shown)), to_singles(mean)[None], se=se[None])


def predicted(view: View, inputs: torch.Tensor) -> torch.Tensor:
    """Values float64 (N, tracks) of inputs (N, 4, L), without gradients."""
    with torch.no_grad():
        return torch.cat([view.values(part) for part in inputs.split(view.at_once)])


def mean_gradient(view: View, points: torch.Tensor, codes: Codes) -> tuple[torch.Tensor, Doubles]:
    """Mean gradient over points of one sequence, and its standard error.

    Args:
        view: strand and network.
        points: inputs (S, 4, L), S at least 2.
        codes: of the sequence as shown, (L,); an N has no part in the error.

    Returns:
        Mean (tracks, P, 4), float64, and the root of the summed squared standard errors of its
        entries, centred over bases, (tracks,).
    """
    total = squares = None
    known = torch.from_numpy(codes[slice(*view.kept)] != UNKNOWN).to(points.device)
    for part in points.split(view.at_once):
        gradients = view.kept_bases(view.gradients(part)[1]).double()
        centred = gradients - gradients.mean(dim=-1, keepdim=True)
        total = gradients.sum(0) if total is None else total + gradients.sum(0)
        square = (centred**2).sum(0)
        squares = square if squares is None else squares + square
    assert total is not None
    assert squares is not None
    count = len(points)
    mean = total / count
    middle = mean - mean.mean(dim=-1, keepdim=True)
    variances = (squares / count - middle**2).clamp(min=0) * count / (count - 1)
    of_known = variances[:, known].sum(dim=(-1, -2))
    return mean, to_numpy((of_known / count).sqrt())


def to_numpy(values: torch.Tensor) -> Doubles:
    """Float64 on the CPU."""
    return values.detach().cpu().double().numpy()


def to_singles(values: torch.Tensor) -> Singles:
    """Float32 on the CPU."""
    return values.detach().cpu().float().numpy()
