"""Randomised replicates: nothing that was learned is left, and equal seeds give equal weights."""

import numpy as np
import pytest
import torch

from seqtrust.errors import InputError
from seqtrust.models import randomised
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.randomised import randomise_replicate
from seqtrust.models.training import initialise


@pytest.fixture
def source(tmp_path):
    """A replicate whose weights, norms and statistics are far from those of a new network."""
    model = build_model("cnn_dist", {"dense": 8}, (Track("label"),), "synthetic")
    initialise(model.module, 1)
    with torch.no_grad():
        for tensor in model.module.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(3.0)
    model.record = {"origin": "training", "seed": 1}
    save_replicate(tmp_path / "r1", model)
    return tmp_path / "r1"


def test_every_weight_is_drawn_anew_and_statistics_are_reset(source, tmp_path):
    randomise_replicate(source, tmp_path / "random", 5)
    trained, drawn = load_replicate(source), load_replicate(tmp_path / "random")
    fresh = build_model("cnn_dist", {"dense": 8}, (Track("label"),), "synthetic")
    initialise(fresh.module, 5)
    before, after = trained.module.state_dict(), drawn.module.state_dict()
    for name, tensor in fresh.module.state_dict().items():
        assert torch.equal(after[name], tensor), name
        assert not tensor.is_floating_point() or bool((before[name] != after[name]).all()), name
    assert drawn.facts == trained.facts
    assert (drawn.record["seed"], drawn.record["randomised_seed"]) == (1, 5)


def test_predictions_say_nothing_of_what_was_learned(source, tmp_path):
    codes = np.random.default_rng(1).integers(0, 4, (200, 200)).astype(np.uint8)
    for seed in (5, 5, 6):
        randomise_replicate(source, tmp_path / f"random{seed}", seed)
    trained, drawn, other = (
        load_replicate(path).predict(codes).ravel()
        for path in (source, tmp_path / "random5", tmp_path / "random6")
    )
    assert not torch.equal(drawn, other)
    assert drawn.std() > 0
    randomise_replicate(source, tmp_path / "again", 5)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "random5").read_bytes()
    assert not torch.equal(trained, drawn)


def test_a_layer_that_cannot_be_drawn_is_named(source, tmp_path, monkeypatch):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

    model = load_replicate(source)
    model.module.extra = Own()
    monkeypatch.setattr(randomised, "load_replicate", lambda path: model)
    with pytest.raises(InputError, match="r1: layer 'extra' has weights but no reset_parameters"):
        randomise_replicate(source, tmp_path / "random", 5)
    assert not (tmp_path / "random").exists()
