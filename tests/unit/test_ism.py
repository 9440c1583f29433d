"""Maps of all substitutions: equal to full passes, averaged, bounded and checked."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from seqtrust.bases import encode
from seqtrust.bases import reverse_complement as other_strand_of
from seqtrust.errors import InputError
from seqtrust.inference import ism
from seqtrust.inference.augment import make_passes
from seqtrust.inference.engine import Engine
from seqtrust.inference.ism import CHECKED, saturation
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model
from seqtrust.outputs import output_reach, resolve_outputs

LENGTH = 64
TRACKS = (Track("plus", reverse_complement_index=1), Track("minus", reverse_complement_index=0))
OUTPUTS = {
    "profile": {},
    "activity": {"tracks": ["minus"], "reduction": "sum"},
    "middle": {"bins": "centre", "tracks": ["plus"]},
}


def network(parameters=None, tracks=TRACKS, architecture="cnn"):
    """A model with weights that are not those of a fresh one."""
    model = build_model(architecture, parameters or {}, tracks, "toy")
    random = torch.Generator().manual_seed(3)
    for layer in model.module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.2, generator=random)
            layer.running_var.uniform_(0.5, 2, generator=random)
    return model


MODEL = network({"channels": 6, "kernel": 7, "pool": [4, 2], "dilations": [1, 2]})


def some_codes(count, length=LENGTH, seed=1):
    return np.random.default_rng(seed).integers(0, 4, (count, length)).astype(np.uint8)


class Doubled(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = deepcopy(inner).double()

    def forward(self, sequences):
        return self.inner(sequences.double())


def naive(model, codes, outputs, **settings):
    """Effects of explicit mutants by full passes in double precision."""
    model = replace(model, module=Doubled(model.module))
    specs = resolve_outputs(outputs, model.facts, codes.shape[1])
    turned = settings.get("reverse_complement", False)
    passes = make_passes(turned, settings.get("shifts", (0,)), codes.shape[1])
    engine = Engine([model], specs, passes, codes.shape[1], savings=False)
    found = {spec.name: np.full((*codes.shape, 4, *spec.shape), np.nan) for spec in specs}
    with torch.inference_mode():
        for row, sequence in enumerate(codes):
            reference = engine.full(torch.from_numpy(sequence[None]))
            for place in np.flatnonzero(sequence < 4):
                mutants = np.repeat(sequence[None], 4, axis=0)
                mutants[:, place] = range(4)
                for name, values in engine.full(torch.from_numpy(mutants)).items():
                    found[name][row, place] = values - reference[name]
    return found


def assert_equal_maps(maps, expected, tolerance=1e-6):
    for name, effects in expected.items():
        scale = max(1.0, float(np.abs(maps.references[name]).max()))
        assert maps.effects[name].dtype == np.float32
        np.testing.assert_allclose(maps.effects[name], effects, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shifts", [(0,), (-3, 0, 2)])
def test_maps_are_those_of_explicit_mutants(turned, shifts, device):
    codes = some_codes(2)
    codes[0, [0, 11]] = 4
    settings = {"reverse_complement": turned, "shifts": shifts}
    maps = saturation(MODEL, codes, OUTPUTS, device=device, **settings)
    assert maps.metadata["full_because"] == ""
    assert_equal_maps(maps, naive(MODEL, codes, OUTPUTS, **settings))
    assert [maps.effects[name].shape for name in OUTPUTS] == [
        (2, LENGTH, 4, 2, 8),
        (2, LENGTH, 4, 1, 1),
        (2, LENGTH, 4, 1, 1),
    ]


@pytest.mark.parametrize(
    ("architecture", "parameters", "length"),
    [
        ("mpra_dragonn", {}, 145),
        (
            "cnn",
            {"channels": 4, "kernel": 5, "pool": [4, 4, 4], "dilations": [], "output": "identity"},
            64,
        ),
        (
            "cnn",
            {
                "channels": 4,
                "kernel": 5,
                "activation": "gelu",
                "head": "gaussian",
                "output": "identity",
            },
            128,
        ),
    ],
)
def test_maps_of_architectures_are_those_of_explicit_mutants(
    architecture, parameters, length, device
):
    model = network(parameters, () if architecture == "mpra_dragonn" else TRACKS, architecture)
    codes = some_codes(1, length)
    maps = saturation(model, codes, {"all": {}}, device=device)
    assert maps.metadata["full_because"] == ""
    assert_equal_maps(maps, naive(model, codes, {"all": {}}))


@pytest.mark.slow
def test_xpresso_beside_explicit_mutants_at_some_positions():
    model = network({}, (), "xpresso")
    codes = some_codes(1, 10_500)
    region = (6_990, 7_000)
    maps = saturation(model, codes, {"all": {}}, region=region)
    assert maps.metadata["full_because"] == ""
    full = saturation(model, codes, {"all": {}}, region=region, savings=False)
    assert_equal_maps(maps, full.effects)


def test_a_base_that_is_there_has_no_effect_and_n_has_none_to_compute():
    codes = encode("ACGT" * 16)[None].copy()
    codes[0, 9] = 4
    effects = saturation(MODEL, codes, OUTPUTS).effects["profile"][0]
    assert np.isnan(effects[9]).all()
    known = np.arange(LENGTH) != 9
    assert np.isfinite(effects[known]).all()
    own = effects[np.flatnonzero(known), codes[0, known]]
    assert np.all(own == 0)
    assert np.count_nonzero(effects[known]) > 0


def test_a_region_is_a_part_of_the_map():
    codes = some_codes(2)
    whole = saturation(MODEL, codes, OUTPUTS, reverse_complement=True)
    part = saturation(MODEL, codes, OUTPUTS, reverse_complement=True, region=(13, 30))
    assert part.region == (13, 30)
    for name in OUTPUTS:
        np.testing.assert_allclose(
            part.effects[name], whole.effects[name][:, 13:30], rtol=0, atol=1e-6
        )


def test_the_map_of_the_other_strand_is_the_same_map_turned():
    codes = some_codes(1)
    settings = {"reverse_complement": True}
    one = saturation(MODEL, codes, {"all": {}}, **settings).effects["all"]
    other = saturation(MODEL, other_strand_of(codes), {"all": {}}, **settings).effects["all"]
    np.testing.assert_allclose(other[:, ::-1, ::-1, ::-1, ::-1], one, rtol=0, atol=1e-6)


def test_positions_out_of_reach_are_exactly_zero_and_counted():
    long = some_codes(1, 400)
    (output,) = resolve_outputs({"middle": OUTPUTS["middle"]}, MODEL.facts, 400)
    start, stop = output_reach(MODEL.facts, output)
    maps = saturation(MODEL, long, {"middle": OUTPUTS["middle"]})
    effects = maps.effects["middle"][0]
    assert np.all(effects[:start] == 0)
    assert np.all(effects[stop:] == 0)
    assert np.abs(effects[start:stop]).sum() > 0
    assert maps.counts.out_of_reach >= 400 - (stop - start)
    assert maps.counts.mutants == 3 * (400 - maps.counts.out_of_reach)
    beyond = saturation(MODEL, long, {"middle": OUTPUTS["middle"]}, region=(0, start))
    assert not beyond.effects["middle"].any()


def test_the_passes_are_three_per_base_and_one():
    """Beside the check of the first sequence: it and up to 24 mutants, twice."""
    codes = some_codes(3)
    counts = saturation(MODEL, codes, {"all": {}}, savings=False).counts
    check = 2 * (1 + CHECKED)
    assert counts.full_passes == 3 * (3 * LENGTH + 1) + check
    assert counts.mutants == 3 * 3 * LENGTH
    assert saturation(MODEL, codes, {"all": {}}).counts.full_passes == 3 + check


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = torch.nn.LSTM(4, 2, batch_first=True)

    def forward(self, sequences):
        return self.recurrent(sequences.transpose(1, 2))[0]


def recurrent_model():
    torch.manual_seed(0)
    facts = Facts(None, 1, 0, (Track("a"), Track("b")), 201, "toy", "log_expression")
    return Model(Recurrent().eval(), facts, "recurrent", {})


def test_what_is_not_local_goes_through_full_passes_and_says_why():
    model, codes = recurrent_model(), some_codes(1, 30)
    codes[0, 4] = 4
    outputs = {"all": {}, "last": {"bins": [28, 30], "reduction": "mean"}}
    maps = saturation(model, codes, outputs, shifts=(0, 2))
    assert "recurrent" in maps.metadata["full_because"]
    assert_equal_maps(maps, naive(model, codes, outputs, shifts=(0, 2)), 1e-7)
    assert maps.counts.full_passes > 2 * 3 * 29


def test_references_are_the_predictions():
    codes = some_codes(2)
    maps = saturation(MODEL, codes, OUTPUTS)
    expected = MODEL.predict(codes).numpy()
    np.testing.assert_allclose(maps.references["profile"], expected.transpose(0, 2, 1), rtol=1e-6)
    np.testing.assert_allclose(
        maps.references["activity"][:, 0, 0], expected[..., 1].sum(axis=1), rtol=1e-6
    )


def test_a_fast_way_that_is_wrong_stops_the_run(monkeypatch):
    right = ism.block_effects

    def wrong(*arguments):
        return [values * 1.01 for values in right(*arguments)]

    monkeypatch.setattr(ism, "block_effects", wrong)
    with pytest.raises(
        RuntimeError, match=r"sequence 0, output 'profile': effects differ from full"
    ):
        saturation(MODEL, some_codes(1), OUTPUTS)


def test_noise_floor_and_error_of_the_check_are_kept():
    maps = saturation(MODEL, some_codes(2), OUTPUTS)
    errors = json.loads(maps.metadata["check_error"])
    assert set(maps.noise_floor) == set(errors) == set(OUTPUTS)
    assert all(0 <= value < 1e-5 for value in (*maps.noise_floor.values(), *errors.values()))


def test_predictions_that_are_not_finite_name_the_sequence():
    model = network({"channels": 4, "kernel": 5, "output": "identity"})
    with torch.no_grad():
        model.module.read_out.weight.fill_(float("inf"))
    with pytest.raises(InputError, match="sequence 0: output 'all' is not a finite number"):
        saturation(model, some_codes(1), {"all": {}})


@pytest.mark.parametrize("region", [(5, 5), (-1, 4), (0, LENGTH + 1)])
def test_regions_that_do_not_exist_are_refused(region):
    with pytest.raises(InputError, match=r"does not lie in \[0, 64\)"):
        saturation(MODEL, some_codes(1), OUTPUTS, region=region)


def test_a_strand_specific_model_is_not_averaged_over_strands():
    model = network()
    model.facts = replace(model.facts, strand_specific=True)
    with pytest.raises(InputError, match="reads the transcribed strand"):
        saturation(model, some_codes(1), OUTPUTS, reverse_complement=True)


def test_no_sequence_gives_no_map():
    maps = saturation(MODEL, some_codes(0), OUTPUTS, region=(3, 10))
    assert maps.effects["profile"].shape == (0, 7, 4, 2, 8)
    assert maps.references["profile"].shape == (0, 2, 8)


def test_the_model_is_left_as_it_was():
    model = network()
    model.module.train()
    threads = torch.get_num_threads()
    saturation(model, some_codes(1), {"all": {}}, threads=2)
    assert model.module.training
    assert torch.get_num_threads() == threads
    assert not any(parameter.is_inference() for parameter in model.module.parameters())


def test_a_planted_motif_has_the_largest_effects():
    """A network that counts GATTACA: every other base of the motif lowers the count."""
    motif = encode("GATTACA")
    model = network(
        {
            "channels": 1,
            "kernel": 7,
            "pool": [1],
            "dilations": [],
            "activation": "relu",
            "output": "identity",
        },
        (Track("count"),),
    )
    with torch.no_grad():
        state = model.module.state_dict()
        for name, tensor in state.items():
            if name.endswith("running_mean"):
                tensor.fill_(6.0)
            elif name.endswith(("running_var", "weight")):
                tensor.fill_(1.0)
            elif name.endswith("bias"):
                tensor.zero_()
        model.module.motifs[0].weight.zero_()
        model.module.motifs[0].weight[0, motif.tolist(), range(7)] = 1.0
    codes = np.full((1, LENGTH), 1, dtype=np.uint8)
    codes[0, 20:27] = motif
    maps = saturation(model, codes, {"sum": {"reduction": "sum"}})
    strongest = np.abs(maps.effects["sum"][0, :, :, 0, 0]).max(axis=1)
    assert np.flatnonzero(strongest > 0.5).tolist() == list(range(20, 27))
    # all seven bases match, of which six pass the threshold: one mismatch takes the whole bin
    assert maps.references["sum"][0, 0, 0] == pytest.approx(1, abs=1e-4)
    lost = maps.effects["sum"][0, np.arange(20, 27), (motif + 1) % 4, 0, 0]
    np.testing.assert_allclose(lost, -1, atol=1e-4)
