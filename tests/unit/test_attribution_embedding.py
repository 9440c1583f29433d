"""The embedding score against a twin in loops, and against values worked out beforehand."""

from itertools import permutations

import numpy as np
import pytest
from attribution_twins import (
    corrected_embedding_twin,
    iid,
    planted,
    published_embedding_twin,
    waves,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.attribution import embedding
from seqtrust.attribution.consistency import embedding_consistency
from seqtrust.attribution.embedding import (
    ISOMETRIC,
    PUBLISHED_BASIS,
    strongest,
    window_sums,
)
from seqtrust.attribution.sphere import equal_area_cells, published_angles
from seqtrust.errors import InputError

SETTINGS = [(0.5, 0.1, 3), (0.99, 0.1, 3), (0.99, 0.5, 1)]
PUBLISHED_VECTORS = [
    (0.087674340, 2.378500491), (0.023162244, 2.199251550), (0.023162244, 0.580499574),
]  # fmt: skip
ISOMETRIC_VECTORS = [
    (0.119396646, 2.635339416), (0.023852189, 2.393613569), (0.023852189, 0.408250279),
]  # fmt: skip
HISTOGRAM = """
.024343 .003441 .007857 .007665 0       .005926
0       .046524 .150972 .181195 .019616 0
.004531 0       0       0       .006874 .003523
0       .002414 0       0       .006780 0
.016315 .009981 .019477 .009854 .383352 .063048
.004018 0       .009742 0       0       .012551
"""


def first_window(basis):
    """All windows but the shortest, and where the first window of the first map is."""
    maps, _ = waves()
    found = strongest(window_sums(maps, 3, basis, circular=True), 1.0)
    return found.vectors[:, 0]


def test_the_isometric_basis_keeps_lengths_and_the_published_one_does_not():
    np.testing.assert_allclose(ISOMETRIC.T @ ISOMETRIC, np.eye(3), atol=1e-15)
    vectors = np.random.default_rng(0).normal(size=(1000, 4))
    vectors -= vectors.mean(axis=1, keepdims=True)
    own = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(np.linalg.norm(vectors @ ISOMETRIC, axis=1), own, atol=1e-12)
    plane = np.linalg.svd(np.eye(4) - 0.25)[0][:, :3]
    values = np.linalg.svd(plane.T @ PUBLISHED_BASIS)[1]
    np.testing.assert_allclose(values, [1.031, 1.000, 0.323], atol=5e-4)


def test_the_first_window_of_the_vectors():
    correct = first_window(ISOMETRIC)
    np.testing.assert_allclose(
        ISOMETRIC @ correct, [0.062457, -0.013930, -0.051734, 0.003207], atol=5e-7
    )
    np.testing.assert_allclose(correct, [-0.054014, -0.062052, 0.003703], atol=5e-7)
    published = first_window(PUBLISHED_BASIS)
    np.testing.assert_allclose(published, [-0.054014, -0.019811, 0.003703], atol=5e-7)
    assert np.linalg.norm(published) == pytest.approx(0.057651836, abs=1e-9)
    assert np.linalg.norm(correct) == pytest.approx(0.082350876, abs=1e-9)
    # the vectors give azimuths with the exact pi, the published code has 3.1416 instead
    rounded = 3.1416 - np.pi
    for vector, expected in ((published, (3.049202, 2.784465)), (correct, (3.111790, 2.286176))):
        azimuth, polar = (float(angle[0]) for angle in published_angles(vector[:, None]))
        assert azimuth == pytest.approx(expected[0] + rounded, abs=5e-7)
        assert polar == pytest.approx(expected[1], abs=5e-7)


@pytest.mark.parametrize("isometric", [False, True])
@pytest.mark.parametrize("number", range(3))
def test_scores_of_the_vectors(number, isometric):
    fraction, box, reach = SETTINGS[number]
    cutoff, score = (ISOMETRIC_VECTORS if isometric else PUBLISHED_VECTORS)[number]
    found = embedding_consistency(
        waves()[0], 3, fraction, box, reach, "published", isometric=isometric
    )
    assert found.score == pytest.approx(score, abs=1e-9)
    assert found.cutoff == pytest.approx(cutoff, abs=1e-9)
    assert found.vectors == int(fraction * 48) - 1


def test_the_histogram_of_the_vectors():
    found = embedding_consistency(waves()[0], 3, 0.99, 0.5, 1, "published")
    expected = np.array([row.split() for row in HISTOGRAM.split("\n") if row], dtype=float)
    np.testing.assert_allclose(found.histogram[0], expected, atol=5e-7)


@pytest.mark.slow
@given(
    st.integers(0, 400), st.integers(1, 5), st.sampled_from([0.2, 0.5, 0.99, 1.0]),
    st.sampled_from([0.1, 0.3, 0.5]), st.integers(1, 4), st.booleans(), st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_the_published_score_is_that_of_loops(seed, window, fraction, box, reach, isometric, bad):
    maps = iid(5, seed, length=14)[0] ** 3
    if bad:
        maps[1], maps[3, 4, 2] = 0, np.nan
    expected = published_embedding_twin(maps, window, fraction, box, reach, isometric)
    found = embedding_consistency(
        maps, window, fraction, box, reach, "published", isometric=isometric
    )
    assert (found.score, found.cutoff) == pytest.approx(expected[:2], abs=1e-12)
    assert found.vectors == expected[2]
    assert found.dropped.tolist() == ([1, 3] if bad else [])


@pytest.mark.slow
@given(
    st.integers(0, 400), st.integers(1, 5), st.sampled_from([0.2, 0.5, 0.99]),
    st.sampled_from([0.05, 0.1, 0.3, 0.5]), st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_the_corrected_score_is_that_of_loops(seed, window, fraction, box, bad):
    maps = iid(5, seed, length=14)[0] ** 3
    given_maps = maps
    if bad:
        given_maps = np.insert(maps, [0, 2], 0.0, axis=0)
        given_maps[3, 4, 2] = np.nan
    expected = corrected_embedding_twin(maps, window, fraction, box)
    found = embedding_consistency(given_maps, window, fraction, box)
    assert (found.score, found.divergence) == pytest.approx(expected[:2], abs=1e-12)
    assert found.vectors == expected[2]
    assert found.dropped.tolist() == ([0, 3] if bad else [])
    np.testing.assert_allclose(found.histogram.sum(axis=(1, 2)), 1)


def test_cells_have_one_area():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 400_000))
    for frame in range(3):
        cells = equal_area_cells(vectors, np.linalg.norm(vectors, axis=0), (5, 8), frame)
        counts = np.bincount(cells, minlength=40)
        # chi-squared with 39 degrees of freedom stays below 80 but once in 8,000
        assert ((counts - 10_000) ** 2 / 10_000).sum() < 80


def test_exchanging_bases_and_strands_changes_no_corrected_score():
    maps, _ = planted(60, 0.2, 1)
    score = embedding_consistency(maps).score
    published = embedding_consistency(maps, mode="published").score
    relabelled = [list(order) for order in permutations(range(4))]
    for order in relabelled:
        assert embedding_consistency(maps[..., order]).score == pytest.approx(score, abs=1e-12)
    assert embedding_consistency(maps[:, ::-1, ::-1]).score == pytest.approx(score, abs=1e-12)
    for isometric in (False, True):
        values = [
            embedding_consistency(maps[..., order], mode="published", isometric=isometric).score
            for order in relabelled
        ]
        assert max(values) > 1.1 * min(values)
    backwards = embedding_consistency(maps[:, ::-1, ::-1], mode="published").score
    assert abs(backwards - published) > 1e-3


def test_constants_scales_and_order_change_nothing():
    maps, _ = planted(40, 0.2, 2)
    rng = np.random.default_rng(2)
    other = (maps + rng.normal(size=(40, 200, 1))) * rng.uniform(0.1, 9, (40, 1, 1))
    for mode in ("published", "corrected"):
        score = embedding_consistency(maps, mode=mode).score
        assert embedding_consistency(other, mode=mode).score == pytest.approx(score, abs=1e-12)
        turned = maps[rng.permutation(40)]
        assert embedding_consistency(turned, mode=mode).score == pytest.approx(score, abs=1e-12)


def test_only_published_windows_wrap_around():
    maps, _ = iid(30, 3, length=20)
    turned = np.roll(maps, 7, axis=1)
    published, corrected = (
        [embedding_consistency(m, fraction=0.5, mode=mode).score for m in (maps, turned)]
        for mode in ("published", "corrected")
    )
    assert published[0] == pytest.approx(published[1], abs=1e-12)
    assert abs(corrected[0] - corrected[1]) > 1e-4


def test_a_zero_map_counts_in_the_published_fraction_only():
    maps, _ = planted(20, 0.2, 4)
    more = np.concatenate([maps, np.zeros((20, 200, 4))])
    assert embedding_consistency(more).score == embedding_consistency(maps).score
    published = embedding_consistency(more, mode="published")
    assert published.score == pytest.approx(
        embedding_consistency(maps, fraction=0.2, mode="published").score, abs=1e-12
    )
    assert published.dropped.tolist() == list(range(20, 40))


def test_a_published_fraction_of_no_window_keeps_all_but_the_shortest():
    maps, _ = iid(3, 5, length=20)
    found = embedding_consistency(maps, fraction=0.01, mode="published")
    assert found.vectors == 59
    assert found.score == embedding_consistency(maps, fraction=1.0, mode="published").score


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attributions": np.zeros((3, 4, 20))}, r"shape \(3, 4, 20\).*transpose"),
        ({"attributions": np.full((3, 20, 4), np.nan)}, "none of the 3 attribution maps"),
        ({"window": 0}, "window is 0"),
        ({"window": 21}, "20 positions are shorter than the window of 21"),
        ({"fraction": 0.0}, "fraction is 0.0"),
        ({"fraction": 0.02}, "fraction 0.02 of 54 windows leaves no vector"),
        ({"fraction": 0.01}, "fraction 0.01 of 54 windows leaves no vector"),
        ({"box": 2.0}, "box is 2.0"),
        ({"neighbourhood": 0}, "neighbourhood is 0"),
        ({"mode": "old"}, "mode is 'old'"),
        ({"isometric": False}, "corrected score has an isometric basis"),
    ],
)
def test_what_is_refused(change, message):
    maps = np.random.default_rng(0).normal(size=(3, 20, 4))
    with pytest.raises(InputError, match=message):
        embedding_consistency(**({"attributions": maps} | change))


@pytest.mark.parametrize("case", ["random", "ties", "sample above", "sample below", "few"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.95, 1])
def test_the_cutoff_is_that_of_all_values_whatever_the_sample_says(case, share):
    rng = np.random.default_rng(5)
    values = rng.random(3 if case == "few" else 5000)
    if case == "ties":
        values = values.round(1)
    elif case.startswith("sample"):
        values[:: embedding._STRIDE] += 2 if case == "sample above" else -2
    wanted = max(int(share * len(values)), 1)
    cut, chosen, above = embedding._above(values, wanted)
    assert cut == np.sort(values)[len(values) - wanted]
    np.testing.assert_array_equal(chosen, np.flatnonzero(values > cut))
    np.testing.assert_array_equal(above, values[chosen])
