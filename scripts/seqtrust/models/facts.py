"""Facts about a model that readers of its predictions need; without torch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from seqtrust.errors import InputError

OUTPUT_SCALES = ("counts", "probability", "log_expression")
SHIFT_PADDINGS = ("zero", "uniform")
ALL_VARIANCE, ALEATORIC, EPISTEMIC, EVIDENCE = "", "aleatoric", "epistemic", "evidence"
VARIANCE_PARTS = (ALL_VARIANCE, ALEATORIC, EPISTEMIC, EVIDENCE)


@dataclass(frozen=True)
class Track:
    """One predicted track.

    Attributes:
        name: a label; several tracks may share one, their indices tell them apart.
        assay: what was measured, free text.
        reverse_complement_index: index of the track that holds the other strand;
            None means the track itself (an unstranded assay).
        variance_of: index of the track whose natural-log variance this one is (the second
            half of a Gaussian head); None means a track with a measured counterpart.
        variance_part: "" for all of that variance; of an evidential head also "aleatoric" and
            "epistemic" for its parts, and "evidence" for ln(alpha - 1).
    """

    name: str
    assay: str = ""
    reverse_complement_index: int | None = None
    variance_of: int | None = None
    variance_part: str = ALL_VARIANCE


@dataclass(frozen=True)
class Facts:
    """What a user of a model must know, and cannot read from its weights.

    Attributes:
        input_length: bp, or None where any length that fills whole bins is allowed.
        bin_width: bp per predicted bin.
        crop: bp at each end of the input that get no prediction.
        tracks: the predicted tracks, in the order of the network's last axis.
        receptive_field: bp of input that one bin can see, its own bases included.
        build: genome build of the training data, "" where it has none.
        output_scale: "counts", "probability" or "log_expression".
        alphabet: order of the four input channels.
        strand_specific: the model reads the transcribed strand, and a prediction for the other
            strand is another quantity: strands are not averaged.
        shift_padding: what a shifted sequence shows in the gap: "zero" in all four channels, as
            for N, or "uniform" (0.25).
    """

    input_length: int | None
    bin_width: int
    crop: int
    tracks: tuple[Track, ...]
    receptive_field: int
    build: str
    output_scale: str
    alphabet: str = "ACGT"
    strand_specific: bool = False
    shift_padding: str = "zero"

    def __post_init__(self) -> None:
        _refuse_bad_numbers(self)
        _refuse_bad_tracks(self.tracks)
        if self.output_scale not in OUTPUT_SCALES:
            raise InputError(
                f"output scale {self.output_scale!r} is not one of {', '.join(OUTPUT_SCALES)}"
            )
        if self.shift_padding not in SHIFT_PADDINGS:
            raise InputError(
                f"shift_padding is {self.shift_padding!r}, but must be one of "
                f"{', '.join(SHIFT_PADDINGS)}"
            )
        if sorted(self.alphabet) != sorted("ACGT"):
            raise InputError(f"alphabet {self.alphabet!r} is not an order of A, C, G and T")

    def bins(self, length: int) -> int:
        """Number of bins predicted for an input of `length` bp.

        Raises:
            InputError: the model takes no input of this length.
        """
        if self.input_length is not None and length != self.input_length:
            raise InputError(
                f"sequences of {length} bp, but the model takes {self.input_length} bp: "
                "make the sequence set with that length"
            )
        if length <= 2 * self.crop:
            raise InputError(
                f"sequences of {length} bp, but the model leaves {self.crop} bp at each end "
                f"without a prediction: use more than {2 * self.crop} bp"
            )
        bins, rest = divmod(length - 2 * self.crop, self.bin_width)
        if rest:
            raise InputError(
                f"sequences of {length} bp do not fill whole bins of {self.bin_width} bp "
                f"({rest} bp over): use {length - rest} or {length - rest + self.bin_width} bp"
            )
        return bins

    def reach(self, first_bin: int, last_bin: int) -> tuple[int, int]:
        """Input interval that bins `first_bin` to `last_bin` (inclusive) can see.

        Half-open, in the sequence's own 0-based coordinates; it may begin below 0 and end
        beyond the sequence, where the network sees padding.
        """
        if not 0 <= first_bin <= last_bin:
            raise ValueError(f"bins {first_bin} to {last_bin} are not an interval")
        flank = -((self.bin_width - self.receptive_field) // 2)
        start = self.crop + first_bin * self.bin_width - flank
        stop = self.crop + (last_bin + 1) * self.bin_width + flank
        return start, stop

    def swapped_tracks(self) -> tuple[int, ...]:
        """For every track the index of the one that holds its other strand."""
        return tuple(
            index if track.reverse_complement_index is None else track.reverse_complement_index
            for index, track in enumerate(self.tracks)
        )

    def labels(self) -> tuple[str, ...]:
        """A unique label for every track: its name, with its index where names repeat."""
        return track_labels(self.tracks)

    def target_tracks(self) -> tuple[int, ...]:
        """Indices of the tracks that have a measured counterpart: all but variances."""
        return tuple(index for index, track in enumerate(self.tracks) if track.variance_of is None)

    def variance_tracks(self, part: str = ALL_VARIANCE) -> dict[int, int]:
        """Index of the log variance of every track that has one.

        Args:
            part: one of `VARIANCE_PARTS`.
        """
        return {
            track.variance_of: index
            for index, track in enumerate(self.tracks)
            if track.variance_of is not None and track.variance_part == part
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for a model card; parts of a variance only where there are any."""
        plain = asdict(self)
        plain["tracks"] = [
            {key: value for key, value in asdict(track).items() if key != "variance_part" or value}
            for track in self.tracks
        ]
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Facts":
        """The inverse of `to_dict`.

        Raises:
            InputError: a field is missing, unknown or has a refused value.
        """
        try:
            tracks = tuple(Track(**track) for track in plain["tracks"])
            return cls(**{**plain, "tracks": tracks})
        except (KeyError, TypeError) as error:
            raise InputError(f"the model's facts are incomplete or unknown: {error}") from error


