"""One round of the Deep MR simulation: data, replicates, effects and all analyses of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa

from seqtrust.mendelian.recalibration import variance_factor
from seqtrust.mendelian.simulated_analyses import analysed
from seqtrust.mendelian.simulated_choices import Analysis, Loci, analyses_of
from seqtrust.mendelian.simulated_grammar import (
    Process,
    Relation,
    Sequences,
    drawn_labels,
    drawn_relation,
    drawn_sequences,
    drawn_variants,
)
from seqtrust.mendelian.simulated_oracle import (
    TrueEffects,
    drawn_loci,
    occupancies,
    true_effects,
    within_exposure,
)
from seqtrust.mendelian.simulated_published import (
    PUBLISHED,
    UNCALIBRATED,
    published_rows,
    recalibrated_effects,
)
from seqtrust.mr_simulation_cells import Cell
from seqtrust.statistics import Floats
from seqtrust.tables import Column, TableSchema

ORACLE, NETWORKS = "oracle", "networks"
OTHER_LOCI = 2000  # of the same process, for prediction intervals and the truth of a population
TRUTHS = ("population", "ensemble", "oracle", "ideal", "loci")

_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
ROUNDS = TableSchema(
    "mr_simulation_round",
    1,
    "mr_simulations/{simulation}/{cell}/{round}.parquet",
    "Estimates of one round of one cell of a Deep MR simulation: a row per analysis.",
    (
        Column("path", _TEXT, "`oracle` (true effects plus noise) or `networks`"),
        Column("mode", _TEXT, "which confounders there are"),
        Column("law", _TEXT, "name of the law of effects"),
        Column("heterogeneity", _NUMBER, "planted sd of the effect over loci"),
        Column("strength", _NUMBER, "factor of the confounders' counts"),
        Column("round", _COUNT, "from 1"),
        Column("effect", _NUMBER, "planted mean effect, about the true slope", "label per label"),
        Column("cluster", _TEXT, "part of the law that the effect was drawn from"),
        Column("members", _COUNT, "replicates used"),
        Column("rule", _TEXT, "of the instruments"),
        Column("estimator", _TEXT, "of the effect"),
        Column("calibration", _TEXT, "`none`, `variance` or the published `intervals`"),
        Column("estimate", _NUMBER, "global effect", "label per label", True),
        Column("se", _NUMBER, "its standard error", "label per label", True),
        Column("low", _NUMBER, "of the estimator's 95 % interval", "label per label", True),
        Column("high", _NUMBER, "of the same", "label per label", True),
        Column("z_low", _NUMBER, "of REML with normal quantiles", "label per label", True),
        Column("z_high", _NUMBER, "of the same", "label per label", True),
        Column("tau", _NUMBER, "sd between loci", "label per label", True),
        Column("prediction_low", _NUMBER, "of a new locus", "label per label", True),
        Column("prediction_high", _NUMBER, "of the same", "label per label", True),
        Column("loci", _COUNT, "with an estimate"),
        Column("left_out", _COUNT, "without"),
        Column("reason", _TEXT, "why there is no estimate"),
        *(
            Column(f"truth_{name}", _NUMBER, f"truth `{name}`", "label per label", True)
            for name in TRUTHS
        ),
        Column("further", _COUNT, "networks behind the truth `ensemble`"),
        *(
            Column(f"local_{name}{part}", _COUNT, f"{words}, truth `{name}`")
            for name in ("oracle", "loci", "mispaired")
            for part, words in (("", "loci judged"), ("_covered", "loci whose interval holds it"))
        ),
        Column("predicted", _COUNT, "other loci"),
        Column("predicted_covered", _COUNT, "of these inside the prediction interval"),
        Column("median_F", _NUMBER, "median over loci of the mean F", "", True),
        Column("median_instruments", _NUMBER, "median over loci", "", True),
        Column(
            "exposure_r", _NUMBER, "effects of mutations on the exposure, with the true", "", True
        ),
        Column("outcome_r", _NUMBER, "the same of the outcome", "", True),
    ),
)


@dataclass(frozen=True)
class Noise:
    """Errors of the replicates of the oracle path.

    Attributes:
        replicates: how many.
        exposure: sd of an effect on the exposure in one replicate.
        outcome: of an effect on the outcome.
        shared: correlation of the errors of a locus' instruments, which share the reference.
        psi: correlation of the errors of exposure and outcome.
        gain: sd over replicates of a factor on all outcome effects.
    """

    replicates: int = 5
    exposure: float = 0.5
    outcome: float = 0.5
    shared: float = 0.5
    psi: float = 0.3
    gain: float = 0.1


def simulated_round(
    process: Process,
    cell: Cell,
    number: int,
    *,
    seed: int,
    law: Mapping[str, Any],
    data: Mapping[str, Any],
    oracle: Mapping[str, Any] | None,
    networks: Mapping[str, Any] | None,
    analyses: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """All rows of one round; equal arguments give equal rows.

    Args:
        process: without the cell's mode, heterogeneity and strength.
        cell: of the grid.
        number: of the round, from 1.
        seed: of the simulation.
        law: of effects.
        data: numbers of sequences: `train`, `variants` (share), `test`, `loci`, `recalibration`.
        oracle: fields of `Noise`; without, no oracle path.
        networks: fields of `Networks`; without, no networks.
        analyses: `members`, `rules`, `estimators`, `calibration`, `published`.
    """
    process = replace(
        process, mode=cell.mode, heterogeneity=cell.heterogeneity, strength=cell.strength
    )
    rng = np.random.default_rng([seed, crc32(cell.name.encode()), number])
    relation = drawn_relation(law, process, rng)
    others = drawn_loci(OTHER_LOCI, process, rng)
    world = _World(process, relation, true_effects(others, relation, process, span=True))
    shared = {
        "mode": cell.mode,
        "law": cell.law,
        "heterogeneity": cell.heterogeneity,
        "strength": cell.strength,
        "round": number,
        "effect": relation.effect,
        "cluster": relation.cluster,
    }
    rows: list[dict[str, Any]] = []
    if oracle is not None:
        noise = Noise(**oracle)
        made = _oracle_rows(world, noise, int(data["loci"]), analyses, rng)
        rows += [{"path": ORACLE} | row for row in made]
    if networks is not None:
        made = _network_rows(world, networks, data, analyses, rng)
        rows += [{"path": NETWORKS} | row for row in made]
    return [shared | row for row in rows]


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows as the columns of the table; what an analysis does not have is empty or 0."""
    columns = {}
    for column in ROUNDS.columns:
        missing: Any = None if column.nullable else "" if column.type == _TEXT else 0
        values = [row.get(column.name, missing) for row in rows]
        if column.type == _NUMBER:
            values = [None if value is None or np.isnan(value) else value for value in values]
        columns[column.name] = values
    return columns


