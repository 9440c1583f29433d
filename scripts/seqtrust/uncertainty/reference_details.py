"""Agreement beside correctness, attributes of classes, and bins with a TSS (figure S2, 2)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.genes import Point
from seqtrust.statistics import wilson
from seqtrust.uncertainty.attributes import attribute_summary, attribute_tests
from seqtrust.uncertainty.bins import Bins
from seqtrust.uncertainty.peaks import CALLERS
from seqtrust.uncertainty.reference import Judged, ReferenceRun
from seqtrust.uncertainty.track_store import Floats, Integers
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT

AGREEMENT = (
    "track", "assay", "caller", "split", "n_agree", "n_correct", "count", "total",
    "fraction", "low", "high",
)  # fmt: skip
TARGET, MEAN_PREDICTION = "target", "mean prediction"


def class_names(judged: Judged) -> npt.NDArray[np.str_]:
    """The class of every bin, shape (n,)."""
    correct = judged.n_correct
    return np.select(
        [correct == len(judged.calls), correct == 0], [CORRECT, INCORRECT], default=INCONSISTENT
    )


class Agreement:
    """Majority against number of right replicates, over the true peaks of chosen tracks."""

    def __init__(self, run: ReferenceRun, panels: Sequence[str], tracks: Sequence[int]) -> None:
        """Start with no track; `tracks` are positions among the kept ones."""
        self.run, self.panels, self.tracks = run, panels, tracks
        self.rows: list[tuple[Any, ...]] = []

    def __call__(self, judged: Judged) -> None:
        """Add one track and caller, if it is chosen."""
        if judged.track not in self.tracks:
            return
        replicates = len(judged.calls)
        window = self.run.bins.window[judged.bins]
        named = self.run.files.output.track_names[judged.track], self.panels[judged.track]
        for split in self.run.splits:
            peaks = judged.truth & self.run.windows_of(split)[window]
            total = int(peaks.sum())
            pairs = np.stack([judged.n_agree[peaks], judged.n_correct[peaks]])
            for agree in range(-(-replicates // 2), replicates + 1):
                for correct in sorted({agree, replicates - agree}):
                    count = int(((pairs[0] == agree) & (pairs[1] == correct)).sum())
                    fraction = count / total if total else float("nan")
                    self.rows.append(
                        (*named, judged.caller, split, agree, correct, count, total, fraction,
                         *wilson(count, total))
                    )  # fmt: skip

    def table(self) -> pd.DataFrame:
        """A row per track, caller, split, majority and number of right replicates."""
        return pd.DataFrame(self.rows, columns=list(AGREEMENT))


class Attributes:
    """What the classes of true peaks differ in, for chosen tracks.

    The measured value and the mean prediction are those of the track itself.
    """

    def __init__(
        self, run: ReferenceRun, tracks: Sequence[int], of_bins: Mapping[str, Floats]
    ) -> None:
        """Start with no track.

        Args:
            run: the analysis.
            tracks: positions among the kept tracks.
            of_bins: attributes of the judged bins, shape (U,) each.
        """
        self.run, self.tracks, self.of_bins = run, tracks, of_bins
        self.summaries: list[pd.DataFrame] = []
        self.tests: list[pd.DataFrame] = []

    def __call__(self, judged: Judged) -> None:
        """Add one track and caller, if it is chosen."""
        if judged.track not in self.tracks:
            return
        names = class_names(judged)
        window = self.run.bins.window[judged.bins]
        named = self.run.files.output.track_names[judged.track]
        for split in self.run.splits:
            peaks = np.flatnonzero(judged.truth & self.run.windows_of(split)[window])
            if not peaks.size:
                continue
            attributes = {key: of[judged.bins[peaks]] for key, of in self.of_bins.items()}
            attributes[TARGET] = judged.target[peaks].astype(np.float64)
            attributes[MEAN_PREDICTION] = judged.predictions[:, peaks].mean(
                axis=0, dtype=np.float64
            )
            loci = [self.run.bins.ids[row] for row in window[peaks]]
            where = {"track": named, "caller": judged.caller, "split": split}
            self.summaries.append(attribute_summary(names[peaks], attributes).assign(**where))
            self.tests.append(attribute_tests(names[peaks], attributes, loci).assign(**where))

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Quartiles per class, and tests between classes."""
        found = []
        for parts in (self.summaries, self.tests):
            table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
            first = [name for name in ("track", "caller", "split") if name in table]
            found.append(table[first + [name for name in table if name not in first]])
        return found[0], found[1]


class TssBins:
    """On how many tracks all replicates are right, for every bin that holds a TSS."""

    def __init__(self, run: ReferenceRun, inside: Sequence[tuple[int, Point]]) -> None:
        """Start with no track; `inside` are the judged bins and the points that they hold."""
        self.run, self.inside = run, inside
        bins = np.array([row for row, _ in inside], dtype=np.int64)
        self.place = np.full(len(run.bins), -1)
        self.place[bins] = bins
        self.tracks = np.zeros(len(run.bins), dtype=np.int64)
        self.correct = {caller: np.zeros(len(run.bins), dtype=np.int64) for caller in CALLERS}

    def __call__(self, judged: Judged) -> None:
        """Add one track and caller."""
        mine = self.place[judged.bins] >= 0
        bins: Integers = judged.bins[mine]
        right = (judged.calls[:, mine] == judged.truth[mine]).all(axis=0)
        self.correct[judged.caller][bins] += right
        if judged.caller == CALLERS[0]:
            self.tracks[bins] += 1

    def table(self) -> pd.DataFrame:
        """A row per bin and point, in the order of the set."""
        return pd.DataFrame(
            self._rows(),
            columns=[
                "sequence_id", "bin", "contig", "start", "end", "split",
                "point", "position", "strand", "tracks", *(f"correct_{c}" for c in CALLERS),
            ],
        )  # fmt: skip

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        bins: Bins = self.run.bins
        for row, point in self.inside:
            window = bins.window[row]
            yield (
                bins.ids[window], bins.number[row], bins.contigs[window], bins.start[row],
                bins.end[row], self.run.split[window], point.name, point.position, point.strand,
                self.tracks[row], *(self.correct[caller][row] for caller in CALLERS),
            )  # fmt: skip
