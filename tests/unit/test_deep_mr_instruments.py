"""From maps, or a table of summary statistics, to instruments."""

import numpy as np
import pytest
from attribution_entry import sequence_set
from deep_mr_cases import instruments, planted, write_case

from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.mendelian import Effects
from seqtrust.mendelian.effect_moments import Moments, read_moments, write_moments
from seqtrust.mendelian.instrument_tables import (
    EVEN,
    ODD,
    PUBLISHED,
    RULE,
    joined,
    read_counts,
    read_instruments,
    write_instruments,
)
from seqtrust.mendelian.instruments import published_z, strong, top_per_position
from seqtrust.mendelian.motif_spans import motif_spans, motifs_of_tasks
from seqtrust.mendelian.mutation_effects import mutation_effects
from seqtrust.mendelian.recalibrated_tasks import (
    Recalibration,
    fitted,
    fitted_and_judged,
    read_recalibrations,
    reliability,
    rows_of_split,
    write_recalibrations,
)
from seqtrust.mendelian.recalibration import variance_factor
from seqtrust.mendelian.selected_instruments import Rule, selected_instruments
from seqtrust.mendelian.shard_instruments import shard_instruments
from seqtrust.mendelian.summary_statistics import read_summary_statistics
from seqtrust.mendelian.task_scales import SCALES, on_scale
from seqtrust.motifs import Motif, write_meme
from seqtrust.sequence_set import Sequence, SequenceSet


@pytest.fixture
def case(tmp_path, rng):
    effects, references, bases = planted(rng)
    return write_case(tmp_path, effects, references, bases), effects, references, bases


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def splits(made):
    return dict.fromkeys(made.loci, "test")


@pytest.mark.parametrize("scale", SCALES[:4])
def test_effects_are_differences_on_the_scale_and_keep_their_labels(case, scale):
    paths, effects, references, bases = case
    made = mutation_effects(paths, scale, entry="tracks")
    assert made.tasks == ("x", "y", "z")
    for locus, place, base, replicate, task in ((0, 0, 1, 0, 0), (3, 5, 2, 4, 2), (7, 11, 3, 2, 1)):
        column = 4 * place + base
        if bases[locus, place] == base:
            column = 4 * place + (base + 1) % 4
        found = made.effects[replicate, task, locus, column]
        level = float(references[replicate, locus, task])
        mutant = level + float(effects[replicate, locus, place, column % 4, task])
        wanted = on_scale(np.array(mutant), scale, "") - on_scale(np.array(level), scale, "")
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6)
        own = "ACGT"[bases[locus, place]]
        assert made.position[column] == place + 3
        assert made.names[locus, column] == f"{place + 3}{own}>{'ACGT'[column % 4]}"
    own = np.isnan(made.effects[0, 0])
    assert (own.sum(axis=1) == bases.shape[1]).all()
    assert (made.names[own] == "").all()
    # 3 L mutants and the sequence itself
    assert made.counts[0]["mutations"] == 3 * bases.size == made.counts[0]["mutants_computed"]


def test_a_scale_that_a_value_has_not_is_named():
    for scale, value in (("log", 0.0), ("logit", 1.0), ("logit", 0.0), ("log2p1", -1.0)):
        with pytest.raises(InputError, match=f"scale {scale}.*choose another scale"):
            on_scale(np.array([0.5, value]), scale, "predictions")
    assert on_scale(np.array([0.0]), "anscombe", "")[0] == pytest.approx(2 * np.sqrt(0.375))


def test_what_maps_cannot_give_is_refused(tmp_path, rng):
    effects, references, bases = planted(rng)
    paths = write_case(tmp_path, effects, references, bases)
    with pytest.raises(InputError, match="ism/tracks: its ensemble has 1 replicate"):
        mutation_effects({"r1": paths["r1"]}, "identity", entry="tracks")
    folder = tmp_path / "one"
    folder.mkdir()
    one = write_case(folder, effects[..., :1], references[..., :1], bases, tasks=("x",))
    with pytest.raises(InputError, match=r"has one track, 'x'.*name an output of several tracks"):
        mutation_effects(one, "identity", entry="tracks")
    several = write_case(folder, effects, references, bases, bins=2)
    with pytest.raises(InputError, match=r"has 2 bins.*reduce its bins"):
        mutation_effects(several, "identity", entry="tracks")
    other = write_case(folder, effects[:, :4], references[:, :4], bases[:4])
    with pytest.raises(InputError, match="the maps of r2 hold other sequences"):
        mutation_effects({"r1": paths["r1"], "r2": other["r2"]}, "identity", entry="tracks")


def part_of(paths, folder, effects, references, bases, loci):
    folder.mkdir()
    return write_case(folder, effects[:, loci], references[:, loci], bases[loci])


