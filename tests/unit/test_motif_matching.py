"""Similarity of motifs: against a loop over alignments, a second implementation, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motif_cases import WORDS, matrix_of, pattern

from seqtrust.attribution.motif_matching import (
    centred,
    core,
    match,
    permuted_similarity,
    place_on,
    reverse_complement,
)
from seqtrust.sources.motif_pool import likeness


def naive(query, target):
    """Similarity, offset and strand by a loop over all alignments with a common column."""
    best = (0.0, None, None)
    scale = np.linalg.norm(query) * np.linalg.norm(target)
    for reverse in (False, True):
        turned = target[::-1, ::-1] if reverse else target
        for offset in range(1 - len(target), len(query)):
            total = 0.0
            for column in range(len(target)):
                if 0 <= offset + column < len(query):
                    for base in range(4):
                        total += query[offset + column, base] * turned[column, base]
            if scale > 0 and total / scale > best[0] + 1e-12:
                best = (total / scale, offset, reverse)
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_agrees_with_a_loop_over_alignments(seed):
    rng = np.random.default_rng(seed)
    queries = [rng.normal(size=(rng.integers(1, 9), 4)) for _ in range(3)]
    targets = [rng.normal(size=(rng.integers(1, 9), 4)) for _ in range(4)]
    found = match(queries, targets)
    for row, query in enumerate(queries):
        for column, target in enumerate(targets):
            similarity, offset, reverse = naive(query, target)
            assert found.similarity[row, column] == pytest.approx(similarity, abs=1e-12)
            if similarity > 0:
                assert found.offset[row, column] == offset
                assert found.reverse[row, column] == reverse


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_agrees_with_the_likeness_of_simulated_motifs(seed):
    rng = np.random.default_rng(seed)
    first, second = (rng.dirichlet(np.ones(4), rng.integers(2, 12)) for _ in range(2))
    found = match([centred(first)], [centred(second)]).similarity[0, 0]
    assert found == pytest.approx(likeness(first, second), abs=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("left", [0, 3, 8])
def test_finds_where_and_how_a_motif_lies(left, reverse):
    word = centred(matrix_of(WORDS["first"]))
    query = np.pad(word, ((5, 5), (0, 0)))
    target = np.pad(word, ((left, 2), (0, 0)))
    target = reverse_complement(target) if reverse else target
    found = match([query], [target])
    assert found.similarity[0, 0] == pytest.approx(1.0)
    assert found.reverse[0, 0] == reverse
    assert found.offset[0, 0] == 5 - left
    placed, covered = place_on(target, len(query), 5 - left, reverse)
    assert np.array_equal(placed[covered], query[covered])
    assert covered.sum() == min(left, 5) + len(word) + 2


def test_symmetric_whatever_the_scale_and_one_for_itself():
    rng = np.random.default_rng(0)
    some = [rng.normal(size=(width, 4)) for width in (5, 9, 12)]
    alike = match(some, [7.0 * one for one in some]).similarity
    assert np.allclose(alike, alike.T)
    assert np.allclose(np.diag(alike), 1.0)
    turned = match(some, [reverse_complement(one) for one in some])
    assert np.allclose(turned.similarity, alike)
    assert turned.reverse.diagonal().all()


def test_contributions_of_opposite_sign_have_nothing_in_common():
    one = pattern(WORDS["first"]).cwm
    assert match([one], [-one]).similarity[0, 0] == 0
    assert match([one], [np.zeros((3, 4))]).similarity[0, 0] == 0
    assert match([], [one]).similarity.shape == (0, 1)
    assert match([one], []).similarity.shape == (1, 0)


def test_core_is_what_contributes_and_four_columns_beside_it():
    cwm = np.zeros((30, 4))
    cwm[10:15, 2] = (1.0, 0.1, 0.1, 0.1, 0.4)
    assert core(cwm) == slice(6, 19)
    cwm[1, 0] = 0.31
    cwm[28, 0] = 0.29
    assert core(cwm) == slice(0, 19)


def test_permuted_motifs_keep_their_columns_and_lose_their_order():
    words = [centred(matrix_of(word)) for word in WORDS.values()]
    null = permuted_similarity(words, words, 50, seed=3)
    assert null.shape == (50, 3, 3)
    assert np.array_equal(null, permuted_similarity(words, words, 50, seed=3))
    assert null.mean() < 0.6
    # columns that are all alike have no order to lose
    same = [np.tile([0.5, -0.5, 0.0, 0.0], (6, 1))]
    assert np.allclose(permuted_similarity(same, same, 5, seed=1), 1.0)
