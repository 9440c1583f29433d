"""Faults of ensembles: how they are trained, what they are made of, how they predict."""

from collections.abc import Iterator, Mapping
from typing import Any


def faults(config: Mapping[str, Any]) -> Iterator[str]:
    """All of them, of a config with defaults filled in; each begins with the path of its key."""
    yield from _masks_of_nothing(config)
    yield from _inference_without_network(config)
    yield from _training_without_windows(config)
    yield from _bias_without_network(config)


def _masks_of_nothing(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of ensembles made of another one that has no such replicates."""
    for name, entry in config["ensembles"].items():
        for kind, refused in (
            ("dropout", ("table", "dropout", "same", "randomised")),
            ("same", ("table", "same", "randomised")),
            ("randomised", ("table", "dropout", "same", "randomised")),
        ):
            if kind not in entry["model"]:
                continue
            settings = entry["model"][kind]
            path, other = f"ensembles/{name}/model/{kind}", settings["ensemble"]
            for found, model in config["ensembles"].get(other, {}).get("model", {}).items():
                count = model.get("replicates", len(model.get("files", model.get("programs", []))))
                if found in refused:
                    yield (
                        f"{path}/ensemble: {other!r} is of kind {found}, which has no network of "
                        "its own: name the ensemble whose replicates are trained, imported or own"
                    )
                elif settings.get("replicate", 1) > count and found != "dropout":
                    yield (
                        f"{path}/replicate: there is no replicate {settings['replicate']} of "
                        f"{other!r}, which has {count}"
                    )


def _inference_without_network(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of ways of predicting that tables or models of the user's own do not have."""
    for name, entry in config["ensembles"].items():
        path, inference = f"ensembles/{name}/inference", entry["inference"]
        if "table" in entry["model"]:
            for key, plain in (("together", False), ("precision", "float32"), ("published", None)):
                if inference.get(key, plain) != plain:
                    yield (
                        f"{path}/{key}: {name!r} is a table of predictions, which are taken as "
                        f"they are: leave {key} out"
                    )
        if "own" in entry["model"] and inference["stack"] is True:
            yield (
                f"{path}/stack: replicates of a model of your own go in turn, because nothing "
                "says that they are built alike: set stack to auto or false"
            )


def _training_without_windows(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of training on nothing, or on two data sets."""
    parts = ("set", "targets", "splits")
    for name, entry in config["ensembles"].items():
        train = entry["model"].get("train")
        if train is None:
            continue
        path = f"ensembles/{name}/model/train"
        for part in parts:
            if "basenji" in train and part in train:
                yield f"{path}/{part}: leave it out, basenji has its own windows and targets"
            elif "basenji" not in train and part not in train:
                yield f"{path}: {part!r} is missing: give set, targets and splits, or basenji"
        if "basenji" in train:
            other = {"training_fraction": 1.0, "bootstrap": False, "control": [], "strands": []}
            other |= {"shuffled_targets": False, "target_sd": {}}
            other |= dict.fromkeys(("prior", "sample_weights", "groups"))
            for key, plain in other.items():
                if train.get(key, plain) != plain:
                    yield (
                        f"{path}/{key}: windows and tracks of a folder of Basenji are used as they "
                        f"are: leave {key} out"
                    )


def _bias_without_network(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of bias networks, which only a ChromBPNet has, and which are trained BPNets."""
    for name, entry in config["ensembles"].items():
        train = entry["model"].get("train", {"architecture": ""})
        path = f"ensembles/{name}/model/train/bias"
        if (train["architecture"] == "chrombpnet") != ("bias" in train):
            yield f"{path}: architecture chrombpnet needs it, and no other takes it"
        elif "bias" in train and "basenji" in train:
            yield f"{path}: it needs counts at single bases, which basenji has not"
        elif "bias" in train:
            bias = train["bias"]
            other = config["ensembles"].get(bias["ensemble"], {}).get("model", {}).get("train", {})
            if other.get("architecture") != "bpnet" or other["replicates"] < bias["replicate"]:
                yield (
                    f"{path}: there is no trained replicate {bias['replicate']} of architecture "
                    f"bpnet in {bias['ensemble']!r}"
                )