def test_shards_give_what_all_loci_together_give(tmp_path, case):
    paths, effects, references, bases = case
    whole = mutation_effects(paths, "identity")
    alone = Moments.of(whole)
    rule = Rule(threshold=10, cross_fitted=True)
    wanted = selected_instruments(whole, alone, splits(whole), rule, published_threshold=1.0)
    halves = [slice(0, 3), slice(3, 8)]
    parts = [
        mutation_effects(
            part_of(paths, tmp_path / str(at), effects, references, bases, loci), "identity"
        )
        for at, loci in enumerate(halves)
    ]
    files = [tmp_path / f"{at}.json" for at in range(2)]
    for file, part in zip(files, parts, strict=True):
        write_moments(file, Moments.of(part))
    moments = read_moments(files)
    names = [f"locus{at}" for at in range(8)]
    made = [
        selected_instruments(part, moments, splits(part), rule, published_threshold=1.0)
        for part in parts
    ]
    both = joined(made)
    assert both.names == wanted.names
    np.testing.assert_array_equal(both.chosen, wanted.chosen)
    np.testing.assert_allclose(both.se, wanted.se, rtol=1e-9)
    assert len(both.loci) == len(names)
    # every bit is used by someone
    for bit in (RULE, PUBLISHED, EVEN, ODD):
        assert (wanted.chosen & bit).any()


def test_rules_are_those_of_the_library(case):
    whole = mutation_effects(case[0], "identity")
    made = selected_instruments(
        whole, Moments.of(whole), splits(whole), Rule(threshold=10), published_threshold=1.0
    )
    for task in range(3):
        effects = Effects.from_replicates(whole.effects[:, task], whole.position)
        kept = strong(effects, 10) & top_per_position(effects, 1)
        big = published_z(effects, 1.0)
        for bit, mask in ((RULE, kept), (PUBLISHED, big)):
            names = [
                (locus, whole.names[locus, place]) for locus, place in np.argwhere(mask).tolist()
            ]
            rows = np.flatnonzero(made.chosen_for(task, bit))
            found = [(int(made.row_locus[row]), made.names[row]) for row in rows]
            assert found == names
        row = np.flatnonzero(made.chosen_for(task))[0]
        place = list(whole.names[made.row_locus[row]]).index(made.names[row])
        np.testing.assert_allclose(
            made.se[row, task], effects.se[made.row_locus[row], place], rtol=1e-9
        )


SETTINGS = {
    "se": "moderated",
    "scale": "identity",
    "instruments": {"threshold": 10.0},
    "compare_published": {"threshold": 1.0},
}


def widened(factor, kind="variance"):
    return Recalibration(kind, ("x", "y", "z"), np.full(3, factor), (), np.zeros((0, 2)))


def entry_of_shard(case, recalibration=None, **how):
    windows = sequence_set(np.zeros((8, 20), np.uint8), 1000).windows
    sequences = SequenceSet(windows, [Sequence(f"locus{at}", at) for at in range(8)])
    regions = SplitRegions({("train", "c"): ((0, 3500),), ("test", "c"): ((3500, 9000),)})
    moments = Moments.of(mutation_effects(case[0], "identity", recalibration))
    return shard_instruments(case[0], moments, sequences, regions, SETTINGS, **how)


def test_an_entry_gives_the_instruments_of_its_shard(case):
    made, counts = entry_of_shard(case)
    whole = mutation_effects(case[0], "identity")
    by_locus = {f"locus{at}": "train" if at < 4 else "test" for at in range(8)}
    wanted = selected_instruments(
        whole, Moments.of(whole), by_locus, Rule(threshold=10), published_threshold=1.0
    )
    assert made.names == wanted.names
    assert made.splits == wanted.splits
    np.testing.assert_array_equal(made.chosen, wanted.chosen)
    np.testing.assert_array_equal(made.beta, wanted.beta)
    assert counts == whole.counts


def test_only_the_kind_that_is_asked_for_is_applied(case):
    plain = entry_of_shard(case)[0]
    kinds = {"variance": widened(4.0), "published": widened(1.0)}
    assert entry_of_shard(case, recalibrations=kinds)[0].names == plain.names
    wide = entry_of_shard(case, kinds["variance"], kind="variance", recalibrations=kinds)[0]
    shared = [
        (plain.se[row], wide.se[other])
        for row, key in enumerate(zip(plain.row_locus, plain.names, strict=True))
        for other, name in enumerate(zip(wide.row_locus, wide.names, strict=True))
        if key == name
    ]
    assert len(shared) > 10
    narrow, twice = np.array(shared).swapaxes(0, 1)
    np.testing.assert_allclose(twice, 2 * narrow, rtol=1e-5)


