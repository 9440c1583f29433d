"""Predictions of a sequence set by replicates: every distinct sequence once, in batches."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from seqtrust.errors import InputError
from seqtrust.inference.augment import make_passes
from seqtrust.inference.batches import Run
from seqtrust.inference.engine import OWN, Engine
from seqtrust.inference.precision import FLOAT16, FLOAT32
from seqtrust.inference.precision_check import SignCheck, check_signs
from seqtrust.inference.progress import Progress
from seqtrust.models.model import (
    Model,
    evaluation,
    exact_float32,
    resolve_device,
    torch_threads,
)
from seqtrust.outputs import output_reach, resolve_outputs
from seqtrust.predictions import Predictions, joined
from seqtrust.sequence_set import SequenceSet

# some minutes of two cores, or of a GPU
_PART_MACS = {"cpu": 20_000_000_000_000, "cuda": 10_000_000_000_000_000}


def predict(
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    **settings: Any,
) -> Predictions:
    """Predict a sequence set in memory: all parts of `predict_in_parts`, which has the settings."""
    return predict_together([model], sequences, outputs, **settings)[0]


def predict_together(
    models: Sequence[Model],
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    **settings: Any,
) -> list[Predictions]:
    """The same by several replicates, which see every batch in turn or side by side."""
    parts = [part for _, part in predict_in_parts(models, sequences, outputs, **settings)]
    return [joined([part[number] for part in parts]) for number in range(len(models))]


def predict_in_parts(
    models: Sequence[Model],
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    *,
    reverse_complement: bool = False,
    shifts: Sequence[int] = (0,),
    batch_bases: int = 1_048_576,
    savings: bool = True,
    stack: str | bool = "auto",
    precision: str = FLOAT32,
    published: str | None = None,
    bf16_check: Mapping[str, Any] | None = None,
    threads: int = 1,
    device: str = "cpu",
    part_macs: int | None = None,
    have: Callable[[int], bool] = lambda number: False,
    read_ahead: bool | None = None,
) -> Iterator[tuple[int, list[Predictions]]]:
    """Predict a sequence set part by part.

    A part is a run of whole windows, of about so much work; what it holds depends on nothing
    before it, so that a run can go on after the last part that was kept.

    Equal sequences of a part are computed once. Of the first batch, and of the first one that
    shares, some sequences are computed again by full passes, one by one; the largest difference
    is the noise floor.

    Args:
        models: R replicates of one architecture with equal parameters and facts.
        sequences: N sequences of one length.
        outputs: what to keep; see `resolve_outputs`.
        reverse_complement: average over both strands: bins are reversed back and tracks swapped
            with those of the other strand.
        shifts: average over these shifts, bp to the right; the bins are not shifted back.
        batch_bases: computed bases per batch; a batch has at least one sequence.
        savings: compute only the bases that the outputs can see, and what sequences of one
            window share once; False for full passes.
        stack: compute the replicates side by side (True) or in turn (False); "auto": what is
            faster for networks of this size on this device.
        precision: "float32", or "bf16": see `seqtrust.inference.precision`.
        published: "float16": outputs are rounded to float16 before they are kept.
        bf16_check: `sample`, sequences on which bf16 is compared with float32, and `share`, of
            the effects that may change their sign; 64 and 0.02 if None.
        threads: threads of torch.
        device: "cpu", "cuda" or "auto" (a GPU where there is one).
        part_macs: multiplications of full passes that make a part; a few minutes' work if None.
        have: whether a part is there already and need not be computed.
        read_ahead: read sequences in a thread while the device computes; on a GPU if None.

    Yields:
        Number from 0 and the replicates' predictions of every part that was computed; in the
        first one are the noise floor and the check of bf16. Values are float32 (N, tracks,
        bins) per output, taken from double-precision means and sums. The metadata count
        sequences and hold the model's facts and each output's reach.

    Raises:
        InputError: an empty set, a length that the model does not take, refused outputs or
            shifts, no such device, replicates that differ in more than their weights, a
            prediction that is not finite, or effects whose sign bf16 changes.
        RuntimeError: full passes give something else.
    """
    length = length_of(sequences)
    model = models[0]
    if batch_bases < 1:
        raise InputError(f"batch_bases is {batch_bases}, but must be positive")
    specs = resolve_outputs(outputs, model.facts, length)
    if reverse_complement and model.facts.strand_specific:
        raise InputError(
            f"architecture {model.architecture!r} reads the transcribed strand, so the mean over "
            "both strands means nothing: set reverse_complement to false under inference"
        )
    _refuse_different(models)
    passes = make_passes(reverse_complement, shifts, length)
    metadata = {
        "length": length,
        "architecture": model.architecture,
        "facts": model.facts.to_dict(),
        "reach": {spec.name: output_reach(model.facts, spec, shifts) for spec in specs},
        "reverse_complement": reverse_complement,
        "shifts": list(shifts),
        "batch_bases": batch_bases,
        "replicates_together": len(models),
        "precision": precision,
        "threads": threads,
        "device": resolve_device(device).type,
        "torch_version": str(torch.__version__),
    }
    with ready(models, device, threads):
        engine = Engine(models, specs, passes, length, savings, stack, precision)
        metadata["stacked"] = engine.stacked
        work = part_macs or _PART_MACS[engine.device.type]
        bounds = sequences.window_bounds(work // max(1, engine.macs * len(passes) * len(models)))
        wanted = [(n, ends) for n, ends in enumerate(pairwise(bounds)) if not have(n)]
        progress = Progress(
            sum(last - first for _, (first, last) in wanted),
            sum(sequences.places(*ends) for _, ends in wanted),
            engine.cropped_macs,
        )
        for number, (first, last) in wanted:
            before = engine.saved
            part = sequences.part(first, last)
            run = Run(engine, part, batch_bases, number == 0, progress, read_ahead)
            run.all()
            counts = {
                "n_sequences": len(run.ids),
                "n_distinct": run.distinct,
                "computed_bases": engine.reach,
                "full_passes": engine.full_passes,
                "shared": asdict(engine.saved - before),
            }
            made = run.predictions(specs, counts | metadata, published == FLOAT16)
            if precision != FLOAT32 and number == 0:
                check = SignCheck(**bf16_check) if bf16_check else SignCheck()
                found = check_signs(engine, sequences, check, run.noise_floor)
                for one, result in zip(made, found, strict=True):
                    one.metadata["precision_check"] = json.dumps(result, sort_keys=True)
            yield number, made
        progress.finish()


def _refuse_different(models: Sequence[Model]) -> None:
    """Refuse replicates that cannot go through one plan."""
    first = models[0]
    for number, other in enumerate(models[1:], start=2):
        mine = {"architecture": first.architecture, "facts": first.facts.to_dict()}
        theirs = {"architecture": other.architecture, "facts": other.facts.to_dict()}
        if first.architecture not in OWN:
            mine["parameters"], theirs["parameters"] = first.parameters, other.parameters
        for name, value in mine.items():
            if value != theirs[name]:
                raise InputError(
                    f"replicates 1 and {number} cannot be predicted together: "
                    f"{_difference(name, value, theirs[name])}. Set together to false under "
                    "inference, or make ensembles of them"
                )


def _difference(name: str, first: Any, second: Any) -> str:
    if not isinstance(first, Mapping):
        return f"{name} is {first!r} and {second!r}"
    keys = [key for key in {**first, **second} if first.get(key) != second.get(key)]
    return f"in their {name}, {keys[0]} is {first.get(keys[0])!r} and {second.get(keys[0])!r}"


def length_of(sequences: SequenceSet) -> int:
    """The length of all sequences of a set, bp."""
    lengths = {sequences.windows[index].length for index in np.unique(sequences.window_indices())}
    if len(lengths) > 1:
        raise InputError(f"sequences of one set need one length; found {sorted(lengths)} bp")
    if not lengths and "length" not in sequences.metadata:
        raise InputError("there is no sequence to predict, nor a length of one in the metadata")
    return lengths.pop() if lengths else int(sequences.metadata["length"])


@contextmanager
def ready(models: Sequence[Model], device: str, threads: int) -> Iterator[None]:
    """The models on their device in evaluation mode, exact arithmetic; all as before afterwards."""
    before = [model.device for model in models]
    with ExitStack() as stack:
        stack.enter_context(torch_threads(threads))
        stack.enter_context(exact_float32())
        for model in models:
            stack.enter_context(evaluation(model.module))
        try:
            for model in models:
                model.to(resolve_device(device))
            with torch.inference_mode():
                yield
        finally:
            for model, former in zip(models, before, strict=True):
                model.to(former)
