"""Naive twins of Keras layers in numpy, channels last, and files as Keras writes them."""

import json
import math

import numpy as np


def padded(values, field, stride, value):
    """Padding "same" of Keras: the odd position goes to the end."""
    length = values.shape[1]
    total = max((math.ceil(length / stride) - 1) * stride + field - length, 0)
    ends = ((0, 0), (total // 2, total - total // 2), (0, 0))
    return np.pad(values, ends, constant_values=value)


def windows(values, field, stride):
    starts = range(0, values.shape[1] - field + 1, stride)
    return [values[:, start : start + field] for start in starts]


def convolution(values, kernel, bias, stride=1, dilation=1, padding="same"):
    """(N, length, in) and kernel (width, in, out) to (N, length out, out)."""
    field = (kernel.shape[0] - 1) * dilation + 1
    if padding == "same":
        values = padded(values, field, stride, 0.0)
    seen = [window[:, ::dilation] for window in windows(values, field, stride)]
    return np.stack([np.einsum("nwi,wio->no", one, kernel) for one in seen], axis=1) + bias


def pooling(values, width, stride, padding, reduce):
    """Mean or maximum over windows; padded positions do not count."""
    if padding == "same":
        values = padded(values, width, stride, np.nan)
    return np.stack([reduce(one, axis=1) for one in windows(values, width, stride)], axis=1)


def normalisation(values, gamma, beta, mean, variance, epsilon):
    return gamma * (values - mean) / np.sqrt(variance + epsilon) + beta


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "exponential": np.exp,
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
}


def save_keras(
    path, layers, *, whole=False, as_bytes=False, description=None, optimiser=False, split=False
):
    """Write layers [(name, [(array name, array), ...]), ...] as Keras does.

    Args:
        path: file to write.
        layers: names with their arrays, in order.
        whole: a whole model, so in the group model_weights.
        as_bytes: names are bytes, as from old versions of h5py.
        description: text for the attribute model_config.
        optimiser: add the state of an optimiser.
        split: spread the layer names over several attributes, as Keras does for long lists.
    """
    import h5py

    def names(texts):
        return np.array([text.encode() for text in texts]) if as_bytes else list(texts)

    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole else file
        listed = [name for name, _ in layers]
        if split:
            half = len(listed) // 2
            group.attrs["layer_names0"] = names(listed[:half])
            group.attrs["layer_names1"] = names(listed[half:])
        else:
            group.attrs["layer_names"] = names(listed)
        for name, arrays in layers:
            layer = group.create_group(name)
            layer.attrs["weight_names"] = names([array_name for array_name, _ in arrays])
            for array_name, array in arrays:
                layer[array_name] = array
        if optimiser:
            file.create_group("optimizer_weights")["Adam/iterations:0"] = np.array([np.nan])
        if description is not None:
            text = json.dumps(description)
            file.attrs["model_config"] = text.encode() if as_bytes else text