def test_files_hold_what_was_written(tmp_path, case):
    whole = mutation_effects(case[0], "identity")
    made = selected_instruments(
        whole, Moments.of(whole), splits(whole), Rule(), published_threshold=1.0, recalibrated=whole
    )
    file = tmp_path / "instruments.parquet"
    write_instruments(file, made, whole.counts)
    back = read_instruments([file])
    for name in ("beta", "se", "replicates", "recalibrated", "chosen", "scales", "position"):
        np.testing.assert_array_equal(getattr(back, name), getattr(made, name))
    assert (back.names, back.loci, back.splits) == (made.names, made.loci, made.splits)
    assert [row["replicate"] for row in read_counts([file])] == ["r1", "r2", "r3", "r4", "r5"]
    none = made.of_loci(np.zeros(len(made.loci), dtype=bool))
    kept = made.of_loci(np.arange(len(made.loci)) == 2)
    assert not none.names
    assert kept.loci == ("locus2",)
    assert set(kept.names) == {
        name for name, row in zip(made.names, made.row_locus, strict=True) if row == 2
    }


def test_padded_effects_are_those_of_the_rows(rng):
    made = instruments(rng)
    keep = rng.random(len(made.names)) < 0.5
    places = made.places(keep)
    one, both = made.effects(1, places), made.effects([0, 1], places)
    np.testing.assert_array_equal(both.beta[1], one.beta)
    np.testing.assert_array_equal(both.replicates[:, 1], one.replicates)
    for locus in range(len(made.loci)):
        rows = np.flatnonzero(keep & (made.row_locus == locus))
        found = one.beta[locus][np.isfinite(one.beta[locus])]
        np.testing.assert_array_equal(found, made.beta[rows, 1])
    wide = made.effects(1, places, published_se=True)
    known = np.isfinite(wide.se)
    wanted = made.replicates[:, places[known], 1].std(axis=0)
    np.testing.assert_allclose(wide.se[known], wanted)


def test_a_motif_mask_leaves_mutations_outside_out(case):
    whole = mutation_effects(case[0], "identity")
    spans = {task: [np.array([[5, 8]])] * 8 for task in whole.tasks}
    made = selected_instruments(whole, Moments.of(whole), splits(whole), Rule(), spans=spans)
    assert set(made.position.tolist()) == {5, 6, 7}


def test_motif_instances_are_found_on_both_strands(tmp_path, rng):
    columns = tuple(tuple(column) for column in rng.dirichlet([0.4] * 4, size=6))
    motif = Motif("m", columns)
    codes = rng.integers(0, 5, 400).astype(np.uint8)
    found = {tuple(span) for span in motif_spans(codes, motif, 0.5).tolist()}
    needed = 0.5 * motif.bits.max(axis=1).sum()
    wanted = set()
    for begin in range(400 - 6 + 1):
        word = codes[begin : begin + 6]
        if (word == 4).any():
            continue
        other = 3 - word[::-1]
        scores = [sum(motif.bits[at, base] for at, base in enumerate(w)) for w in (word, other)]
        if max(scores) >= needed:
            wanted.add((begin, begin + 6))
    assert found == wanted
    assert wanted
    file = tmp_path / "m.meme"
    file.write_text(write_meme([motif]))
    assert [one.name for one in motifs_of_tasks(file, {}, ["x"])["x"]] == ["m"]
    with pytest.raises(InputError, match="no such task; did you mean 'xx'"):
        motifs_of_tasks(file, {"xy": ["m"]}, ["xx"])


def overconfident(rng, windows=4000):
    truth = rng.normal(size=(windows, 2))
    members = truth + 0.2 * rng.normal(size=(20, windows, 2)) + 0.4 * rng.normal(size=truth.shape)
    return members, truth


@pytest.mark.parametrize("kind", ["variance", "levels"])
def test_recalibration_mends_reliability_and_keeps_means(tmp_path, rng, kind):
    members, truth = overconfident(rng)
    made = fitted(kind, ("x", "y"), members[:, :2000], truth[:2000])
    write_recalibrations(tmp_path / "r.json", {kind: made})
    back = read_recalibrations(tmp_path / "r.json")[kind]
    judged = reliability(back, members[:, 2000:], truth[2000:], "test")
    off = judged.groupby("when")["miscalibration"].max()
    assert off["after"] < 0.03 < off["before"]
    moved = back.apply(members)
    np.testing.assert_allclose(moved.mean(axis=0), members.mean(axis=0), atol=1e-9)
    np.testing.assert_array_equal(np.argsort(moved, axis=0), np.argsort(members, axis=0))


