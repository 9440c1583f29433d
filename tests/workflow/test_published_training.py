"""The published training of Basenji2 begins: its config, its network, a small data set."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from seqtrust.models.card import read_card

from .conftest import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.shared_data]
REPLICATE = "results/bajwa2024/ensembles/basenji2/r1.safetensors"
# of params_human.json, but without the crop and with the tracks of the small data set
TRUNK = [
    {"name": "conv_block", "filters": 288, "kernel_size": 15, "pool_size": 2},
    {
        "name": "conv_tower", "filters_init": 339, "filters_mult": 1.1776, "kernel_size": 5,
        "pool_size": 2, "repeat": 6,
    },
    {
        "name": "dilated_residual", "filters": 384, "rate_mult": 1.5, "repeat": 11,
        "dropout": 0.3, "round": True,
    },
    {"name": "Cropping1D", "cropping": 0},
    {"name": "conv_block", "filters": 1536, "dropout": 0.05},
]  # fmt: skip
PARAMETERS = {
    "train": {"batch_size": 4},
    "model": {
        "seq_length": 2048,
        "augment_rc": False,
        "activation": "gelu",
        "norm_type": "batch",
        "bn_momentum": 0.9,
        "trunk": TRUNK,
        "head_human": {"name": "final", "units": 3, "activation": "softplus"},
    },
}


def test_the_first_twenty_steps_of_the_published_training_run(
    project: Project, shared_data: Path
) -> None:
    folder = project.folder.parent / "data" / "basenji2"
    folder.mkdir(parents=True)
    (folder / "data").symlink_to(shared_data / "basenji_dataset_small")
    (folder / "params_human.json").write_text(json.dumps(PARAMETERS))
    (folder.parent / "hg38.fa").touch()
    (folder.parent / "hg38.fa.fai").touch()
    only = {"ensembles": {"basenji2": {"gpu": 0, "model": {"train": {"steps": 20}}}}}
    # training needs a few of the inputs
    some = {"data": str(folder.parent), "check_inputs": False}
    (project.folder / "steps.yaml").write_text(yaml.safe_dump(some | only))
    configs = ("--configfile", "config/bajwa2024.yaml", "steps.yaml")
    project.snakemake("--cores", 2, *configs, "--", REPLICATE)
    card = read_card(project.folder / REPLICATE)
    settings = card.record["settings"]
    published = {
        "optimiser": "sgd", "momentum": 0.99, "learning_rate": 0.15, "batch_size": 4,
        "gradient_clip": 2, "gradient_clip_of": "each", "patience": 16, "loss": "poisson",
        "schedule": "constant", "warm_up": 0, "weight_decay": 0, "reverse_complement": False,
    }  # fmt: skip
    assert {name: settings[name] for name in published} == published
    # 16 training windows are four steps of an epoch
    losses = card.record["train_loss"]
    assert len(losses) == 5
    assert np.isfinite(losses).all()
    assert max(losses) < 2 * losses[0]
    names = [track["name"] for track in card.facts["tracks"]]
    assert names == ["CAGE:gc", "CAGE:noise", "DNASE:ramp"]
    weights = load_file(project.folder / REPLICATE)
    kept = ("running_mean", "running_var", "num_batches_tracked")
    trained = sum(array.size for name, array in weights.items() if not name.endswith(kept))
    # the published network has 30,088,228; its head 5,310 tracks of 1,537 more
    assert trained == 30_088_228 - 5_310 * 1_537
