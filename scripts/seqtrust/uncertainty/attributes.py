"""How the classes of verdicts differ in what is known of their units."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import false_discovery_control, mannwhitneyu

from seqtrust.errors import InputError
from seqtrust.statistics import Floats
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, OUT_OF_REACH, TIE, UNANIMOUS

SUMMARY = ("attribute", "class", "count", "q25", "median", "q75")
TESTS = (
    "attribute", "class_a", "class_b", "n_a", "n_b", "loci_a", "loci_b", "rank_biserial",
    "p", "p_loci", "q",
)  # fmt: skip
ORDER = (CORRECT, UNANIMOUS, INCONSISTENT, INCORRECT, TIE, OUT_OF_REACH)


def attribute_summary(
    classes: npt.NDArray[np.str_], attributes: Mapping[str, Floats]
) -> pd.DataFrame:
    """Quartiles of every attribute in every class, over the units where it is known.

    Args:
        classes: class of every unit, shape (N,).
        attributes: values by name, shape (N,) each; NaN where not known.

    Returns:
        A row per attribute and class, with the columns of `SUMMARY`.
    """
    rows: list[tuple[Any, ...]] = []
    for name, values in _checked(classes, attributes).items():
        for kind in in_order(classes):
            mine = values[(classes == kind) & np.isfinite(values)]
            quartiles = np.quantile(mine, [0.25, 0.5, 0.75]) if mine.size else [np.nan] * 3
            rows.append((name, kind, len(mine), *quartiles))
    return pd.DataFrame(rows, columns=list(SUMMARY))


def attribute_tests(
    classes: npt.NDArray[np.str_], attributes: Mapping[str, Floats], loci: Sequence[str]
) -> pd.DataFrame:
    """Mann-Whitney tests of every attribute between every two classes.

    `p` is over rows, as published; rows of one locus are not independent, so `p_loci` is the
    same test over one mean per locus and class, and `q` its Benjamini-Hochberg value over all
    tests of the call. A test without values on one side is left out.

    Args:
        classes: class of every unit, shape (N,).
        attributes: values by name, shape (N,) each; NaN where not known.
        loci: locus of every unit.

    Returns:
        A row per attribute and two classes, with the columns of `TESTS`. `rank_biserial` is
        P(a > b) - P(a < b) over rows: positive where values of class_a are larger.
    """
    rows: list[tuple[Any, ...]] = []
    places = np.array([str(locus) for locus in loci])
    for name, values in _checked(classes, attributes).items():
        known = np.isfinite(values)
        for first, second in combinations(in_order(classes), 2):
            chosen = [known & (classes == kind) for kind in (first, second)]
            if not all(mask.any() for mask in chosen):
                continue
            a, b = (values[mask] for mask in chosen)
            mean_a, mean_b = (locus_means(values[mask], places[mask]) for mask in chosen)
            test = mannwhitneyu(a, b)
            rows.append((
                name, first, second, len(a), len(b), len(mean_a), len(mean_b),
                2 * test.statistic / (len(a) * len(b)) - 1, test.pvalue,
                mannwhitneyu(mean_a, mean_b).pvalue,
            ))  # fmt: skip
    table = pd.DataFrame(rows, columns=list(TESTS[:-1]))
    table["q"] = false_discovery_control(table["p_loci"]) if rows else np.array([])
    return table


def in_order(classes: npt.NDArray[np.str_]) -> list[str]:
    """The classes that occur: those of verdicts from correct to incorrect, then the others."""
    found = set(classes.tolist())
    return [name for name in ORDER if name in found] + sorted(found.difference(ORDER))


def locus_means(values: Floats, loci: npt.NDArray[np.str_]) -> Floats:
    """The mean value of every locus, in the order of their names."""
    _, index = np.unique(loci, return_inverse=True)
    return np.bincount(index, values) / np.bincount(index)


def _checked(classes: npt.NDArray[np.str_], attributes: Mapping[str, Floats]) -> dict[str, Floats]:
    """The attributes as float64.

    Raises:
        InputError: an attribute is not of the length of the classes.
    """
    values = {name: np.asarray(given, dtype=np.float64) for name, given in attributes.items()}
    for name, found in values.items():
        if found.shape != (len(classes),):
            raise InputError(
                f"attribute {name!r} has shape {found.shape}; expected one value for each of the "
                f"{len(classes)} units"
            )
    return values
