"""What replicates would score if expression said nothing of genotype: people permuted.

People are exchanged within their population, with one permutation for all genes and replicates:
between-population differences of expression and prediction stay, and so does the correlation of
genes and of replicates. Exchanging people freely takes differences between populations for
evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.uncertainty.people_correlations import (
    ROUNDING,
    Bools,
    Floats,
    Integers,
    cleaned,
    covariate_basis,
    known_pairs,
    people_by_gene,
    standardised,
)

_BLOCK = 128  # permutations whose values are gathered at once


@dataclass(frozen=True)
class Null:
    """Observed correlations beside those of permuted people.

    Attributes:
        observed: shape (R, G).
        exceeding: permutations with a correlation as large or larger in size, shape (R, G).
        unanimous: +1 if all judged replicates are positive in the permutation, -1 if all are
            negative, else 0; shape (G, rounds).
        rounds: number of permutations.
    """

    observed: Floats
    exceeding: Integers
    unanimous: npt.NDArray[np.int8]
    rounds: int

    @property
    def p_values(self) -> Floats:
        """Two-sided p-values, shape (R, G); the observed order is one of the permutations."""
        return (1 + self.exceeding) / (1 + self.rounds)


def permutation_keys(people: int, rounds: int, seed: int) -> Floats:
    """A random key per permutation and person, shape (rounds, people).

    Keys make the permutations of all subsets of people agree: see `orders`.
    """
    return np.random.default_rng(seed).random((rounds, people))


def orders(keys: Floats, populations: npt.NDArray[np.int64]) -> Integers:
    """Permutations within populations, shape (rounds, people).

    The j-th member of a population takes the place of the member with the j-th smallest key.

    Args:
        keys: of these people, shape (rounds, people).
        populations: number of each person's population.
    """
    found = np.empty(keys.shape, dtype=np.int64)
    for population in np.unique(populations):
        members = np.flatnonzero(populations == population)
        found[:, members] = members[np.argsort(keys[:, members], axis=1)]
    return found


def permuted_correlations(said: Floats, expressed: Floats, order: Integers) -> Floats:
    """Correlations of one gene with people permuted, shape (R, rounds).

    Args:
        said: standardised predictions, shape (R, people).
        expressed: standardised expression, shape (people,).
        order: from `orders`.
    """
    found = np.empty((len(said), len(order)))
    for start in range(0, len(order), _BLOCK):
        rows = slice(start, start + _BLOCK)
        found[:, rows] = said @ expressed[order[rows]].T
    return found


def people_null(
    predictions: Floats,
    measured: Floats,
    populations: Sequence[int],
    method: str,
    rounds: int,
    seed: int,
    covariates: Floats | None = None,
    judged: Bools | None = None,
) -> Null:
    """Correlations of every gene and replicate, observed and with people permuted.

    Args:
        predictions: shape (R, G, N), NaN where not known.
        measured: shape (G, N), NaN where not known.
        populations: number of each person's population, N of them.
        method: `pearson` or `spearman`.
        rounds: number of permutations.
        seed: seed of the permutations.
        covariates: shape (N, K), regressed out of both before anything else.
        judged: which of the R rows count for `unanimous`, shape (R,); all if None.
    """
    replicates, genes_in_all, people_in_all = predictions.shape
    labels = np.asarray(populations, dtype=np.int64)
    keys = permutation_keys(people_in_all, rounds, seed)
    counted = np.ones(replicates, dtype=bool) if judged is None else judged
    observed = np.zeros((replicates, genes_in_all))
    exceeding = np.zeros((replicates, genes_in_all), dtype=np.int64)
    unanimous = np.zeros((genes_in_all, rounds), dtype=np.int8)
    used: Integers | None = None
    for genes, people in people_by_gene(known_pairs(predictions, measured)):
        if used is None or not np.array_equal(used, people):
            used, order = people, orders(keys[:, people], labels[people])
            basis = None if covariates is None else covariate_basis(covariates[people])
        said = standardised(predictions[:, genes][:, :, people], method, basis)
        expressed = standardised(measured[np.ix_(genes, people)], method, basis)
        for row, gene in enumerate(genes):
            here = np.einsum("rn,n->r", said[:, row], expressed[row])
            permuted = permuted_correlations(said[:, row], expressed[row], order)
            observed[:, gene] = here
            exceeding[:, gene] = (np.abs(permuted) >= np.abs(here)[:, None] - ROUNDING).sum(axis=1)
            positive = (permuted[counted] > ROUNDING).all(axis=0)
            negative = (permuted[counted] < -ROUNDING).all(axis=0)
            unanimous[gene] = positive.astype(np.int8) - negative.astype(np.int8)
    return Null(cleaned(observed), exceeding, unanimous, rounds)
