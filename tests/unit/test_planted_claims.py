"""The abstract's claims on a toy: what planted effects imply, and rows from other tables."""

import numpy as np
import pandas as pd
import pytest

from seqtrust.planted_claims import (
    effect_claims,
    implied_inconsistent,
    motif_claims,
    people_claims,
    reference_claims,
)

GENES = pd.DataFrame(
    {
        "gene": ["g1", "g2", "g3"],
        "mechanism": ["modelled", "reversed", "tag"],
        "causal_log_effect": [0.5, -0.4, 0.3],
        "tag_log_effect": [0.0, 0.0, 0.05],
    }
)


def test_the_implied_fraction_is_that_of_simulated_replicates():
    rng = np.random.default_rng(0)
    size = np.abs(rng.normal(0, 1, 20000))
    scores = size[:, None] + rng.normal(0, 0.8, (20000, 5))
    signs = scores > 0
    inconsistent = (signs != signs[:, :1]).any(axis=1).mean()
    assert implied_inconsistent(size, scores) == pytest.approx(inconsistent, abs=0.01)
    # nothing planted: independent coins
    assert implied_inconsistent(np.zeros(4), scores[:4]) == pytest.approx(1 - 2 * 0.5**5)


def statistics(rows):
    return pd.DataFrame(
        rows, columns=["subset", "split", "statistic", "value", "low", "high", "units"]
    )


def test_reference_claims_stand_beside_the_peak_ceiling():
    table = statistics(
        [
            ("true peaks", "all", "unanimous", 0.8, 0.7, 0.9, 50),
            ("true peaks", "all", "accuracy_if_unanimous", 0.6, 0.5, 0.7, 50),
            ("all", "all", "unanimous", 0.99, 0.9, 1.0, 500),
        ]
    )
    truth = {"peak_ceiling": {"a": {"all": 0.7}, "b": {"all": 0.9}}}
    first, second = reference_claims(truth, table)
    assert first[1:6] == (1.0, 0.8, 0.7, 0.9, 50)
    assert second[1] == pytest.approx(0.8)
    assert second[2:6] == (0.6, 0.5, 0.7, 50)


def verdicts(rows):
    return pd.DataFrame(rows, columns=["unit", "locus", "class", "scores"])


def test_effects_are_compared_on_the_log_scale():
    """Equal ratios of references that differ say the same; ties are left out."""
    ratio = np.array([[np.exp(0.6), np.exp(0.4)], [np.exp(-0.5), np.exp(-0.3)]])
    references = {"v1": np.array([10.0, 20.0]), "v2": np.array([4.0, 8.0]), "v3": np.ones(2)}
    rows = [
        ("v1", "g1", "consistently_correct", references["v1"] * (ratio[0] - 1)),
        ("v2", "g2", "inconsistent", references["v2"] * (ratio[1] - 1)),
        ("v3", "g3", "tie", [0.0, 0.0]),
    ]
    sure, unsure = effect_claims(GENES, verdicts(rows), references)
    implied = implied_inconsistent(np.array([0.5, 0.4]), np.log(ratio))
    assert unsure[1] == pytest.approx(implied)
    assert sure[1] == pytest.approx(1 - implied)
    assert (unsure[2], unsure[5]) == (0.5, 2)
    assert sure[2] == 0.5


def test_genes_that_were_not_genotyped_imply_coins():
    truth = {"expression_variance": {"modelled": 0.36}}
    rows = [
        ("g1", "g1", "consistently_correct", [0.5, 0.7]),
        ("g3", "g3", "inconsistent", [0.1, -0.1]),
    ]
    (claim,) = people_claims(truth, GENES, verdicts(rows))
    scores = np.array([[0.5, 0.7], [0.1, -0.1]])
    assert claim[1] == pytest.approx(implied_inconsistent(np.array([0.6, 0.0]), scores))
    assert claim[2] == 0.5


def test_motifs_are_those_of_all_units():
    table = statistics(
        [
            ("TF1", "all", "single_replicate_accuracy", 0.1, 0.0, 0.2, 3),
            ("all", "all", "single_replicate_accuracy", 0.9, 0.8, 1.0, 12),
        ]
    )
    (claim,) = motif_claims(table)
    assert claim[1:6] == (1.0, 0.9, 0.8, 1.0, 12)
