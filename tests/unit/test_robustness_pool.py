"""Real backgrounds of worlds: what is read of a FASTA, and what comes back with a world."""

import numpy as np
import pytest
from robustness_benchmark import WORLDS, written_world

from seqtrust.bases import decode
from seqtrust.errors import InputError
from seqtrust.robustness.background_pool import read_pool
from seqtrust.robustness.benchmark_worlds import benchmark_data
from seqtrust.robustness.shift_scores import shift_scores
from seqtrust.robustness.stated_tables import ideal
from seqtrust.robustness.world_tables import WorldFacts, open_world, write_world

LENGTH = WORLDS["sequences"]["length"]
DATA = {"train": 300, "validation": 50, "calibration": 120, "test": 120, "test_cell": -1}


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    rng = np.random.default_rng(1)
    rows = [decode(rng.integers(4, size=LENGTH + 7).astype(np.uint8)) for _ in range(300)]
    rows[3] = rows[3][: LENGTH - 1]
    rows[4] = rows[4][:20] + "n" + rows[4][21:]
    rows[5] = "N" + rows[5][1:]
    rows[6] = rows[6].lower()
    path = tmp_path_factory.mktemp("pool") / "pool.fa"
    path.write_text("".join(f">s{index}\n{row}\n" for index, row in enumerate(rows)))
    return path, rows


def test_the_middle_of_every_whole_sequence_is_taken(fasta):
    path, rows = fasta
    pool = read_pool(path, LENGTH)
    expected = [row[3:][:LENGTH].upper() for index, row in enumerate(rows) if index not in (3, 4)]
    assert list(pool) == expected


def test_a_pool_without_a_sequence_says_why(tmp_path):
    (tmp_path / "x.fa").write_text(">a\nACGT\n>b\n" + "N" * LENGTH + "\n")
    with pytest.raises(InputError, match=r"48 bp without unknown bases \(1 are shorter, 1 have"):
        read_pool(tmp_path / "x.fa", LENGTH)


def test_a_world_comes_back_with_its_backgrounds(fasta, tmp_path):
    facts = WorldFacts.of(3, WORLDS, [0], pool=read_pool(fasta[0], LENGTH))
    assert WorldFacts.from_plain(facts.plain()) == facts
    world = facts.world()
    write_world(tmp_path / "1.parquet", facts, world,
                benchmark_data(facts, world, DATA, {"GC": [1]}, seed=7))  # fmt: skip
    found = open_world(tmp_path / "1.parquet")
    assert np.array_equal(found.world.pool, world.pool)
    plain = written_world(tmp_path / "2.parquet", shifts={"GC": [1]}, sizes=(300, 50, 120, 120))
    same = found.condition("ID").sequences == plain.condition("ID").sequences
    assert not same.all()
    # the ratio of shuffled backgrounds is not known: its intervals are left out, not made up
    for one, calibrators in ((found, {"none"}), (plain, {"none", "weighted_known"})):
        scores = shift_scores(one, ideal(one, one.names(False)), ["none", "weighted_known"], 1)
        assert {row.calibrator for row in scores if row.data_set == "GC-1"} == calibrators
