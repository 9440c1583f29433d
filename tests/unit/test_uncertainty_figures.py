"""Figures of reference sequences and motifs show what their tables say."""

import numpy as np
import pandas as pd
import pytest

from seqtrust.consistency import CORRELATED, OBSERVED
from seqtrust.figures import motifs, reference
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT

PUBLISHED = {
    "source": "somewhere",
    "values": [
        {"of": "accuracy", "assay": "CAGE", "value": 0.63},
        {"of": "pairs", "assay": "CAGE", "value": 0.93},
        {"of": "classes", "assay": "CAGE", "caller": "poisson", "subset": "true peaks",
         "class": CORRECT, "value": 0.22},
        {"of": "agreement", "track": "a", "caller": "poisson", "n_agree": 3, "n_correct": 0,
         "value": 87.2},
    ],
}  # fmt: skip
ANALYSES = {
    "one": {"label": "One", "least_peaks": 100, "least_tss_bins": 10, "published": PUBLISHED},
    "two": {"label": "Two", "least_peaks": 1, "least_tss_bins": 1},
}
TRACKS = [f"t{i}" for i in range(15)]


def texts(figure):
    found = [text.get_text() for axis in figure.axes for text in axis.texts]
    return found + [axis.get_title() for axis in figure.axes]


def legends(figure):
    drawn = [axis.get_legend() for axis in figure.axes] + list(figure.legends)
    return [text.get_text() for legend in drawn if legend for text in legend.get_texts()]


def test_held_out_windows_are_those_of_the_test_split():
    rows = [("one", "all", 1), ("one", "test", 2), ("two", "all", 3), ("two", "validation", 4),
            ("two", "train", 5), ("three", "all", 6)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["analysis", "split", "value"])
    assert reference.held_out(table)["value"].tolist() == [2, 4, 6]


def test_accuracy_shows_replicates_and_the_published_value():
    rows = [
        (name, track, assay, "test", replicate, 0.5 + index / 100, 99)
        for name in ANALYSES
        for assay, tracks in (("CAGE", TRACKS), ("DNASE", TRACKS[:2]))
        for index, track in enumerate(tracks)
        for replicate in ("r1", "r2", "ensemble")
    ]
    columns = ["analysis", "track", "assay", "split", "replicate", "pearson_r", "bins"]
    figure = reference.accuracy_figure(pd.DataFrame(rows, columns=columns), ANALYSES)
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title() == "CAGE\n15 tracks"
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["r1", "r2", "ensemble"]
    assert legends(figure) == ["published"]


def test_pairs_are_shown_as_means_per_track():
    rows = [
        ("one", track, "CAGE", "all", "r1", other, r, 99)
        for track in TRACKS[:3]
        for other, r in (("r2", 0.8), ("r3", 0.9))
    ]
    columns = ["analysis", "track", "assay", "split", "replicate_a", "replicate_b", "pearson_r",
               "bins"]  # fmt: skip
    analyses = {"one": ANALYSES["one"]}
    figure = reference.pairs_figure(pd.DataFrame(rows, columns=columns), analyses)
    points = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(points, [0.85] * 3)
    assert legends(figure) == ["published"]


def classes(totals):
    single = pd.DataFrame(
        [
            (track, "CAGE", "poisson", "true peaks", "all", OBSERVED, kind, 1, total, value, 0, 1)
            for track, total in totals.items()
            for kind, value in ((CORRECT, 0.5), (INCONSISTENT, 0.2), (INCORRECT, 0.3))
        ],
        columns=["track", "assay", "caller", "subset", "split", "level", "class", "count",
                 "total", "fraction", "low", "high"],
    )  # fmt: skip
    medians = pd.DataFrame(
        [
            ("CAGE", "poisson", "true peaks", "all", level, kind, 0.3, 0.2, 0.4, 2, 1)
            for level in (OBSERVED, CORRELATED)
            for kind in (CORRECT, INCONSISTENT, INCORRECT)
        ],
        columns=["assay", "caller", "subset", "split", "level", "class", "median", "low", "high",
                 "tracks", "left_out"],
    )  # fmt: skip
    return single, medians


def test_tracks_with_few_peaks_are_not_drawn_but_counted():
    single, medians = classes({"a": 150, "b": 100, "c": 99})
    analyses = {"one": ANALYSES["one"]}
    table = reference.classes_table([single], [medians], analyses)
    assert set(table["track"]) == {"", "a", "b"}
    figure = reference.classes_figure(table, analyses)
    (label,) = [t.get_text() for axis in figure.axes for t in axis.get_xticklabels()]
    assert label == "CAGE\n2 tracks\n(1 left out)"
    assert "published" in legends(figure)
    assert CORRELATED in legends(figure)