@dataclass(frozen=True)
class _World:
    """Process and relation of a round, and the truth of other loci."""

    process: Process
    relation: Relation
    other_effects: TrueEffects

    @property
    def position(self) -> np.ndarray:
        return np.repeat(np.arange(self.process.length), 4)

    def loci(self, sequences: Sequences, truth: TrueEffects, replicates: Floats) -> Loci:
        """Effects of replicates beside the truth of the same loci."""
        return Loci(
            replicates=replicates,
            causal=truth.causal,
            ideal=truth.learned,
            position=self.position,
            span=within_exposure(sequences, self.process),
            slopes=truth.span_slope,
            other_slopes=self.other_effects.span_slope,
        )


def _chosen(analyses: Mapping[str, Any], most: int, calibration: list[str]) -> list[Analysis]:
    members = [number for number in analyses["members"] if number <= most]
    return analyses_of(members, analyses["rules"], analyses["estimators"], calibration)


def noisy_replicates(causal: Floats, noise: Noise, rng: np.random.Generator) -> Floats:
    """Noise-free effects plus errors of known covariance.

    Args:
        causal: shape (2, K, J), NaN where there is no substitution.
        noise: of the replicates.
        rng: source of randomness.

    Returns:
        Shape (2, E, K, J).
    """
    _, loci, size = causal.shape

    def errors(shape: tuple[int, ...]) -> Floats:
        """Standard normal pairs with correlation psi."""
        first, second = rng.standard_normal((2, *shape))
        return np.stack([first, noise.psi * first + np.sqrt(1 - noise.psi**2) * second])

    own = errors((noise.replicates, loci, size))
    reference = errors((noise.replicates, loci, 1))
    error = np.sqrt(noise.shared) * reference + np.sqrt(1 - noise.shared) * own
    error *= np.array([noise.exposure, noise.outcome])[:, None, None, None]
    gain = 1 + noise.gain * rng.standard_normal(noise.replicates)
    factors = np.stack([np.ones_like(gain), gain])
    return causal[:, None] * factors[:, :, None, None] + error


