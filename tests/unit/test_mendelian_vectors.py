"""Published results of R's packages on public data: MendelianRandomization, mr.raps, robustbase.

Where R's number depends on its grid, seed or an optimiser that stops early, that is said.
"""

import numpy as np
import pytest
from mendelian_data import CALCIUM, CHD, GLUCOSE, HDL, LDL, RHO

from seqtrust.mendelian import (
    divw,
    egger,
    ivw,
    maximum_likelihood,
    mode_based,
    penalised_median,
    pivw,
    raps,
    simple_median,
    weighted_median,
)

EXACT = 1e-7
REGRESSIONS = [
    (ivw, {"model": "fixed"}, (2.8342139, 0.27594053), (-2.3754438, 0.29664375)),
    (ivw, {}, (2.8342139, 0.52979949), (-2.3754438, 0.67766062)),
    (ivw, {"weights": "delta"}, (2.6645858, 0.3530646), (-1.8197827, 0.49382511)),
    (ivw, {"penalised": True}, (2.5609143, 0.41280346), (-2.963299, 0.50430728)),
    (egger, {}, (3.2528901, 0.77012916), (-0.49174487, 1.0569664)),
    (egger, {"penalised": True}, (3.4205831, 0.53103842), (-0.067758464, 0.77233481)),
    (divw, {}, (2.9396459, 0.53057758), (-2.4651835, 0.70039211)),
    (pivw, {}, (2.9318697, 0.52762193), (-2.458242, 0.69642631)),
    (raps, {}, (3.1732685, 0.29874571), (-2.8949635, 0.30776772)),
    (raps, {"loss": "huber"}, (3.0144678, 0.30205629), (-3.1051589, 0.3212001)),
    (raps, {"loss": "tukey"}, (2.9055536, 0.299135), (-3.6965533, 0.33850807)),
    (raps, {"overdispersion": True}, (2.731914, 0.6042086), (-2.6765912, 0.69655935)),
]


@pytest.mark.parametrize(("estimator", "options", "ldl", "hdl"), REGRESSIONS)
def test_closed_and_optimised_estimators_equal_r(estimator, options, ldl, hdl):
    """Seven or eight digits are given; R's one-dimensional optimiser is good to six or seven."""
    for exposure, expected in ((LDL, ldl), (HDL, hdl)):
        found = estimator(exposure, CHD, **options)
        tolerance = 5e-7 if estimator is raps else 1.2e-7
        np.testing.assert_allclose((found.estimate, found.se), expected, rtol=tolerance)
        assert found.reason == ""


def test_robust_regressions_equal_lmrob():
    """Its S step draws subsets, so that three digits are asked for; five and more are equal."""
    rows = [
        (ivw, LDL, (2.7969852, 0.30696579)),
        (ivw, HDL, (-2.4713847, 0.93045935)),
        (egger, LDL, (3.256017, 0.62389485)),
        (egger, HDL, (-0.34438815, 1.6918821)),
    ]
    for estimator, exposure, expected in rows:
        found = estimator(exposure, CHD, robust=True)
        np.testing.assert_allclose((found.estimate, found.se), expected, rtol=1e-5)
    for exposure, expected in (
        (LDL, (-0.014680424, 0.020523002)),
        (HDL, (-0.044379059, 0.022212116)),
    ):
        more = egger(exposure, CHD, robust=True).diagnostics
        np.testing.assert_allclose((more["intercept"], more["intercept_se"]), expected, rtol=1e-5)


def test_heterogeneity_and_intercepts_equal_r():
    for exposure, Q, sigma, F in (
        (LDL, 99.530426, 1.9199771, 28.009311),
        (HDL, 140.90223, 2.2844258, 27.587798),
    ):
        more = ivw(exposure, CHD).diagnostics
        np.testing.assert_allclose((more["Q"], more["sigma"], more["F"]), (Q, sigma, F), rtol=EXACT)
    low, high = ivw(LDL, CHD).interval
    np.testing.assert_allclose((low, high), (1.795826, 3.8726019), rtol=EXACT)
    for exposure, intercept, se, phi, Q, I2_GX in (
        (LDL, -0.011460666, 0.015188321, 1.9354736, 97.397505, 0.91936539),
        (HDL, -0.043148465, 0.01939044, 2.1336177, 118.36043, 0.89966331),
    ):
        more = egger(exposure, CHD).diagnostics
        found = [more[name] for name in ("intercept", "intercept_se", "phi", "Q", "I2_GX")]
        np.testing.assert_allclose(found, (intercept, se, phi, Q, I2_GX), rtol=EXACT)
    assert egger(LDL, CHD).p == pytest.approx(2.4019e-5, rel=2e-5)
    assert egger(LDL, CHD, distribution="t").p == pytest.approx(2.6025e-4, rel=2e-5)
    assert egger(LDL, CHD).diagnostics["intercept_p"] == pytest.approx(0.45051, rel=1e-5)
    assert egger(HDL, CHD).diagnostics["intercept_p"] == pytest.approx(0.026065, rel=1e-5)
    tau2 = [raps(x, CHD, overdispersion=True).diagnostics["tau2"] for x in (LDL, HDL)]
    np.testing.assert_allclose(tau2, (0.0033505, 0.0036603), rtol=2e-5)


