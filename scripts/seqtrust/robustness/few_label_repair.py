"""What would it cost to mend a model? Repairs from a few labelled samples of the shifted data.

Each is fitted on n samples of a condition and judged on its other rows. Predictions enter as a mean
and an sd that was scaled on calibration data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import ndtri

from seqtrust.calibration.conformal import conformal_quantile
from seqtrust.calibration.grouping import Groups
from seqtrust.errors import InputError, nearest_clause
from seqtrust.robustness.shift_rows import SHIFT_COLUMNS
from seqtrust.robustness.stated_tables import Stated
from seqtrust.robustness.world_tables import CALIBRATION, WorldTable
from seqtrust.sources.seeds import named_generator
from seqtrust.tables import Column, TableSchema

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEVEL = 0.9
# a draw of labels has mended coverage where it is at least this; see `mended`
ENOUGH = 0.85
NOTHING = "nothing"
OFFSET, OFFSET_GAIN, SCALE = "offset", "offset_gain", "scale"
CONFORMAL, ALL = "conformal", "offset_gain_scale"
REPAIRS = (OFFSET, OFFSET_GAIN, SCALE, CONFORMAL, ALL)

SCHEMA = TableSchema(
    "robustness_repair",
    1,
    "robustness/{robustness}/repair/{model}/{world}.{replicate}.parquet",
    "Every condition after a repair from a few labelled samples, on its other rows: means over "
    "draws of the samples. `nothing`, with 0 labels, is the state before.",
    (
        *SHIFT_COLUMNS,
        Column("repair", pa.string(), f"nothing, {', '.join(REPAIRS)}"),
        Column("labels", pa.int32(), "samples that it was fitted on"),
        Column(
            "metric",
            pa.string(),
            "cov90, width90, mse, vr (mean variance over mse), mended (share of draws with a "
            "coverage of at least .85)",
        ),
        Column("value", pa.float64(), "may be infinite (a width), or empty", "of the metric", True),
    ),
)


@dataclass(frozen=True)
class Repaired:
    """Predictions after a repair, log2, shape (N,) each.

    Attributes:
        mean: predicted.
        sd: stated.
        half: half width of 90 % intervals.
    """

    mean: Floats
    sd: Floats
    half: Floats


@dataclass(frozen=True)
class Repair:
    """A fitted repair: mean -> offset + gain mean, sd -> scale sd, interval +- z sd.

    Attributes:
        offset: log2.
        gain: of the mean.
        scale: of the sd.
        z: half width of 90 % intervals in sds.
    """

    offset: float = 0.0
    gain: float = 1.0
    scale: float = 1.0
    z: float = float(ndtri((1 + LEVEL) / 2))

    def apply(self, mean: Floats, sd: Floats) -> Repaired:
        """Mend predictions, shape (N,) each."""
        scaled = self.scale * sd
        return Repaired(self.offset + self.gain * mean, scaled, self.z * scaled)


def fit_repair(name: str, mean: Floats, sd: Floats, observed: Floats) -> Repair:
    """Fit a repair to labelled samples.

    Lines are weighted by the stated variances; the scale is that of the residuals, with as many
    degrees of freedom less as there are coefficients.

    Args:
        name: of `REPAIRS`, or `nothing`.
        mean: predicted, shape (n,).
        sd: stated, shape (n,).
        observed: measured, shape (n,).

    Raises:
        InputError: there is no such repair, or fewer than 3 samples.
    """
    if name == NOTHING:
        return Repair()
    if name not in REPAIRS:
        raise InputError(f"there is no repair {name!r}{nearest_clause(name, REPAIRS)}")
    if len(mean) < 3:
        raise InputError(f"repair {name} from {len(mean)} labelled samples: give 3 or more")
    if name == CONFORMAL:
        scores = np.abs(observed - mean) / sd
        return Repair(z=float(conformal_quantile(scores[:, None], [LEVEL])[0, 0]))
    offset, gain, used = 0.0, 1.0, 0
    if name == OFFSET:
        offset, used = float(np.average(observed - mean, weights=sd**-2)), 1
    elif name in (OFFSET_GAIN, ALL):
        (offset, gain), used = _line(mean, sd, observed), 2
    scale = 1.0
    if name in (SCALE, ALL):
        squares = ((observed - offset - gain * mean) / sd) ** 2
        scale = float(np.sqrt(squares.sum() / (len(mean) - used)))
    return Repair(offset, gain, scale)


def _line(mean: Floats, sd: Floats, observed: Floats) -> tuple[float, float]:
    """Offset and gain by weighted least squares; gain 1 where all predictions are equal."""
    weights = sd**-2
    centre, middle = (float(np.average(part, weights=weights)) for part in (mean, observed))
    spread = mean - centre
    variance = float((weights * spread**2).sum())
    if variance <= 1e-12 * float((weights * mean**2).sum()):
        return middle - centre, 1.0
    gain = float((weights * spread * (observed - middle)).sum()) / variance
    return middle - gain * centre, gain


@dataclass(frozen=True)
class RepairScore:
    """One number of one repair in one condition; see `SCHEMA`."""

    data_set: str
    repair: str
    labels: int
    metric: str
    value: float


def repair_scores(
    world: WorldTable, stated: Mapping[str, Stated], labels: list[int], draws: int, seed: int
) -> Iterator[RepairScore]:
    """All repairs of a fit in all conditions.

    Args:
        world: with its data sets.
        stated: of the fit, by data set.
        labels: numbers of labelled samples; a condition with fewer than twice as many rows is
            left out.
        draws: of the samples.
        seed: of the draws, which conditions share.
    """
    known = stated[CALIBRATION]
    z = (world.condition(CALIBRATION).observed - known.mean) / known.sd
    factor = float(np.sqrt(np.mean(z**2)))
    for name in world.conditions:
        condition = world.condition(name)
        observed, mean = condition.observed, stated[name].mean
        sd = factor * stated[name].sd
        before = judged(Repair().apply(mean, sd), observed)
        yield from (RepairScore(name, NOTHING, 0, key, value) for key, value in before.items())
        for count in labels:
            if 2 * count > len(observed):
                continue
            totals: dict[tuple[str, str], list[float]] = {}
            for draw in range(draws):
                rng = named_generator(seed, "labels", str(count), str(draw))
                order = rng.permutation(len(observed))
                seen = order[:count]
                rest = unseen_rows(order, count, condition.groups)
                for repair in REPAIRS:
                    fitted = fit_repair(repair, mean[seen], sd[seen], observed[seen])
                    found = judged(fitted.apply(mean[rest], sd[rest]), observed[rest])
                    for key, value in found.items():
                        totals.setdefault((repair, key), []).append(value)
            for (repair, key), values in totals.items():
                yield RepairScore(name, repair, count, key, float(np.mean(values)))


def unseen_rows(order: Integers, count: int, groups: Groups | None) -> Integers:
    """Rows that are judged: those after the labelled ones that share no group with them.

    Args:
        order: drawn order of the rows, shape (N,).
        count: labelled rows, the first ones.
        groups: of the rows, shape (N,), or None where every row is its own.
    """
    rest = order[count:]
    if groups is None:
        return rest
    found: Integers = rest[~np.isin(groups[rest], groups[order[:count]])]
    return found


def judged(repaired: Repaired, observed: Floats) -> dict[str, float]:
    """Scores of repaired predictions: cov90, width90, mse, vr and whether coverage is enough."""
    squares = (observed - repaired.mean) ** 2
    covered = float(np.mean(squares <= repaired.half**2))
    error = float(squares.mean())
    return {
        "cov90": covered,
        "width90": float(2 * repaired.half.mean()),
        "mse": error,
        "vr": float(np.mean(repaired.sd**2)) / error,
        "mended": float(covered >= ENOUGH),
    }


def labels_needed(table: Mapping[int, float], share: float = 0.9) -> float:
    """Fewest labels from which on a share of draws is mended; infinite where none are enough.

    Args:
        table: share of mended draws by number of labels, 0 for none.
        share: wanted.
    """
    needed = np.inf
    for count in sorted(table, reverse=True):
        if not table[count] >= share:
            break
        needed = count
    return float(needed)
