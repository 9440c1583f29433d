"""Sums over all mutations of all shards, so that no result depends on how loci are sharded."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqtrust.files import write_text
from seqtrust.mendelian.effects import Effects, drawn_to, variance_prior
from seqtrust.mendelian.mutation_effects import MutationEffects
from seqtrust.mendelian.residual_errors import RESIDUAL
from seqtrust.statistics import Floats
from seqtrust.tables import dump

SUBSETS = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}


@dataclass(frozen=True)
class Moments:
    """Sums over the mutations and loci of some shards, per task; they add up over shards.

    Attributes:
        sums: by name, (T,) each: `count`, `total`, `squares` of mean effects over all mutations;
            `loci`, `level`, `level_squares` of mean predictions of sequences; and per subset of
            replicates `{subset}_known`, `{subset}_logs`, `{subset}_log_squares` of the positive
            variances of effects between replicates (ddof 1).
        replicates: E.
    """

    sums: dict[str, Floats]
    replicates: int

    @classmethod
    def of(cls, made: MutationEffects) -> "Moments":
        """The sums of one shard."""
        mean = made.effects.mean(axis=0)
        known = np.isfinite(mean)
        level = made.references.mean(axis=0)
        sums = {
            "count": known.sum(axis=(1, 2)).astype(np.float64),
            "total": np.nansum(mean, axis=(1, 2)),
            "squares": np.nansum(mean**2, axis=(1, 2)),
            "loci": np.full(level.shape[1], float(len(level))),
            "level": level.sum(axis=0),
            "level_squares": (level**2).sum(axis=0),
        }
        for subset, part in SUBSETS.items():
            if len(made.effects[part]) < 2:
                continue
            variance = made.effects[part].var(axis=0, ddof=1)
            fine = np.isfinite(variance) & (variance > 0)
            logs = np.log(variance, where=fine, out=np.zeros_like(variance))
            sums[f"{subset}_known"] = fine.sum(axis=(1, 2)).astype(np.float64)
            sums[f"{subset}_logs"] = logs.sum(axis=(1, 2))
            sums[f"{subset}_log_squares"] = (logs**2).sum(axis=(1, 2))
        return cls(sums, len(made.effects))

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            {name: values + other.sums[name] for name, values in self.sums.items()},
            self.replicates,
        )

    @property
    def effect_mean_sd(self) -> tuple[Floats, Floats]:
        """Mean and sd (ddof 0) of effects over all loci, positions and alleles, (T,) each."""
        mean = self.sums["total"] / self.sums["count"]
        return mean, np.sqrt(np.maximum(0, self.sums["squares"] / self.sums["count"] - mean**2))

    @property
    def scales(self) -> Floats:
        """Sd (ddof 1) of predictions over loci, (T,); NaN of one locus."""
        number = self.sums["loci"]
        if number[0] < 2:
            return np.full(len(number), np.nan)
        variance = self.sums["level_squares"] - self.sums["level"] ** 2 / number
        return np.sqrt(np.maximum(variance, 0) / (number - 1))

    def standard_errors(self, effects: Floats, kind: str, subset: str = "all") -> Floats:
        """Errors of mean effects, of a prior that all shards share.

        Args:
            effects: (E', T, K, M), of the replicates of the subset.
            kind: as in `Effects.from_replicates`; or `residual`, of one network: the rounding of a
                prediction in float32 (`residual_errors` has what the outcomes' errors become).
            subset: of `SUBSETS`.
        """
        if kind == RESIDUAL:
            level = self.sums["level_squares"] / self.sums["loci"]
            size = np.sqrt(level + self.sums["squares"] / np.maximum(self.sums["count"], 1))
            rounding = np.finfo(np.float32).eps * np.where(size > 0, size, 1)
            return np.where(np.isfinite(effects[0]), rounding[:, None, None], np.nan)
        if kind != "moderated":
            return Effects.from_replicates(effects, se=kind).se
        number = len(effects)
        variance = effects.var(axis=0, ddof=1)
        for task in range(variance.shape[0]):
            known = self.sums[f"{subset}_known"][task]
            if known < 2:
                continue
            mean = self.sums[f"{subset}_logs"][task] / known
            squares = self.sums[f"{subset}_log_squares"][task] - known * mean**2
            prior = variance_prior(float(mean), float(squares / (known - 1)), number - 1)
            fine = np.isfinite(variance[task]) & (variance[task] > 0)
            variance[task] = np.where(
                fine, drawn_to(prior, variance[task], number - 1), variance[task]
            )
        return np.sqrt(variance / number)


def write_moments(path: str | Path, made: Moments) -> None:
    """Write the sums of one shard as JSON."""
    rows = {name: values.tolist() for name, values in made.sums.items()}
    write_text(path, dump({"replicates": made.replicates, "sums": rows}) + "\n")


def read_moments(paths: Sequence[str | Path]) -> Moments:
    """The sums of all shards."""
    made = []
    for path in paths:
        row = json.loads(Path(path).read_text())
        sums = {name: np.array(values) for name, values in row["sums"].items()}
        made.append(Moments(sums, row["replicates"]))
    total = made[0]
    for one in made[1:]:
        total = total + one
    return total
