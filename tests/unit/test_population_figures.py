"""Figures of populations: what is drawn is what the tables say."""

import numpy as np
import pandas as pd
import pytest
from population_cases import SETTINGS, artefact_maps, as_maps, grammar, model, noisy

from seqtrust.attribution.attribution_maps import CORRECTED
from seqtrust.attribution.drawn_maps import logo_rows, spectrum_rows, sphere_rows
from seqtrust.attribution.ground_truth import true_maps
from seqtrust.attribution.population_report import population_tables
from seqtrust.attribution.scored_maps import embedding_measure, kmer_measure
from seqtrust.attribution.selection import CONSTRAINED
from seqtrust.figures import population_pairs
from seqtrust.figures.populations import FIGURES, Population, rule_name, table_of

pytestmark = pytest.mark.slow

ENTRY = {
    "label": "Built",
    "class": "activation",
    "factors": {"architecture": {"one": {}, "two": {}}, "activation": {"a": {}, "b": {}}},
    "selection": {"metric": "auroc"},
    "judging": {},
    "within": 0.004,
    "published": [],
}


@pytest.fixture(scope="module")
def population():
    rows, values = [], {}
    for place, level in enumerate(np.geomspace(0.1, 2.0, 8)):
        about = {"ensemble": f"c{place}", "seed": place, "activation": "ab"[place % 2]}
        row, own = model(noisy(level), 0.95 + 0.001 * place, about, (80, 60))
        row["architecture"] = ("one", "two")[place // 4]
        rows.append(row)
        values[about["ensemble"]] = own
    control, _ = model(artefact_maps, 0.5, {"ensemble": "x", "activation": "a"}, (80, 60))
    truth, _ = model(noisy(0), 0.5, {"ensemble": "y", "activation": "a"}, (80, 60))
    control |= {"kind": "control", "control": "artefact", "architecture": "one"}
    truth |= {"kind": "control", "control": "truth", "generalisation": np.nan}
    table = pd.DataFrame([*rows, control, truth])
    found = population_tables([table], values, "activation", ENTRY["within"], None, [], 1)
    parts = found.models, found.selection, found.correlations
    return Population("built", ENTRY, *parts)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_what_it_is_of(population, name):
    draw, part = FIGURES[name]
    figure = draw([population])
    text = " ".join(
        axis.get_title(loc="left") + " ".join(one.get_text() for one in axis.texts)
        for axis in figure.axes
    )
    assert "Built" in text
    assert all(axis.lines or axis.collections for axis in figure.axes)
    assert table_of([population], part)["label"].unique().tolist() == ["Built"]


def test_the_chosen_model_is_ringed(population):
    axis = FIGURES["scores"][0]([population]).axes[0]
    (ring,) = [line for line in axis.lines if line.get_label() == "chosen"]
    selection = population.selection
    row = selection[(selection["rule"] == CONSTRAINED) & (selection["score"] == "kmer")].iloc[0]
    assert ring.get_xdata()[0] == pytest.approx(row["generalisation"])
    assert ring.get_ydata()[0] == pytest.approx(row["consistency"])


def test_all_models_are_drawn_once_and_controls_are_named(population):
    axis = FIGURES["scores"][0]([population]).axes[1]
    points = [line for line in axis.lines if line.get_label() in ("a, one", "a, two", "b, one",
                                                                  "b, two")]  # fmt: skip
    assert sum(len(line.get_xdata()) for line in points) == 8
    names = [text.get_text() for text in axis.texts]
    # its generalisation is left of the panel, so it is said
    assert "artefact (0.500)" in names
    assert "truth" in names


def test_correlations_stand_over_their_panel(population):
    axes = FIGURES["truth"][0]([population]).axes
    table = population.correlations
    rows = table[(table["against"] == "snr") & (table["level"] == "all")]
    for axis, score in zip(axes, ("generalisation", "kmer", "embedding"), strict=True):
        mine = rows[(rows["score"] == score) & (rows["statistic"] == "pearson")].iloc[0]
        assert f"all: r {mine['value']:.2f} [{mine['low']:.2f}" in axis.get_title(loc="left")
        assert "within classes: r" in axis.get_title(loc="left")


def test_every_rule_has_a_line_of_regret(population):
    axes = FIGURES["regret"][0]([population]).axes
    # the built models have no published scores
    chosen = population.selection.dropna(subset=["regret"])
    rules = chosen[["rule", "score"]].drop_duplicates()
    assert len(rules) == 14
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert names == [rule_name(*pair) for pair in rules.to_numpy()]
    assert len(axes) == 3


def test_nulls_lie_below_the_scores_of_good_models(population):
    axis = FIGURES["nulls"][0]([population]).axes[0]
    (null,) = [line for line in axis.lines if line.get_label() == "sequences exchanged"]
    table = population.models.sort_values("kmer")
    expected = table["kmer"] - table["kmer_pairing_excess"]
    np.testing.assert_allclose(null.get_ydata(), expected)


@pytest.fixture(scope="module")
def drawn(population):
    """Tables of what figures draw, by cell."""
    codes, pwms = grammar(80, seed=10)
    about = {"method": "saliency", "track": "label", "replicate": "r1"}
    found = {}
    for ensemble, maps in [
        *((f"c{place}", noisy(level)) for place, level in enumerate(np.geomspace(0.1, 2, 8))),
        ("truth", noisy(0)),
    ]:
        own = as_maps(maps(codes, pwms, np.random.default_rng(0)), codes)
        settings = SETTINGS.consistency
        found[ensemble] = {
            "kmers": spectrum_rows(kmer_measure(settings, CORRECTED), own.maps, codes, about),
            "spheres": sphere_rows(embedding_measure(settings, CORRECTED), own.maps, about),
            "logos": list(logo_rows({("saliency", "r1"): own}, ["r1"], [(0, 0), (1, 0)], 80, 0)),
        }
    return found, pwms, codes


@pytest.mark.parametrize("name", ["kmers", "spheres", "logos"])
def test_the_pair_stands_side_by_side_with_the_truth(population, drawn, name):
    tables = {ensemble: pd.DataFrame(parts[name]) for ensemble, parts in drawn[0].items()}
    chosen = population_pairs.chosen_rows(population.models, tables)
    pair = population_pairs.pair_of(population.models)
    assert list(dict.fromkeys(chosen["shown"])) == ["truth", "consistent", "inconsistent"]
    assert pair["consistent"][0] < pair["inconsistent"][0]
    figure, table = population_pairs.FIGURES[name]([chosen], {"built": "Built"})
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.get_title(loc="left")]
    assert len(titles) == (6 if name == "logos" else 3)
    assert titles[1].startswith("Built")
    assert f"{pair['consistent'][0]}/r1" in titles[1]
    assert set(table["shown"]) == {"truth", "consistent", "inconsistent"}


