"""What models state of the data sets of a world: a mean and a variance in two parts, in tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqtrust.calibration.mixtures import RunningMixture
from seqtrust.errors import InputError
from seqtrust.robustness.world_tables import WorldTable
from seqtrust.tables import Column, TableSchema, read_table, streamed_table

Floats = npt.NDArray[np.float64]

SCHEMA = TableSchema(
    "robustness_predictions",
    1,
    "robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    "What one replicate of a model states of the sequences of a world, in units of the "
    "measurements. Data sets: calibration and every tested condition; train and validation where a "
    "student learns from them.",
    (
        Column("data_set", pa.string(), "of the world's table"),
        Column("row", pa.int32(), "number of the sequence in its data set, from 0"),
        Column("mean", pa.float64(), "prediction", "log2"),
        Column("aleatoric", pa.float64(), "variance of the noise", "log2 squared"),
        Column("epistemic", pa.float64(), "variance of the prediction; 0 if none", "log2 squared"),
    ),
)


@dataclass(frozen=True)
class Stated:
    """Predictions of N sequences, log2.

    Attributes:
        mean: shape (N,).
        aleatoric: variance of the noise, shape (N,).
        epistemic: variance of the prediction itself, shape (N,); 0 of a model that knows none.
    """

    mean: Floats
    aleatoric: Floats
    epistemic: Floats

    @property
    def variance(self) -> Floats:
        """Of a measurement, shape (N,)."""
        return self.aleatoric + self.epistemic

    @property
    def sd(self) -> Floats:
        """Of a measurement, shape (N,)."""
        return np.sqrt(self.variance)

    @classmethod
    def gaussian(cls, mean: Floats, sd: Floats) -> "Stated":
        """Without an epistemic part."""
        return cls(mean, sd**2, np.zeros_like(sd))


def write_stated(path: str | Path, stated: Iterable[tuple[str, Stated]]) -> None:
    """Write the predictions of data sets by name.

    Raises:
        InputError: a prediction is not finite, or a variance is not positive.
    """
    with streamed_table(path, SCHEMA, {}) as add:
        for name, found in stated:
            if not (np.isfinite(found.mean) & np.isfinite(found.sd) & (found.variance > 0)).all():
                raise InputError(
                    f"{path}: data set {name!r} has a prediction that is not finite or states no "
                    "variance: train the model otherwise"
                )
            add(
                {
                    "data_set": [name] * len(found.mean),
                    "row": np.arange(len(found.mean), dtype=np.int32),
                    "mean": found.mean,
                    "aleatoric": found.aleatoric,
                    "epistemic": found.epistemic,
                }
            )


def read_stated(path: str | Path) -> dict[str, Stated]:
    """All data sets of a table of predictions."""
    table = read_table(path, SCHEMA)
    names = list(dict.fromkeys(table["data_set"].to_pylist()))
    found = {}
    for name in names:
        mine = table.filter(pc.equal(table["data_set"], name))
        found[name] = Stated(*(mine[key].to_numpy() for key in ("mean", "aleatoric", "epistemic")))
    return found


def mixed(members: Sequence[Mapping[str, Stated]]) -> dict[str, Stated]:
    """An ensemble as a mixture: between members is epistemic, what they state aleatoric.

    What a member knows of its own uncertainty stays epistemic. The variance between members is
    that of members that were never trained (with n - 1).

    Args:
        members: predictions of data sets, two members or more.
    """
    found = {}
    for name in members[0]:
        running, own = RunningMixture(), RunningMixture()
        for member in members:
            running.add(member[name].mean, member[name].aleatoric)
            own.add(member[name].epistemic)
        parts = running.result()
        found[name] = Stated(parts.mean, parts.within, parts.between + own.result(ddof=0).mean)
    return found


def oracle(world: WorldTable, names: Sequence[str]) -> dict[str, Stated]:
    """True means and sds of data sets."""
    conditions = {name: world.condition(name) for name in names}
    return {name: Stated.gaussian(found.mean, found.sd) for name, found in conditions.items()}


def ideal(world: WorldTable, names: Sequence[str]) -> dict[str, Stated]:
    """What the best model of the training data states of data sets."""
    return {name: Stated.gaussian(*world.ideal(name)) for name in names}
