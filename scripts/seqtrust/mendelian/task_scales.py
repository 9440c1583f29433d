"""The scale that effects of tasks are taken on."""

import numpy as np

from seqtrust.errors import InputError
from seqtrust.statistics import Floats

SCALES = ("identity", "log", "log2p1", "anscombe", "logit")


def on_scale(values: Floats, scale: str, what: str) -> Floats:
    """Predictions or measurements on a scale.

    Args:
        values: any shape; NaN stays.
        scale: `identity`; `log`, natural; `log2p1`, log2(1 + x); `anscombe`, 2 sqrt(x + 3/8), of
            counts; `logit`, of probabilities.
        what: what the values are, for the message.

    Raises:
        InputError: a value that the scale does not have.
    """
    lowest = {"log": 0.0, "logit": 0.0, "log2p1": -1.0, "anscombe": -0.375}
    number = np.asarray(values, dtype=np.float64)
    if scale in lowest and (number <= lowest[scale]).any():
        raise InputError(
            f"{what} of {np.nanmin(number):.4g} have no value on the scale {scale}, which needs "
            f"more than {lowest[scale]:g}: choose another scale"
        )
    if scale == "logit" and (number >= 1).any():
        raise InputError(
            f"{what} of {np.nanmax(number):.4g} have no value on the scale logit, which needs "
            "probabilities below 1: choose another scale"
        )
    if scale == "log":
        return np.log(number)
    if scale == "log2p1":
        return np.log1p(number) / np.log(2)
    if scale == "anscombe":
        return 2 * np.sqrt(number + 0.375)
    return np.log(number / (1 - number)) if scale == "logit" else number
