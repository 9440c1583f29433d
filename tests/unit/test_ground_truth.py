"""Scores of attribution maps against a known truth.

Properties hold against a loop over sequences, and against scikit-learn, which the published code
(p-koo/tfomics) calls; the pinned values are those of a worked example computed independently.
"""

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from seqtrust.attribution.ground_truth import (
    information,
    position_scores,
    signal_and_noise,
    signal_to_noise,
    true_maps,
    truth_aupr,
    truth_auroc,
    truth_cosine,
)
from seqtrust.errors import InputError

MOTIF = (0.97, 0.01, 0.01, 0.01)


def scores_as_maps(scores, codes):
    """Maps whose score at the own base is as given, with anything at the others."""
    maps = np.random.default_rng(0).normal(size=(*scores.shape, 4))
    np.put_along_axis(maps, codes[..., None].astype(int), scores[..., None], axis=2)
    return maps


def worked_example():
    """30 positions, motif at 5 to 8, score sin(1.7 i) elsewhere."""
    scores = np.sin(1.7 * np.arange(30))[None]
    scores[0, 5:9] = 2, 3, 2.5, 1.5
    codes = (np.arange(30) % 4).astype(np.uint8)[None]
    pwms = np.full((1, 30, 4), 0.25)
    pwms[0, 5:9] = MOTIF
    return scores_as_maps(scores, codes), codes, pwms


@pytest.fixture
def cases():
    """Maps with ties, PWMs with strong, weak and no information, and some N."""
    rng = np.random.default_rng(5)
    count, length = 40, 60
    codes = rng.integers(0, 4, (count, length)).astype(np.uint8)
    codes[:5, 3] = 4
    maps = np.round(rng.normal(size=(count, length, 4)), 1)
    pwms = np.full((count, length, 4), 0.25)
    for row in range(count):
        start = rng.integers(0, length - 12)
        pwms[row, start : start + 8] = rng.dirichlet([0.3] * 4, 8)
        pwms[row, start + 8 : start + 12] = (0.28, 0.24, 0.24, 0.24)
        maps[row, start : start + 8] += 0.5
    return maps, codes, pwms


def loop(maps, codes, pwms, published=False, threshold=0.1, top=10):
    """One sequence at a time, by the definitions."""
    found = []
    for one, bases, pwm in zip(maps, codes, pwms, strict=True):
        score = np.array([one[i, base] if base < 4 else 0.0 for i, base in enumerate(bases)])
        bits = np.array([2 + sum(p * np.log2(p + 1e-10) for p in row) for row in pwm])
        noise = bits == bits.min() if published else bits <= bits.min() + 1e-5
        positive = sorted(score[noise & (score > 0)], reverse=True)[:top]
        enough = len(positive) == top
        snr = score[bits > threshold].mean() / np.mean(positive) if enough else 0.0
        counted = (bits > threshold) | noise
        label, value = (bits > threshold)[counted], score[counted]
        if published:
            precision, recall, _ = precision_recall_curve(label, value)
            aupr = auc(recall, precision)
        else:
            aupr = average_precision_score(label, value)
        found.append((snr, not enough, roc_auc_score(label, value), aupr))
    return np.array(found).T


def test_worked_example():
    maps, codes, pwms = worked_example()
    assert information(pwms)[0, 5] == pytest.approx(1.75806, abs=1e-5)
    assert position_scores(maps, codes)[0, 5:9] == pytest.approx([2, 3, 2.5, 1.5])
    found = signal_to_noise(maps, codes, pwms)
    assert found.values[0] == pytest.approx(3.061606508, abs=1e-9)
    assert not found.short[0]
    assert truth_auroc(maps, codes, pwms)[0] == 1
    assert truth_aupr(maps, codes, pwms)[0] == 1


@pytest.mark.parametrize("published", [False, True])
def test_scores_agree_with_a_loop(cases, published):
    snr, short, auroc, aupr = loop(*cases, published=published)
    found = signal_to_noise(*cases, published=published)
    np.testing.assert_allclose(found.values, snr, rtol=1e-12)
    np.testing.assert_array_equal(found.short, short)
    np.testing.assert_allclose(truth_auroc(*cases, published=published), auroc, rtol=1e-12)
    np.testing.assert_allclose(truth_aupr(*cases, published=published), aupr, rtol=1e-12)


