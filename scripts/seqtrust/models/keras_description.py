"""Keras's description of a network, reduced to what its layers compute; without torch.

A plain description is a list of layers in Keras's order. A layer has a name, a class, the names
of its `inputs` (the layer before it where they are left out) and the options of its class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqtrust.errors import InputError, nearest_clause

REQUIRED = object()
_MODELS = ("Sequential", "Model", "Functional")
_INPUT_SHAPES = ("shape", "batch_input_shape", "batch_shape")
# What shapes training or the file, but not the predictions of a trained network.
_IRRELEVANT = ("name", "dtype", "trainable", "seed", "noise_shape", "input_length", "input_dim")
_IRRELEVANT_ENDS = ("_initializer", "_regularizer", "_constraint", "batch_input_shape")


@dataclass(frozen=True)
class LayerClass:
    """The options of one class of Keras layers.

    Attributes:
        options: name to default; `REQUIRED` where there is none.
        fixed: options that are supported with these values only.
    """

    options: Mapping[str, Any]
    fixed: Mapping[str, tuple[Any, ...]]


_LAYOUT = {"data_format": ("channels_last",)}
_POOLING = LayerClass({"pool_size": 2, "strides": None, "padding": "valid"}, _LAYOUT)

LAYER_CLASSES: dict[str, LayerClass] = {
    "InputLayer": LayerClass({"shape": REQUIRED}, {}),
    "Conv1D": LayerClass(
        {
            "filters": REQUIRED,
            "kernel_size": REQUIRED,
            "strides": 1,
            "padding": "valid",
            "dilation_rate": 1,
            "activation": "linear",
            "use_bias": True,
        },
        {"groups": (1,), **_LAYOUT},
    ),
    "Dense": LayerClass({"units": REQUIRED, "activation": "linear", "use_bias": True}, {}),
    "BatchNormalization": LayerClass(
        {"axis": -1, "momentum": 0.99, "epsilon": 1e-3, "center": True, "scale": True}, {}
    ),
    "MaxPooling1D": _POOLING,
    "AveragePooling1D": _POOLING,
    "GlobalMaxPooling1D": LayerClass({}, _LAYOUT),
    "GlobalAveragePooling1D": LayerClass({}, _LAYOUT),
    "Cropping1D": LayerClass({"cropping": (1, 1)}, _LAYOUT),
    "Flatten": LayerClass({}, _LAYOUT),
    "Dropout": LayerClass({"rate": REQUIRED}, {}),
    "Concatenate": LayerClass({"axis": -1}, {}),
    "Add": LayerClass({}, {}),
    "Activation": LayerClass({"activation": REQUIRED}, {}),
    "ReLU": LayerClass({}, {"max_value": (), "negative_slope": (0,), "threshold": (0,)}),
    "LeakyReLU": LayerClass({"negative_slope": 0.3}, {}),
    "ELU": LayerClass({"alpha": 1.0}, {}),
    "Softmax": LayerClass({"axis": -1}, {}),
}


def plain_layers(description: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> list[Any]:
    """The plain description of a network, all options filled in.

    Args:
        description: Keras's own (`json.loads(model.to_json())`), or a plain one.

    Raises:
        InputError: no description of a network, a layer of an unsupported class, an option that
            is unknown or has an unsupported value, or an input that is no earlier layer.
    """
    try:
        layers = _from_keras(description) if isinstance(description, Mapping) else list(description)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise InputError(
            f"the description of the network is damaged ({type(error).__name__}: {error}): "
            "write it again with model.to_json() of Keras"
        ) from error
    if not layers:
        raise InputError("the description of the network has no layer")
    plain: list[dict[str, Any]] = []
    for layer in layers:
        earlier = [one["name"] for one in plain]
        plain.append(_plain_layer(layer, earlier))
    return plain


def _plain_layer(layer: Any, earlier: Sequence[str]) -> dict[str, Any]:
    if not isinstance(layer, Mapping) or not {"name", "class"} <= set(layer):
        raise InputError(f"layer {layer!r} of the network needs a name and a class")
    name, kind = layer["name"], layer["class"]
    where = f"layer {name!r} ({kind})"
    if kind not in LAYER_CLASSES:
        raise InputError(
            f"{where}: this class is not supported{nearest_clause(kind, LAYER_CLASSES)}"
        )
    if name in earlier:
        raise InputError(f"{where}: an earlier layer has the same name")
    before = [] if kind == "InputLayer" else list(earlier[-1:])
    inputs = list(layer.get("inputs", before))
    for one in inputs:
        if one not in earlier:
            raise InputError(f"{where}: its input {one!r} is no earlier layer")
    if not inputs and kind != "InputLayer":
        raise InputError(f"{where}: it has no input; the first layer must be an InputLayer")
    given = {key: value for key, value in layer.items() if key not in ("name", "class", "inputs")}
    return {"name": name, "class": kind, "inputs": inputs, **_options(given, kind, where)}


def _options(given: Mapping[str, Any], kind: str, where: str) -> dict[str, Any]:
    known = LAYER_CLASSES[kind]
    for key, value in given.items():
        if key not in known.options:
            _refuse_what_matters(key, value, known, where)
    options = {key: _simple(given.get(key, default)) for key, default in known.options.items()}
    missing = [key for key, value in options.items() if value is REQUIRED]
    if missing:
        raise InputError(f"{where}: it has no {' and no '.join(missing)}")
    return options


def _refuse_what_matters(key: str, value: Any, known: LayerClass, where: str) -> None:
    """Refuse an option unless it has no influence on predictions, or its value has none."""
    off = value is None or value is False
    if off or key in _IRRELEVANT or key.endswith(_IRRELEVANT_ENDS):
        return
    if key not in known.fixed:
        raise InputError(
            f"{where}: option {key!r} is not supported"
            f"{nearest_clause(key, [*known.options, *known.fixed])}"
        )
    if value not in known.fixed[key]:
        expected = " or ".join(map(repr, known.fixed[key])) or "nothing"
        raise InputError(f"{where}: {key} is {value!r}, but only {expected} is supported")


def _simple(value: Any) -> Any:
    """Lists for tuples, and the number itself for a list of one number."""
    if isinstance(value, tuple | list):
        return value[0] if len(value) == 1 else list(value)
    return value


def _from_keras(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    kind, config = description.get("class_name"), description.get("config")
    if kind not in _MODELS or config is None:
        raise InputError(
            f"the description of the network has class {kind!r}, expected one of "
            f"{', '.join(_MODELS)}, as in model.to_json() of Keras"
        )
    layers = config["layers"] if isinstance(config, Mapping) else config
    if kind == "Sequential":
        return _sequential(layers)
    outputs = list(_sources(config.get("output_layers", [])))
    if len(outputs) != 1 or outputs[0] != layers[-1]["config"]["name"]:
        raise InputError(
            f"the network has the outputs {', '.join(outputs) or 'none'}, but exactly one is "
            "supported, that of its last layer: save a model with that output"
        )
    return [_layer(layer, {"inputs": _inputs(layer)}) for layer in layers]


def _sequential(layers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    plain = [_layer(layer, {}) for layer in layers]
    if plain and plain[0]["class"] != "InputLayer":
        shape = _input_shape(layers[0]["config"])
        plain.insert(0, {"name": "input", "class": "InputLayer", "shape": shape})
    return plain


def _layer(layer: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    kind, config = layer["class_name"], dict(layer["config"])
    if kind == "InputLayer":
        config = {"name": config["name"], "shape": _input_shape(config)}
    if kind == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = float(config.pop("alpha"))
    return {"class": kind, **config, **more}


def _input_shape(config: Mapping[str, Any]) -> list[Any]:
    for key in _INPUT_SHAPES:
        if config.get(key):
            shape = list(config[key])
            return shape if key == "shape" else shape[1:]
    raise InputError(
        "the description of the network does not give the shape of its input: add an InputLayer"
    )


def _inputs(layer: Mapping[str, Any]) -> list[str]:
    nodes = layer.get("inbound_nodes", [])
    if len(nodes) > 1:
        raise InputError(
            f"layer {layer['config']['name']!r} ({layer['class_name']}): it is used "
            f"{len(nodes)} times, but shared layers are not supported"
        )
    return list(_sources(nodes))


def _sources(node: Any) -> Iterator[str]:
    """Names of the layers that a Keras node refers to, in order, in its old and new forms."""
    if isinstance(node, Mapping):
        if "keras_history" in node:
            yield node["keras_history"][0]
        else:
            for value in node.values():
                yield from _sources(value)
    elif isinstance(node, list | tuple):
        if node and isinstance(node[0], str):
            yield node[0]
        else:
            for value in node:
                yield from _sources(value)
