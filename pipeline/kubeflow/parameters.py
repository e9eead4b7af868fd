"""The parameters of a run on Kubeflow by name: which field each one sets, and so which values it may have.

They reach a step without passing through a config, so both ends check them: the client before it sends them, and the
container before it runs, for KFP's own pages can start a run too.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pipeline.configs import Config, Thresholds
from pipeline.kubeflow.deployment import Deployment
from schema import ranges
from trainer_module.config import Phase


def checked(name: str, value: Any) -> Any:
    """The value of the parameter `name`; a whole number is an int, though KFP has floats only.

    Raises:
        ValueError: it is out of the range of the field that the parameter sets.
    """
    hint = _hint(name)
    if ranges.plain(hint) is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    ranges.check(name, value, hint)
    return value


def _hint(name: str) -> Any:
    fields = {
        r"data_dir": (Config, "data_dir"),
        r"serving_dir": (Deployment, "serving_dir"),
        r"serving_model": (Deployment, "serving_model"),
        r"min_accuracy": (Thresholds, "accuracy"),
        r"min_mask_f1": (Thresholds, "mask_f1"),
        r"\w+_phases_\d+_epochs": (Phase, "epochs"),
    }
    if name == "photos":  # of the package of `watch`
        return Annotated[str, ranges.FOLDER]
    for pattern, (config, field) in fields.items():
        if re.fullmatch(pattern, name):
            return ranges.hints(config)[field]
    raise ValueError(f"there is no parameter {name!r}")
