"""What genotypes say of expression by a linear model: cis-SNP predictor and heritability."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from seqtrust.uncertainty.people_correlations import Floats, covariate_basis, residuals
from seqtrust.uncertainty.people_dosages import CisVariants, filled, standard_dosages
from seqtrust.uncertainty.people_tables import read_gene_numbers

COLUMNS = (
    "gene", "variants", "linear_r", "linear_p", "linear_tie", "heritability", "heritability_se",
    "ceiling", "haseman_elston", "haseman_elston_se",
)  # fmt: skip

L1_SHARE = 0.5
INNER_FOLDS = 5
_PENALTIES, _DECADES = 20, 2
_TOLERANCE = 1e-3
_KEPT = 0.99  # of the genotypes' variance
_LARGEST_R = 1 - 1e-9
_LEAST_PEOPLE = 2 * INNER_FOLDS  # per outer fold


@dataclass(frozen=True)
class LinearFit:
    """How well a cis-SNP predictor does on people whom it has not seen.

    Attributes:
        r: Pearson r per outer fold, Fisher-averaged; a constant prediction counts as 0.
        p: one-sided p-value of it (Stouffer over folds).
        tie: the prediction is constant in every fold.
        variants: number of variants that it may use.
    """

    r: float
    p: float
    tie: bool
    variants: int


@dataclass(frozen=True)
class Heritability:
    """Share of the variance that variants explain additively, and its standard error."""

    value: float
    se: float

    @property
    def ceiling(self) -> float:
        """The largest r that an additive predictor can have."""
        return float(np.sqrt(np.clip(self.value, 0, 1)))


UNKNOWN = Heritability(float("nan"), float("nan"))


def outer_folds(people: int, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The outer fold of every person, drawn at random in nearly equal sizes."""
    return np.random.default_rng(seed).permutation(np.arange(people) % folds)


def out_of_fold(
    dosages: Floats, expression: Floats, folds: npt.NDArray[np.int64], seed: int
) -> Floats:
    """Predictions of every person by an elastic net fitted on the other folds, shape (N,).

    The penalty is chosen by cross-validation inside the other folds (nested), with equal
    weights of the two norms as in PrediXcan (Gamazon et al. 2015).

    Args:
        dosages: shape (V, N), of any scale.
        expression: shape (N,).
        folds: from `outer_folds`.
        seed: seed of the inner folds.
    """
    predicted = np.empty(len(expression))
    for fold in np.unique(folds):
        held = folds == fold
        predicted[held] = _predicted(dosages[:, ~held], expression[~held], dosages[:, held], seed)
    return predicted


def _predicted(train: Floats, expression: Floats, test: Floats, seed: int) -> Floats:
    """Predictions for `test`, shape (people,), with the penalty that inner folds choose."""
    mean, spread = train.mean(axis=1), train.std(axis=1)
    varies = spread > 0
    constant = np.full(test.shape[1], expression.mean())
    if not varies.any():
        return constant
    x = ((train[varies] - mean[varies, None]) / spread[varies, None]).T
    largest = np.abs(x.T @ (expression - expression.mean())).max() / len(x) / L1_SHARE
    if largest == 0:
        return constant
    penalties = largest * np.logspace(0, -_DECADES, _PENALTIES)
    error = np.zeros(_PENALTIES)
    inner = outer_folds(len(x), INNER_FOLDS, seed)
    for fold in range(INNER_FOLDS):
        held = inner == fold
        weights, shift = elastic_net_path(x[~held], expression[~held], penalties)
        said = x[held] @ weights + shift
        error += ((expression[held, None] - said) ** 2).sum(axis=0)
    weights, shift = elastic_net_path(x, expression, penalties)
    best = int(error.argmin())
    if not weights[:, best].any():
        return constant
    scaled = (test[varies] - mean[varies, None]) / spread[varies, None]
    return weights[:, best] @ scaled + shift[best]


