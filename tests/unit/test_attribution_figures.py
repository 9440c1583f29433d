"""Figures of attribution maps show what their tables say, and the tables what is in the files."""

import numpy as np
import pandas as pd
import pytest
from attribution_entry import LOGOS as LOGO_SETTINGS
from attribution_entry import SETTINGS, attribution_maps, entry
from attribution_twins import planted
from matplotlib.path import Path

from seqtrust import headlines
from seqtrust.attribution.agreement import COLUMNS as AGREEMENT
from seqtrust.attribution.agreement import MEASURES
from seqtrust.attribution.consistency_tables import track_tables
from seqtrust.attribution.drawn_maps import LOGOS, SPECTRA, SPHERES
from seqtrust.figures.attribution import MOST_TRACKS, drawn_tracks
from seqtrust.figures.attribution_figures import FIGURES, attribution_figure
from seqtrust.figures.attribution_kmers import words
from seqtrust.figures.attribution_logos import letter_bottoms, letter_path, logo_panel
from seqtrust.figures.attribution_spheres import base_directions, sphere_panel
from seqtrust.figures.style import new_figure, save_figure
from seqtrust.files import read_tsv, write_tsv
from seqtrust.tables import write_table

LABELS = {"many": "Many maps", "few": "Few maps"}
NOISE = {("saliency", "r1"): 0.05, ("saliency", "r2"): 0.3, ("saliency", "r3"): 30.0}
INPUTS = {
    "consistency": ["consistency.tsv"],
    "nulls": ["nulls.tsv", "consistency.tsv"],
    "agreement": ["agreement.tsv"],
    "logos": ["logos.parquet"],
    "spheres": ["spheres.parquet", "consistency.tsv"],
    "kmers": ["spectra.parquet", "consistency.tsv"],
    "sensitivity": ["sensitivity.tsv"],
}


def agreement_rows():
    value = dict.fromkeys(AGREEMENT[8:], 0.5)
    pairs = [("replicates", "r1", "r2"), ("replicates", "r1", "r3"), ("single", "r1", "others")]
    return pd.DataFrame(
        [
            {"track": "t", "comparison": kind, "method": "saliency", "other_method": "saliency",
             "replicate": one, "other_replicate": other, "sequences": 30, "left_out": 2,
             **value, "pearson": 0.2 + place / 10}
            for place, (kind, one, other) in enumerate(pairs)
        ],
        columns=list(AGREEMENT),
    )  # fmt: skip


