"""One network: errors from residuals against least squares, and the stage without replicates."""

from dataclasses import replace

import numpy as np
import pytest
from deep_mr_cases import instruments, planted, write_case
from scipy.stats import linregress
from scipy.stats import t as student

from seqtrust.errors import InputError
from seqtrust.mendelian import Effects, egger, ivw, maximum_likelihood, raps, weighted_median
from seqtrust.mendelian.analysis import OF_ERRORS, STEIGER, diagnostics, local_effects
from seqtrust.mendelian.control_effects import local_q, shuffled_effects
from seqtrust.mendelian.effect_moments import Moments
from seqtrust.mendelian.instrument_tables import joined, read_instruments, write_instruments
from seqtrust.mendelian.mutation_effects import mutation_effects
from seqtrust.mendelian.named_estimators import published
from seqtrust.mendelian.recalibrated_tasks import fitted
from seqtrust.mendelian.residual_errors import (
    RESIDUAL,
    by_residuals,
    residual_sd,
    with_residual_errors,
)
from seqtrust.mendelian.selected_instruments import Rule, selected_instruments
from seqtrust.mendelian.stage import scatter_table, stage_of
from seqtrust.mendelian.stage_tables import stage_tables

ROUNDING = 1e-6
SETTINGS = {
    "label": "One",
    "tasks": "all",
    "pairs": "all",
    "estimators": {"ivw": {}, "egger": {}, "weighted_median": {"draws": 50}},
    "main": "ivw",
    "within_replicates": "ivw",
    "meta": {"method": "reml", "test": "hartung-knapp"},
    "instruments": {"cross_fitted": False},
    "controls": {"no_path": [], "shuffled_heads": 2, "reversed": True},
    "limits": {},
    "show": {"pairs": [["x", "y"]], "loci": 2},
}


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def exact(values):
    return Effects(values, np.full(np.shape(values), ROUNDING))


def loci(rng, shape=(3, 20), slope=0.7, noise=0.2, intercept=0.0):
    x = rng.normal(size=shape)
    return x, slope * x + intercept * np.sign(x) + noise * rng.normal(size=shape)


def test_ivw_is_least_squares_through_the_origin(rng):
    x, y = loci(rng)
    found = by_residuals(ivw)(exact(x), exact(y))
    for k in range(3):
        slope = (x[k] @ y[k]) / (x[k] @ x[k])
        rest = y[k] - slope * x[k]
        se = np.sqrt(rest @ rest / 19 / (x[k] @ x[k]))
        assert found.estimate[k] == pytest.approx(slope, rel=1e-10)
        assert found.se[k] == pytest.approx(se, rel=1e-10)
        half = student.ppf(0.975, 19) * se
        assert found.interval[1][k] - found.estimate[k] == pytest.approx(half, rel=1e-8)
        assert found.p[k] == pytest.approx(2 * student.sf(abs(slope / se), 19), rel=1e-6)
        sd = np.sqrt(rest @ rest / 19)
        assert residual_sd(exact(x), exact(y))[k] == pytest.approx(sd)


def test_egger_is_least_squares_with_an_intercept(rng):
    x, y = loci(rng, intercept=0.5)
    found = by_residuals(egger)(exact(x), exact(y))
    for k in range(3):
        line = linregress(np.abs(x[k]), np.sign(x[k]) * y[k])
        assert found.estimate[k] == pytest.approx(line.slope, rel=1e-8)
        assert found.se[k] == pytest.approx(line.stderr, rel=1e-8)
        assert found.p[k] == pytest.approx(line.pvalue, rel=1e-5)
        assert found.diagnostics["intercept"][k] == pytest.approx(line.intercept, rel=1e-8)
        assert found.diagnostics["intercept_se"][k] == pytest.approx(
            line.intercept_stderr, rel=1e-8
        )


@pytest.mark.parametrize(
    "estimator", [ivw, egger, published, weighted_median, raps, maximum_likelihood]
)
def test_units_change_estimate_and_error_alike(rng, estimator):
    x, y = loci(rng)
    plain = by_residuals(estimator)(exact(x), exact(y))
    scaled = by_residuals(estimator)(exact(x), exact(100 * y))
    np.testing.assert_allclose(scaled.estimate, 100 * plain.estimate, rtol=1e-4)
    np.testing.assert_allclose(scaled.se, 100 * plain.se, rtol=1e-3)
    # without residuals the errors are those of rounding, a hundred thousand times smaller
    assert (plain.se > 0.01).all()


def test_intervals_cover_where_errors_are_not_known(rng):
    x, y = loci(rng, (3000, 8))
    for estimator in (ivw, egger):
        found = by_residuals(estimator)(exact(x), exact(y))
        covered = (found.interval[0] <= 0.7) & (found.interval[1] >= 0.7)
        # .95 +- 4 standard errors of .004
        assert 0.934 < covered.mean() < 0.966


def test_entries_that_are_not_there_do_not_count(rng):
    x, y = loci(rng, (1, 12))
    gaps = np.full((1, 5), np.nan)
    wide = np.concatenate([gaps, x], axis=1), np.concatenate([gaps, y], axis=1)
    for estimator in (ivw, egger, weighted_median):
        found = by_residuals(estimator)(*map(exact, wide))
        alone = by_residuals(estimator)(exact(x), exact(y))
        np.testing.assert_allclose(found.estimate, alone.estimate)
        np.testing.assert_allclose(
            found.se, alone.se, rtol=0.5 if estimator is weighted_median else 1e-9
        )
        assert found.df == alone.df