def test_what_is_judged_is_not_fitted_on(rng):
    members, truth = overconfident(rng, 900)
    splits = ["train"] * 300 + ["calibration"] * 300 + ["test"] * 300
    names = ("x", "y")
    made, table = fitted_and_judged(
        ["variance", "published"], names, members, truth, splits, "calibration", "test"
    )
    mine = fitted("variance", names, members[:, 300:600], truth[300:600])
    np.testing.assert_array_equal(made["variance"].factors, mine.factors)
    assert list(made) == ["variance", "published"]
    wanted = reliability(mine, members[:, 600:], truth[600:], "test")
    assert table.equals(wanted)
    # the rest moves what is judged alone
    moved = truth + np.where(np.arange(900) < 600, 0, 5)[:, None]
    again, other = fitted_and_judged(
        ["variance"], names, members, moved, splits, "calibration", "test"
    )
    np.testing.assert_array_equal(again["variance"].factors, mine.factors)
    assert other["miscalibration"].min() > table["miscalibration"].max()


def test_the_factor_on_variances_is_right_with_five_replicates(rng):
    # errors of variance .04 / 5 + .36 where replicates have a variance of .04
    truth = rng.normal(size=(3000, 1))
    members = truth + 0.2 * rng.normal(size=(5, 3000, 1)) + 0.6 * rng.normal(size=truth.shape)
    found = fitted("variance", ("x",), members, truth).factors[0]
    assert found == pytest.approx((0.04 / 5 + 0.36) / 0.04, rel=0.08)
    # the variances of single windows make it far too large
    assert variance_factor(members, truth)[0] > 1.5 * found


def test_the_published_map_moves_means(rng):
    members, truth = overconfident(rng)
    made = fitted("published", ("x", "y"), members, truth)
    moved = np.ma.masked_invalid(made.apply(members)).mean() - members.mean()
    # of an overconfident ensemble upwards, by more than a tenth of its sd
    assert moved > 0.1 * members.std(axis=0).mean()


def test_platt_scaling_recovers_a_planted_line(rng):
    z = rng.normal(size=(6000, 1))
    y = (rng.random(z.shape) < 1 / (1 + np.exp(-(0.5 * z - 0.3)))).astype(float)
    members = 1 / (1 + np.exp(-(z + np.zeros((3, 1, 1)))))
    made = fitted("platt", ("x",), members, y)
    np.testing.assert_allclose(made.lines[0], [0.5, -0.3], atol=0.08)
    judged = reliability(made, members, y, "test").groupby("when")["miscalibration"].first()
    assert judged["after"] < judged["before"] / 2
    with pytest.raises(InputError, match="platt needs probabilities and targets of 0 and 1"):
        fitted("platt", ("x",), members, y + 1)


def test_too_few_windows_are_refused(rng):
    members, truth = overconfident(rng, 30)
    truth[15:, 1] = np.nan
    with pytest.raises(InputError, match="'y' has 15 measured windows, and needs 20"):
        fitted("variance", ("x", "y"), members, truth)
    with pytest.raises(InputError, match="lies in the split 'test'; splits found: train"):
        rows_of_split(["train", "train"], "test")


HEADER = "locus\tinstrument\ttask\tbeta\tse\n"
GOOD = "a\tv1\tx\t1\t.1\na\tv1\ty\t2\t.1\na\tv2\tx\t.1\t.1\na\tv2\ty\t1\t.1\n"


def test_a_table_gives_its_instruments(tmp_path):
    file = tmp_path / "table.tsv"
    file.write_text(HEADER + GOOD + "b\tv1\ty\t3\t.2\nb\tv1\tx\t4\t.3\n")
    made = read_summary_statistics(file, Rule(threshold=10), 0.0)
    assert (made.tasks, made.loci, made.names) == (("x", "y"), ("a", "b"), ("v1", "v2", "v1"))
    np.testing.assert_array_equal(made.beta, [[1, 2], [0.1, 1], [4, 3]])
    np.testing.assert_array_equal(made.se, [[0.1, 0.1], [0.1, 0.1], [0.3, 0.2]])
    assert made.chosen_for(0).tolist() == [True, False, True]
    assert made.replicates is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("\tse", ""), "there is no column 'se'"),
        (HEADER + GOOD.replace("\t2\t.1", "\t2\t0", 1), "line 3: se is 0; a standard error is pos"),
        (HEADER + GOOD.replace("\t2\t", "\tmany\t", 1), "line 3: beta is 'many'"),
        (HEADER + GOOD + "a\tv1\tx\t3\t.1\n", "line 6: instrument 'v1' has task 'x' twice"),
        (HEADER + "a\tv1\tx\t1\t.1\n", "has one task, 'x'"),
        (
            HEADER + GOOD + "a\tv3\tx\t1\t.1\n",
            "instrument 'v3' of locus 'a' has no row of task 'y'",
        ),
    ],
)
def test_faults_of_a_table_are_named(tmp_path, text, message):
    file = tmp_path / "table.tsv"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_summary_statistics(file, Rule())
