"""Structural priors: what one may know of motifs before training, without the answer.

Features are scans of sequences with motifs of the training world, some of them and not quite right.
Under drift they stay as they are: a model must not learn of the shift from its inputs. The
simulator's own features are an upper bound, and scans with shuffled motifs a control.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.motifs import SCAN_SOFTENING, UNIFORM, Motif, soften
from seqtrust.robustness.checks import refuse_outside
from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.sequences import gc_content
from seqtrust.robustness.worlds import World
from seqtrust.simulation import site_bits
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]

Kind = Literal["scans", "shuffled", "gc", "columns", "upper_bound"]
KINDS: tuple[Kind, ...] = ("scans", "shuffled", "gc", "columns", "upper_bound")
# that are no function of the bases: a network is given them beside its input
BESIDE: tuple[Kind, ...] = ("columns", "upper_bound")

_SCAN_BASES = 1 << 19
# tried for the control
_ORDERS = 50


@dataclass(frozen=True)
class StructuralPrior:
    """Standardised features for a model.

    Attributes:
        kind: `scans` (the default prior), `shuffled` (control), `gc` (GC content alone), `columns`
            (numbers that a table gives of every sequence) or `upper_bound` (the simulator's own
            features: leaks drifted motifs, for comparison only).
        names: of the F features.
        motifs: that sequences are scanned with.
        centre: mean over the training data, shape (F,).
        scale: standard deviation over the training data, shape (F,).
    """

    kind: Kind
    names: tuple[str, ...]
    motifs: tuple[Motif, ...]
    centre: Floats
    scale: Floats

    def features(self, condition: Condition) -> Floats:
        """Features of a condition's sequences, shape (N, F)."""
        return (_raw(self.kind, self.motifs, condition) - self.centre) / self.scale


def fit_prior(
    world: World,
    training: Condition,
    kind: Kind = "scans",
    known: int = 5,
    perturbation: float = 0.15,
    seed: int = 0,
) -> StructuralPrior:
    """Choose motifs and standardise features on training data.

    Args:
        world: only the motifs of its training readout are used.
        training: training data, without shift.
        kind: see `StructuralPrior`.
        known: motifs that are known; the others are not scanned.
        perturbation: share of a random column in every column of a known motif.
        seed: of the choice, the perturbation and the shuffle.

    Raises:
        InputError: the training data are shifted, or there are not so many motifs.
    """
    if kind not in KINDS:
        raise InputError(f"there is no structural prior {kind!r}; known: {', '.join(KINDS)}")
    if training.shift.type != "none":
        raise InputError(
            f"structural priors are standardised on training data, not on {training.shift.label}: "
            "draw a condition without shift"
        )
    motifs: tuple[Motif, ...] = ()
    if kind in ("scans", "shuffled"):
        motifs = known_motifs(world.readout.motifs, known, perturbation, seed)
    if kind == "shuffled":
        motifs = shuffled_motifs(motifs, world.readout.motifs, seed)
    truths = [f"{motif.name}_truth" for motif in world.readout.motifs]
    return standardised_prior(kind, motifs, training, truths if kind == "upper_bound" else [])


def standardised_prior(
    kind: Kind, motifs: tuple[Motif, ...], training: Condition, names: Sequence[str] = ()
) -> StructuralPrior:
    """Standardise the features of a prior on training data.

    Args:
        kind: see `StructuralPrior`.
        motifs: to scan with; none of other kinds.
        training: the data.
        names: of features that are no scans, GC content aside.
    """
    raw = _raw(kind, motifs, training)
    spread = raw.std(axis=0)
    spread[spread <= 1e-12 * np.abs(raw).max(axis=0)] = 1.0
    scanned = [f"{motif.name}_{what}" for motif in motifs for what in ("best", "sum")]
    return StructuralPrior(kind, (*(names or scanned), "gc"), motifs, raw.mean(axis=0), spread)


def prior_parameters(prior: StructuralPrior) -> dict[str, Any]:
    """The parameter `prior` of a network that computes the features from its own input.

    The simulator's own features are no function of the bases that a network sees: they follow a
    drift of the motifs and are those of molecules before read errors. A network is given them as
    control tracks.

    Args:
        prior: of a kind that is not in `BESIDE`.

    Raises:
        InputError: the prior is no function of the bases.
    """
    if prior.kind in BESIDE:
        what = "the upper bound is" if prior.kind == "upper_bound" else "columns of a table are"
        raise InputError(
            f"{what} not computed from a network's input: give prior.features(...) as "
            "control tracks, and parameter control their number"
        )
    return {
        "motifs": [
            {"name": motif.name, "columns": soften(motif, SCAN_SOFTENING).probabilities.tolist()}
            for motif in prior.motifs
        ],
        "gc": True,
        "centre": prior.centre.tolist(),
        "scale": prior.scale.tolist(),
    }