def elastic_net_path(x: Floats, y: Floats, penalties: Floats) -> tuple[Floats, Floats]:
    """Weights, shape (V, penalties), and intercepts, shape (penalties,), of elastic nets.

    Args:
        x: shape (people, V).
        y: shape (people,).
        penalties: falling, in scikit-learn's units.
    """
    from sklearn.linear_model import enet_path

    centre, level = x.mean(axis=0), y.mean()
    centred = np.asfortranarray(x - centre)
    with warnings.catch_warnings():
        # the smallest penalties need more passes than are worth their while
        warnings.filterwarnings("ignore", "Objective did not converge")
        _, weights, _ = enet_path(
            centred,
            y - level,
            l1_ratio=L1_SHARE,
            alphas=penalties,
            precompute=centred.T @ centred,
            Xy=centred.T @ (y - level),
            check_input=False,
            tol=_TOLERANCE,
        )
    return weights, level - centre @ weights


def averaged_over_folds(
    predicted: Floats, expression: Floats, folds: npt.NDArray[np.int64], variants: int
) -> LinearFit:
    """Correlations per fold, averaged on Fisher's scale.

    Pooling the folds first would correlate their means: the mean of the other folds is low
    where a fold's own is high, so a predictor that says nothing gets a negative r.

    Args:
        predicted: out-of-fold predictions, shape (N,).
        expression: shape (N,).
        folds: fold of each person.
        variants: number of variants of the predictor.
    """
    transformed, weights, ties = [], [], []
    for fold in np.unique(folds):
        mine = folds == fold
        tie = np.ptp(predicted[mine]) == 0 or np.ptp(expression[mine]) == 0
        r = 0.0 if tie else float(np.corrcoef(predicted[mine], expression[mine])[0, 1])
        ties.append(tie)
        transformed.append(np.arctanh(np.clip(r, -_LARGEST_R, _LARGEST_R)))
        weights.append(max(int(mine.sum()) - 3, 1))
    z, weight = np.array(transformed), np.array(weights, dtype=np.float64)
    score = float((z * np.sqrt(weight)).sum() / np.sqrt(len(z)))
    if all(ties):
        return LinearFit(0.0, 1.0, True, variants)
    r = float(np.tanh((weight * z).sum() / weight.sum()))
    return LinearFit(r, float(norm.sf(score)), False, variants)


def linear_fit(
    dosages: Floats,
    expression: Floats,
    folds: int,
    seed: int,
    covariates: Floats | None = None,
) -> LinearFit:
    """The cis-SNP predictor of one gene on people whom it has not seen.

    Args:
        dosages: shape (V, N), complete.
        expression: shape (N,), complete.
        folds: number of outer folds.
        seed: seed of the outer and inner folds.
        covariates: shape (N, K), regressed out of the expression first.
    """
    values = expression
    if covariates is not None:
        values = residuals(expression, covariate_basis(covariates))
    groups = outer_folds(len(values), folds, seed)
    if not len(dosages):
        return LinearFit(0.0, 1.0, True, 0)
    predicted = out_of_fold(dosages, values, groups, seed)
    return averaged_over_folds(predicted, values, groups, len(dosages))