def test_heat_maps_show_per_cent_and_published_values():
    rows = [
        ("one", "a", "x", caller, "all", agree, correct, 10, 100, share, 0, 1)
        for caller in ("matched", "poisson")
        for agree, correct, share in ((2, 1, 0.1), (2, 2, 0.2), (3, 0, 0.4), (3, 3, 0.3))
    ]
    columns = ["analysis", "track", "assay", "caller", "split", "n_agree", "n_correct", "count",
               "total", "fraction", "low", "high"]  # fmt: skip
    figure = reference.agreement_figure(pd.DataFrame(rows, columns=columns), ANALYSES)
    assert len(figure.axes) == 2
    shown = texts(figure)
    assert shown.count("40.0 %") == 1
    assert "40.0 %\n(87.2 %)" in shown
    assert "One: a, n = 100 peaks\nPoisson caller, as published" in shown


@pytest.mark.parametrize(
    ("q", "stars"), [(0.2, "ns"), (0.049, "*"), (0.009, "**"), (9e-4, "***"), (9e-5, "****")]
)
def test_stars_stand_for_corrected_values(q, stars):
    where = {"split": "all", "track": "a", "caller": "matched", "attribute": "GC content"}
    quartiles = pd.DataFrame(
        [{**where, "class": kind, "count": 5, "q25": 0.1, "median": 0.2, "q75": 0.3}
         for kind in (CORRECT, INCORRECT)]
    )  # fmt: skip
    tests = pd.DataFrame([{**where, "class_a": CORRECT, "class_b": INCORRECT, "q": q, "p": 0.0}])
    analyses = {"one": ANALYSES["one"]}
    table = reference.attributes_table([quartiles], [tests], analyses)
    figure = reference.attributes_figure(table, analyses)
    assert texts(figure)[0] == stars
    low, high = figure.axes[0].get_ylim()
    assert low < 0.1
    assert high > 0.3


def test_motif_bars_add_up_to_the_motifs():
    rows = []
    for kind in ("activity", "mutation"):
        for track, counts in (("a", [0, 0, 0, 1, 2, 4]), ("b", [1, 0, 0, 2, 3, 1])):
            for agree, count in enumerate(counts):
                rows.append(("one", kind, "all", "CAGE", track, OBSERVED, agree, count, 7))
                rows.append(("one", kind, "all", "CAGE", track, CORRELATED, agree, None, 7))
    columns = ["analysis", "kind", "split", "assay", "track", "level", "n_agree", "count",
               "total"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns).assign(fraction=1 / 7)
    figure = motifs.agreement_figure(table, {"one": ANALYSES["one"]})
    axis = figure.axes[0]
    # the least unanimous track comes first
    assert [t.get_text() for t in axis.get_xticklabels()] == ["b", "a"]
    heights = [sum(bar.get_height() for bar in of) for of in zip(*axis.containers, strict=True)]
    assert heights == [7, 7]
    assert [bar.get_height() for bar in axis.containers[0]] == [1, 4]
    assert "no call (tie or out of reach)" in legends(figure)


@pytest.mark.parametrize("rho", [-0.41, float("nan")])
def test_motif_ranks_name_the_correlation(rho):
    ranks = pd.DataFrame(
        [("one", kind, "all", f"m{i}", i, p) for kind in ("activity", "mutation")
         for i, p in enumerate((0.001, 0.1, 0.2))],
        columns=["analysis", "kind", "split", "motif", "rank", "knock_out_probability"],
    )  # fmt: skip
    tests = pd.DataFrame(
        [("one", kind, "all", 2, 1, rho, -0.6, -0.1, 0.01, 9) for kind in ("activity", "mutation")],
        columns=["analysis", "kind", "split", "motifs", "left_out", "spearman", "low", "high",
                 "p", "rounds"],
    )  # fmt: skip
    values = [{"of": "ranks", "kind": "mutation", "value": -0.41}]
    entry = {"label": "One", "probability_above": 0.005, "published": {"values": values}}
    figure = motifs.ranks_figure(ranks, tests, {"one": entry})
    first, second = (axis.get_title() for axis in figure.axes)
    assert ("Spearman -0.41 (-0.60 to -0.10)" in first) == np.isfinite(rho)
    assert ("not defined" in first) == np.isnan(rho)
    assert second.endswith("published: -0.41")
    used, left_out = figure.axes[0].lines[:2]
    assert used.get_xdata().tolist() == [1, 2]
    assert left_out.get_xdata().tolist() == [0]