def _oracle_rows(
    world: _World,
    noise: Noise,
    number: int,
    analyses: Mapping[str, Any],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    process = world.process
    sequences = drawn_loci(number, process, rng)
    truth = true_effects(sequences, world.relation, process)
    root = np.sqrt(noise.replicates)
    loci = replace(
        world.loci(sequences, truth, noisy_replicates(truth.causal, noise, rng)),
        other=world.other_effects.causal,
        other_se=(noise.exposure / root, noise.outcome / root),
    )
    chosen = _chosen(analyses, noise.replicates, ["none"])
    return [analysed(loci, analysis) for analysis in chosen]


def _network_rows(
    world: _World,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    analyses: Mapping[str, Any],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    # torch takes seconds to load, and the oracle path does without
    from seqtrust.mendelian.simulated_networks import Networks, mapped, predicted, trained

    chosen, process = Networks(**settings), world.process
    drawn = drawn_sequences(int(data["train"]), process, rng)
    number = round(data["variants"] * len(drawn))
    drawn = drawn.joined(drawn_variants(drawn, number, process, rng))
    labels = _labels(drawn, world, rng)
    test = drawn_sequences(int(data["test"]), process, rng)
    test = test.rows(np.flatnonzero(test.has_exposure)[: int(data["loci"])])
    apart = drawn_sequences(int(data["recalibration"]), process, rng)
    apart_labels, test_labels = (_labels(one, world, rng).T for one in (apart, test))
    count = chosen.members + chosen.further
    seeds = rng.integers(0, 2**31, count)
    effects = np.empty((2, count, len(test), 4 * process.length))
    references = np.empty((2, count, len(test)))
    told = np.empty((2, count, len(apart)))
    for index, seed in enumerate(seeds):
        model = trained(drawn.codes, labels, chosen, int(seed))
        effects[:, index], references[:, index] = mapped(model, test.codes, chosen)
        told[:, index] = predicted(model, apart.codes, chosen).T
    truth = true_effects(test, world.relation, process)
    mine = slice(0, chosen.members)
    factors = variance_factor(np.moveaxis(told[:, mine], 0, -1), apart_labels.T)
    both = test.has_both
    loci = replace(
        world.loci(test, truth, effects[:, mine]),
        further=effects[:, chosen.members :] if chosen.further > 1 else None,
        factors=(float(factors[0]), float(factors[1])),
    )
    rows = [
        analysed(_of(loci, both), one)
        for one in _chosen(analyses, chosen.members, list(analyses["calibration"]))
    ]
    if analyses["published"]:
        moved = recalibrated_effects(
            references[:, mine], effects[:, mine], test_labels, references[:, mine]
        )
        for name, made in ((PUBLISHED, moved), (UNCALIBRATED, effects[:, mine])):
            rows += published_rows(made, truth.span_slope, both, name)
    quality = {
        f"{task}_r": _agreement(effects[side, mine].mean(axis=0)[both], truth.causal[side][both])
        for side, task in enumerate(("exposure", "outcome"))
    }
    further = {"further": chosen.further if chosen.further > 1 else 0}
    return [quality | further | row for row in rows]


def _labels(sequences: Sequences, world: _World, rng: np.random.Generator) -> Floats:
    occupancy = occupancies(sequences.codes, world.process)
    return drawn_labels(occupancy, sequences, world.relation, world.process, rng)


def _of(loci: Loci, chosen: np.ndarray) -> Loci:
    """Some of the loci."""
    return replace(
        loci,
        replicates=loci.replicates[:, :, chosen],
        causal=loci.causal[:, chosen],
        ideal=loci.ideal[:, chosen],
        span=loci.span[chosen],
        slopes=loci.slopes[chosen],
        further=None if loci.further is None else loci.further[:, :, chosen],
    )


def _agreement(found: Floats, truth: Floats) -> float:
    """Pearson r over all substitutions of all loci; NaN without variation."""
    known = np.isfinite(found) & np.isfinite(truth)
    if known.sum() < 2 or not (np.ptp(found[known]) and np.ptp(truth[known])):
        return float("nan")
    return float(np.corrcoef(found[known], truth[known])[0, 1])