def write_entry(folder, name, found, agreement):
    for table in ("nulls", "sensitivity"):
        write_tsv(folder / f"{name}.{table}.tsv", getattr(found, table))
    write_tsv(folder / f"{name}.consistency.tsv", found.scores)
    write_tsv(folder / f"{name}.agreement.tsv", agreement)
    for ending, schema in (("spectra", SPECTRA), ("spheres", SPHERES), ("logos", LOGOS)):
        rows = found.drawn[schema]
        columns = {column.name: [row[column.name] for row in rows] for column in schema.columns}
        write_table(folder / f"{name}.{ending}.parquet", schema, columns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of an entry with three replicates, and of one with a single model and few k-mers."""
    folder = tmp_path_factory.mktemp("entries")
    found = track_tables(entry(40, noise=NOISE), np.arange(40), SETTINGS, LOGO_SETTINGS, 100, 1)
    write_entry(folder, "many", found, agreement_rows())
    clean, codes = planted(4, 0.05, 3, 40)
    codes[:, ::3] = 4
    one = {("saliency", "r1"): attribution_maps(clean, codes)}
    found = track_tables(one, np.zeros(4, dtype=int), SETTINGS, LOGO_SETTINGS, 0, 1)
    write_entry(folder, "few", found, agreement_rows().iloc[:0])
    return folder


def drawn(folder, figure, names=tuple(LABELS)):
    inputs = [[folder / f"{name}.{ending}" for name in names] for ending in INPUTS[figure]]
    return attribution_figure(figure, inputs, {name: LABELS[name] for name in names})


def visible(figure):
    return [axis for axis in figure.axes if axis.axison]


@pytest.mark.slow
def test_all_figures_are_written_with_their_tables(folder, tmp_path):
    assert set(INPUTS) <= set(FIGURES)
    for name in INPUTS:
        figure, table = drawn(folder, name)
        paths = [tmp_path / f"{name}.{ending}" for ending in ("png", "pdf", "tsv")]
        save_figure(figure, paths, table, True)
        again = read_tsv(paths[2])
        assert list(again.columns) == list(table.columns)
        assert len(again) == len(table) > 0


def test_the_tables_of_consistency_are_those_of_the_entries(folder):
    figure, table = drawn(folder, "consistency")
    assert table.groupby("entry", sort=False).size().to_dict() == {
        name: len(read_tsv(folder / f"{name}.consistency.tsv")) for name in LABELS
    }
    modes = ("corrected", "published")
    panels = [f"{score}, {mode}" for score in ("k-mer", "embedding") for mode in modes]
    titles = [axis.get_title(loc="left").split("\n") for axis in figure.axes]
    assert [title[-1] for title in titles] == panels * 2
    heads = [title[0] for title in titles if len(title) > 1]
    assert heads == [f"{label}, t" for label in LABELS.values()]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["saliency, r1", "saliency, r2", "saliency, r3", "saliency, ensemble"]
    # markers at the values of the first panel, in order of its rows
    shown = table[(table["entry"] == "many") & (table["score"] == "k-mer")]
    shown = shown[(shown["mode"] == "corrected") & (shown["null"] == "pairing")]
    marks = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "D")]
    np.testing.assert_allclose([line.get_xdata()[0] for line in marks], shown["value"])
    assert [line.get_marker() for line in marks] == ["o", "o", "o", "D"]
    ends = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(ends[:4], shown[["low", "high"]])
    # few maps have no k-mer: said, not drawn
    said = [text.get_text() for axis in figure.axes[4:6] for text in axis.texts]
    assert said.count("no score") == 2


def test_only_the_first_tracks_of_an_entry_are_drawn():
    rows = [("e", "E", f"t{number}") for number in range(MOST_TRACKS + 2)]
    table = pd.DataFrame(rows, columns=["entry", "label", "track"])
    assert [track for _, track, _ in drawn_tracks(table)] == ["t0", "t1", "t2"]


def test_nulls_show_draws_and_what_was_observed(folder):
    figure, table = drawn(folder, "nulls", ["many"])
    draws = read_tsv(folder / "many.nulls.tsv")
    draws = draws[(draws["mode"] == "corrected") & (draws["score"] == "embedding")]
    mine = table[table["score"] == "embedding"]
    np.testing.assert_allclose(mine.loc[mine["round"] > 0, "value"], draws["value"])
    np.testing.assert_allclose(figure.axes[1].lines[0].get_xdata(), draws["value"])
    observed = figure.axes[1].collections[0].get_offsets()[:, 0]
    np.testing.assert_allclose(observed, mine.loc[mine["round"] == 0, "value"])
    # shuffled positions break runs: not the null of the k-mer score
    assert set(table.loc[table["score"] == "k-mer", "null"]) == {"pairing"}


def test_agreement_has_a_line_per_comparison(folder):
    figure, _ = drawn(folder, "agreement", ["many"])
    assert len(figure.axes) == len(MEASURES)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["saliency: pairs of replicates", "saliency: one and the mean of the others"]
    dots = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert dots == pytest.approx([0.2, 0.3, 0.4])


def test_the_most_and_the_least_consistent_model_stand_side_by_side(folder):
    for name, score in (("spheres", "embedding"), ("kmers", "k-mer")):
        figure, table = drawn(folder, name)
        many = table[table["entry"] == "many"].drop_duplicates("shown").set_index("shown")
        assert many.loc["least consistent", "replicate"] == "r3"
        scores = read_tsv(folder / "many.consistency.tsv")
        null = {"k-mer": "pairing", "embedding": "position"}[score]
        fits = (scores["score"] == score) & (scores["null"] == null)
        single = scores[
            fits & (scores["mode"] == "corrected") & (scores["replicate"] != "ensemble")
        ]
        best = single.loc[single["excess"].idxmax()]
        assert many.loc["most consistent", "replicate"] == best["replicate"]
        title = figure.axes[0].get_title(loc="left")
        assert title.startswith("Many maps: most consistent\nsaliency, r")
        assert f"score {best['value']:.3f}, excess {best['excess']:.3f}" in title
        # one model is not compared with itself
        few = table[table["entry"] == "few"]
        assert set(few["shown"]) <= {"most consistent"}


def test_densities_and_shares_are_whole_distributions(folder):
    _, spheres = drawn(folder, "spheres")
    assert spheres.groupby(["entry", "shown"])["density"].mean().tolist() == pytest.approx([1] * 3)
    _, kmers = drawn(folder, "kmers", ["many"])
    assert kmers.groupby("shown")["share"].sum().tolist() == pytest.approx([1, 1])
    assert kmers.groupby("shown")["prior"].sum().tolist() == pytest.approx([1, 1])
    assert kmers["kmer"].tolist()[:64] == words(3)
    assert words(2)[:6] == ["AA", "AC", "AG", "AT", "CA", "CC"]


def test_a_base_alone_lies_where_its_letter_is():
    # maps in which one base is strong, without windows
    from seqtrust.attribution.embedding_measure import EmbeddingMeasure

    rng = np.random.default_rng(1)
    for column, base in enumerate("ACGT"):
        maps = 0.001 * rng.normal(size=(20, 50, 4))
        maps[:, ::10, column] += 1
        found = EmbeddingMeasure(window=1, fraction=0.05, box=0.2).result(maps)
        density = found.histogram[0]
        row, place = np.unravel_index(density.argmax(), density.shape)
        azimuth, pole = base_directions()[base]
        assert (row + 0.5) / density.shape[0] * 2 - 1 == pytest.approx(pole, abs=0.07)
        assert place * 360 / density.shape[1] == pytest.approx(azimuth, abs=1e-6)


def test_the_sphere_is_drawn_as_given():
    density = np.arange(15.0).reshape(3, 5)
    axis = new_figure(2, 2).subplots()
    image = sphere_panel(axis, density, 20, "a title")
    np.testing.assert_array_equal(image.get_array(), density)
    assert image.get_extent() == [-36, 324, -1, 1]
    assert {text.get_text() for text in axis.texts} == {*"ACGT", "-A", "-C", "-G", "-T"}


def test_logos_show_the_contributions_of_the_file(folder):
    figure, table = drawn(folder, "logos", ["many"])
    rows = pd.read_parquet(folder / "many.logos.parquet")
    assert len(visible(figure)) == len(rows) == 2 * 3
    first = rows.iloc[0]
    codes = np.frombuffer(first["bases"], dtype=np.uint8)
    heights = [np.reshape(first["map"], (-1, 4))[place, code] for place, code in enumerate(codes)]
    width = LOGO_SETTINGS["width"]
    np.testing.assert_allclose(table["contribution"][:width], heights)
    assert table["position"].tolist()[:width] == list(range(first["start"], first["start"] + width))
    assert first["start"] >= 100
    _, unknown = drawn(folder, "logos", ["few"])
    assert (unknown.loc[unknown["base"] == "N", "contribution"] == 0).all()
    assert "N" in set(unknown["base"])


@pytest.mark.slow
def test_letters_lie_where_logomaker_puts_them():
    logomaker = pytest.importorskip("logomaker")
    rng = np.random.default_rng(3)
    heights = np.where(rng.random((6, 4)) < 0.7, rng.normal(size=(6, 4)), 0)
    axes = new_figure(6, 4).subplots(2, 1)
    logo_panel(axes[0], heights, 10)
    table = pd.DataFrame(heights, columns=list("ACGT"), index=range(10, 16))
    theirs = logomaker.Logo(table, ax=axes[1], font_weight="bold", vpad=0, width=1)
    bottoms = letter_bottoms(heights)
    for column, base in enumerate("ACGT"):
        outline, size = axes[0].patches[column].get_path(), len(letter_path(base))
        for number, place in enumerate(np.flatnonzero(heights[:, column])):
            part = slice(number * size, (number + 1) * size)
            mine = Path(outline.vertices[part], outline.codes[part]).get_extents()
            box = theirs.glyph_df.loc[10 + place, base].patch.get_path().get_extents()
            assert bottoms[place, column] == pytest.approx(box.y0, abs=1e-6)
            np.testing.assert_allclose(mine.extents, box.extents, atol=1e-6)
    np.testing.assert_allclose(axes[0].get_ylim(), axes[1].get_ylim())


def test_settings_agree_with_themselves(folder):
    figure, table = drawn(folder, "sensitivity")
    same = table["setting"] == table["other"]
    assert (table.loc[same, "kendall"] == 1).all()
    assert table["models"].unique().tolist() == [3]
    assert table["kendall"].between(-1, 1).all()
    shown = visible(figure)[0].images[0].get_array()
    assert shown.shape == (same.sum(), same.sum())
    assert "order of 3 models" in visible(figure)[0].get_title(loc="left")


def test_headlines_are_means_over_replicates_with_their_range(folder):
    scores = read_tsv(folder / "many.consistency.tsv")
    rows = headlines.from_attributions("Many", scores, agreement_rows()).set_index("headline")
    excess = scores[(scores["score"] == "embedding") & (scores["mode"] == "corrected")]
    excess = excess[excess["replicate"] != "ensemble"]["excess"]
    row = rows.loc["Many, saliency: embedding consistency over its null"]
    assert row[["value", "low", "high"]].tolist() == pytest.approx(
        [excess.mean(), excess.min(), excess.max()]
    )
    assert row["units"] == 40
    row = rows.loc["Many, saliency: Pearson r of two replicates' maps"]
    assert row[["value", "low", "high", "units"]].tolist() == pytest.approx([0.25, 0.2, 0.3, 30])
    few = read_tsv(folder / "few.consistency.tsv")
    found = headlines.from_attributions("Few", few, agreement_rows().iloc[:0])
    assert found["headline"].tolist() == ["Few, saliency: embedding consistency over its null"]
