"""How much work there is, how much of it each kind of saving spares, and how far a job is."""

import logging
import operator
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass

_LOG_EVERY_SECONDS = 10.0
_GIGA = 1e9


@dataclass(frozen=True)
class Work:
    """Multiplications of one replicate.

    Attributes:
        naive: of full passes of every sequence with all bins and tracks.
        distinct: of those of every distinct sequence.
        cropped: of what the wanted bins and tracks of distinct sequences need.
        computed: those that were computed; checks are not counted.
    """

    naive: int = 0
    distinct: int = 0
    cropped: int = 0
    computed: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(*map(operator.add, astuple(self), astuple(other)))

    def __sub__(self, other: "Work") -> "Work":
        return Work(*map(operator.sub, astuple(self), astuple(other)))

    @classmethod
    def of(cls, sequences: int, distinct: int, full: int, cropped: int, computed: int) -> "Work":
        """That of sequences which need `full` and `cropped` multiplications each."""
        return cls(sequences * full, distinct * full, distinct * cropped, computed)

    @property
    def equal_sequences(self) -> float:
        """Share of the naive multiplications that is saved since equal sequences go once."""
        return self._share(self.naive - self.distinct)

    @property
    def crop(self) -> float:
        """The share that is saved by computing what the wanted bins and tracks need."""
        return self._share(self.distinct - self.cropped)

    @property
    def sharing(self) -> float:
        """The share that is saved by computing once what sequences or mutants have in common."""
        return self._share(self.cropped - self.computed)

    def _share(self, saved: int) -> float:
        return saved / self.naive if self.naive else 0.0


class Progress:
    """Logs how far a job is, at most every ten seconds, and its totals.

    Sequences of one place share most of their work, so what is left is counted in
    multiplications: of the first sequence of every place that is left, all; of the others, as
    many as of the others so far.
    """

    def __init__(
        self, sequences: int, places: int, cropped: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin.

        Args:
            sequences: how many there are.
            places: how many places of an assembly they lie at.
            cropped: multiplications of a sequence without sharing.
            clock: gives seconds.
        """
        self.sequences, self.places, self.cropped = sequences, places, cropped
        self.seen = self.at = 0
        self.work = Work()
        self._clock = clock
        self._began = self._logged = clock()

    def done(self, sequences: int, places: int, work: Work) -> None:
        """Note what is done.

        Args:
            sequences: that were read, or found to be equal to earlier ones.
            places: that they are of.
            work: multiplications for them.
        """
        self.seen += sequences
        self.at += places
        self.work += work
        if self._clock() - self._logged >= _LOG_EVERY_SECONDS:
            self._logged = self._clock()
            self._log(f"{self.left():.0f} s left")

    def left(self) -> float:
        """Seconds that the rest takes if multiplications go on as they went."""
        if not self.work.computed:
            return 0.0
        further = max(self.work.computed - self.at * self.cropped, 0)
        each = further / (self.seen - self.at) if self.seen > self.at else 0.0
        others = self.sequences - self.seen - (self.places - self.at)
        rest = (self.places - self.at) * self.cropped + max(others, 0) * each
        return self._spent() * rest / self.work.computed

    def finish(self) -> None:
        """Log the totals."""
        self._log(f"done in {self._spent():.1f} s")

    def _spent(self) -> float:
        return self._clock() - self._began

    def _log(self, state: str) -> None:
        work, spent = self.work, max(self._spent(), 1e-9)
        logging.getLogger(__name__).info(
            "%d of %d sequences, %.3g per s, %s; of %.4g billion multiplications %.1f %% saved by "
            "equal sequences, %.1f %% by the crop, %.1f %% by sharing, %.1f %% computed",
            self.seen,
            self.sequences,
            self.seen / spent,
            state,
            work.naive / _GIGA,
            100 * work.equal_sequences,
            100 * work.crop,
            100 * work.sharing,
            100 * (work.computed / work.naive if work.naive else 0.0),
        )
