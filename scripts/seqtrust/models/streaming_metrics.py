"""Metrics per target track from batches, without keeping the predictions of a whole split."""

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.errors import InputError
from seqtrust.models.distributed import Group


class PearsonSums:
    """Pearson r of every track from running means and sums of products, in double precision.

    Batches are merged as by Chan et al. 1979, so that a large mean costs no digits. What is
    kept does not grow with the windows.

    Args:
        tracks: number of target tracks.
        device: where the batches are.
    """

    def __init__(self, tracks: int, device: torch.device | str = "cpu") -> None:
        # count, mean of x and y, sums of squares of x and y about their means, and of products
        self.sums = torch.zeros((6, tracks), dtype=torch.float64, device=device)

    def add(self, predicted: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in a batch.

        Args:
            predicted: shape (n, bins, tracks).
            targets: the same shape; NaN where missing, which leaves out the value.
        """
        tracks = targets.shape[-1]
        x = predicted.reshape(-1, tracks).double()
        y = targets.reshape(-1, tracks).double()
        missing = torch.isnan(y)
        count = torch.full((tracks,), len(y), dtype=torch.float64, device=y.device)
        if bool(missing.any()):
            x, y = x.masked_fill(missing, 0), y.masked_fill(missing, 0)
            count = (~missing).sum(dim=0).double()
        means = torch.stack([x.sum(dim=0), y.sum(dim=0)]) / count.clamp(min=1)
        dx, dy = x - means[0], y - means[1]
        if bool(missing.any()):
            dx, dy = dx.masked_fill(missing, 0), dy.masked_fill(missing, 0)
        moments = torch.stack([(dx * dx).sum(dim=0), (dy * dy).sum(dim=0), (dx * dy).sum(dim=0)])
        self.sums = _merged(self.sums, torch.cat([count[None], means, moments]))

    def merge(self, group: Group) -> None:
        """Take in what the other processes have; all then hold the same."""
        first, *others = group.gathered(self.sums)
        for other in others:
            first = _merged(first, other)
        self.sums = first

    def varied(self) -> bool:
        """Whether the targets of any track vary."""
        return bool((self.sums[4] > 0).any())

    def per_track(self) -> npt.NDArray[np.float64]:
        """Shape (tracks,); NaN where a track or its prediction does not vary."""
        _, _, _, xx, yy, xy = self.sums.cpu().numpy()
        scale = np.sqrt(xx * yy)
        return np.divide(xy, scale, out=np.full(len(scale), np.nan), where=scale > 0)


def _merged(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The sums over two parts of the values."""
    count = first[0] + second[0]
    share = second[0] / count.clamp(min=1)
    step = second[1:3] - first[1:3]
    between = first[0] * share
    products = torch.stack([step[0] * step[0], step[1] * step[1], step[0] * step[1]])
    return torch.cat(
        [count[None], first[1:3] + step * share, first[3:] + second[3:] + products * between]
    )


class AurocValues:
    """Area under the ROC curve of every track, exact, with ties counted as halves.

    Ranks need all values, so five bytes per target are kept: use it for classifiers of whole
    windows rather than for tracks of many bins.

    Args:
        tracks: number of target tracks.
    """

    def __init__(self, tracks: int) -> None:
        self.predicted = [torch.empty((0, tracks))]
        self.targets = [torch.empty((0, tracks), dtype=torch.uint8)]

    def add(self, predicted: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in a batch.

        Args:
            predicted: shape (n, bins, tracks).
            targets: the same shape: 0, 1, or NaN where missing.

        Raises:
            InputError: a target is neither 0 nor 1.
        """
        tracks = targets.shape[-1]
        missing = torch.isnan(targets)
        wrong = ~(missing | (targets == 0) | (targets == 1))
        if bool(wrong.any()):
            raise InputError(
                f"validation_metric: auroc needs targets of 0 and 1, but there is "
                f"{float(targets[wrong][0])}: use pearson or loss"
            )
        kept = torch.where(missing, 2, targets).to(torch.uint8)
        self.predicted.append(predicted.reshape(-1, tracks).float().cpu())
        self.targets.append(kept.reshape(-1, tracks).cpu())

    def merge(self, group: Group) -> None:
        """Take in what the other processes have; all then hold the same."""
        for values in (self.predicted, self.targets):
            found = group.gathered(torch.cat(values).to(group.device))
            values[:] = [one.cpu() for one in found]

    def per_track(self) -> npt.NDArray[np.float64]:
        """Shape (tracks,); NaN where one of the two classes is missing."""
        predicted = torch.cat(self.predicted).numpy()
        targets = torch.cat(self.targets).numpy()
        return np.array([auroc(*pair) for pair in zip(predicted.T, targets.T, strict=True)])


def auroc(scores: npt.NDArray[np.float32], classes: npt.NDArray[np.uint8]) -> float:
    """Chance that a positive scores above a negative; ties are halves.

    Args:
        scores: shape (n,).
        classes: 1 positive, 0 negative, anything else left out.
    """
    known = classes < 2
    positive = classes[known] == 1
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    # takes a second to import, and few trainings need it
    from scipy.stats import rankdata

    ranks = rankdata(scores[known])
    above = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(above / positives / negatives)