def test_too_little_positive_noise_is_zero_and_flagged():
    maps, codes, pwms = worked_example()
    scores = position_scores(maps, codes)
    background = np.flatnonzero(pwms[0, :, 0] == 0.25)
    scores[0, background[9:]] = -1
    scores[0, background[:9]] = 1
    nine = signal_to_noise(scores_as_maps(scores, codes), codes, pwms)
    assert (nine.values[0], nine.short[0]) == (0, True)
    scores[0, background[9]] = 1
    ten = signal_to_noise(scores_as_maps(scores, codes), codes, pwms)
    assert (ten.values[0], ten.short[0]) == (2.25, False)


def test_rounding_of_the_truth_moves_published_scores_only(cases):
    """The published code asks for exactly the least information of the sequence."""
    maps, codes, pwms = cases
    rng = np.random.default_rng(1)
    moved = pwms + rng.normal(0, 1e-7, pwms.shape) * (pwms == 0.25)
    moved = moved.astype(np.float32)
    ours = signal_to_noise(maps, codes, moved)
    np.testing.assert_allclose(ours.values, signal_to_noise(maps, codes, pwms).values, rtol=1e-12)
    published = signal_to_noise(maps, codes, moved, published=True)
    assert published.short.all()
    assert not signal_to_noise(maps, codes, pwms, published=True).short.any()


def test_positions_of_little_information_count_as_neither():
    pwms = np.full((1, 6, 4), 0.25)
    pwms[0, 1], pwms[0, 2] = MOTIF, (0.3, 0.3, 0.2, 0.2)
    signal, noise = signal_and_noise(pwms)
    assert signal[0].tolist() == [False, True, False, False, False, False]
    assert noise[0].tolist() == [True, False, False, True, True, True]


def test_cosine_of_the_truth_is_one_and_needs_no_scale(cases):
    _, _, pwms = cases
    true = true_maps(pwms)
    assert true.sum(axis=2) == pytest.approx(0, abs=1e-12)
    offset = np.random.default_rng(2).normal(size=(*pwms.shape[:2], 1))
    np.testing.assert_allclose(truth_cosine(3 * true + offset, pwms), 1, rtol=1e-12)
    np.testing.assert_allclose(truth_cosine(-true, pwms), -1, rtol=1e-12)
    assert np.isnan(truth_cosine(np.ones_like(true), pwms)).all()


def test_cosine_agrees_with_a_loop(cases):
    maps, _, pwms = cases
    expected = []
    for one, pwm in zip(maps, pwms, strict=True):
        a = (one - one.mean(axis=1, keepdims=True)).ravel()
        b = (pwm - pwm.mean(axis=1, keepdims=True)).ravel()
        expected.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    np.testing.assert_allclose(truth_cosine(maps, pwms), expected, rtol=1e-12)


def test_noise_in_maps_lowers_every_score(cases):
    _, codes, pwms = cases
    codes = np.where(codes == 4, 0, codes)
    rng = np.random.default_rng(3)
    noise = rng.normal(size=pwms.shape)
    own = np.eye(4)[codes] * np.repeat((pwms.max(axis=2) > 0.26)[..., None], 4, axis=2)
    levels = [0.2, 0.6, 2.0]
    rows = []
    for level in levels:
        maps = true_maps(pwms) + own + level * noise
        rows.append(
            [
                signal_to_noise(maps, codes, pwms).values.mean(),
                truth_auroc(maps, codes, pwms).mean(),
                truth_aupr(maps, codes, pwms).mean(),
                truth_cosine(maps, pwms).mean(),
            ]
        )
    assert (np.diff(rows, axis=0) < 0).all()


def test_a_sequence_without_signal_has_no_area(cases):
    maps, codes, pwms = (part[:2] for part in cases)
    flat = np.full_like(pwms, 0.25)
    assert np.isnan(truth_auroc(maps, codes, flat)).all()
    assert np.isnan(truth_aupr(maps, codes, flat)).all()


def test_a_truth_of_other_positions_is_refused(cases):
    maps, codes, pwms = cases
    with pytest.raises(InputError, match=r"shape \(40, 59, 4\), expected \(40, 60, 4\)"):
        truth_auroc(maps, codes, pwms[:, 1:])
    wrong = pwms.copy()
    wrong[3, 7] = 0.5
    with pytest.raises(InputError, match=r"sequence 3 has .* at position 7"):
        signal_to_noise(maps, codes, wrong)
