"""Every family through every method that it supports; what is refused says why."""

import numpy as np
import pytest
import torch
from attribution_zoo import SUM, ZOO, mapped, network, some_codes

from seqtrust.attribution.explained import views
from seqtrust.errors import InputError
from seqtrust.outputs import resolve_outputs

# the layer that DeepLIFT has no rule for
REFUSED = {
    "bilstm": r"body.recurrence' \(BidirectionalLSTM\)",
    "transformer": r"body.attention' \(Attention\)",
    "bpnet": r"output' \(ExpectedCounts\)",
    "chrombpnet": r"output' \(ExpectedCounts\)",
}
# one sequence of 10 kb takes a second per pass
FAMILIES = [
    pytest.param(name, marks=pytest.mark.slow) if name == "pangolin" else name for name in ZOO
]
FEW = {
    "smoothgrad": {"samples": 3},
    "integrated_gradients": {"most_steps": 25},
    "expected_gradients": {"baselines": 2, "samples": 3},
    "deep_lift_shap": {"references": 2},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_are_slopes_in_a_random_direction(name):
    """Along a line of inputs in double precision, on both strands where they may be averaged."""
    model, length = network(name), ZOO[name][3]
    model.module.double()
    (output,) = resolve_outputs({"o": SUM}, model.facts, length)
    for view in views(model, output, length, (0, length), not model.facts.strand_specific):
        inputs = view.encode(some_codes(1, length)).double()
        random = torch.Generator().manual_seed(1)
        direction = torch.randn(inputs.shape, generator=random, dtype=torch.float64)
        gradient = view.gradients(inputs)[1][0]
        step = 1e-8
        with torch.no_grad():
            high, low = (view.values(inputs + sign * step * direction) for sign in (1, -1))
        expected = (high - low)[0] / (2 * step)
        found = (gradient * direction[0]).sum(dim=(1, 2))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


METHODS = (
    "saliency",
    "input_gradient",
    "smoothgrad",
    "integrated_gradients",
    "expected_gradients",
)


@pytest.mark.parametrize(
    ("name", "method"),
    # what takes many gradients takes those of saliency: minutes of the longest family
    [(name, method) for name in ZOO for method in METHODS[: 1 if name == "pangolin" else None]],
)
def test_gradient_methods_take_every_family(tmp_path, name, method):
    model, length = network(name), ZOO[name][3]
    codes = some_codes(1 if name == "pangolin" else 2, length)
    chosen = {"least_converged": 0.0, "region": (length // 2 - 10, length // 2 + 10)}
    found = mapped(tmp_path, model, codes, method, settings=FEW.get(method), **chosen)
    assert found.tracks == list(model.facts.labels())
    assert found.quality["finite"].all()
    assert not found.quality["zero"].all()
    assert found.stored().shape == (len(codes), len(found.tracks), 20, 4)


@pytest.mark.parametrize("name", FAMILIES)
def test_deep_lift_is_complete_or_refused_by_name(tmp_path, name):
    model, length = network(name), ZOO[name][3]
    codes = some_codes(1 if name == "pangolin" else 3, length)
    if name in REFUSED:
        architecture = ZOO[name][0]
        expected = f"architecture '{architecture}' has the layer '{REFUSED[name]}"
        with pytest.raises(InputError, match=expected):
            mapped(tmp_path, model, codes, "deep_lift_shap")
        return
    found = mapped(tmp_path, model, codes, "deep_lift_shap", settings=FEW["deep_lift_shap"])
    assert found.quality["error"].max() < 1e-3
    assert found.quality["finite"].all()
    assert not found.quality["zero"].all()


@pytest.mark.parametrize("name", FAMILIES)
def test_mutagenesis_is_the_same_with_and_without_savings(tmp_path, name):
    model, length = network(name), ZOO[name][3]
    codes = some_codes(1, length)
    middle = length // 2
    before, after = (0, 1) if name == "pangolin" else (6, 6)
    fast, slow = (
        mapped(
            tmp_path,
            model,
            codes,
            "ism",
            settings={"savings": savings},
            region=(middle - before, middle + after),
        ).stored()
        for savings in (True, False)
    )
    size = np.abs(slow).max()
    assert size > 0
    np.testing.assert_allclose(fast, slow, atol=max(2e-3 * size, 2e-6))
    np.testing.assert_allclose(fast.sum(axis=-1), 0, atol=1e-6 + 1e-6 * size)