def explained_by_genotypes(
    standardised: Floats, expression: Floats, covariates: Floats | None = None
) -> Heritability:
    """Heritability of the sample whatever the sizes of effects: adjusted R2 on the genotypes.

    The genotypes are replaced by their first principal components, which hold 99 % of their
    variance but are at most half of the people (as HESS does for one locus, Shi et al. 2016).
    The standard error is that of a linear model with fixed effects (delta method).

    Args:
        standardised: dosages of mean 0 and variance 1, shape (V, N).
        expression: shape (N,).
        covariates: shape (N, K).

    Returns:
        NaN where there is no variant.
    """
    basis = _basis(covariates, len(expression))
    projected, y = residuals(standardised, basis), residuals(expression, basis)
    free = len(expression) - basis.shape[1]
    _, sizes, components = np.linalg.svd(projected, full_matrices=False)
    if not sizes.size or sizes[0] == 0 or not y.any():
        return UNKNOWN
    held = np.cumsum(sizes**2) / (sizes**2).sum()
    number = min(int(np.searchsorted(held, _KEPT)) + 1, len(sizes), free // 2)
    fitted = float(((components[:number] @ y) ** 2).sum())
    noise = (float(y @ y) - fitted) / (free - number)
    genetic = fitted - number * noise
    total = genetic + free * noise
    # variances of the explained and the unexplained sum of squares, which are independent
    spread = 2 * number * noise**2 + 4 * noise * max(genetic, 0.0)
    rest = 2 * (free - number) * noise**2
    by_explained = free * noise / total**2
    by_rest = -(number * free * noise + genetic * (free - number)) / (free - number) / total**2
    se = np.sqrt(by_explained**2 * spread + by_rest**2 * rest)
    return Heritability(genetic / total, float(se))


def _basis(covariates: Floats | None, people: int) -> Floats:
    return covariate_basis(np.empty((people, 0)) if covariates is None else covariates)


def haseman_elston(
    standardised: Floats, expression: Floats, covariates: Floats | None = None
) -> Heritability:
    """Additive heritability by Haseman-Elston regression, in its method-of-moments form.

    With K the mean of the products of standardised dosages, and intercept and covariates
    projected out, the expected values of y'Ky and y'y are linear in the two variances. The
    standard error is that of normal y with the estimated variances (delta method): all matrices
    share the eigenvectors of K. It takes effects to be equally large on all variants; where one
    causal variant has fewer neighbours in linkage than others, it comes out too low.

    Args:
        standardised: dosages of mean 0 and variance 1, shape (V, N).
        expression: shape (N,).
        covariates: shape (N, K).

    Returns:
        NaN where there is no variant, or where all genotypes are equally alike.
    """
    if not len(standardised):
        return UNKNOWN
    basis = _basis(covariates, len(expression))
    projected, y = residuals(standardised, basis), residuals(expression, basis)
    relationship = projected.T @ projected / len(standardised)
    free = len(expression) - basis.shape[1]
    # the projection adds zeros, which are no degrees of freedom
    roots = np.linalg.eigvalsh(relationship)[-free:]
    moments = np.array([[(roots**2).sum(), roots.sum()], [roots.sum(), float(free)]])
    if np.linalg.cond(moments) > 1e12 or not y.any():
        return UNKNOWN
    inverse = np.linalg.inv(moments)
    genetic, noise = inverse @ np.array([y @ relationship @ y, y @ y])
    total = genetic + noise
    share = float(np.clip(genetic / total, 0, 1))
    variance = total * (share * roots + 1 - share)
    forms = 2 * np.array(
        [
            [(roots**2 * variance**2).sum(), (roots * variance**2).sum()],
            [(roots * variance**2).sum(), (variance**2).sum()],
        ]
    )
    slope = np.array([noise, -genetic]) / total**2 @ inverse
    return Heritability(float(genetic / total), float(np.sqrt(slope @ forms @ slope)))


def linear_table(
    variants: Iterable[tuple[str, CisVariants]],
    expression: Floats,
    covariates: Floats | None,
    least_frequency: float,
    folds: int,
    seed: int,
    given: Mapping[str, Heritability] | None = None,
) -> pd.DataFrame:
    """Predictor and heritability of genes; a gene with too few known people has neither.

    Args:
        variants: the variants of each gene.
        expression: of the same genes, shape (G, N), NaN where not known.
        covariates: shape (N, K), or None.
        least_frequency: of the rarer allele.
        folds: number of outer folds.
        seed: seed of the folds.
        given: heritabilities known from elsewhere; None: they are estimated.
    """
    rows: list[tuple[Any, ...]] = []
    for (gene, found), values in zip(variants, expression, strict=True):
        known = np.isfinite(values)
        if known.sum() < _LEAST_PEOPLE * folds or np.ptp(values[known]) == 0:
            rows.append((gene, 0, *[None] * 8))
            continue
        common = found.common(least_frequency).dosages[:, known]
        about = None if covariates is None else covariates[known]
        fit = linear_fit(filled(common), values[known], folds, seed, about)
        genotypes = standard_dosages(common)
        h2 = explained_by_genotypes(genotypes, values[known], about)
        if given is not None:
            h2 = given.get(gene, UNKNOWN)
        other = haseman_elston(genotypes, values[known], about)
        rows.append(
            (gene, fit.variants, fit.r, fit.p, fit.tie, h2.value, h2.se, h2.ceiling, other.value,
             other.se)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read_heritability(path: str | Path | None) -> dict[str, Heritability] | None:
    """Heritabilities of genes: a TSV with the columns gene, h2 and se.

    Raises:
        InputError: see `read_gene_numbers`.
    """
    if path is None:
        return None
    table = read_gene_numbers(path, ["h2", "se"])
    return {
        str(gene): Heritability(float(h2), float(se))
        for gene, h2, se in zip(table.index, table["h2"], table["se"], strict=True)
    }
