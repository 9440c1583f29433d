"""Would anyone notice? Tests for a shift, without labels and with them, under every condition.

Without labels, sequences and what a model states of them are compared with calibration data. They
cannot see a concept or a technical shift: it leaves both as they are. With labels, z-scores of a
stream are; they see what changes errors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqtrust.bases import Codes
from seqtrust.robustness.label_tests import cusum, cusum_threshold, first_alarms, martingale
from seqtrust.robustness.sequence_tests import (
    classifier_test,
    mmd_test,
    permuted_labels,
    sequence_features,
    stated_features,
)
from seqtrust.robustness.shift_rows import SHIFT_COLUMNS
from seqtrust.robustness.stated_tables import Stated
from seqtrust.robustness.world_tables import CALIBRATION, WorldTable
from seqtrust.sources.seeds import named_generator
from seqtrust.tables import Column, TableSchema

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CLASSIFIER, MMD = "classifier", "mmd"
CUSUM_MEAN, CUSUM_SPREAD, MARTINGALE = "cusum_mean", "cusum_spread", "martingale"
SEQUENCES, STATED, LABELS = "sequences", "stated", "labels"
DETECTED, STATISTIC, DELAY = "detected", "statistic", "delay"
BATCH_TESTS = {CLASSIFIER: classifier_test, MMD: mmd_test}

SCHEMA = TableSchema(
    "robustness_detection",
    1,
    "robustness/{robustness}/detection/{model}/{world}.{replicate}.parquet",
    "What tests for a shift find in every condition; ID rows are their false alarms.",
    (
        *SHIFT_COLUMNS,
        Column("test", pa.string(), "classifier, mmd; cusum_mean, cusum_spread, martingale"),
        Column("looks_at", pa.string(), "sequences or stated (no labels), or labels"),
        Column("samples", pa.int32(), "that it was given; of a delay, the most"),
        Column(
            "metric",
            pa.string(),
            "detected: share of draws; statistic: its mean; delay: mean number of samples up to "
            "the alarm, where there is none that of `samples`",
        ),
        Column("value", pa.float64(), "of the metric"),
    ),
)


@dataclass(frozen=True)
class DetectionSettings:
    """How shifts are looked for.

    Attributes:
        level: of false alarms: of a batch, and of a whole stream.
        batches: numbers of new sequences of the tests without labels.
        draws: batches of each size.
        reference: calibration sequences that a batch is compared with.
        permutations: of the labels of a batch.
        within: numbers of labelled samples within which an alarm is asked for, the longest is that
            of a stream.
        streams: orders of the samples of a condition.
    """

    level: float = 0.05
    batches: tuple[int, ...] = (50, 200)
    draws: int = 10
    reference: int = 500
    permutations: int = 199
    within: tuple[int, ...] = (20, 50, 100, 200, 500)
    streams: int = 100


@dataclass(frozen=True)
class Detection:
    """One number of one test in one condition; see `SCHEMA`."""

    data_set: str
    test: str
    looks_at: str
    samples: int
    metric: str
    value: float


def detections(
    world: WorldTable, stated: Mapping[str, Stated], settings: DetectionSettings, seed: int
) -> Iterator[Detection]:
    """All tests of a fit in all conditions.

    Draws of rows and permutations do not depend on the condition, so that conditions of the same
    inputs have the same statistics.

    Args:
        world: with its data sets.
        stated: of the fit, by data set.
        settings: of the tests.
        seed: of all draws.
    """
    fitted, own = world.condition(CALIBRATION), stated[CALIBRATION]
    scores = (fitted.observed - own.mean) / own.sd
    monitor = LabelMonitor.of(scores, settings, seed)
    last: dict[str, tuple[tuple[Codes | Floats, ...], list[Detection]]] = {}
    for name in world.conditions:
        condition, said = world.condition(name), stated[name]
        for looks_at, known, new in (
            (SEQUENCES, (fitted.sequences,), (condition.sequences,)),
            (STATED, (own.mean, own.sd), (said.mean, said.sd)),
        ):
            before = last.get(looks_at)
            if before is None or not all(map(np.array_equal, before[0], new)):
                found = list(_batches(name, looks_at, known, new, settings, seed))
                last[looks_at] = new, found
            for one in last[looks_at][1]:
                yield Detection(name, one.test, looks_at, one.samples, one.metric, one.value)
        z = (condition.observed - said.mean) / said.sd
        yield from monitor.watched(name, z)


def _batches(
    name: str,
    looks_at: str,
    known: tuple[Codes | Floats, ...],
    new: tuple[Codes | Floats, ...],
    settings: DetectionSettings,
    seed: int,
) -> Iterator[Detection]:
    features = sequence_features if looks_at == SEQUENCES else stated_features
    for size in settings.batches:
        outcomes: dict[str, list[tuple[float, bool]]] = {test: [] for test in BATCH_TESTS}
        count = min(size, len(new[0]))
        for draw in range(settings.draws):
            rng = named_generator(seed, "batch", str(size), str(draw))
            first = rng.permutation(len(known[0]))[: settings.reference]
            second = rng.permutation(len(new[0]))[:count]
            order = rng.permutation(len(first) + len(second))
            rows = features(
                *(np.concatenate([a[first], b[second]]) for a, b in zip(known, new, strict=True))
            )
            labels = permuted_labels(len(first), len(second), settings.permutations, rng)
            for test, run in BATCH_TESTS.items():
                # folds of the classifier are places, so pooled rows are put in a random order
                outcome = run(rows[order], labels[order])
                outcomes[test].append((outcome.statistic, outcome.p <= settings.level))
        for test, listed in outcomes.items():
            statistics, alarms = np.array(listed, dtype=np.float64).T
            yield Detection(name, test, looks_at, count, STATISTIC, float(statistics.mean()))
            yield Detection(name, test, looks_at, count, DETECTED, float(alarms.mean()))


@dataclass(frozen=True)
class LabelMonitor:
    """Tests of labelled streams, with thresholds from calibration data.

    Attributes:
        calibration: z-scores, shape (N,).
        thresholds: of both CUSUMs.
        settings: of the tests.
        seed: of orders and ties.
    """

    calibration: Floats
    thresholds: Mapping[str, float]
    settings: DetectionSettings
    seed: int

    @classmethod
    def of(cls, scores: Floats, settings: DetectionSettings, seed: int) -> "LabelMonitor":
        """Thresholds that a share `level` of streams of calibration data reaches.

        Args:
            scores: z-scores of calibration data, shape (N,).
            settings: of the tests.
            seed: of the draws.
        """
        horizon = max(settings.within)
        thresholds = {
            test: cusum_threshold(
                values, horizon, settings.level, named_generator(seed, "threshold", test)
            )
            for test, values in _summed(scores, scores).items()
        }
        return cls(scores, thresholds, settings, seed)

    def watched(self, name: str, scores: Floats) -> Iterator[Detection]:
        """Alarms in streams of a condition, in random orders of its samples.

        Args:
            name: of the condition.
            scores: z-scores, shape (N,).
        """
        horizon = min(max(self.settings.within), len(scores))
        for test, alarms in self.alarms(scores, horizon).items():
            for within in self.settings.within:
                if within <= horizon:
                    share = float((alarms <= within).mean())
                    yield Detection(name, test, LABELS, within, DETECTED, share)
            delay = float(np.minimum(alarms, horizon).mean())
            yield Detection(name, test, LABELS, horizon, DELAY, delay)

    def alarms(self, scores: Floats, horizon: int) -> dict[str, Integers]:
        """Samples up to the first alarm of every stream by test, shape (S,); `NEVER` if none."""
        rng = named_generator(self.seed, "streams")
        orders = np.argsort(rng.random((self.settings.streams, len(scores))), axis=1)[:, :horizon]
        found = {
            test: first_alarms(cusum(values[orders]), self.thresholds[test])
            for test, values in _summed(self.calibration, scores).items()
        }
        capital = martingale(self.calibration, scores[orders], rng)
        found[MARTINGALE] = first_alarms(capital, 1 / self.settings.level)
        return found


def _summed(calibration: Floats, scores: Floats) -> dict[str, Floats]:
    """Z-scores and their squares, standardised by those of calibration data."""
    found = {}
    for test, power in ((CUSUM_MEAN, 1), (CUSUM_SPREAD, 2)):
        known = calibration**power
        found[test] = (scores**power - known.mean()) / known.std()
    return found
