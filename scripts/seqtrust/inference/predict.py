"""Predictions of a sequence set by one replicate: every distinct sequence once, in batches."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.inference.augment import Pass, make_passes, mean_over_passes
from seqtrust.models.model import (
    Model,
    evaluation,
    exact_float32,
    resolve_device,
    torch_threads,
)
from seqtrust.outputs import output_reach, resolve_outputs
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import SequenceSet, sequence_hash

NOISE_SEQUENCES = 32
_LOG_EVERY_SECONDS = 10.0

Values = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Predictor:
    """One batch of codes to the values of the outputs: the rule that all inference shares.

    Attributes:
        model: on the device of the batches, in evaluation mode.
        outputs: what to keep.
        passes: strands and shifts to average over.
    """

    model: Model
    outputs: Sequence[OutputSpec]
    passes: Sequence[Pass] = (Pass(),)

    def __call__(self, codes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Codes uint8 (N, L) to float64 (N, tracks, bins) per output; one bin where reduced."""
        parts = mean_over_passes(
            self.model,
            codes,
            self.passes,
            self.model.facts.swapped_tracks(),
            lambda predictions: [_keep(predictions, output) for output in self.outputs],
        )
        return {output.name: part for output, part in zip(self.outputs, parts, strict=True)}


def predict(
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    *,
    reverse_complement: bool = False,
    shifts: Sequence[int] = (0,),
    batch_bases: int = 1_048_576,
    threads: int = 1,
    device: str = "cpu",
) -> Predictions:
    """Predict a sequence set.

    Equal sequences are computed once. On the first batch some sequences are computed again in
    other batches; the largest difference is the noise floor.

    Args:
        model: one replicate.
        sequences: N sequences of one length.
        outputs: what to keep; see `resolve_outputs`.
        reverse_complement: average over both strands: bins are reversed back and tracks swapped
            with those of the other strand.
        shifts: average over these shifts, bp to the right; the bins are not shifted back.
        batch_bases: bases per batch; a batch has at least one sequence.
        threads: threads of torch.
        device: "cpu", "cuda" or "auto" (a GPU where there is one).

    Returns:
        Values float32 (N, tracks, bins) per output, taken from double-precision means and
        sums. The metadata count sequences and hold the model's facts and each output's reach.

    Raises:
        InputError: an empty set, a length that the model does not take, refused outputs or
            shifts, no such device, or a prediction that is not finite.
    """
    codes = sequences.codes()
    if not codes.size and "length" not in sequences.metadata:
        raise InputError("there is no sequence to predict, nor a length of one in the metadata")
    if batch_bases < 1:
        raise InputError(f"batch_bases is {batch_bases}, but must be positive")
    length = codes.shape[1]
    specs = resolve_outputs(outputs, model.facts, length)
    if reverse_complement and model.facts.strand_specific:
        raise InputError(
            f"architecture {model.architecture!r} reads the transcribed strand, so the mean over "
            "both strands means nothing: set reverse_complement to false under inference"
        )
    predictor = Predictor(model, specs, make_passes(reverse_complement, shifts, length))
    ids = sequences.ids()
    distinct, place_of = deduplicate(codes)
    with _ready(model, device, threads):
        values, noise_floor = _predict_distinct(
            predictor, codes, distinct, ids, max(1, batch_bases // length)
        )
    metadata = {
        "n_sequences": len(codes),
        "n_distinct": len(distinct),
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
    return Predictions(
        ids,
        {name: value[place_of] for name, value in values.items()},
        specs,
        noise_floor,
        {
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for key, value in metadata.items()
        },
    )


def deduplicate(codes: Codes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Which rows of codes (N, L) are distinct.

    Returns:
        The index of the first row of each distinct sequence, in order, shape (D,); and for
        every row which of them it equals, shape (N,).
    """
    number: dict[bytes, int] = {}
    first: list[int] = []
    place = np.empty(len(codes), dtype=np.intp)
    for row, sequence in enumerate(codes):
        place[row] = number.setdefault(sequence_hash(sequence), len(number))
        if len(number) > len(first):
            first.append(row)
    return np.array(first, dtype=np.intp), place


def _predict_distinct(
    predictor: Predictor,
    codes: Codes,
    rows: npt.NDArray[np.intp],
    ids: Sequence[str],
    batch: int,
) -> tuple[Values, dict[str, float]]:
    values: Values = {
        output.name: np.empty((len(rows), *output.shape), dtype=np.float32)
        for output in predictor.outputs
    }
    noise_floor = {output.name: 0.0 for output in predictor.outputs}
    log = _Progress(len(rows))
    for start in range(0, len(rows), batch):
        chosen = rows[start : start + batch]
        shown = torch.from_numpy(codes[chosen]).to(predictor.model.device)
        predicted = predictor(shown)
        for output in predictor.outputs:
            block = predicted[output.name].to("cpu", torch.float32).numpy()
            _refuse_not_finite(block, output, [ids[row] for row in chosen], predictor.model)
            values[output.name][start : start + batch] = block
        if start == 0:
            noise_floor = _noise_floor(predictor, shown, predicted)
        log.done(start + len(chosen))
    return values, noise_floor


def _noise_floor(
    predictor: Predictor, codes: torch.Tensor, predicted: Mapping[str, torch.Tensor]
) -> dict[str, float]:
    """Largest difference when sequences are computed again in reverse order and other batches."""
    count = min(len(codes), NOISE_SEQUENCES)
    rows = torch.linspace(len(codes) - 1, 0, count).long().to(codes.device)
    parts = rows.tensor_split([max(1, count // 3)]) if count > 1 else (rows.repeat(2),)
    floor = {output.name: 0.0 for output in predictor.outputs}
    for part in parts:
        again = predictor(codes[part])
        for name, values in again.items():
            difference = (values - predicted[name][part]).abs().max()
            floor[name] = max(floor[name], float(difference))
    return floor


def _keep(predictions: torch.Tensor, output: OutputSpec) -> torch.Tensor:
    """The output's part of predictions (N, bins, tracks): float64 (N, tracks, bins)."""
    device = predictions.device
    kept = predictions.index_select(1, torch.tensor(output.bins, device=device))
    kept = kept.index_select(2, torch.tensor(output.tracks, device=device))
    kept = kept.transpose(1, 2).to(torch.float64)
    if output.reduction == "none":
        return kept
    reduce = torch.sum if output.reduction == "sum" else torch.mean
    return reduce(kept, dim=2, keepdim=True)


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
