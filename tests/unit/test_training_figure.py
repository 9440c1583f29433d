"""The figure of training curves: its table against the records, and what it draws."""

import numpy as np
import pandas as pd

from seqtrust.figures.style import save_figure
from seqtrust.figures.training import training_curves, training_table


def record(seed, metric="pearson", epochs=4):
    random = np.random.default_rng(seed)
    r = random.random(epochs).tolist()
    return {
        "epochs": epochs,
        "best_epoch": 1 + int(np.argmax(r)),
        "train_loss": random.random(epochs).tolist(),
        "validation_loss": [None, *random.random(epochs - 1).tolist()],
        "validation_r": r,
        "validation_auroc": r if metric == "auroc" else [],
        "settings": {"loss": "mse", "validation_metric": metric},
    }


RECORDS = [record(1), record(2, epochs=3), record(3, "loss")]
REPLICATES = [["small", "r1"], ["small", "r2"], ["large", "r1"]]


def test_the_table_holds_every_epoch_of_every_replicate():
    table = training_table(RECORDS, REPLICATES)
    assert list(table.columns) == [
        "ensemble", "replicate", "epoch", "loss", "metric", "training_loss", "validation_loss",
        "validation_r", "validation_auroc", "best",
    ]  # fmt: skip
    for one, names in zip(RECORDS, REPLICATES, strict=True):
        rows = table[(table[["ensemble", "replicate"]] == names).all(axis=1)]
        assert rows["epoch"].tolist() == list(range(1, one["epochs"] + 1))
        assert rows["training_loss"].tolist() == one["train_loss"]
        assert rows["validation_r"].tolist() == one["validation_r"]
        assert rows["validation_loss"].isna().tolist() == [True, *[False] * (one["epochs"] - 1)]
        assert rows.loc[rows["best"], "epoch"].tolist() == [one["best_epoch"]]


def test_every_replicate_is_a_line_with_its_best_epoch_marked():
    table = training_table(RECORDS, REPLICATES)
    axes = training_curves(table).axes
    assert [axis.get_ylabel() for axis in axes] == [
        "training loss (mse)", "validation r", "training loss (mse)", "validation loss",
    ]  # fmt: skip
    assert [axis.get_title() for axis in axes] == [
        "small, 2 replicates",
        "",
        "large, 1 replicate",
        "",
    ]
    curve, best = axes[1].lines[2:4]
    assert curve.get_xydata().tolist() == [
        [i + 1, r] for i, r in enumerate(RECORDS[1]["validation_r"])
    ]
    at = RECORDS[1]["best_epoch"]
    assert best.get_xydata().tolist() == [[at, RECORDS[1]["validation_r"][at - 1]]]


def test_the_files_are_the_same_at_every_run(tmp_path):
    table = training_table(RECORDS, REPLICATES)
    written = []
    for run in ("a", "b"):
        paths = [tmp_path / f"{run}.{suffix}" for suffix in ("png", "pdf", "tsv")]
        save_figure(training_curves(table), paths, table, toy=True)
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    assert len(pd.read_csv(tmp_path / "a.tsv", sep="\t")) == 11
