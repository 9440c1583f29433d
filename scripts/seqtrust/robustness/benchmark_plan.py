"""Models of the benchmark as the config names them: kinds, replicates, what each is made of.

Without numpy, for rules.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["network", "ensemble", "masks", "student", "kmers", "oracle", "ideal"]
KIND_KEYS: Mapping[str, Kind] = {
    "architecture": "network", "members_of": "ensemble", "masks_of": "masks",
    "students_of": "student", "kmers": "kmers",
}  # fmt: skip
ORACLE, IDEAL = "oracle", "ideal"
DISTILLATION = "distillation"
_MASKS = 20
_SHOWN = 6

# training as in the specification of the benchmark, where the config says nothing
TRAINING: Mapping[str, Any] = {
    "epochs": 36, "batch_size": 128, "learning_rate": 2e-3, "loss": "gaussian_nll",
    "schedule": "cosine", "warm_up": 0.05, "validation_metric": "loss", "reverse_complement": True,
}  # fmt: skip
# of the job, not of the weights
JOB: Mapping[str, float] = {"hours": 2, "checkpoint_minutes": 10}


@dataclass(frozen=True)
class NetworkPlan:
    """What shapes a network of the benchmark; plain types, for a rule.

    Attributes:
        architecture: of a pooled family.
        parameters: of the architecture.
        training: settings of `train`.
        prior: None, or `kind` (`scans`, `shuffled`, `gc`, `columns`, `upper_bound`), `known` and
            `perturbation`.
        groups: column of groups of group DRO, or None.
        weights: None, or settings of the balance of GC content.
        known_noise: the variance of every measurement is known, in training and in use.
        variance: what a student learns of its teacher: `total` or `epistemic`; "" of others.
    """

    architecture: str
    parameters: Mapping[str, Any]
    training: Mapping[str, Any]
    prior: Mapping[str, Any] | None = None
    groups: str | None = None
    weights: Mapping[str, Any] | None = None
    known_noise: bool = False
    variance: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain types only."""
        return asdict(self)


@dataclass(frozen=True)
class ModelPlan:
    """One model of the benchmark.

    Attributes:
        name: of the config.
        kind: what it is.
        base: the model that it is made of, or "".
        replicates: how many there are in every world.
        compare: the model that paired differences are taken to, or "".
        settings: its entry.
    """

    name: str
    kind: Kind
    base: str
    replicates: int
    compare: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def model_plans(entry: Mapping[str, Any]) -> dict[str, ModelPlan]:
    """All models of an entry of the config by name, references of simulated worlds last.

    Args:
        entry: without the faults of `plan_faults`.
    """
    models = entry["models"]
    first = next(iter(models))
    found = {
        name: ModelPlan(
            name,
            kind := kind_of(model),
            base_of(model, kind),
            _replicates(models, name),
            "" if name == first else model.get("compare", first),
            model,
        )
        for name, model in models.items()
    }
    references: dict[str, Kind] = {}
    if "worlds" in entry:
        references[ORACLE] = "oracle"
        if entry["worlds"]["assay"].get("counts") is None:
            references[IDEAL] = "ideal"
    return found | {name: ModelPlan(name, kind, "", 1, "") for name, kind in references.items()}


def network_plan(entry: Mapping[str, Any], name: str) -> NetworkPlan:
    """What shapes a network of an entry of the config, a student among them."""
    models = entry["models"]
    model = models[name]
    student = kind_of(model) == "student"
    teacher = models[models[model["students_of"]]["members_of"]] if student else model
    parameters = dict(model.get("parameters", {}))
    training = {**TRAINING, **entry["train"], **model.get("train", {})}
    if student:
        parameters = {"head": "spread", **_without_head(teacher), **parameters}
        training |= {"loss": DISTILLATION}
    for key in JOB:
        training.pop(key, None)
    return NetworkPlan(
        architecture=model.get("architecture", teacher["architecture"]),
        parameters=parameters,
        training=training,
        prior=model.get("prior"),
        groups=model.get("groups"),
        weights=model.get("weights"),
        known_noise=model.get("known_noise", False),
        variance=model.get("variance", "total") if student else "",
    )


def job_limit(entry: Mapping[str, Any], name: str, key: str) -> float:
    """`hours` or `checkpoint_minutes` of a model's training jobs."""
    return float({**JOB, **entry["train"], **entry["models"][name].get("train", {})}[key])


def mask_count(entry: Mapping[str, Any], name: str) -> int:
    """Dropout masks of every replicate of a model; 0 where it has none."""
    model = entry["models"][name]
    return int(model.get("masks", _MASKS)) if "masks_of" in model else 0


def teachers(entry: Mapping[str, Any]) -> set[str]:
    """Models whose predictions of the training data some student needs, members included."""
    models = entry["models"]
    direct = {model["students_of"] for model in models.values() if "students_of" in model}
    return direct | {models[name]["members_of"] for name in direct}


def watched_models(entry: Mapping[str, Any], part: str) -> list[str]:
    """Models of `detection` or `repair`: those that the config names, else the first."""
    found: list[str] = entry[part].get("models") or [next(iter(entry["models"]))]
    return found


def shown_models(entry: Mapping[str, Any]) -> list[str]:
    """Models that figures show: those that the config names, else the first six."""
    found: list[str] = entry.get("show") or list(entry["models"])[:_SHOWN]
    return found


def world_seeds(entry: Mapping[str, Any]) -> list[int]:
    """Seeds of the worlds of an entry of the config, or of the splits of its assay."""
    part = entry["worlds"] if "worlds" in entry else entry["tables"]["splits"]
    return list(part["seeds"])


def kind_of(model: Mapping[str, Any]) -> Kind:
    """What the entry of a model describes."""
    if "students_of" in model:
        return "student"
    return next((kind for key, kind in KIND_KEYS.items() if key in model), "network")


def base_of(model: Mapping[str, Any], kind: Kind) -> str:
    """The model that a model of this kind is made of, or ""."""
    keys = {own: key for key, own in KIND_KEYS.items()}
    return "" if kind in ("network", "kmers") else str(model[keys[kind]])


def _replicates(models: Mapping[str, Any], name: str) -> int:
    model = models[name]
    kind = kind_of(model)
    if kind == "ensemble":
        return 1
    if kind == "masks":
        trained = _replicates(models, model["masks_of"])
        return min(trained, int(model.get("replicates", trained)))
    return int(model.get("replicates", 1))


def _without_head(model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.get("parameters", {}).items() if key != "head"}