def test_logos_show_the_true_matrix_and_the_base_that_is_there(population, drawn):
    parts, pwms, codes = drawn
    tables = {ensemble: pd.DataFrame(part["logos"]) for ensemble, part in parts.items()}
    chosen = population_pairs.chosen_rows(population.models, tables)
    table = population_pairs.logo_table([chosen], {"built": "Built"})
    first = table[(table["sequence_id"] == "s0") & (table["shown"] == "truth")]
    assert len(first) == population_pairs.WIDTH
    places = first["position"].to_numpy()
    np.testing.assert_allclose(first[list("ACGT")], true_maps(pwms)[0, places], atol=1e-12)
    model_rows = table[(table["sequence_id"] == "s0") & (table["shown"] == "consistent")]
    heights = model_rows[list("ACGT")].to_numpy()
    own = heights[np.arange(len(places)), codes[0, places]]
    assert (heights != 0).sum() == (own != 0).sum() == len(places)


def test_without_a_pair_there_is_nothing_to_show(population, drawn):
    models = population.models.assign(shown="")
    for name, draw in population_pairs.FIGURES.items():
        tables = {ensemble: pd.DataFrame(part[name]) for ensemble, part in drawn[0].items()}
        chosen = population_pairs.chosen_rows(models, tables)
        assert chosen.empty
        figure, table = draw([chosen], {"built": "Built"})
        assert table.empty
        assert not any(axis.images or axis.collections for axis in figure.axes)
