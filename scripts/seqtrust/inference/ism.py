"""Saturation in-silico mutagenesis: the effect of every substitution of a sequence, exactly.

Of L bases, 3 L substitutions and the sequence itself are predicted. Where the network allows it,
only what a substitution changes is computed (`ism_delta`); otherwise mutants go through full
passes, and the metadata name the layer that asks for it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import UNKNOWN, Codes
from seqtrust.errors import InputError
from seqtrust.inference.augment import Pass, make_passes
from seqtrust.inference.engine import Engine
from seqtrust.inference.ism_delta import block_effects, reference_of
from seqtrust.inference.ism_network import Network
from seqtrust.inference.ism_plan import ALTERNATIVES, Plan, alternatives_of
from seqtrust.inference.local_graph import Interval, NotLocalError
from seqtrust.inference.masks import Places, places_of
from seqtrust.inference.progress import Work
from seqtrust.ism_maps import BASES, MapRow
from seqtrust.models.model import (
    PADDING,
    Model,
    evaluation,
    exact_float32,
    resolve_device,
    torch_threads,
)
from seqtrust.outputs import output_reach, region_of_sequences, resolve_outputs
from seqtrust.predictions import OutputSpec
from seqtrust.sequence_set import SequenceSet

CHECKED = 24
OUTPUT_TOLERANCE = 1e-5
EFFECT_TOLERANCE = 1e-3
# small enough for a core's cache, large enough for a GPU
_BATCH_BYTES = {"cpu": 8_000_000, "cuda": 512_000_000}
_FULL_BASES = 262_144
_ROUNDING = 8 * float(np.finfo(np.float32).eps)

Values = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Maps:
    """Effects of all substitutions of N sequences.

    Attributes:
        region: the substituted positions [first, stop) of every sequence.
        effects: per output float32 (N, positions, 4, tracks, bins), one bin where reduced:
            prediction with base A, C, G or T at the position minus that of the sequence; zero
            at the sequence's own base, NaN where that is N.
        references: per output float32 (N, tracks, bins), predictions of the sequences.
        outputs: what is predicted.
        noise_floor: per output, the largest difference between two predictions of the same
            bytes in different batches.
        counts: what was computed.
        metadata: further text: how the maps were made, and by which model.
    """

    region: Interval
    effects: Values
    references: Values
    outputs: list[OutputSpec]
    noise_floor: dict[str, float]
    counts: "Counts"
    metadata: dict[str, str]


@dataclass
class Counts:
    """What was computed, over a run.

    Attributes:
        sequences: sequences.
        mutants: substitutions whose effects were computed.
        full_passes: passes of the whole network, those of the check included.
        out_of_reach: positions that no output can see; their effects are zero.
        unknown_bases: positions with N, which have no effect to compute.
        repeated: sequences that equal an earlier one, whose map they have.
        substitutions: three for every other position, those out of reach included.
    """

    sequences: int = 0
    mutants: int = 0
    full_passes: int = 0
    out_of_reach: int = 0
    unknown_bases: int = 0
    repeated: int = 0
    substitutions: int = 0


def saturation(
    model: Model,
    codes: Codes,
    outputs: Mapping[str, Mapping[str, Any]],
    *,
    region: Interval | None = None,
    reverse_complement: bool = False,
    shifts: Sequence[int] = (0,),
    savings: bool = True,
    batch_bytes: int | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> Maps:
    """Effects of all substitutions of sequences.

    Args:
        model: one replicate.
        codes: base codes, shape (N, L).
        outputs: what to keep; see `seqtrust.outputs.resolve_outputs`.
        region: positions [first, stop) to substitute; all if None.
        reverse_complement: average the maps over both strands, in the sequence's orientation.
        shifts: average them over these shifts, bp to the right.
        savings: False for full passes alone.
        batch_bytes: activations held at a time; None for what suits the device.
        threads: threads of torch.
        device: "cpu", "cuda" or "auto" (a GPU where there is one).

    Raises:
        InputError: a length that the model does not take, refused outputs, shifts or region, no
            such device, or a prediction that is not finite.
        RuntimeError: full passes give something else.
    """
    with mutagenesis(
        model,
        codes.shape[1],
        outputs,
        region=region,
        reverse_complement=reverse_complement,
        shifts=shifts,
        savings=savings,
        batch_bytes=batch_bytes,
        threads=threads,
        device=device,
    ) as run:
        found = [run.map_of(sequence, f"sequence {index}") for index, sequence in enumerate(codes)]
        return run.maps(found)


@contextmanager
def mutagenesis(
    model: Model,
    length: int,
    outputs: Mapping[str, Mapping[str, Any]],
    *,
    region: Interval | None,
    reverse_complement: bool,
    shifts: Sequence[int],
    savings: bool,
    batch_bytes: int | None,
    threads: int,
    device: str,
) -> Iterator["Mutagenesis"]:
    """A run over sequences of one length; the arguments and errors are those of `saturation`."""
    specs = resolve_outputs(outputs, model.facts, length)
    if reverse_complement and model.facts.strand_specific:
        raise InputError(
            f"architecture {model.architecture!r} reads the transcribed strand, so the mean over "
            "both strands means nothing: set reverse_complement to false under inference"
        )
    mutated = region_of_sequences(region, length)
    passes = make_passes(reverse_complement, shifts, length)
    target, before = resolve_device(device), model.device
    budget = batch_bytes or _BATCH_BYTES[target.type]
    with torch_threads(threads), exact_float32(), evaluation(model.module):
        try:
            model.to(target)
            with torch.inference_mode():
                yield Mutagenesis(model, length, specs, mutated, passes, budget, savings)
        finally:
            model.to(before)


class Mutagenesis:
    """Maps of sequences of one length, one after the other; the first one is checked.

    Attributes:
        outputs: what is predicted.
        region: the substituted positions.
        full_because: why mutants go through full passes; empty where they do not.
        counts: what was computed so far.
        noise_floor: per output; known after the first sequence.
    """

    def __init__(
        self,
        model: Model,
        length: int,
        outputs: list[OutputSpec],
        region: Interval,
        passes: Sequence[Pass],
        batch_bytes: int,
        savings: bool,
    ) -> None:
        self.model = model
        self.length = length
        self.outputs = outputs
        self.region = region
        self.passes = passes
        self.full_because = "" if savings else "asked for"
        self.counts = Counts()
        self.noise_floor: dict[str, float] = {}
        self.check_error: dict[str, float] = {}
        self.engine = Engine([model], outputs, passes, length, savings=False)
        self._places = Places.unknown()
        self.views = [self._view(one, batch_bytes) for one in passes] if savings else []
        if self.full_because:
            self.views = []

    def map_of(
        self, codes: Codes, name: str, places: Places | None = None
    ) -> tuple[Values, Values]:
        """Effects (positions, 4, tracks, bins) and predictions (tracks, bins) per output.

        Args:
            codes: of one sequence, (L,).
            name: of the sequence, for messages.
            places: where it lies; it matters to fixed masks alone.

        Raises:
            InputError: a prediction is not finite.
            RuntimeError: full passes give something else.
        """
        self._places = places or Places.unknown()
        shown = torch.from_numpy(np.ascontiguousarray(codes)).to(self.model.device)
        known = shown[slice(*self.region)] < UNKNOWN
        reference = self._full(shown[None])
        effects = self._by_delta(shown) if self.views else self._by_full_passes(shown, reference)
        self.counts.sequences += 1
        self.counts.unknown_bases += int((~known).sum())
        self.counts.substitutions += ALTERNATIVES * int(known.sum())
        self._count_reached(known)
        for output in self.outputs:
            values = reference[output.name], effects[output.name]
            if not all(bool(torch.isfinite(one).all()) for one in values):
                raise InputError(
                    f"{name}: output {output.name!r} is not a finite number for it or one of its "
                    "mutants. The replicate is damaged or its training diverged: train or import "
                    "it again"
                )
        if not self.noise_floor:
            self._check(shown, effects, name)
        for effect in effects.values():
            effect[~known] = float("nan")
        return _arrays(effects), {key: one[0] for key, one in _arrays(reference).items()}

    def rows(
        self, sequences: SequenceSet, first: int = 0, last: int | None = None
    ) -> Iterator[MapRow]:
        """The maps of sequences [first, last) for the only output, one by one.

        Equal ones among them are mapped once.
        """
        (output,) = self.outputs
        ids, codes = sequences.ids()[first:last], sequences.codes()[first:last]
        windows = [sequences.windows[i].window for i in sequences.window_indices()[first:last]]
        places = [(window.start, window.strand) for window in windows]
        # where masks decide what is dropped, a sequence at another place is another one
        where = places if self.engine.masks else [None] * len(places)
        keys = [(one.tobytes(), place) for one, place in zip(codes, where, strict=True)]
        later = Counter(keys)
        found: dict[Any, MapRow] = {}
        for name, sequence, place, key in zip(ids, codes, places, keys, strict=True):
            later[key] -= 1
            if key in found:
                self.counts.repeated += 1
                yield replace(found[key], sequence_id=name, mutants=0, full_passes=0)
                continue
            before = replace(self.counts)
            effects, references = self.map_of(sequence, f"sequence {name!r}", places_of([place]))
            row = MapRow(
                name,
                sequence[slice(*self.region)].copy(),
                references[output.name],
                effects[output.name],
                self.counts.mutants - before.mutants,
                self.counts.out_of_reach - before.out_of_reach,
                self.counts.full_passes - before.full_passes,
            )
            if later[key]:
                found[key] = row
            yield row

    def maps(self, found: Sequence[tuple[Values, Values]]) -> Maps:
        """The maps of N sequences as one."""
        size = self.region[1] - self.region[0]
        effects, references = {}, {}
        for output in self.outputs:
            made = [one[output.name] for one, _ in found]
            predicted = [one[output.name] for _, one in found]
            none = np.empty((0, size, BASES, *output.shape), dtype=np.float32)
            effects[output.name] = np.stack(made) if made else none
            references[output.name] = np.stack(predicted) if made else none[:, 0, 0]
        return Maps(
            self.region,
            effects,
            references,
            self.outputs,
            self.noise_floor,
            self.counts,
            self.metadata(),
        )

    def metadata(self) -> dict[str, str]:
        """How the maps were made, as text."""
        model, shifts = self.model, sorted({one.shift for one in self.passes})
        plain = {
            "region": self.region,
            "length": self.length,
            "architecture": model.architecture,
            "facts": model.facts.to_dict(),
            "reach": {one.name: output_reach(model.facts, one, shifts) for one in self.outputs},
            "reverse_complement": any(one.reverse_complement for one in self.passes),
            "shifts": shifts,
            "noise_floor": self.noise_floor,
            "full_because": self.full_because,
            "check_error": self.check_error,
            "device": model.device.type,
            "threads": torch.get_num_threads(),
            "torch_version": str(torch.__version__),
        }
        return {
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for key, value in plain.items()
        }

    @property
    def work(self) -> Work:
        """Multiplications so far.

        The naive way predicts all four bases at every position; equal sequences are the
        sequence itself, of which one pass is run; the crop leaves out what no output sees; what
        is shared is what a substitution does not change.
        """
        full = self.engine.full_macs
        crop = sum(plan.pass_macs() for _, plan in self._planned()) or full
        sequences, mutants = self.counts.sequences, self.counts.mutants
        return Work(
            naive=(sequences + self.counts.repeated)
            * BASES
            * (self.region[1] - self.region[0])
            * full,
            distinct=(self.counts.substitutions + sequences) * full,
            cropped=sequences * full + mutants * crop,
            computed=(sequences + (0 if self.views else mutants)) * full
            + sum(plan.macs for _, plan in self._planned()),
        )

    def totals(self, before: Work | None = None) -> dict[str, str]:
        """What is known when maps are made, as text: the work since `before`."""
        done = self.work - (before or Work())
        return {"work": json.dumps(asdict(done), sort_keys=True)}

    def _planned(self) -> list[tuple[Pass, Plan]]:
        return [view for view in self.views if view is not None]

    def _view(self, shown: Pass, batch_bytes: int) -> tuple[Pass, Plan] | None:
        """The plan of one pass: outputs as this strand has them."""
        swapped = self.model.facts.swapped_tracks()
        last = self.model.facts.bins(self.length) - 1
        outputs = [
            replace(
                output,
                tracks=tuple(swapped[track] for track in output.tracks),
                bins=tuple(last - index for index in output.bins),
            )
            if shown.reverse_complement
            else output
            for output in self.outputs
        ]
        every = torch.arange(PADDING + 1, dtype=torch.uint8)[None]
        table = self.model.encode(every)[0].T.to(self.model.device)
        tracks = sorted({track for output in outputs for track in output.tracks})
        try:
            network = Network.of(self.model.module, tracks)
        except NotLocalError as reason:
            self.full_because = str(reason)
            return None
        return shown, Plan(network, outputs, table, self.length, batch_bytes)

    def _by_delta(self, codes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Float64 (positions, 4, tracks, bins) per output, the mean over passes."""
        effects = self._zeros(codes)
        for view in self.views:
            assert view is not None
            shown, plan = view
            seen = shown.show(codes)
            region = self._seen(shown, self.region)
            region = max(region[0], plan.reach[0]), min(region[1], plan.reach[1])
            if region[0] >= region[1]:
                continue
            self.engine.masks.place(self._places, shown.reverse_complement)
            reference = reference_of(plan, seen)
            for start in plan.blocks(region):
                found = block_effects(plan, seen, reference, start)
                if found is not None:
                    self._add(effects, shown, seen, region, start, found)
        return effects

    def _add(
        self,
        effects: dict[str, torch.Tensor],
        shown: Pass,
        seen: torch.Tensor,
        region: Interval,
        start: int,
        found: Sequence[torch.Tensor],
    ) -> None:
        """Add a block of one pass, in the orientation of the sequence."""
        low, high = max(start, region[0]), min(start + len(found[0]), region[1])
        place = torch.arange(low, high, device=seen.device)
        codes = seen[low:high]
        base = alternatives_of(codes)
        if shown.reverse_complement:
            place, base = self.length - 1 - place, BASES - 1 - base
        place = place - shown.shift - self.region[0]
        for output, values in zip(self.outputs, found, strict=True):
            part = values[low - start : high - start] / len(self.passes)
            effects[output.name][place[:, None], base] += part

    def _seen(self, shown: Pass, region: Interval) -> Interval:
        """Where positions of a sequence are in what a pass shows."""
        first, stop = (min(max(one + shown.shift, 0), self.length) for one in region)
        return (
            (self.length - stop, self.length - first) if shown.reverse_complement else (first, stop)
        )

    def _by_full_passes(
        self, codes: torch.Tensor, reference: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        effects = self._zeros(codes)
        first, stop = self._reached()
        bases = codes[first:stop]
        place = torch.nonzero(bases < UNKNOWN)[:, 0]
        place, other = (
            place.repeat_interleave(ALTERNATIVES),
            alternatives_of(bases[place]).flatten(),
        )
        for at, base in zip(
            place.split(self._at_once()), other.split(self._at_once()), strict=True
        ):
            found = self._full(self._mutated(codes, at + first, base))
            for name, values in found.items():
                effects[name][at + first - self.region[0], base] = values - reference[name]
        return effects

    def _full(self, codes: torch.Tensor) -> dict[str, torch.Tensor]:
        self.counts.full_passes += len(codes) * len(self.passes)
        return self.engine.full(codes, self._places)

    def _mutated(
        self, codes: torch.Tensor, place: torch.Tensor, base: torch.Tensor
    ) -> torch.Tensor:
        mutants = codes.repeat(len(place), 1)
        mutants[torch.arange(len(place), device=codes.device), place] = base.to(codes.dtype)
        return mutants

    def _at_once(self) -> int:
        return max(1, _FULL_BASES // self.length)

    def _zeros(self, codes: torch.Tensor) -> dict[str, torch.Tensor]:
        size = self.region[1] - self.region[0]
        return {
            output.name: torch.zeros(
                (size, BASES, *output.shape), dtype=torch.float64, device=codes.device
            )
            for output in self.outputs
        }

    def _reached(self) -> Interval:
        """Positions of the region that some output can see in some pass."""
        if self.views:
            seen = [self._unseen(*view) for view in self.views if view is not None]
        else:
            shifts = [one.shift for one in self.passes]
            seen = [output_reach(self.model.facts, output, shifts) for output in self.outputs]
        first = min(max(min(one[0] for one in seen), self.region[0]), self.region[1])
        return first, max(first, min(max(one[1] for one in seen), self.region[1]))

    def _unseen(self, shown: Pass, plan: Plan) -> Interval:
        """The reach of a pass in positions of the sequence."""
        first, stop = plan.reach
        if shown.reverse_complement:
            first, stop = self.length - stop, self.length - first
        return first - shown.shift, stop - shown.shift

    def _count_reached(self, known: torch.Tensor) -> None:
        first, stop = (one - self.region[0] for one in self._reached())
        self.counts.mutants += ALTERNATIVES * int(known[first:stop].sum())
        self.counts.out_of_reach += len(known) - (stop - first)

    def _check(self, codes: torch.Tensor, effects: Mapping[str, torch.Tensor], name: str) -> None:
        """Compare some effects with full passes, and measure the noise of those."""
        place = self._checked_positions(codes)
        number = torch.arange(len(place), device=codes.device)
        base = alternatives_of(codes[place])[number, number % ALTERNATIVES]
        shown = torch.cat([codes[None], self._mutated(codes, place, base)])
        full, again = self._full(shown), self._again(shown)
        for output in self.outputs:
            key = output.name
            self.noise_floor[key] = float((full[key] - again[key]).abs().max())
            expected = full[key][1:] - full[key][:1]
            found = effects[key][place - self.region[0], base]
            self.check_error[key] = float((found - expected).abs().max()) if len(place) else 0.0
            size = float(full[key].abs().max())
            limit = _allowed(effects[key], size, self.noise_floor[key])
            if bool(((found - expected).abs() > limit).any()):
                raise RuntimeError(
                    f"{name}, output {key!r}: effects differ from full passes by "
                    f"{self.check_error[key]:.3g} where at most {float(limit.min()):.3g} is "
                    f"allowed (predictions up to {size:.3g}). Set savings to false to run full "
                    "passes, and report the network"
                )

    def _again(self, codes: torch.Tensor) -> dict[str, torch.Tensor]:
        """The same predictions in reverse order and in batches of other sizes."""
        backwards = codes.flip(0)
        parts = [self._full(part) for part in backwards.tensor_split([max(1, len(codes) // 3)])]
        return {
            key: torch.cat([part[key] for part in parts if len(part[key])]).flip(0)
            for key in parts[0]
        }

    def _checked_positions(self, codes: torch.Tensor) -> torch.Tensor:
        """Positions spread over the region, and over what of it the outputs can see."""
        spread = [
            torch.linspace(first, stop - 1, CHECKED // 2).long()
            for first, stop in (self.region, self._reached())
            if first < stop
        ]
        place = torch.cat(spread).to(codes.device)
        return place[codes[place] < UNKNOWN]


def _allowed(effects: torch.Tensor, size: float, floor: float) -> torch.Tensor:
    """The largest error of an effect, per track: (tracks, 1).

    That is a thousandth of the standard deviation over the mutants, if the noise and the
    rounding of full passes are below it, and never more than a hundred-thousandth of the
    predictions.
    """
    over_mutants = effects.movedim(2, 0).flatten(1)
    sd = over_mutants.std(dim=1, correction=0) * (BASES / ALTERNATIVES) ** 0.5
    lowest = max(10 * floor, _ROUNDING * size)
    return (EFFECT_TOLERANCE * sd).clamp(lowest, max(OUTPUT_TOLERANCE * size, lowest))[:, None]


def _arrays(values: Mapping[str, torch.Tensor]) -> Values:
    return {key: one.to("cpu", torch.float32).numpy() for key, one in values.items()}
