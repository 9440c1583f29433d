"""The embedding score: how peaked the directions of the strongest attribution vectors are."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import (
    CORRECTED,
    PUBLISHED,
    Flags,
    Floats,
    Integers,
    checked_maps,
    checked_mode,
    require_usable,
)
from seqtrust.attribution.embedding import (
    ISOMETRIC,
    PUBLISHED_BASIS,
    Strongest,
    centred_norms,
    strongest,
    window_sums,
)
from seqtrust.attribution.measures import Tally, Values, corrected_values
from seqtrust.attribution.sphere import (
    FRAMES,
    box_score,
    equal_area_cells,
    equal_area_shape,
    published_boxes,
    published_cells,
)
from seqtrust.bases import Codes
from seqtrust.errors import InputError


@dataclass(frozen=True)
class EmbeddingConsistency:
    """The embedding score of one set of attribution maps.

    Attributes:
        score: `divergence` minus `bias`, in nats; in published mode the sum over boxes.
        divergence: of `histogram` from the uniform one, mean over frames, in nats.
        bias: (K - 1) / 2n of n effective vectors in K cells, mean over frames; 0 if published.
        histogram: share of squared length, shape (frames, rows, columns): cosine to the pole by
            azimuth, 3 frames; in published mode 1 frame, half azimuth by polar angle.
        vectors: number of vectors kept.
        effective: (sum of weights)^2 / sum of squared weights of these vectors.
        cutoff: length that they exceed, of maps divided by their L2,1 norm.
        dropped: maps that are zero after centring or hold NaN, in ascending order.
    """

    score: float
    divergence: float
    bias: float
    histogram: Floats
    vectors: int
    effective: float
    cutoff: float
    dropped: Integers


@dataclass(frozen=True)
class EmbeddingMeasure:
    """Settings of the score; see `seqtrust.attribution.consistency.embedding_consistency`."""

    window: int = 3
    fraction: float = 0.1
    box: float = 0.1
    neighbourhood: int = 3
    mode: str = CORRECTED
    isometric: bool | None = None

    def __post_init__(self) -> None:
        checked_mode(self.mode)
        if self.window < 1:
            raise InputError(f"window is {self.window}, expected at least 1")
        if not 0 < self.fraction <= 1:
            raise InputError(f"fraction is {self.fraction}, expected above 0 and at most 1")
        if not 0.01 <= self.box <= 1:
            raise InputError(f"box is {self.box}, expected 0.01 to 1 radian")
        if self.neighbourhood < 1:
            raise InputError(f"neighbourhood is {self.neighbourhood}, expected at least 1")
        if self.isometric is False and self.mode == CORRECTED:
            raise InputError("the corrected score has an isometric basis: set mode to 'published'")

    @property
    def label(self) -> str:
        """Name and settings."""
        size = f"window={self.window} fraction={self.fraction:g} box={self.box:g}"
        return f"embedding {size} {self.mode}"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the histogram."""
        if self.mode == CORRECTED:
            return equal_area_shape(self.box)
        return published_boxes(self.box), published_boxes(self.box)

    def scorable(self, maps: Floats) -> Flags:
        """Which maps have a score, shape (N,)."""
        return centred_norms(maps)[1]

    def strongest(self, attributions: npt.ArrayLike) -> tuple[Strongest, Flags]:
        """The strongest window sums, and which maps can be scored.

        Raises:
            InputError: no map can, or no window is left.
        """
        maps = checked_maps(attributions)
        if maps.shape[1] < self.window:
            raise InputError(
                f"maps of {maps.shape[1]} positions are shorter than the window of {self.window}"
            )
        published = self.mode == PUBLISHED
        is_isometric = not published if self.isometric is None else self.isometric
        sums = window_sums(
            maps, self.window, ISOMETRIC if is_isometric else PUBLISHED_BASIS, circular=published
        )
        require_usable(sums.usable)
        found = strongest(sums if published else sums.only_usable(), self.fraction)
        if not len(found.map) or not (published or found.wanted):
            raise InputError(
                f"fraction {self.fraction:g} of {sums.squares.size} windows leaves no vector; "
                "use more maps or a larger fraction"
            )
        return found, sums.usable

    def tally(self, maps: Floats, sequences: Codes | None, groups: Integers) -> Tally:
        """Squared lengths in cells per group, the cutoff taken from all maps.

        Args:
            maps: shape (N, L, 4).
            sequences: not read.
            groups: group of every map, 0 to G - 1, shape (N,).
        """
        return self.tally_of(self.strongest(maps)[0], groups)

    def tally_of(self, found: Strongest, groups: Integers) -> Tally:
        """Squared lengths of the strongest window sums in cells, per group."""
        count = int(groups.max()) + 1
        rows, columns = self.shape
        cells = rows * columns
        group = groups[found.map]
        corner = group * cells
        published = self.mode == PUBLISHED
        lengths = np.sqrt(found.weights)
        weights = np.empty((count, 1 if published else len(FRAMES), cells))
        for frame in range(weights.shape[1]):
            place = (
                published_cells(found.vectors, self.box)
                if published
                else equal_area_cells(found.vectors, lengths, (rows, columns), frame)
            )
            weights[:, frame] = np.bincount(
                corner + place, found.weights, minlength=count * cells
            ).reshape(count, cells)
        summed = np.bincount(group, found.weights**2, minlength=count)
        squares: Floats = summed.astype(np.float64)
        evaluate = (
            partial(_published_values, box=self.box, neighbourhood=self.neighbourhood)
            if published
            else corrected_values
        )
        return Tally(weights, squares, np.ones((1, cells)), evaluate)

    def result(self, attributions: npt.ArrayLike) -> EmbeddingConsistency:
        """The score with what figures need."""
        found, kept = self.strongest(attributions)
        tally = self.tally_of(found, np.zeros(len(kept), dtype=np.int64))
        values = tally.values([[1.0]])
        total = found.weights.sum()
        return EmbeddingConsistency(
            score=float(values.score[0]),
            divergence=float(values.divergence[0]),
            bias=float(values.bias[0]),
            histogram=(tally.weights[0] / total).reshape(-1, *self.shape),
            vectors=len(found.map),
            effective=float(total**2 / tally.squares[0]),
            cutoff=found.cutoff,
            dropped=np.flatnonzero(~kept),
        )

    def score(self, maps: Floats, sequences: Codes | None) -> float:
        """The score of all maps; sequences are not read."""
        return self.result(maps).score


def _published_values(
    weights: Floats, squares: Floats, prior: Floats, box: float, neighbourhood: int
) -> Values:
    """The sum over boxes without a correction; squares and prior are not read."""
    boxes = published_boxes(box)
    raw = box_score(
        weights[..., 0, :].reshape(*weights.shape[:-2], boxes, boxes), box, neighbourhood
    )
    return Values(raw, raw, np.zeros_like(raw))
