"""Motifs and MEME files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.bases import decode
from seqtrust.errors import InputError
from seqtrust.motifs import Motif, choose_motifs, read_meme, write_meme

weights = st.lists(st.tuples(*[st.floats(0.001, 1.0)] * 4), min_size=1, max_size=12)


def motif_of(rows: list[tuple[float, float, float, float]], name: str = "m") -> Motif:
    return Motif(name, tuple(tuple(value / sum(row) for value in row) for row in rows))


HEADER = "MEME version 4\n\nALPHABET= ACGT\n\n"


@given(weights)
def test_meme_round_trip(rows: list[tuple[float, float, float, float]]) -> None:
    import tempfile

    motif = motif_of(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.meme"
        path.write_text(write_meme([motif]))
        (read,) = read_meme(path)
    assert read.name == motif.name
    np.testing.assert_allclose(read.probabilities, motif.probabilities, atol=1e-5)


@given(weights)
def test_the_knock_out_is_the_least_likely_base_of_the_surest_column(
    rows: list[tuple[float, float, float, float]],
) -> None:
    motif = motif_of(rows)
    column, base, probability = motif.knock_out
    p = motif.probabilities
    entropy = [-sum(x * np.log2(x) for x in row if x > 0) for row in p]
    assert entropy[column] == pytest.approx(min(entropy))
    assert probability == p[column].min() == p[column, base]
    instance = motif.consensus
    changed = motif.knocked_out(instance)
    assert np.flatnonzero(changed != instance).tolist() in ([column], [])


def test_samples_follow_the_probabilities() -> None:
    motif = Motif("m", ((0.7, 0.1, 0.1, 0.1), (0.0, 0.0, 1.0, 0.0)))
    rng = np.random.default_rng(1)
    drawn = np.stack([motif.sample(rng) for _ in range(20_000)])
    frequencies = np.bincount(drawn[:, 0], minlength=4) / len(drawn)
    # 4 standard errors of a frequency at .7
    np.testing.assert_allclose(frequencies, motif.probabilities[0], atol=4 * 0.0033)
    assert set(drawn[:, 1]) == {2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "not a MEME file"),
        (HEADER, "holds no motif"),
        (
            HEADER + "MOTIF a\nletter-probability matrix: alength= 4 w= 1\n.5 .5 .5 .5\n",
            "motif 'a': column 1 sums to 2.000",
        ),
        (
            HEADER + "MOTIF a\nletter-probability matrix: alength= 4 w= 1\n-.5 .5 .5 .5\n",
            "motif 'a' has a probability that is not 0 or more",
        ),
        (
            HEADER + "MOTIF a\nletter-probability matrix: alength= 4 w= 1\n.5 .5 x\n",
            "motif 'a' needs four probabilities, found '.5 .5 x'",
        ),
        (
            HEADER + "MOTIF a\nletter-probability matrix: alength= 4 w= 2\n1 0 0 0\n",
            "motif 'a' ends after 1 of 2 rows",
        ),
        (
            HEADER + "MOTIF a\nletter-probability matrix: alength= 20 w= 2\n1 0 0 0\n1 0 0 0\n",
            "motif 'a' needs alength= 4",
        ),
        (
            HEADER + 2 * "MOTIF a\nletter-probability matrix: alength= 4 w= 1\n1 0 0 0\n",
            "motif 'a' occurs twice",
        ),
    ],
)
def test_a_bad_file_is_refused_with_file_and_motif(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.meme"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_meme(path)
    assert message in str(error.value)
    assert "bad.meme" in str(error.value)


def test_an_unknown_motif_names_the_nearest() -> None:
    motif = Motif("CTCF", ((1.0, 0.0, 0.0, 0.0),))
    with pytest.raises(InputError, match="no motif 'CTFC'; did you mean 'CTCF'"):
        choose_motifs([motif], ["CTFC"], "x.meme")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("motifs/H12CORE_meme_format.meme", 1443),
        ("motifs/jaspar_2024_consensus.meme", 182),
        ("mpra/crx_retinopathy/photoreceptorAndEnrichedMotifs.meme", 8),
    ],
)
def test_published_libraries_are_read(shared_data: Path, name: str, number: int) -> None:
    motifs = read_meme(shared_data / name)
    assert len(motifs) == number
    for motif in motifs:
        np.testing.assert_allclose(motif.probabilities.sum(axis=1), 1)


@pytest.mark.shared_data
def test_a_known_consensus(shared_data: Path) -> None:
    motifs = read_meme(shared_data / "motifs/H12CORE_meme_format.meme")
    (nrf1,) = [motif for motif in motifs if motif.name.startswith("NRF1.H12CORE.0")]
    # NRF1 binds the palindrome GCGCATGCGC
    assert "GCGCATGCGC" in decode(nrf1.consensus)