def with_variances(
    tracks: tuple[Track, ...], parts: Mapping[str, str], head: str
) -> tuple[Track, ...]:
    """Target tracks, followed by the log variances of each, part by part.

    Tracks that hold them already (those of a model's card) come back as they are.

    Args:
        tracks: means alone, or all tracks of the head in its order.
        parts: of a variance (of `VARIANCE_PARTS`) to what is added to the name of its track.
        head: what the head predicts, for the message.

    Raises:
        InputError: there are variances, but not those of this head in its order.
    """
    means = tuple(track for track in tracks if track.variance_of is None)
    variances = tuple(
        replace(
            track,
            name=f"{track.name}:{name}",
            variance_of=index,
            variance_part=part,
            reverse_complement_index=(
                None
                if track.reverse_complement_index is None
                else track.reverse_complement_index + place * len(means)
            ),
        )
        for place, (part, name) in enumerate(parts.items(), start=1)
        for index, track in enumerate(means)
    )
    whole = means + variances
    if tracks not in (means, whole):
        raise InputError(
            f"tracks {', '.join(repr(track.name) for track in tracks)}: {head}: name the means "
            "alone"
        )
    return whole


def track_labels(tracks: Sequence[Track]) -> tuple[str, ...]:
    """A unique label for every track: its name, with its index where names repeat."""
    names = Counter(track.name for track in tracks)
    return tuple(
        track.name if names[track.name] == 1 else f"{track.name} [{index}]"
        for index, track in enumerate(tracks)
    )


def refuse_one_sided(tracks: Sequence[Track], source: str = "") -> None:
    """Nothing, or an error where the track of the other strand does not name a track back.

    Args:
        tracks: all of a model or of a table, in order.
        source: what they come from, for the message.

    Raises:
        InputError: the message names the source, and the track with its index from 0.
    """
    for index, track in enumerate(tracks):
        partner = track.reverse_complement_index
        if partner is None:
            continue
        there = 0 <= partner < len(tracks)
        if there and _partner(tracks, partner) == index:
            continue
        none = "" if there else f" (the tracks are 0 to {len(tracks) - 1})"
        raise InputError(
            f"{source and source + ': '}track {index} ({track.name!r}) names track {partner} as "
            f"its other strand, which does not name it back{none}: the two strands of an "
            "experiment name each other"
        )


def _refuse_bad_numbers(facts: Facts) -> None:
    if facts.bin_width < 1 or facts.crop < 0 or facts.receptive_field < facts.bin_width:
        raise InputError(
            f"bin width {facts.bin_width}, crop {facts.crop} and receptive field "
            f"{facts.receptive_field} bp do not fit: a bin has at least one base, sees at "
            "least itself, and the crop is not negative"
        )


def _refuse_bad_tracks(tracks: tuple[Track, ...]) -> None:
    if not tracks:
        raise InputError("a model needs at least one track")
    for index, track in enumerate(tracks):
        mean = track.variance_of
        if mean is not None and not (
            0 <= mean < len(tracks) and mean != index and tracks[mean].variance_of is None
        ):
            raise InputError(
                f"track {index} ({track.name!r}) is the variance of track {mean}, which is no "
                "other track with a mean"
            )
        if track.variance_part not in VARIANCE_PARTS or (mean is None and track.variance_part):
            raise InputError(
                f"track {index} ({track.name!r}) has the variance_part {track.variance_part!r}: "
                f"it is one of {', '.join(map(repr, VARIANCE_PARTS))}, and of a variance alone"
            )
    refuse_one_sided(tracks)


def _partner(tracks: Sequence[Track], index: int) -> int:
    partner = tracks[index].reverse_complement_index
    return index if partner is None else partner
