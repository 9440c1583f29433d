"""Batches of distinct sequences through an engine, the first ones checked by full passes."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError, first_line
from seqtrust.inference.ahead import Fetched, ahead, on_device
from seqtrust.inference.effect_check import EffectCheck, checked_rows
from seqtrust.inference.engine import Engine
from seqtrust.inference.masks import Places, places_of
from seqtrust.inference.precision import FLOAT16, FLOAT32, as_float16
from seqtrust.inference.progress import Progress, Work
from seqtrust.models.model import Model
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import SequenceSet, hash_of_run, place_of

NOISE_SEQUENCES = 32
TOLERANCE = 1e-4
_ROUNDING = 1e-6
CHECKED_BASES = 524_288
_SHARED_BASES = 64_000_000
_AHEAD_BYTES = 256_000_000

Values = dict[str, npt.NDArray[np.float32]]
# row of the values, window and codes of a sequence
New = tuple[int, int, Codes]


class Run:
    """Fills in the values of distinct sequences for all R replicates, batch by batch.

    Attributes:
        ids: of all N sequences.
        place: for every sequence the row of its values, shape (N,).
        distinct: rows in use.
        values: per output float32 (R, rows, tracks, bins).
        noise_floor: of every replicate, per output.
        check_error: of every replicate, per output: see `effect_check`.
    """

    def __init__(
        self,
        engine: Engine,
        sequences: SequenceSet,
        batch_bases: int,
        check: bool,
        progress: Progress,
        read_ahead: bool | None = None,
    ) -> None:
        """Prepare.

        Args:
            engine: of the replicates.
            sequences: N sequences of one length.
            batch_bases: computed bases per batch.
            check: compare the first batches with full passes.
            progress: is told what is done.
            read_ahead: read sequences while the device computes; on a GPU if None.
        """
        self.engine = engine
        self.sequences = sequences
        self.ids = ids = sequences.ids()
        self.place = np.zeros(len(ids), dtype=np.intp)
        self.values: Values = {
            output.name: np.empty((len(engine.models), len(ids), *output.shape), dtype=np.float32)
            for output in engine.outputs
        }
        self.noise_floor = [{output.name: 0.0 for output in engine.outputs} for _ in engine.models]
        self.distinct = 0
        self.check_error: list[dict[str, dict[str, float]]] = [{} for _ in engine.models]
        self._hash = hash_of_run()
        self._of_hash: dict[bytes, int] = {}
        self._first_id: list[str] = []
        self._window_of = sequences.window_indices()
        self._rows = self._seen = self._taken = 0
        self._waiting: list[New] = []
        self._batch = max(1, batch_bases // max(1, engine.reach * engine.abreast))
        self._unchecked = {False, True} if check else set()
        self._read_ahead = engine.device.type == "cuda" if read_ahead is None else read_ahead
        self._under_way: tuple[list[int], Fetched] | None = None
        self._progress = progress
        self._began = engine.saved

    def all(self) -> None:
        """Predict all sequences."""
        before = Work()
        for count, new in self._read():
            if self.engine.share_worthwhile(len(new)):
                most = max(2, _SHARED_BASES // (self.engine.reach * len(self.engine.models)))
                for start in range(0, len(new), most):
                    self._compute(new[start : start + most], alike=True)
            else:
                self._waiting += new
                self._flush(self._batch)
            self._seen += count
            self._taken += len(new)
            self._progress.done(count, 1, self.work - before)
            before = self.work
        self._flush(1)
        self._keep()
        self._progress.done(0, 0, self.work - before)

    @property
    def work(self) -> Work:
        """Multiplications of one replicate so far, for sequences that do not wait for more."""
        engine, waiting = self.engine, len(self._waiting)
        return Work.of(
            self._seen - waiting,
            self._taken - waiting,
            engine.full_macs,
            engine.cropped_macs,
            (engine.saved - self._began).macs,
        )

    def _read(self) -> Iterator[tuple[int, list[New]]]:
        """For every place, how many sequences there are, and those not seen before."""
        if not self._read_ahead:
            yield from self._groups()
            return
        with closing(ahead(self._groups(), _bytes_of, _AHEAD_BYTES)) as groups:
            yield from groups

    def _groups(self) -> Iterator[tuple[int, list[New]]]:
        for group in self.sequences.by_location():
            new: list[New] = []
            before = self._rows
            for first, blocks in group:
                new += self._new(first, blocks)
            yield self._rows - before, new

    def predictions(
        self, specs: list[OutputSpec], metadata: Mapping[str, Any], float16: bool
    ) -> list[Predictions]:
        """What every replicate predicted, in the order of the sequences.

        Args:
            specs: of the outputs.
            metadata: of all replicates.
            float16: round to float16.
        """
        made = []
        for replicate, noise_floor in enumerate(self.noise_floor):
            values = {name: found[replicate][self.place] for name, found in self.values.items()}
            own = {
                **metadata,
                "check_error": self.check_error[replicate],
                "work": asdict(self.work),
            }
            if float16:
                rounded = {name: as_float16(found) for name, found in values.items()}
                values = {name: found for name, (found, _) in rounded.items()}
                own["published"] = FLOAT16
                own["clipped"] = sum(clipped for _, clipped in rounded.values())
            text = {
                key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                for key, value in own.items()
            }
            made.append(Predictions(self.ids, values, specs, noise_floor, text))
        return made

    def _new(self, first: int, blocks: Iterable[Codes]) -> Iterator[New]:
        """The sequences from row `first` on that have not been seen yet."""
        row = first
        for block in blocks:
            for codes in block:
                window = int(self._window_of[row])
                key = self._hash(codes) + self._where(window)
                number = self._of_hash.setdefault(key, self.distinct)
                self.place[row] = number
                if number == self.distinct:
                    self.distinct += 1
                    self._first_id.append(self.ids[row])
                    yield number, window, codes.copy()
                row += 1
        self._rows += row - first

    def _where(self, window: int) -> bytes:
        """What tells equal sequences apart: their place, where it decides what is dropped."""
        if not self.engine.masks:
            return b""
        place = self.sequences.windows[window].window
        return f"{place.contig}:{place.start}:{place.strand}".encode()

    def _places(self, batch: Sequence[New]) -> Places | None:
        if not self.engine.masks:
            return None
        windows = [self.sequences.windows[window].window for _, window, _ in batch]
        return places_of([(window.start, window.strand) for window in windows])

    def _flush(self, at_least: int) -> None:
        while len(self._waiting) >= at_least:
            self._compute(self._waiting[: self._batch], alike=False)
            del self._waiting[: self._batch]

    def _compute(self, batch: Sequence[New], alike: bool) -> None:
        """Compute a batch; what does not fit into memory is halved."""
        try:
            self._compute_at_once(batch, alike)
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                raise InputError(
                    f"a sequence of {self.engine.length:,} bp does not fit into the memory of "
                    f"device {self.engine.device} ({first_line(error)}): ask for fewer "
                    "bins, or for a device with more memory"
                ) from error
            self._batch = half = len(batch) // 2
            logging.getLogger(__name__).warning(
                "out of memory with %d sequences at once, going on with %d", len(batch), half
            )
            torch.cuda.empty_cache()
            start = 0
            while start < len(batch):
                several = batch[start : start + self._batch]
                self._compute(several, alike)
                start += len(several)

    def _compute_at_once(self, batch: Sequence[New], alike: bool) -> None:
        rows = [number for number, _, _ in batch]
        codes = np.stack([codes for _, _, codes in batch])
        places = self._places(batch)
        shown = on_device(codes, self.engine.device)
        shared_places = places[:1] if alike and places else places
        predicted = self.engine(shown, alike, shared_places)
        made = {
            name: self._by_replicate(values).to(torch.float32) for name, values in predicted.items()
        }
        fetched = Fetched(made)
        self._keep()
        self._under_way = rows, fetched
        if not self._read_ahead or alike in self._unchecked:
            self._keep()
        if alike in self._unchecked:
            self._unchecked.remove(alike)
            if self.engine.precision != FLOAT32:
                predicted = self.engine.exact(shown, alike, shared_places)
            self._check(shown, predicted, places, [window for _, window, _ in batch])

    def _keep(self) -> None:
        """Take the values of the last batch from the device."""
        if self._under_way is None:
            return
        rows, fetched = self._under_way
        self._under_way = None
        ids = [self._first_id[row] for row in rows]
        blocks = fetched.get()
        for output in self.engine.outputs:
            block = blocks[output.name]
            _refuse_not_finite(block, output, ids, self.engine.models)
            self.values[output.name][:, rows] = block

    def _by_replicate(self, values: torch.Tensor) -> torch.Tensor:
        """(N, R x tracks, bins) to (R, N, tracks, bins)."""
        return values.unflatten(1, (len(self.engine.models), -1)).transpose(0, 1)

    def _check(
        self,
        codes: torch.Tensor,
        predicted: Mapping[str, torch.Tensor],
        places: Places | None,
        windows: Sequence[int],
    ) -> None:
        """Compare some sequences with full passes in batches of another size."""
        copies = 2 if len(codes) == 1 else 1
        count = min(len(codes), NOISE_SEQUENCES, max(2, CHECKED_BASES // codes.shape[1]))
        group = self._places_of(windows)
        rows = checked_rows(group, count)
        effects = EffectCheck(
            {name: self._by_replicate(values) for name, values in predicted.items()}, group
        )
        for row in rows:
            shown = codes[row : row + 1].repeat(copies, 1)
            place = places[row : row + 1] if places else None
            for name, values in self.engine.full(shown, place).items():
                full = self._by_replicate(values)[:, 0]
                found = effects.found[name]
                differences = (full - found[:, row]).abs()
                for replicate, floor in enumerate(self.noise_floor):
                    difference = float(differences[replicate].max())
                    self._refuse_difference(name, difference, float(found[replicate].abs().max()))
                    floor[name] = max(floor[name], difference)
                effects.add(name, row, full)
        again = [row for row in rows if group[row] == group[rows[0]]][:2]
        if len(again) > 1 and not self.engine.full_passes:
            place = places[again[0] : again[0] + 1] if places else None
            pair = self.engine.full(codes[again], place)
            effects.twice(again, {name: self._by_replicate(both) for name, both in pair.items()})
        for replicate, errors in enumerate(self.check_error):
            for name, largest in self.noise_floor[replicate].items():
                error = effects.error(name, replicate, refuse=not self.engine.full_passes)
                of_sd = max(error.of_sd, errors.get(name, {}).get("effects", 0.0))
                errors[name] = {"output": largest / error.size, "effects": of_sd}

    def _places_of(self, windows: Sequence[int]) -> list[tuple[Any, ...]]:
        """Where sequences of these windows lie, each as one value that can be compared."""
        return [place_of(self.sequences.windows[index]) for index in windows]

    def _refuse_difference(self, name: str, difference: float, size: float) -> None:
        allowed = TOLERANCE * size + _ROUNDING
        if difference > allowed and not self.engine.full_passes:
            raise RuntimeError(
                f"output {name!r}: full passes of {self.engine.models[0].architecture!r} "
                f"differ by {difference:.3g} from what was computed of the bases that the "
                f"output can see, more than {allowed:.3g} (the largest value is "
                f"{size:.6g}): set savings to false under inference, and report the model"
            )


def _refuse_not_finite(
    block: npt.NDArray[np.float32],
    output: OutputSpec,
    ids: Sequence[str],
    models: Sequence[Model],
) -> None:
    bad = ~np.isfinite(block)
    if not bad.any():
        return
    replicate, row, track, _ = (int(index[0]) for index in np.nonzero(bad))
    model = models[replicate]
    origin = {key: model.record[key] for key in ("seed", "source_name") if key in model.record}
    raise InputError(
        f"sequence {ids[row]!r}: output {output.name!r}, track {output.track_names[track]!r}: the "
        f"prediction is {block[bad][0]}, not a finite number. The replicate "
        f"({origin or model.architecture}) is damaged or its training diverged: train or import "
        "it again"
    )


def _bytes_of(item: tuple[int, list[New]]) -> int:
    return sum(codes.nbytes for _, _, codes in item[1])