def test_a_perfect_line_keeps_the_error_of_rounding(rng):
    x, _ = loci(rng, (1, 9))
    made = with_residual_errors(exact(x), exact(2 * x))
    np.testing.assert_allclose(made.se, ROUNDING)
    found = by_residuals(ivw)(exact(x), exact(2 * x))
    assert found.estimate[0] == pytest.approx(2)
    assert 0 < found.se[0] < 1e-5


def test_too_few_instruments_have_their_reason():
    few = exact(np.array([[0.5, 0.2, np.nan]]))
    found = by_residuals(ivw)(few, few)
    assert np.isnan(found.estimate[0])
    assert found.reason[0] == "fewer than 3 instruments"


def selected(paths, rule, moments=None):
    made = mutation_effects(paths, "identity", se=RESIDUAL)
    return selected_instruments(
        made, moments or Moments.of(made), dict.fromkeys(made.loci, "test"), rule, se=RESIDUAL
    )


def test_maps_of_one_network_become_instruments(tmp_path, rng):
    effects, references, bases = planted(rng, replicates=1)
    effects[0, 2, 4, :, 0] = 0  # position 4 of locus 2 does not move x
    paths = write_case(tmp_path, effects, references, bases)
    made = selected(paths, Rule())
    assert made.kind == RESIDUAL
    assert made.replicates is None
    # the largest allele of every position that moves x, and every other number is exact
    mine = made.chosen_for(0) & (made.row_locus == 2)
    assert mine.sum() == bases.shape[1] - 1
    assert 4 + 3 not in made.position[mine]
    assert (made.se > 0).all()
    assert (made.se < 1e-5).all()
    write_instruments(tmp_path / "made.parquet", made)
    back = read_instruments([tmp_path / "made.parquet"])
    assert back.kind == RESIDUAL
    assert back.replicates is None
    np.testing.assert_array_equal(back.beta, made.beta)


def test_shards_of_one_network_give_what_all_loci_give(tmp_path, rng):
    effects, references, bases = planted(rng, replicates=1)
    whole = write_case(tmp_path, effects, references, bases)
    moments = Moments.of(mutation_effects(whole, "identity", se=RESIDUAL))
    parts = []
    for at, part in enumerate((slice(0, 3), slice(3, 8))):
        folder = tmp_path / str(at)
        folder.mkdir()
        paths = write_case(folder, effects[:, part], references[:, part], bases[part])
        parts.append(selected(paths, Rule(), moments))
    both, wanted = joined(parts), selected(whole, Rule())
    assert both.names == wanted.names
    np.testing.assert_allclose(both.se, wanted.se)


def one(rng, **how):
    """Instruments of one network, of the cases of ensembles."""
    made = instruments(rng, replicates=2, **how)
    tiny = np.full_like(made.se, ROUNDING)
    return replace(made, replicates=None, se=tiny, kind=RESIDUAL)


def test_the_stage_of_one_network(rng):
    made = one(rng, loci=24, noise=0.3, spread=0.2)
    stage = stage_of(SETTINGS, made, 1)
    local = local_q(local_effects(made, stage.pairs, stage.estimators, stage.main))
    assert set(local["estimator"]) == {
        "ivw",
        "egger",
        "weighted_median",
        STEIGER,
        "multivariable_ivw",
    }
    found = diagnostics(made, stage.pairs)
    assert found[list(OF_ERRORS)].isna().all(axis=None)
    assert found["intercept_p"].notna().all()
    tables = stage_tables(made, stage, local, found, SETTINGS, 1)
    main = tables["effects"].query("main and split == 'all'").set_index(["exposure", "outcome"])
    row = main.loc[("x", "y")]
    assert row["low"] < 0.7 < row["high"]
    assert row["high"] - row["low"] < 0.5
    verdicts = tables["verdicts"]
    assert not verdicts["applicable"].any()
    assert verdicts["reasons"].str.startswith("one network:").all()
    # the error bars of the shown instruments are their spread around the line
    shown = scatter_table(made, local, [("x", "y")], 1)
    x, y = (exact(shown[f"{side}_effect"].to_numpy()) for side in ("exposure", "outcome"))
    np.testing.assert_allclose(shown["outcome_se"], residual_sd(x, y)[0])


def test_the_type_one_error_of_shuffled_heads_of_one_network(rng):
    made = one(rng, loci=25, noise=0.3, spread=0.3)
    stage = stage_of(SETTINGS, made, 1)
    rows = shuffled_effects(made, stage.pairs, stage.main, 60, 3)
    # 360 pairs: .05 +- 3 standard errors of .0115
    assert 0.015 < (rows["p"] < 0.05).mean() < 0.085


def test_what_one_network_cannot_give_is_refused(tmp_path, rng):
    effects, references, bases = planted(rng, replicates=2)
    paths = write_case(tmp_path, effects, references, bases)
    with pytest.raises(InputError, match="2 replicates, and se: residual is for one network"):
        mutation_effects(paths, "identity", entry="tracks", se=RESIDUAL)
    alone = {"r1": paths["r1"]}
    with pytest.raises(InputError, match=r"train more replicates; .*se: residual"):
        mutation_effects(alone, "identity", entry="tracks")
    with pytest.raises(InputError, match="se: residual is of one network: set cross_fitted"):
        selected(alone, Rule(cross_fitted=True))
    made = one(rng)
    with pytest.raises(InputError, match=r"per_replicate needs .* nor a single network has"):
        stage_of(SETTINGS | {"main": "per_replicate"}, made, 1)
    with pytest.raises(InputError, match="single networks have no replicates"):
        made.effects(0, made.places(made.chosen_for(0)), published_se=True)
    with pytest.raises(InputError, match="recalibration variance needs several replicates"):
        fitted("variance", ("x",), np.ones((1, 20, 1)), np.ones((20, 1)))
