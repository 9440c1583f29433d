"""Reporter libraries: what becomes of a table of sequences and activities, and what is refused."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seqtrust import bases, libraries
from seqtrust.contrasts import CONTRASTS, write_contrasts
from seqtrust.errors import InputError
from seqtrust.genome import Genome, SplitRegions
from seqtrust.libraries import pairs_of, read_library, split_groups, write_library
from seqtrust.sequence_set import read_sequence_set, write_sequence_set
from seqtrust.sources.pairs import pair_contrasts, pair_sequences, read_pairs
from seqtrust.tables import read_table

COLUMNS = {"id": "id", "sequence": "dna", "group": "peak"}
TRACKS = {
    "wt": {"value": "mu", "where": {"genotype": "WT"}},
    "ko": {"value": "mu", "where": {"genotype": "KO"}},
}
SEQUENCES = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e"],
        "dna": ["ACGTAC", "ACGTAA", "TTTTTT", "ACGTAC", "GGGGGG"],
        "peak": ["p1", "p1", "p2", "p3", None],
        "kind": ["wild", "mutant", "wild", "mutant", "wild"],
    }
)
ACTIVITIES = pd.DataFrame(
    {
        "id": ["a", "b", "c", "a", "e"],
        "genotype": ["WT", "WT", "WT", "KO", "KO"],
        "mu": [1.5, -2.0, 0.25, 7.0, 8.0],
    }
)


@pytest.fixture
def library_of(tmp_path):
    """Reads a library from (changed) tables."""

    def read(sequences=SEQUENCES, activities=ACTIVITIES, columns=COLUMNS, tracks=TRACKS):
        sequences.to_csv(tmp_path / "s.tsv", sep="\t", index=False)
        activities.to_parquet(tmp_path / "a.parquet")
        return read_library(tmp_path / "s.tsv", columns, tmp_path / "a.parquet", "id", tracks)

    return read


def test_activities_are_found_by_id_and_absent_ones_are_missing(library_of):
    library = library_of()
    assert library.tracks == ("wt", "ko")
    expected = [[1.5, 7.0], [-2.0, np.nan], [0.25, np.nan], [np.nan, np.nan], [np.nan, 8.0]]
    np.testing.assert_array_equal(library.activities, expected)
    assert [bases.decode(row) for row in library.sequences] == SEQUENCES["dna"].tolist()


def test_equal_sequences_join_their_groups_and_a_lone_one_is_its_own(library_of):
    groups = library_of().groups
    assert groups[0] == groups[1] == groups[3]
    assert len(set(groups)) == 3


@pytest.mark.parametrize(("moved", "joined"), [(1, True), (60, True), (75, False), (164, False)])
def test_groups_that_share_more_than_half_of_their_31_mers_are_joined(library_of, moved, joined):
    letters = "".join(np.random.default_rng(4).choice(list("ACGT"), 400))
    other = bases.decode(bases.reverse_complement(bases.encode(letters[moved : moved + 164])))
    sequences = SEQUENCES[:2].assign(dna=[letters[:164], other], peak=["p1", "p2"])
    activities = ACTIVITIES[ACTIVITIES["id"].isin(["a", "b"])]
    groups = library_of(sequences, activities).groups
    assert (groups[0] == groups[1]) == joined


def test_a_library_is_an_assembly_with_targets_and_splits(library_of, tmp_path):
    splits = ["train", "train", "test", "train", "validation"]
    paths = [tmp_path / name for name in ("l.fa", "l.tsv", "l.bed", "l.groups")]
    write_library(library_of(), splits, *paths)
    genome = Genome(paths[0], "lib")
    assert genome.contigs == dict.fromkeys("abcde", 6)
    assert bases.decode(genome.fetch("b", 0, 6)) == "ACGTAA"
    regions = SplitRegions.from_bed(paths[2], genome)
    assert [regions.split_of(name, 0, 6) for name in "abcde"] == splits
    targets = pd.read_csv(paths[1], sep="\t")
    assert targets.columns.tolist() == ["contig", "start", "end", "wt", "ko"]
    assert targets["end"].unique().tolist() == [6]
    np.testing.assert_array_equal(targets["wt"], library_of().activities[:, 0])
    groups = pd.read_csv(paths[3], sep="\t")
    assert groups["contig"].tolist() == list("abcde")
    assert groups["group"].tolist() == library_of().groups


@given(
    st.lists(st.integers(1, 9), min_size=12, max_size=60),
    st.floats(0.15, 0.4),
    st.floats(0.15, 0.4),
    st.integers(0, 99),
)
def test_splits_cut_no_group_and_are_about_as_large_as_asked(sizes, validation, test, seed):
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    # either of the other splits may be too large by less than one group; else training may be empty
    assume((1 - validation - test) * len(groups) > 2 * max(sizes))
    splits = split_groups(groups, validation, test, seed)
    assert len(set(zip(groups, splits, strict=True))) == len(sizes)
    found = Counter(splits)
    assert abs(found["test"] - test * len(groups)) <= max(sizes)
    assert abs(found["validation"] - validation * len(groups)) <= max(sizes)
    assert splits == split_groups(groups, validation, test, seed)


def test_a_split_that_would_be_empty_is_refused():
    with pytest.raises(InputError, match="leave no sequence for train: change the fractions"):
        split_groups(["a", "a", "b"], 0.01, 0.5, 1)


def test_pairs_are_of_one_group_with_the_measured_difference(library_of, tmp_path):
    library = library_of()
    pairs = pairs_of(library, "kind", "wild", "mutant", "wt")
    assert pairs[["reference", "alternative"]].to_numpy().tolist() == [["a", "b"], ["a", "d"]]
    np.testing.assert_array_equal(pairs["effect"], [-3.5, np.nan])
    paths = [tmp_path / name for name in ("l.fa", "l.tsv", "l.bed", "l.groups")]
    write_library(library, ["train"] * 5, *paths)
    pairs.to_csv(tmp_path / "pairs.tsv", sep="\t", index=False)
    genome = Genome(paths[0], "lib")
    read = read_pairs(tmp_path / "pairs.tsv", genome)
    write_sequence_set(tmp_path / "set.parquet", pair_sequences(genome, read, 6), {})
    found = read_sequence_set(tmp_path / "set.parquet")
    assert found.ids() == ["a", "b", "d"]
    assert [bases.decode(row) for row in found.codes()] == ["ACGTAC", "ACGTAA", "ACGTAC"]
    write_contrasts(tmp_path / "contrasts.parquet", pair_contrasts(read))
    rows = read_table(tmp_path / "contrasts.parquet", CONTRASTS).to_pylist()
    assert [row["truth_effect"] for row in rows] == [-3.5, None]
    assert [row["alternative_id"] for row in rows] == ["b", "d"]
    assert len({row["locus"] for row in rows}) == 1
    with pytest.raises(InputError, match="'a' of assembly 'lib' has 6 bp, but the set's length is"):
        list(pair_sequences(genome, read, 7))


def changed(table, row, column, value):
    table = table.astype({column: object})
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": COLUMNS | {"group": "peeak"}}, "no column 'peeak'; did you mean 'peak'"),
        ({"sequences": changed(SEQUENCES, 1, "id", "a")}, "id 'a' occurs twice"),
        ({"sequences": changed(SEQUENCES, 1, "id", "b c")}, "'b c' cannot name a contig"),
        ({"sequences": changed(SEQUENCES, 2, "dna", "TTTTNT")}, "'c' is not all A, C, G and T"),
        ({"sequences": changed(SEQUENCES, 2, "dna", "TTT")}, "'c' has 3 bp, the first one 6"),
        ({"sequences": SEQUENCES[:0]}, "holds no sequence"),
        ({"activities": changed(ACTIVITIES, 0, "id", "z")}, "1 rows of track 'wt' .* of 'z'"),
        ({"activities": changed(ACTIVITIES, 1, "id", "a")}, "track 'wt' has two rows of .*'a'"),
        ({"tracks": {"x": {"value": "mu", "where": {"genotype": "w"}}}}, "no row has .*'x' asks"),
        ({"tracks": {"x": {"value": "mean", "where": {}}}}, "a.parquet has no column 'mean'"),
    ],
)
def test_bad_libraries_are_refused(library_of, change, message):
    with pytest.raises(InputError, match=message):
        library_of(**change)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kid", "wild", "mutant", "wt"), "there is no 'kid'; did you mean 'kind'"),
        (("kind", "wild", "mutant", "wd"), "there is no 'wd'"),
        (("kind", "wild", "none", "wt"), "no group has kind 'wild' and 'none'; .*: mutant, wild"),
        (("kind", "mutant", "wild", "wt"), "'b' and 'd' are both references"),
    ],
)
def test_bad_pairs_of_a_library_are_refused(library_of, arguments, message):
    with pytest.raises(InputError, match=message):
        pairs_of(library_of(), *arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reference\talternative\nc1\tc2\n", "no column 'effect'"),
        ("reference\talternative\teffect\n", "holds no pair"),
        ("reference\talternative\teffect\nc1\tc2\tx\n", "line 2: effect 'x' is not a number"),
        ("reference\talternative\teffect\nc1\tc2\t1\nc1\tc9\t1\n", "line 3: .*no contig 'c9'"),
        ("reference\talternative\teffect\nc1\tc2\t1\nc1\tc2\t2\n", "line 3: the pair occurs twice"),
    ],
)
def test_bad_tables_of_pairs_are_refused(make_genome, tmp_path, text, message):
    genome = make_genome({"c1": "ACGT", "c2": "ACGA"})
    (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path / "pairs.tsv", genome)


def test_contexts_tell_pairs_apart(make_genome, tmp_path):
    genome = make_genome({"c1": "ACGT", "c2": "ACGA"})
    rows = "c1\tc2\t1\tliver\nc1\tc2\t-1\theart\n"
    (tmp_path / "pairs.tsv").write_text("reference\talternative\teffect\tcontext\n" + rows)
    found = pair_contrasts(read_pairs(tmp_path / "pairs.tsv", genome))
    assert [row["contrast_id"] for row in found] == ["c1>c2|liver", "c1>c2|heart"]
    assert [row["context"] for row in found] == ["liver", "heart"]


def test_tables_come_in_several_formats(tmp_path):
    read = {}
    for suffix, write in (
        ("tsv", lambda path: SEQUENCES.to_csv(path, sep="\t", index=False)),
        ("csv", lambda path: SEQUENCES.to_csv(path, index=False)),
        ("csv.gz", lambda path: SEQUENCES.to_csv(path, index=False)),
        ("parquet", SEQUENCES.to_parquet),
    ):
        path = tmp_path / f"s.{suffix}"
        write(path)
        ACTIVITIES.to_csv(tmp_path / "a.csv", index=False)
        read[suffix] = read_library(path, COLUMNS, tmp_path / "a.csv", "id", TRACKS)
    for library in read.values():
        np.testing.assert_array_equal(library.activities, read["tsv"].activities)
        np.testing.assert_array_equal(library.sequences, read["tsv"].sequences)
        assert library.groups == read["tsv"].groups


def test_names_of_a_fasta_become_columns(tmp_path):
    path = tmp_path / "s.fa"
    path.write_text(">p1_wild first\nACG\nTAC\n>p1_mutant\nACGTAA\n>p2_wild\nTTTTTT\n")
    columns = {"id": "id", "sequence": "sequence", "group": "peak"}
    pattern = r"(?P<peak>[^_]+)_(?P<kind>.+)"
    activities = pd.DataFrame({"id": ["p1_wild"], "x": [1.0]})
    activities.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    tracks = {"x": {"value": "x", "where": {}}}
    library = read_library(path, columns | {"pattern": pattern}, tmp_path / "a.tsv", "id", tracks)
    assert library.table["kind"].tolist() == ["wild", "mutant", "wild"]
    assert library.groups[0] == library.groups[1] != library.groups[2]
    assert bases.decode(library.sequences[0]) == "ACGTAC"
    for wrong, message in (
        ("([a-z]", "is no regular expression"),
        ("[a-z]+", "names no group, such as"),
        ("(?P<peak>X+)", "no id fits pattern"),
    ):
        with pytest.raises(InputError, match=message):
            read_library(path, columns | {"pattern": wrong}, tmp_path / "a.tsv", "id", tracks)


def test_unusable_sequences_are_left_out_where_the_user_says_so(tmp_path, caplog):
    sequences = SEQUENCES.assign(dna=["ACGTAC", "ACGTAN", "TTTT", "ACGTAG", "GGGGGG"])
    sequences.to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    ACTIVITIES.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    paths = tmp_path / "s.tsv", COLUMNS, tmp_path / "a.tsv", "id", TRACKS
    with pytest.raises(InputError, match="'b' is not all A, C, G and T"):
        read_library(*paths)
    library = read_library(*paths, unusable="skip")
    assert library.table.index.tolist() == ["a", "d", "e"]
    np.testing.assert_array_equal(library.activities[:, 0], [1.5, np.nan, np.nan])
    assert "2 of 5 sequences are left out" in caplog.text


def test_rows_without_ids_are_numbered(tmp_path):
    path = tmp_path / "s.csv"
    SEQUENCES.assign(x=range(5)).to_csv(path, index=False)
    settings = {
        "sequences": {"path": path, "sequence": "dna", "unusable": "refuse"},
        "activities": {"path": path},
        "tracks": {"x": {"value": "x", "where": {}}},
    }
    library = libraries.library_of(settings, {"sequences": path, "activities": path})
    assert library.table.index.tolist() == ["row1", "row2", "row3", "row4", "row5"]
    np.testing.assert_array_equal(library.activities[:, 0], range(5))


@pytest.mark.parametrize(("column", "value"), [("sd", -1.0), ("n", 0.0)])
def test_impossible_uncertainties_are_refused(tmp_path, column, value):
    table = ACTIVITIES.assign(sd=1.0, n=3.0)
    table.loc[1, column] = value
    tracks = {"wt": {**TRACKS["wt"], "observation_sd": "sd", "observations": "n"}}
    SEQUENCES.to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match="the first of sequence 'b': mend the table"):
        read_library(tmp_path / "s.tsv", COLUMNS, tmp_path / "a.tsv", "id", tracks)
