"""Checks of a network against the facts that are stated of it, by running it.

Everything after inference believes the facts: a receptive field that is too small turns real
effects into "out of reach", and a wrong order of axes gives numbers that look like predictions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.models.facts import Facts
from seqtrust.models.model import Model, evaluation, exact_float32, one_hot

SEQUENCES = 3
MEASURED_SEQUENCES = 8
MEASURED_BINS = 3
LARGEST_LENGTH = 1 << 20
SAME = 1e-6
SAME_IN_A_BATCH = 1e-4
_LIMITS = {"counts": (0.0, float("inf")), "probability": (0.0, 1.0)}


def check_model(model: Model, where: str) -> None:
    """Refuse a network that its facts do not describe.

    It is run on random sequences of an allowed length, long enough that some bases are out of
    reach where the facts allow it.

    Args:
        model: with its weights.
        where: what it was made of, for messages.

    Raises:
        InputError: the network fails, gives another shape, values that are not finite or
            impossible on the stated scale, another answer in a batch than alone, or bins
            that change with bases out of their reach, under its weights or fresh ones.
    """
    length = _checked_length(model.facts)
    codes = _random_sequences(SEQUENCES, length)
    values = _run(model, codes, where)
    _refuse_shape(values, codes, model.facts, where)
    _refuse_values(values, model.facts, where)
    _refuse_another_answer_alone(model, codes, values, where)
    _refuse_reach(model, codes, values, where)
    with _fresh_weights(model.module):
        _refuse_reach(model, codes, _run(model, codes, where), where)


def measured_receptive_field(model: Model, where: str) -> int:
    """The smallest receptive field that covers what some bins near the middle see, in bp.

    Seen are the bases with a gradient, or, where the network gives none, those whose change
    changes a bin; random sequences are joined, under the model's weights and under fresh ones:
    training closes gates, and random sequences seldom open them again. A base that counts in
    rare sequences alone may be missed, so this is a lower bound. Where a bin sees an end of the
    longest allowed input, everything is taken to be in reach of everything.

    Args:
        model: its weights are as before afterwards; its stated receptive field is not used.
        where: what it was made of, for messages.

    Raises:
        InputError: the network fails or gives another shape, or sees more than 2**20 bp.
    """
    facts = model.facts
    length = facts.input_length or 2 * facts.crop + 64 * facts.bin_width
    while length <= LARGEST_LENGTH:
        codes = _random_sequences(MEASURED_SEQUENCES, length)
        _refuse_shape(_run(model, codes[:1], where), codes[:1], facts, where)
        flank, at_an_end = _seen_flank(model, codes)
        with _fresh_weights(model.module):
            fresh = _seen_flank(model, codes)
        flank, at_an_end = max(flank, fresh[0]), at_an_end or fresh[1]
        if not at_an_end:
            return facts.bin_width + 2 * flank
        if facts.input_length is not None:
            return 2 * (length - facts.crop) - facts.bin_width
        length = 2 * length - 2 * facts.crop
    raise InputError(
        f"{where}: a bin sees more than {LARGEST_LENGTH // 2} bp: state `receptive_field`, and "
        "`input_length` where the model takes one length alone"
    )


def _checked_length(facts: Facts) -> int:
    if facts.input_length is not None:
        return facts.input_length
    # whole bins beyond what the outermost bins see
    bins = 3 + -(-max(0, facts.receptive_field - 2 * facts.crop) // facts.bin_width)
    return 2 * facts.crop + bins * facts.bin_width


def _random_sequences(count: int, length: int) -> Codes:
    return np.random.default_rng(0).integers(0, 4, (count, length)).astype(np.uint8)


def _run(model: Model, codes: Codes, where: str) -> torch.Tensor:
    try:
        return model.predict(codes)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{where}: the network fails on one-hot float32 {(len(codes), 4, codes.shape[1])} "
            f"(sequences, channels, bp): {type(error).__name__}: {error}: mend the network, or "
            "`input_length` if it takes another length"
        ) from error


def _refuse_shape(values: torch.Tensor, codes: Codes, facts: Facts, where: str) -> None:
    expected = (len(codes), facts.bins(codes.shape[1]), len(facts.tracks))
    found = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
    if found == expected:
        return
    swapped = found == (expected[0], expected[2], expected[1])
    cure = (
        "bins and tracks are swapped: end with .transpose(1, 2)"
        if swapped
        else "mend `bin_width`, `crop` or `tracks` of the facts, or the network"
    )
    raise InputError(
        f"{where}: the network gives {found} for {len(codes)} sequences of {codes.shape[1]} bp, "
        f"expected {expected} (sequences, bins, tracks): {cure}"
    )


def _refuse_values(values: torch.Tensor, facts: Facts, where: str) -> None:
    if not bool(torch.isfinite(values).all()):
        raise InputError(
            f"{where}: predictions of random sequences are NaN or infinite: the weights are "
            "damaged or are of another network"
        )
    kept = values[..., list(facts.target_tracks())]
    low, high = _LIMITS.get(facts.output_scale, (-float("inf"), float("inf")))
    least, most = float(kept.min()), float(kept.max())
    if least < low - SAME or most > high + SAME:
        raise InputError(
            f"{where}: predictions of random sequences go from {least:.4g} to {most:.4g}, but "
            f"`output_scale` is {facts.output_scale!r}: state another scale, or let the network "
            "end with what gives that scale"
        )


def _refuse_another_answer_alone(
    model: Model, codes: Codes, values: torch.Tensor, where: str
) -> None:
    alone = torch.cat([_run(model, row[None], where) for row in codes])
    difference = float((alone - values).abs().max())
    if difference > SAME_IN_A_BATCH * float(values.abs().max()):
        raise InputError(
            f"{where}: a sequence's prediction differs by {difference:.3g} alone and in a batch: "
            "dropout or batch statistics are at work: put the network in evaluation mode"
        )


def _refuse_reach(model: Model, codes: Codes, values: torch.Tensor, where: str) -> None:
    facts, length = model.facts, codes.shape[1]
    bins = values.shape[1]
    for one in sorted({0, bins // 2, bins - 1}):
        start, stop = facts.reach(one, one)
        outside = np.r_[0 : max(0, start), min(stop, length) : length]
        changed = codes.copy()
        changed[:, outside] = (codes[:, outside] + 1) % 4
        difference = float((_run(model, changed, where)[:, one] - values[:, one]).abs().max())
        if difference > SAME * float(values.abs().max()):
            raise InputError(
                f"{where}: bin {one} changes by {difference:.3g} with bases out of its reach, "
                f"[{start}, {stop}) of {length} bp: `receptive_field` {facts.receptive_field} bp "
                "is too small: state a larger one"
            )


@contextmanager
def _fresh_weights(module: torch.nn.Module) -> Iterator[None]:
    """Weights of the size of untrained ones inside, those of the model afterwards."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    kept = [(tensor, tensor.detach().clone()) for _, tensor in tensors]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, weight in module.named_parameters():
            fan_in = max(1, weight[0].numel()) if weight.ndim > 1 else 0
            if fan_in:
                drawn = torch.randn(weight.shape, generator=generator) * (2 / fan_in) ** 0.5
            else:
                # positive biases and scales: no unit is off at the start
                drawn = 0.5 + 0.5 * torch.rand(weight.shape, generator=generator)
            weight.copy_(drawn)
        for name, statistic in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                statistic.fill_(float(name.endswith("running_var")))
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)


