"""Histograms of directions: the published boxes, and cells of equal area."""

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import Floats
from seqtrust.attribution.embedding import ISOMETRIC

# as the published code has it
_PUBLISHED_PI = 3.1416

Cells = npt.NDArray[np.intp]


def published_boxes(box: float) -> int:
    """Boxes along each of the two angles."""
    return int(_PUBLISHED_PI / box)


def published_angles(vectors: Floats) -> tuple[Floats, Floats]:
    """Half the azimuth plus a quarter turn, and the polar angle, both in [0, pi].

    Args:
        vectors: coordinates e1, e2, e3, shape (3, K), none zero. The pole is e1.
    """
    pole, x, y = vectors
    with np.errstate(divide="ignore", invalid="ignore"):
        azimuth = np.arctan(y / x)
    azimuth += np.where(x < 0, np.where(y >= 0, _PUBLISHED_PI, -_PUBLISHED_PI), 0.0)
    azimuth[x == 0] = _PUBLISHED_PI / 2
    length = np.sqrt(pole * pole + x * x + y * y)
    return azimuth / 2 + _PUBLISHED_PI / 2, np.arccos(np.clip(pole / length, -1, 1))


def published_cells(vectors: Floats, box: float) -> Cells:
    """The box of every vector (3, K), row (azimuth) times boxes plus column (polar), shape (K,)."""
    boxes = published_boxes(box)
    row, column = (
        np.minimum((angle / box).astype(np.intp), boxes - 1) for angle in published_angles(vectors)
    )
    return row * boxes + column


def box_score(histogram: Floats, box: float, neighbourhood: int) -> Floats:
    """Published score: each inner box against the mean of the boxes around it.

    The mean is over offsets -neighbourhood to neighbourhood - 1, the box itself included and
    without row and column 0; angles do not close to a circle.

    Args:
        histogram: sums of squared lengths, shape (..., B, B).
        box: side in radians.
        neighbourhood: half the side of the mean, in boxes.

    Returns:
        Shape (...).
    """
    volume = box * box
    with np.errstate(invalid="ignore", divide="ignore"):
        density = histogram / (histogram.sum(axis=(-2, -1), keepdims=True) * volume)
        inner = density[..., 1:-1, 1:-1]
        around = _sums_around(density, neighbourhood) / _sums_around(
            np.ones(density.shape[-2:]), neighbourhood
        )
        terms = inner * np.log(inner / around)
    return volume * np.where(inner > 0, terms, 0.0).sum(axis=(-2, -1))


def _sums_around(values: Floats, reach: int) -> Floats:
    """Sums over the window of every inner box, of (..., B, B)."""
    boxes = values.shape[-1]
    margins = [(0, 0)] * (values.ndim - 2) + [(reach, reach)] * 2
    # row and column 0 belong to no window
    padded = np.pad(values[..., 1:, 1:], margins)
    offsets = range(2 * reach)
    rows = np.sum([padded[..., i : i + boxes - 2, :] for i in offsets], axis=0)
    return np.asarray(np.sum([rows[..., i : i + boxes - 2] for i in offsets], axis=0))


def equal_area_shape(box: float) -> tuple[int, int]:
    """Rows and columns of cells of about `box` radians at the equator.

    Rows are odd, so that one lies on the equator; columns are a multiple of four.
    """
    return 2 * int(np.pi / (2 * box)) + 1, 4 * max(round(np.pi / (2 * box)), 1)


def _frames() -> Floats:
    """Right angles x, y and pole of the three ways to pair the bases, shape (3, 3, 3).

    The pole points from one pair to the other, x and y from base to base within the pairs.
    Exchanging bases exchanges frames, or mirrors one in a line that its cells have as a mirror,
    so the mean over frames depends neither on the order of the bases nor on the strand.
    """
    frames = []
    for other in (1, 2, 3):
        second = [base for base in (1, 2, 3) if base != other]
        axes = np.zeros((3, 4))
        axes[0, [0, other]] = -np.sqrt(0.5), np.sqrt(0.5)
        axes[1, second] = -np.sqrt(0.5), np.sqrt(0.5)
        axes[2] = -0.5
        axes[2, second] = 0.5
        frames.append(axes @ ISOMETRIC)
    return np.stack(frames)


FRAMES = _frames()


def equal_area_cells(vectors: Floats, lengths: Floats, shape: tuple[int, int], frame: int) -> Cells:
    """The cell of every vector in one frame, row times columns plus column, shape (K,).

    Rows are uniform in the cosine to the pole, columns in azimuth, so that all cells have one
    area. Azimuth 0 is the middle of a column.

    Args:
        vectors: coordinates in the isometric basis, shape (3, K).
        lengths: of the vectors, shape (K,), none zero.
        shape: rows and columns.
        frame: 0 to 2.
    """
    rows, columns = shape
    x, y, pole = FRAMES[frame] @ vectors
    pole /= lengths
    pole += 1
    pole *= rows / 2
    found = np.minimum(pole.astype(np.intp), rows - 1)
    found *= columns
    # numpy's arctan is vectorised, its arctan2 is not
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = np.arctan(np.divide(y, x, out=y))
    turn[np.isnan(turn)] = 0.0
    turn *= columns / (2 * np.pi)
    turn += columns + 0.5
    turn += np.signbit(x) * (columns / 2)
    found += turn.astype(np.intp) % columns
    return found