def known_motifs(
    motifs: Sequence[Motif], known: int, perturbation: float, seed: int
) -> tuple[Motif, ...]:
    """Some motifs, each column mixed with a random one of a flat Dirichlet distribution.

    Raises:
        InputError: there are not so many, or the perturbation lies outside 0 to 1.
    """
    refuse_outside("structural prior", "known", known, 1, len(motifs))
    refuse_outside("structural prior", "perturbation", perturbation, 0, 1)
    rng = named_generator(seed, "known motifs")
    chosen = np.sort(rng.permutation(len(motifs))[:known])
    found = []
    for index in chosen.tolist():
        motif = motifs[index]
        noise = rng.dirichlet(np.ones(4), size=motif.width)
        mixed = (1 - perturbation) * motif.probabilities + perturbation * noise
        found.append(Motif(motif.name, tuple(map(tuple, mixed.tolist()))))
    return tuple(found)


def shuffled_motifs(
    motifs: Sequence[Motif], truth: Sequence[Motif], seed: int
) -> tuple[Motif, ...]:
    """Motifs with the same columns in another order: as strong, of the same GC content.

    Of several orders the one that is least like any true motif, because a chance order may score
    its sites (R2 of activity up to .05 more than GC content alone).

    Args:
        motifs: to shuffle.
        truth: all motifs of the world.
        seed: of the orders.
    """
    rng = named_generator(seed, "shuffled motifs")
    found = []
    for motif in motifs:
        orders = [rng.permutation(motif.width) for _ in range(_ORDERS)]
        tried = [
            Motif(motif.name, tuple(motif.columns[place] for place in order)) for order in orders
        ]
        found.append(min(tried, key=lambda one: likeness(one, truth)))
    return tuple(found)


def likeness(motif: Motif, others: Sequence[Motif]) -> float:
    """The most bits that a motif is expected to give to sites of other motifs.

    Over all shifts against each other, on either strand; bases outside the site are uniform.
    """
    bits = soften(motif, SCAN_SOFTENING).bits
    beside = motif.width - 1
    best = -np.inf
    for other in others:
        for columns in (other.probabilities, other.probabilities[::-1, ::-1]):
            padded = np.pad(columns, ((beside, beside), (0, 0)), constant_values=UNIFORM)
            windows = np.lib.stride_tricks.sliding_window_view(padded, motif.width, axis=0)
            best = max(best, float(np.einsum("nbw,wb->n", windows, bits).max()))
    return best


def scan_features(codes: Codes, motifs: Sequence[Motif]) -> Floats:
    """Best log odds and log-sum-exp of the scan with every motif, bits, shape (N, 2 x motifs).

    A site counts on its better strand; one with an N is as bad as the worst site.

    Args:
        codes: base codes, shape (N, L).
        motifs: to scan with.
    """
    softened = [soften(motif, SCAN_SOFTENING) for motif in motifs]
    found = np.empty((len(codes), 2 * len(motifs)))
    step = max(1, _SCAN_BASES // max(codes.shape[1], 1))
    for first in range(0, len(codes), step):
        part = slice(first, first + step)
        for index, bits in enumerate(site_bits(codes[part], softened)):
            worst = softened[index].bits.min(axis=1).sum()
            sites = np.maximum(bits.max(axis=0), worst)
            best = sites.max(axis=1)
            found[part, 2 * index] = best
            found[part, 2 * index + 1] = best + np.log2(np.exp2(sites - best[:, None]).sum(axis=1))
    return found


def _raw(kind: Kind, motifs: Sequence[Motif], condition: Condition) -> Floats:
    gc = gc_content(condition.sequences)[:, None]
    if kind == "upper_bound":
        return np.hstack([condition.features, gc])
    if kind == "columns":
        if condition.columns is None:
            raise InputError("no table gives columns of these sequences: see tables: features")
        return np.hstack([condition.columns, gc])
    return np.hstack([scan_features(condition.sequences, motifs), gc]) if motifs else gc
