"""Figures of the robustness benchmark by name."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from seqtrust.figures import robustness_responses, robustness_shifts

Draw = Callable[[pd.DataFrame, Mapping[str, Any]], tuple[Figure, pd.DataFrame]]

FIGURES: Mapping[str, Draw] = {
    "suite": robustness_shifts.suite_figure,
    "severity": robustness_shifts.severity_figure,
    "priors": robustness_shifts.priors_figure,
    "errors": robustness_shifts.errors_figure,
    "conformal": robustness_shifts.conformal_figure,
    "reliability": robustness_responses.reliability_figure,
    "selection": robustness_responses.selection_figure,
    "detection": robustness_responses.detection_figure,
    "delay": robustness_responses.delay_figure,
    "repair": robustness_responses.repair_figure,
    "labels": robustness_responses.labels_figure,
}