def test_correlated_instruments_equal_r():
    found = ivw(CALCIUM, GLUCOSE, correlation=RHO)
    more = found.diagnostics
    np.testing.assert_allclose(
        (found.estimate, found.se, more["sigma"], more["Q"], more["F"]),
        (2.24461464, 0.64319584, 0.64077507, 2.05296346, 11.53302257),
        rtol=EXACT,
    )
    plain = ivw(CALCIUM, GLUCOSE)
    np.testing.assert_allclose(
        (plain.estimate, plain.se, plain.diagnostics["Q"], plain.diagnostics["F"]),
        (2.31586464, 0.66032856, 2.13323272, 10.98237528),
        rtol=EXACT,
    )
    line = egger(CALCIUM, GLUCOSE, correlation=RHO)
    more = line.diagnostics
    np.testing.assert_allclose(
        (line.estimate, line.se, more["intercept"], more["intercept_se"], more["phi"]),
        (1.30190152, 1.51752294, 0.00910432, 0.01327407, 0.62899567),
        rtol=4e-7,
    )


@pytest.mark.parametrize(
    ("estimator", "ldl", "hdl"),
    [
        (simple_median, (1.7551383, 0.740), (-2.9517391, 0.834)),
        (weighted_median, (2.6828835, 0.419), (-1.8220638, 0.593)),
        (penalised_median, (2.6809294, 0.420), (-1.9807795, 0.614)),
    ],
)
def test_medians_equal_r(estimator, ldl, hdl):
    """Standard errors within 2 %: both bootstraps have an error of 0.7 % and more."""
    for exposure, (value, se) in ((LDL, ldl), (HDL, hdl)):
        found = estimator(exposure, CHD)
        assert found.estimate == pytest.approx(value, rel=EXACT)
        assert found.se == pytest.approx(se, rel=0.02)


MODES = [
    ({}, (2.9463006, 2.8223034), (-1.0743043, -1.1821299)),
    ({"errors": "simple"}, (2.9463006, 2.898148), (-1.966394, -1.4850086)),
    ({"weighted": False}, (2.4055511, 2.2843166), (-1.966394, -1.9214729)),
    ({"phi": 0.5}, (2.6664821, 2.8135218), (-0.41853056, -0.2576177)),
    ({"phi": 0.25}, (2.8386198, 2.7111493), (-0.13176252, 0.3434931)),
]


@pytest.mark.parametrize(("options", "ldl", "hdl"), MODES)
def test_modes_equal_r_on_its_grid_and_are_exact_off_it(options, ldl, hdl):
    """R's grid is equal to a few millionths: its convolution is not documented to more."""
    for exposure, (grid, exact) in ((LDL, ldl), (HDL, hdl)):
        there = mode_based(exposure, CHD, method="published", draws=2, **options)
        assert there.estimate == pytest.approx(grid, rel=2e-5)
        assert mode_based(exposure, CHD, draws=2, **options).estimate == pytest.approx(
            exact, rel=2e-7
        )


def test_bandwidths_equal_r():
    found = [mode_based(x, CHD, draws=2).diagnostics["bandwidth"] for x in (LDL, HDL)]
    np.testing.assert_allclose(found, (2.36605, 2.33464), rtol=2e-6)


@pytest.mark.slow
def test_bootstrap_errors_of_modes_equal_r():
    """Within 5 %; the exact ones beside an independent exact bootstrap with two digits."""
    rows = [
        (LDL, {"method": "published"}, 1.005),
        (LDL, {"method": "published", "errors": "simple"}, 0.367),
        (HDL, {"method": "published"}, 4.886),
        (HDL, {"method": "published", "errors": "simple"}, 0.645),
        (LDL, {}, 0.34),
        (LDL, {"errors": "simple"}, 0.33),
    ]
    for exposure, options, expected in rows:
        draws = 4000 if "method" in options else 10_000
        assert mode_based(exposure, CHD, draws=draws, **options).se == pytest.approx(
            expected, rel=0.05
        )


def test_maximum_likelihood_is_higher_than_where_r_stops():
    """R minimises over all 29 parameters by Nelder-Mead and stops at 3.2249442 and -2.6764024.

    With the true exposure effects maximised out the loss is that of RAPS without overdispersion,
    whose published optimum is 3.1732685; the loss there is lower than where R stops.
    """
    for exposure, stopped in ((LDL, 3.2249442), (HDL, -2.6764024)):

        def loss(theta, exposure=exposure):
            variance = CHD.se**2 + theta**2 * exposure.se**2
            return ((CHD.beta - theta * exposure.beta) ** 2 / variance).sum()

        found = maximum_likelihood(exposure, CHD)
        assert loss(found.estimate) < loss(stopped)
        assert found.estimate == pytest.approx(raps(exposure, CHD).estimate, rel=1e-9)
        assert found.diagnostics["Q"] == pytest.approx(loss(found.estimate), rel=1e-12)
        # the standard error is from the curvature of the loss
        step = 1e-4
        around = [loss(found.estimate + step * k) for k in (-1, 0, 1)]
        bend = (around[0] - 2 * around[1] + around[2]) / step**2 / 2
        dispersion = max(1, found.diagnostics["Q"] / 27)
        assert found.se == pytest.approx(np.sqrt(dispersion / bend), rel=1e-4)
