"""Driver variants: which few variants carry a replicate's prediction of a gene across people.

A personal prediction is nearly additive in the person's variants, so it can be taken apart by a
linear model on dosages (after Sasse et al. 2023, who summed attributions). Variants with the
same dosages in all people cannot be told apart and count as one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.uncertainty.people_correlations import Floats
from seqtrust.uncertainty.people_dosages import CisVariants, filled
from seqtrust.uncertainty.people_tables import DRIVERS, People

EQTL_COLUMNS = ("gene", "variant", "beta_marginal", "se_marginal")


@dataclass(frozen=True)
class Patterns:
    """The distinct dosages among a gene's variants, M of them.

    Attributes:
        members: row of each variant that has a pattern, or its mirror image, per pattern.
        chosen: the member that stands for the pattern.
        dosages: of the chosen members, complete, shape (M, N).
    """

    members: list[list[int]]
    chosen: list[int]
    dosages: Floats


def patterns(variants: CisVariants, anchor: int, known: Mapping[str, float]) -> Patterns:
    """Group variants whose dosages are equal, or equal with the alleles exchanged.

    Args:
        variants: of one gene.
        anchor: position of the gene, 0-based.
        known: measured effects by the variant's name; of a group, one that has an effect is
            chosen, else the nearest to the anchor.
    """
    values = filled(variants.dosages)
    groups: dict[bytes, list[int]] = {}
    for row, dosages in enumerate(np.round(values, 9)):
        mirrored = np.round(2 - dosages, 9)
        groups.setdefault(min(dosages.tobytes(), mirrored.tobytes()), []).append(row)
    members = list(groups.values())
    chosen = [
        min(rows, key=lambda row: (variants.names[row] not in known,
                                   abs(int(variants.positions[row]) - anchor), row))
        for rows in members
    ]  # fmt: skip
    return Patterns(members, chosen, values[chosen].reshape(len(chosen), values.shape[1]))


@dataclass(frozen=True)
class Decomposition:
    """A prediction across people as a sum over few patterns of dosages.

    Attributes:
        steps: chosen patterns, in the order in which they were chosen.
        gains: share of the variance that each adds.
        slopes: of the final model, per copy of ALT.
        r2_all: adjusted share that all patterns explain; NaN if they are as many as people.
    """

    steps: list[int]
    gains: Floats
    slopes: Floats
    r2_all: float


def decompose(
    prediction: Floats,
    dosages: Floats,
    explained: float,
    most: int,
    least_gain: float = 0.01,
    span: Floats | None = None,
) -> Decomposition | None:
    """Choose variants one by one by the variance that they add (forward selection).

    Args:
        prediction: shape (N,), complete.
        dosages: shape (M, N), complete; distinct rows.
        explained: stop when this share is explained.
        most: stop after this many variants.
        least_gain: stop where the best one adds less.
        span: `span_of` the dosages, where several predictions share them.

    Returns:
        None if the prediction does not vary, or there is no variant.
    """
    y = prediction - prediction.mean()
    total = float(y @ y)
    if np.ptp(prediction) == 0 or not len(dosages):
        return None
    centred = dosages - dosages.mean(axis=1, keepdims=True)
    left, rest = centred.copy(), y.copy()
    sizes = np.einsum("mn,mn->m", centred, centred)
    steps: list[int] = []
    gains: list[float] = []
    while len(steps) < most and sum(gains) < explained:
        lengths = np.einsum("mn,mn->m", left, left)
        usable = lengths > 1e-9 * sizes
        score = np.where(usable, (left @ rest) ** 2 / np.where(usable, lengths, 1.0), 0.0) / total
        best = int(score.argmax())
        if score[best] < least_gain:
            break
        direction = left[best] / np.sqrt(lengths[best])
        steps.append(best)
        gains.append(float(score[best]))
        rest = rest - (direction @ rest) * direction
        left = left - np.outer(left @ direction, direction)
    if not steps:
        return None
    slopes = np.linalg.lstsq(centred[steps].T, y, rcond=None)[0]
    return Decomposition(
        steps, np.array(gains), slopes, adjusted_r2(y, span_of(dosages) if span is None else span)
    )


def span_of(dosages: Floats) -> Floats:
    """An orthonormal basis of the centred dosages of several variants, shape (N, rank)."""
    centred = dosages - dosages.mean(axis=1, keepdims=True)
    left, sizes, _ = np.linalg.svd(centred.T, full_matrices=False)
    return left[:, sizes > sizes.max(initial=0.0) * 1e-10]


def adjusted_r2(y: Floats, span: Floats) -> float:
    """Adjusted share of variance that a linear model explains; NaN without degrees of freedom.

    Args:
        y: centred, shape (N,).
        span: orthonormal basis of the model's centred columns, shape (N, rank).
    """
    free = len(y) - 1 - span.shape[1]
    if free < 1:
        return float("nan")
    unexplained = 1 - float(((span.T @ y) ** 2).sum() / (y @ y))
    return 1 - max(unexplained, 0.0) * (len(y) - 1) / free


def driver_rows(
    gene: Mapping[str, Any],
    predictions: Floats,
    replicates: Sequence[str],
    variants: CisVariants,
    effects: Mapping[str, float],
    explained: float,
    most: int,
) -> list[dict[str, Any]]:
    """Rows of the table of drivers of one gene.

    Args:
        gene: its name, split and anchor.
        predictions: shape (R, N); people with NaN are left out.
        replicates: names.
        variants: of the gene's window.
        effects: measured effect of ALT by the variant's name; empty if there is no table.
        explained: as in `decompose`.
        most: as in `decompose`.
    """
    people = np.isfinite(predictions).all(axis=0)
    if not len(variants.names) or people.sum() < 3:
        return []
    groups = patterns(variants, int(gene["anchor"]), effects)
    dosages = groups.dosages[:, people]
    span = span_of(dosages)
    rows = []
    for replicate, prediction in zip(replicates, predictions[:, people], strict=True):
        found = decompose(prediction, dosages, explained, most, span=span)
        if found is None:
            continue
        for step, pattern in enumerate(found.steps):
            row = groups.chosen[pattern]
            slope, beta = float(found.slopes[step]), effects.get(variants.names[row])
            rows.append(
                {
                    "gene": gene["gene"],
                    "split": gene["split"],
                    "replicate": replicate,
                    "step": step + 1,
                    "variant": variants.names[row],
                    "alike": len(groups.members[pattern]) - 1,
                    "frequency": float(variants.frequency[row]),
                    "distance": int(variants.positions[row]) - int(gene["anchor"]),
                    "slope": slope,
                    "gain": float(found.gains[step]),
                    "r2": float(found.gains[: step + 1].sum()),
                    "r2_all": found.r2_all,
                    "eqtl_beta": beta,
                    "supported": None if beta is None else bool(np.sign(beta) == np.sign(slope)),
                }
            )
    return rows


def driver_table(
    people: People,
    variants: Iterable[tuple[str, CisVariants]],
    effects: Mapping[str, Mapping[str, float]],
    explained: float,
    most: int,
) -> dict[str, list[Any]]:
    """The columns of `people_tables.DRIVERS`.

    Args:
        people: predictions of the genes.
        variants: the variants of the same genes, in their order.
        effects: measured effect of ALT by variant, per gene.
        explained: as in `decompose`.
        most: as in `decompose`.
    """
    rows: list[dict[str, Any]] = []
    genes = people.genes.to_dict("records")
    for index, (gene, (name, found)) in enumerate(zip(genes, variants, strict=True)):
        rows += driver_rows(
            {str(key): value for key, value in gene.items()},
            people.values[:, index],
            people.replicates,
            found.select(found.in_window),
            effects.get(name, {}),
            explained,
            most,
        )
    return {column.name: [row[column.name] for row in rows] for column in DRIVERS.columns}


@dataclass(frozen=True)
class EqtlEvidence:
    """What an eQTL table of other people says.

    Attributes:
        effects: effect of ALT by variant, per gene.
        p_values: smallest p-value of the gene's variants times their number, at most 1.
    """

    effects: dict[str, dict[str, float]]
    p_values: dict[str, float]


def read_eqtls(path: str | Path) -> EqtlEvidence:
    """Read gene, variant (contig_position_ref_alt), beta_marginal per ALT and se_marginal.

    Raises:
        InputError: the file or a column is missing, or a value is no number.
    """
    table = read_input_table(path, {"gene": str, "variant": str})
    missing = [name for name in EQTL_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; it has: {', '.join(table.columns)}"
        )
    for name in EQTL_COLUMNS[2:]:
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = np.flatnonzero(~np.isfinite(numbers) | ((name == "se_marginal") & (numbers <= 0)))
        if wrong.size:
            found = table[name].iloc[wrong[0]]
            raise InputError(f"{path}, line {wrong[0] + 2}: {name} is {found!r}")
        table[name] = numbers
    table["variant"] = table["variant"].str.replace(r"_b\d+$", "", regex=True)
    table["p"] = 2 * norm.sf(np.abs(table["beta_marginal"] / table["se_marginal"]))
    effects: dict[str, dict[str, float]] = {}
    p_values: dict[str, float] = {}
    for gene, rows in table.groupby("gene", sort=False):
        effects[str(gene)] = dict(zip(rows["variant"], rows["beta_marginal"], strict=True))
        p_values[str(gene)] = float(min(1.0, rows["p"].min() * len(rows)))
    return EqtlEvidence(effects, p_values)
