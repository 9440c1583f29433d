"""Windows of a Basenji folder for the trainer, streamed: few are in memory at a time."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.basenji_data import BasenjiFolder, Record, shard_sizes, stream_records
from seqtrust.errors import InputError
from seqtrust.inference.ahead import ahead
from seqtrust.models.window_source import Batch, Part

Rows = npt.NDArray[np.int64]


class BasenjiWindows:
    """The windows of one split; satisfies `WindowSource`.

    An epoch goes through the shards in a drawn order, one after the other, and through their
    records by a buffer: the first ones fill it, and each of the following takes the place of a
    drawn one, which is shown. Several processes each read an equal stretch of that row of shards
    with a buffer of their own; what is left over is not shown in this epoch. One thread reads
    ahead.
    """

    def __init__(self, folder: BasenjiFolder, split: str, buffer: int = 256) -> None:
        """Count the records of the first shard, or of all where shards differ in size.

        Args:
            folder: the data.
            split: train, validation or test.
            buffer: windows that each process holds to draw from.

        Raises:
            InputError: there is no such window, or records and descriptions do not agree.
        """
        if buffer < 1:
            raise InputError(f"buffer is {buffer}, but must be at least 1 window")
        self.folder, self.split, self.buffer = folder, split, buffer
        self._shards = folder.files(split)
        self._sizes = shard_sizes(folder, split)
        self._firsts = [0, *accumulate(self._sizes)]

    def __len__(self) -> int:
        return len(self.folder.windows[self.split])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bases, bins and tracks."""
        return self.folder.seq_length, self.folder.bins, len(self.folder.tracks)

    @cached_property
    def _digest(self) -> str:
        return self.folder.digest(self.split)

    def digest(self) -> str:
        """SHA-256 of what `BasenjiFolder.digest` looks at, and of the size of the buffer."""
        return f"{self._digest}:{self.buffer}"

    def epoch_windows(self, processes: int) -> int:
        """All windows, less what is left over when processes share them equally."""
        return len(self) // processes * processes

    def order(self, generator: np.random.Generator) -> torch.Tensor:
        """One drawn seed."""
        return torch.from_numpy(generator.integers(0, 2**63 - 1, size=1))

    def batches(
        self, order: torch.Tensor | None, size: int, skip: int, part: Part
    ) -> Iterator[Batch]:
        """See `WindowSource`.

        Raises:
            InputError: a record is damaged or does not fit; the message names it.
        """
        rank, processes = part
        size, skip = max(1, size // processes), skip // processes
        if order is None:
            first, last = (len(self) * index // processes for index in (rank, rank + 1))
            stored = np.arange(len(self._sizes))
            yield from self._batches(stored, first, last, np.arange(last - first), size, skip)
            return
        seed = int(order[0])
        shards = np.random.default_rng(seed).permutation(len(self._sizes))
        count = len(self) // processes
        shown = buffered(count, self.buffer, np.random.default_rng([seed, rank]))
        yield from self._batches(shards, rank * count, (rank + 1) * count, shown, size, skip)

    def _batches(
        self,
        shards: npt.NDArray[np.int64],
        first: int,
        last: int,
        shown: Rows,
        size: int,
        skip: int,
    ) -> Iterator[Batch]:
        """Batches of the windows [first, last) of a row of shards.

        Args:
            shards: their indices, in the order of reading.
            first: of the windows.
            last: of the windows, exclusive.
            shown: places in [0, last - first) in the order in which they are shown.
            size: windows of a batch.
            skip: windows that are left out at the beginning.
        """
        wanted = np.zeros(last - first, dtype=bool)
        wanted[shown[skip:]] = True
        parts = list(self._parts(shards, first, last))
        rows = [
            row
            for one, a, b in parts
            for row in range(self._firsts[one] + a, self._firsts[one] + b)
        ]
        files = [(self._shards[one], self._sizes[one], a, b) for one, a, b in parts]
        records = stream_records(self.folder, files, wanted)
        with closing(ahead(records, _size, self._ahead_bytes(size))) as read:
            waiting: dict[int, Record] = {}
            for begin in range(skip, len(shown), size):
                places = shown[begin : begin + size]
                batch = _batch(_taken(read, waiting, places), [rows[place] for place in places])
                if begin + size >= len(shown):
                    # the last shard's surplus records and its last checksum are errors too
                    next(read, None)
                yield batch

    def _parts(
        self, shards: npt.NDArray[np.int64], first: int, last: int
    ) -> Iterator[tuple[int, int, int]]:
        """Shards that hold the windows [first, last) of a row of shards, and which of theirs."""
        begin = 0
        for one in shards.tolist():
            end = begin + self._sizes[one]
            if begin < last and first < end:
                yield one, max(first - begin, 0), min(last, end) - begin
            begin = end

    def _ahead_bytes(self, size: int) -> int:
        bases, bins, tracks = self.shape
        return 2 * size * (bases + 2 * bins * tracks)


def buffered(count: int, buffer: int, generator: np.random.Generator) -> Rows:
    """The order in which a buffer of drawn places shows what is read in order.

    Args:
        count: places 0, 1, ... that are read.
        buffer: how many are held at a time.
        generator: of the draws.

    Returns:
        Every place once, shape (count,); place p is shown after at least p + 1 - buffer others.
    """
    held = np.arange(min(buffer, count))
    drawn = generator.integers(0, len(held), size=count - len(held)) if count else held
    shown = np.empty(count, dtype=np.int64)
    for step, slot in enumerate(drawn.tolist()):
        shown[step] = held[slot]
        held[slot] = len(held) + step
    shown[len(drawn) :] = generator.permutation(held)
    return shown


def _taken(
    read: Iterator[tuple[int, Record]], waiting: dict[int, Record], places: Rows
) -> list[Record]:
    """The records of some places; what is read before them waits."""
    taken = []
    for place in places.tolist():
        while place not in waiting:
            number, record = next(read)
            waiting[number] = record
        taken.append(waiting.pop(place))
    return taken


def _size(item: tuple[int, Record]) -> int:
    return item[1].codes.nbytes + item[1].targets.nbytes


def _batch(records: Sequence[Record], rows: Sequence[int]) -> Batch:
    targets = np.stack([record.targets for record in records])
    return Batch(
        torch.from_numpy(np.stack([record.codes for record in records])),
        torch.from_numpy(targets.astype(np.float32)),
        torch.tensor(rows, dtype=torch.int64),
    )
