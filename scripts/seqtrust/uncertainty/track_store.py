"""Predictions of all replicates, read once in windows and kept by track.

Shards hold whole windows, but peaks are called over all bins of a track. One pass over the
shards adds up the moments of every track and writes the bins that are judged to a scratch file
in which a track lies together, so that memory is bounded by a row of the shards and a block of
tracks, never by tracks times bins. The scratch file goes to the temporary folder (TMPDIR).
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from seqtrust.errors import InputError
from seqtrust.predictions import SCHEMA, OutputSpec, output_from_json
from seqtrust.tables import check_schema, metadata_of

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

BYTES_AT_ONCE = 256_000_000


@dataclass(frozen=True)
class PredictionFiles:
    """Where the predictions of an ensemble are, and what one output of them holds.

    Attributes:
        shards: per replicate its shards, all cut alike.
        output: the output.
        noise_floor: per replicate, of the output, in units of the prediction.
        metadata: of the first shard of the first replicate.
    """

    shards: Mapping[str, Sequence[Path]]
    output: OutputSpec
    noise_floor: dict[str, float]
    metadata: dict[str, str]

    @classmethod
    def of(
        cls, paths: Sequence[str | Path], replicates: Sequence[str], output: str
    ) -> "PredictionFiles":
        """Look up one output in the metadata of all shards.

        Args:
            paths: the shards, all of the first replicate first, then those of the second, ...
            replicates: names of the replicates.
            output: name of the output.

        Raises:
            InputError: there is no such output, or shards differ in it.
        """
        per = len(paths) // len(replicates)
        shards = {
            name: [Path(path) for path in paths[index * per : (index + 1) * per]]
            for index, name in enumerate(replicates)
        }
        specs: list[OutputSpec] = []
        floors: dict[str, float] = {}
        first: dict[str, str] = {}
        for name, mine in shards.items():
            found = [_stamp(path) for path in mine]
            first = first or found[0]
            specs += [_spec(stamp, output) for stamp in found]
            floors[name] = max(json.loads(stamp["noise_floor"])[output] for stamp in found)
        if any(spec != specs[0] for spec in specs):
            raise InputError(f"shards hold different outputs named {output!r}; predict them again")
        return cls(shards, specs[0], floors, first)

    def together(
        self, bytes_at_once: int = BYTES_AT_ONCE
    ) -> Iterator[tuple[list[str], list[Singles]]]:
        """The same sequences of all replicates, some at a time.

        Yields:
            Sequence ids, and per replicate values of shape (sequences, tracks, bins).

        Raises:
            InputError: replicates hold other sequences, or in another order.
        """
        tracks, bins = self.output.shape
        rows = max(1, bytes_at_once // (4 * tracks * bins * len(self.shards)))
        for parts in zip(*self.shards.values(), strict=True):
            readers = [_batches(path, self.output, rows) for path in parts]
            for batches in zip(*readers, strict=True):
                ids = batches[0][0]
                if any(other != ids for other, _ in batches):
                    raise InputError(
                        f"{parts[0]} and the shards of other replicates hold other sequences, or "
                        "in another order; predict the set again"
                    )
                yield ids, [values for _, values in batches]


def _stamp(path: Path) -> dict[str, str]:
    schema = pq.read_schema(path)
    check_schema(path, schema, SCHEMA)
    return metadata_of(schema)


def _spec(stamp: Mapping[str, str], name: str) -> OutputSpec:
    outputs = [output_from_json(row) for row in json.loads(stamp["outputs"])]
    for output in outputs:
        if output.name == name:
            return output
    known = ", ".join(output.name for output in outputs)
    raise InputError(f"there is no output {name!r} among the predictions; there are: {known}")


def _batches(path: Path, output: OutputSpec, rows: int) -> Iterator[tuple[list[str], Singles]]:
    file = pq.ParquetFile(path)
    for batch in file.iter_batches(rows, columns=["sequence_id", output.name]):
        ids = batch["sequence_id"].to_pylist()
        values = batch[output.name].flatten().to_numpy(zero_copy_only=False)
        yield ids, values.reshape(len(ids), *output.shape)


class Moments:
    """Means and centred products of K variables for each of T tracks, added up in float64.

    Batches are joined as in Chan et al. 1983, so that no large sums are subtracted.
    """

    def __init__(self, tracks: int, variables: int) -> None:
        self.count = np.zeros(tracks)
        self.mean = np.zeros((tracks, variables))
        self.products = np.zeros((tracks, variables, variables))
        self.least = np.full((tracks, variables), np.inf)
        self.largest = np.full((tracks, variables), -np.inf)

    def add(self, tracks: slice, values: Floats, used: npt.NDArray[np.bool_] | None = None) -> None:
        """Add observations of some tracks.

        Args:
            tracks: which of the T tracks.
            values: shape (tracks, K, observations).
            used: observations that count, shape (tracks, observations); all if None.
        """
        if used is None or used.all():
            mean = values.mean(axis=2)
            self.least[tracks] = np.minimum(self.least[tracks], values.min(axis=2))
            self.largest[tracks] = np.maximum(self.largest[tracks], values.max(axis=2))
            centred = values - mean[:, :, None]
            number = np.full(len(values), float(values.shape[2]))
            self._join(tracks, number, mean, centred @ centred.transpose(0, 2, 1))
            return
        number = used.sum(axis=1).astype(np.float64)
        there = used[:, None, :]
        self.least[tracks] = np.minimum(
            self.least[tracks], np.where(there, values, np.inf).min(axis=2)
        )
        self.largest[tracks] = np.maximum(
            self.largest[tracks], np.where(there, values, -np.inf).max(axis=2)
        )
        mean = np.where(there, values, 0.0).sum(axis=2) / np.maximum(number, 1)[:, None]
        centred = np.where(there, values - mean[:, :, None], 0.0)
        self._join(tracks, number, mean, centred @ centred.transpose(0, 2, 1))

    def _join(self, tracks: slice, number: Floats, mean: Floats, products: Floats) -> None:
        before, total = self.count[tracks], self.count[tracks] + number
        apart = mean - self.mean[tracks]
        share = number / np.maximum(total, 1)
        between = apart[:, :, None] * apart[:, None, :]
        self.products[tracks] += products + (before * share)[:, None, None] * between
        self.mean[tracks] += share[:, None] * apart
        self.count[tracks] = total

    @classmethod
    def joined(cls, parts: Sequence["Moments"]) -> "Moments":
        """The moments of all observations of several parts."""
        whole = cls(*parts[0].mean.shape)
        for part in parts:
            whole._join(slice(None), part.count, part.mean, part.products)
            whole.least = np.minimum(whole.least, part.least)
            whole.largest = np.maximum(whole.largest, part.largest)
        return whole

    def correlations(self) -> Floats:
        """Pearson r of all pairs of variables, shape (T, K, K); NaN if either is constant."""
        varies = (self.largest > self.least) & (self.count[:, None] > 1)
        spread = np.sqrt(np.einsum("tkk->tk", self.products))
        both = varies[:, :, None] & varies[:, None, :]
        scale = np.where(both, spread[:, :, None] * spread[:, None, :], 1.0)
        return np.where(both, self.products / scale, np.nan)

    def with_mean_of(self, variables: Sequence[int]) -> "Moments":
        """The same with one more variable, the mean of some of the others."""
        tracks, number = self.mean.shape
        rows = np.eye(number + 1, number)
        rows[number, list(variables)] = 1 / len(variables)
        more = Moments(tracks, number + 1)
        more.count = self.count
        more.mean = self.mean @ rows.T
        more.products = rows @ self.products @ rows.T
        spread = np.sqrt(np.maximum(more.products[:, number, number], 0))
        varies = spread > 1e-12 * np.maximum(np.abs(more.mean[:, number]), 1e-300)
        some = (self.largest > self.least)[:, list(variables)].any(axis=1) & varies
        more.least = np.concatenate([self.least, np.zeros((tracks, 1))], axis=1)
        more.largest = np.concatenate([self.largest, some[:, None].astype(float)], axis=1)
        return more


@contextmanager
def scratch(shape: tuple[int, ...]) -> Iterator[Singles]:
    """A float32 array in a temporary file that is removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="seqtrust.") as folder:
        array = np.memmap(Path(folder) / "values", dtype=np.float32, mode="w+", shape=shape)
        try:
            yield array
        finally:
            del array
