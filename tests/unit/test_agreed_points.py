"""Points in the bins on which all replicates are right on most tracks."""

import pandas as pd
import pytest

from seqtrust.errors import InputError
from seqtrust.genes import Point, read_points, write_points
from seqtrust.sources.agreed import agreed_points


def table(rows):
    columns = ["sequence_id", "bin", "point", "position", "strand", "correct_matched",
               "correct_poisson"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).assign(contig="c1", tracks=8)


ROWS = [
    ("w1", 3, "g1", 100, "+", 5, 8),
    ("w1", 3, "g2", 110, "-", 5, 8),
    ("w2", 0, "g3", 200, "+", 8, 1),
    ("w2", 7, "g4", 300, "-", 5, 2),
    ("w3", 1, "g3", 200, "+", 7, 7),
]


@pytest.mark.parametrize(
    ("caller", "bins", "names"),
    [
        ("matched", 1, ["g3"]),
        ("matched", 2, ["g3"]),
        ("matched", 3, ["g3", "g1", "g2"]),
        ("matched", 9, ["g3", "g1", "g2", "g4"]),
        ("poisson", 1, ["g1", "g2"]),
        ("poisson", 2, ["g1", "g2", "g3"]),
    ],
)
def test_the_best_bins_come_first_with_all_their_points(caller, bins, names):
    assert [point.name for point in agreed_points(table(ROWS), caller, bins)] == names


def test_points_are_read_as_they_were_written(tmp_path, make_genome):
    genome = make_genome({"c1": "A" * 400})
    points = agreed_points(table(ROWS), "matched", 3)
    assert points[0] == Point("g3", "c1", 200, "+", 1.0)
    write_points(tmp_path / "points.bed", points)
    found = read_points(tmp_path / "points.bed", genome)
    kept = [(p.name, p.contig, p.position, p.strand) for p in found]
    assert kept == [(p.name, p.contig, p.position, p.strand) for p in points]


def test_no_bin_with_a_tss_is_refused():
    with pytest.raises(InputError, match="no judged bin of the reference analysis holds a TSS"):
        agreed_points(table([]), "matched", 3)