def _seen_flank(model: Model, codes: Codes) -> tuple[int, bool]:
    """The most bp that some middle bins see beyond themselves; whether one sees an end."""
    facts, length = model.facts, codes.shape[1]
    middle = facts.bins(length) // 2
    flank, at_an_end = 0, False
    for one in range(middle, min(middle + MEASURED_BINS, facts.bins(length))):
        seen = np.flatnonzero(_seen_bases(model, codes, one))
        first = facts.crop + one * facts.bin_width
        if seen.size:
            flank = max(flank, first - int(seen[0]), int(seen[-1]) + 1 - first - facts.bin_width)
            at_an_end |= int(seen[0]) == 0 or int(seen[-1]) == length - 1
    return flank, at_an_end


def _seen_bases(model: Model, codes: Codes, one: int) -> npt.NDArray[np.bool_]:
    """Whether each base counts for a bin in any of the sequences, shape (L,)."""
    batch = torch.from_numpy(codes).to(model.device)
    inputs = one_hot(batch, model.facts.alphabet).requires_grad_()
    with evaluation(model.module), exact_float32():
        values = model.module(inputs)[:, one]
        if values.requires_grad:
            weights = torch.linspace(0.5, 1.5, values.shape[1], device=values.device)
            (gradient,) = torch.autograd.grad((values * weights).sum(), inputs)
            return (gradient != 0).any(dim=1).any(dim=0).cpu().numpy()
    return _changing_bases(model, codes, one)


def _changing_bases(model: Model, codes: Codes, one: int) -> npt.NDArray[np.bool_]:
    """The first and the last base whose change changes a bin, and all between, shape (L,)."""
    length = codes.shape[1]
    before = model.predict(codes)[:, one]

    def changes(start: int, stop: int) -> bool:
        changed = codes.copy()
        changed[:, start:stop] = (codes[:, start:stop] + 1) % 4
        return not torch.equal(model.predict(changed)[:, one], before)

    seen = np.zeros(length, dtype=bool)
    if changes(0, length):
        first = _first(lambda stop: changes(0, stop + 1), length)
        last = length - 1 - _first(lambda width: changes(length - 1 - width, length), length)
        seen[min(first, last) : max(first, last) + 1] = True
    return seen


def _first(holds: Callable[[int], bool], count: int) -> int:
    """The first of `count` numbers from 0 for which a monotone condition holds, by halving."""
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
