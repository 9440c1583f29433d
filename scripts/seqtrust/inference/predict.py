"""Predictions of a sequence set by one replicate: every distinct sequence once, in batches."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError, first_line
from seqtrust.inference.augment import make_passes
from seqtrust.inference.engine import Engine
from seqtrust.inference.masks import Places, places_of
from seqtrust.models.model import (
    Model,
    evaluation,
    exact_float32,
    resolve_device,
    torch_threads,
)
from seqtrust.outputs import output_reach, resolve_outputs
from seqtrust.predictions import OutputSpec, Predictions, joined
from seqtrust.sequence_set import SequenceSet, sequence_hash

NOISE_SEQUENCES = 32
TOLERANCE = 1e-4
_ROUNDING = 1e-6
_CHECKED_BASES = 524_288
_SHARED_BASES = 64_000_000
# some minutes of two cores, or of a GPU
_PART_MACS = {"cpu": 20_000_000_000_000, "cuda": 10_000_000_000_000_000}
_LOG_EVERY_SECONDS = 10.0

Values = dict[str, npt.NDArray[np.float32]]
# row of the values, window and codes of a sequence
New = tuple[int, int, Codes]


def predict(
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    **settings: Any,
) -> Predictions:
    """Predict a sequence set in memory: all parts of `predict_in_parts`, which has the settings."""
    parts = predict_in_parts(model, sequences, outputs, **settings)
    return joined([part for _, part in parts])


def predict_in_parts(
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    *,
    reverse_complement: bool = False,
    shifts: Sequence[int] = (0,),
    batch_bases: int = 1_048_576,
    savings: bool = True,
    threads: int = 1,
    device: str = "cpu",
    part_macs: int | None = None,
    have: Callable[[int], bool] = lambda number: False,
) -> Iterator[tuple[int, Predictions]]:
    """Predict a sequence set part by part.

    A part is a run of whole windows, of about so much work; what it holds depends on nothing
    before it, so that a run can go on after the last part that was kept.

    Equal sequences of a part are computed once. Of the first batch, and of the first one that
    shares, some sequences are computed again by full passes, one by one; the largest difference
    is the noise floor.

    Args:
        model: one replicate.
        sequences: N sequences of one length.
        outputs: what to keep; see `resolve_outputs`.
        reverse_complement: average over both strands: bins are reversed back and tracks swapped
            with those of the other strand.
        shifts: average over these shifts, bp to the right; the bins are not shifted back.
        batch_bases: computed bases per batch; a batch has at least one sequence.
        savings: compute only the bases that the outputs can see, and what sequences of one
            window share once; False for full passes.
        threads: threads of torch.
        device: "cpu", "cuda" or "auto" (a GPU where there is one).
        part_macs: multiplications of full passes that make a part; a few minutes' work if None.
        have: whether a part is there already and need not be computed.

    Yields:
        Number from 0 and predictions of every part that was computed; in the first one is the
        noise floor. Values are float32 (N, tracks, bins) per output, taken from
        double-precision means and sums. The metadata count sequences and hold the model's facts
        and each output's reach.

    Raises:
        InputError: an empty set, a length that the model does not take, refused outputs or
            shifts, no such device, or a prediction that is not finite.
        RuntimeError: full passes give something else.
    """
    length = _length(sequences)
    if batch_bases < 1:
        raise InputError(f"batch_bases is {batch_bases}, but must be positive")
    specs = resolve_outputs(outputs, model.facts, length)
    if reverse_complement and model.facts.strand_specific:
        raise InputError(
            f"architecture {model.architecture!r} reads the transcribed strand, so the mean over "
            "both strands means nothing: set reverse_complement to false under inference"
        )
    passes = make_passes(reverse_complement, shifts, length)
    metadata = {
        "length": length,
        "architecture": model.architecture,
        "facts": model.facts.to_dict(),
        "reach": {spec.name: output_reach(model.facts, spec, shifts) for spec in specs},
        "reverse_complement": reverse_complement,
        "shifts": list(shifts),
        "batch_bases": batch_bases,
        "threads": threads,
        "device": resolve_device(device).type,
        "torch_version": str(torch.__version__),
    }
    with _ready(model, device, threads):
        engine = Engine(model, specs, passes, length, savings)
        work = part_macs or _PART_MACS[model.device.type]
        bounds = sequences.window_bounds(work // max(1, engine.macs * len(passes)))
        for number, (first, last) in enumerate(pairwise(bounds)):
            if have(number):
                continue
            before = engine.saved
            run = _Run(engine, sequences.part(first, last), batch_bases, check=number == 0)
            run.all()
            counts = {
                "n_sequences": len(run.ids),
                "n_distinct": run.distinct,
                "computed_bases": engine.reach,
                "full_passes": engine.full_passes,
                "shared": asdict(engine.saved - before),
            }
            yield number, run.predictions(specs, counts | metadata)


class _Run:
    """Fills in the values of distinct sequences, batch by batch.

    Attributes:
        ids: of all N sequences.
        place: for every sequence the row of its values, shape (N,).
        distinct: rows in use.
        values: per output float32 (rows, tracks, bins).
        noise_floor: per output.
    """

    def __init__(
        self, engine: Engine, sequences: SequenceSet, batch_bases: int, check: bool
    ) -> None:
        self.engine = engine
        self.sequences = sequences
        self.ids = ids = sequences.ids()
        self.place = np.zeros(len(ids), dtype=np.intp)
        self.values: Values = {
            output.name: np.empty((len(ids), *output.shape), dtype=np.float32)
            for output in engine.outputs
        }
        self.noise_floor = {output.name: 0.0 for output in engine.outputs}
        self.distinct = 0
        self._of_hash: dict[bytes, int] = {}
        self._first_id: list[str] = []
        self._window_of = sequences.window_indices()
        self._waiting: list[New] = []
        self._batch = max(1, batch_bases // max(1, engine.reach))
        self._unchecked = {False, True} if check else set()
        self._log = _Progress(len(ids))

    def all(self) -> None:
        """Predict all sequences."""
        for group in self.sequences.by_location():
            new: list[New] = []
            for first, blocks in group:
                new += self._new(first, blocks)
            if self.engine.share_worthwhile(len(new)):
                most = max(2, _SHARED_BASES // self.engine.reach)
                for start in range(0, len(new), most):
                    self._compute(new[start : start + most], alike=True)
            else:
                self._waiting += new
                self._flush(self._batch)
        self._flush(1)

    def predictions(self, specs: list[OutputSpec], metadata: Mapping[str, Any]) -> Predictions:
        """What was predicted, in the order of the sequences."""
        return Predictions(
            self.ids,
            {name: value[self.place] for name, value in self.values.items()},
            specs,
            self.noise_floor,
            {
                key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                for key, value in metadata.items()
            },
        )

    def _new(self, first: int, blocks: Iterable[Codes]) -> Iterator[New]:
        """The sequences from row `first` on that have not been seen yet."""
        row = first
        for block in blocks:
            for codes in block:
                window = int(self._window_of[row])
                key = sequence_hash(codes) + self._where(window)
                number = self._of_hash.setdefault(key, self.distinct)
                self.place[row] = number
                if number == self.distinct:
                    self.distinct += 1
                    self._first_id.append(self.ids[row])
                    yield number, window, codes.copy()
                row += 1

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
                    f"device {self.engine.model.device} ({first_line(error)}): ask for fewer "
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
        codes = torch.from_numpy(np.stack([codes for _, _, codes in batch]))
        places = self._places(batch)
        codes = codes.to(self.engine.model.device)
        predicted = self.engine(codes, alike, places[:1] if alike and places else places)
        for output in self.engine.outputs:
            block = predicted[output.name].to("cpu", torch.float32).numpy()
            ids = [self._first_id[row] for row in rows]
            _refuse_not_finite(block, output, ids, self.engine.model)
            self.values[output.name][rows] = block
        if alike in self._unchecked:
            self._unchecked.remove(alike)
            self._check(codes, predicted, places)
        self._log.done(max(rows) + 1)

    def _check(
        self, codes: torch.Tensor, predicted: Mapping[str, torch.Tensor], places: Places | None
    ) -> None:
        """Compare some sequences with full passes in batches of another size."""
        copies = 2 if len(codes) == 1 else 1
        count = min(len(codes), NOISE_SEQUENCES, max(2, _CHECKED_BASES // codes.shape[1]))
        for row in torch.linspace(0, len(codes) - 1, count).long().tolist():
            shown = codes[row : row + 1].repeat(copies, 1)
            place = places[row : row + 1] if places else None
            for name, full in self.engine.full(shown, place).items():
                difference = float((full[0] - predicted[name][row]).abs().max())
                size = float(predicted[name].abs().max())
                allowed = TOLERANCE * size + _ROUNDING
                if difference > allowed and not self.engine.full_passes:
                    raise RuntimeError(
                        f"output {name!r}: full passes of {self.engine.model.architecture!r} "
                        f"differ by {difference:.3g} from what was computed of the bases that the "
                        f"output can see, more than {allowed:.3g} (the largest value is "
                        f"{size:.6g}): set savings to false under inference, and report the model"
                    )
                self.noise_floor[name] = max(self.noise_floor[name], difference)


def _length(sequences: SequenceSet) -> int:
    lengths = {sequences.windows[index].length for index in np.unique(sequences.window_indices())}
    if len(lengths) > 1:
        raise InputError(f"sequences of one set need one length; found {sorted(lengths)} bp")
    if not lengths and "length" not in sequences.metadata:
        raise InputError("there is no sequence to predict, nor a length of one in the metadata")
    return lengths.pop() if lengths else int(sequences.metadata["length"])


def _refuse_not_finite(
    block: npt.NDArray[np.float32], output: OutputSpec, ids: Sequence[str], model: Model
) -> None:
    bad = ~np.isfinite(block)
    if not bad.any():
        return
    row, track, _ = (int(index[0]) for index in np.nonzero(bad))
    origin = {key: model.record[key] for key in ("seed", "source_name") if key in model.record}
    raise InputError(
        f"sequence {ids[row]!r}: output {output.name!r}, track {output.track_names[track]!r}: the "
        f"prediction is {block[bad][0]}, not a finite number. The replicate "
        f"({origin or model.architecture}) is damaged or its training diverged: train or import "
        "it again"
    )


@contextmanager
def _ready(model: Model, device: str, threads: int) -> Iterator[None]:
    """The model on its device in evaluation mode, exact arithmetic; all as before afterwards."""
    before = model.device
    with torch_threads(threads), exact_float32(), evaluation(model.module):
        try:
            model.to(resolve_device(device))
            with torch.inference_mode():
                yield
        finally:
            model.to(before)


class _Progress:
    """Logs how far a run is, at most every ten seconds."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.began = self.logged = time.monotonic()

    def done(self, count: int) -> None:
        """Note that `count` sequences are done."""
        now = time.monotonic()
        if count < self.total and now - self.logged < _LOG_EVERY_SECONDS:
            return
        self.logged = now
        left = (now - self.began) / count * (self.total - count)
        logging.getLogger(__name__).info(
            "%d of %d distinct sequences predicted, %.0f s left", count, self.total, left
        )
