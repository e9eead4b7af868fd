"""What applications rely on in a pushed model: its inputs, outputs, classes and sizes; and how two models differ."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2
from tfx.dsl.io import fileio

from components.serving_folder import SAVED_MODEL

MODEL_FILE = os.path.join("assets", "model.json")
"""In a SavedModel, see `trainer_module.signatures.model_description`."""

_FREE = ("title", "image_size")
"""What of the description may change: no application gives or gets that size; older models do not tell it."""
_SHOWN = 3
"""So many names of a list are shown."""


def differences(old: str, new: str) -> list[str]:
    """In what the contract of the SavedModel `new` is not that of `old`: a phrase each, none where they are equal.

    Args:
        old: folder of the version that applications use.
        new: folder of the one that shall come after it.

    Raises:
        ValueError: `old` is damaged.
    """
    if not fileio.exists(os.path.join(old, MODEL_FILE)):
        return [f"version {os.path.basename(old)} has no {MODEL_FILE}, as models had before there was a contract"]
    try:
        before = _contract(old)
    except (ValueError, message.DecodeError) as error:
        raise ValueError(f"version {os.path.basename(old)} is damaged and cannot be compared: {error}") from error
    after = _contract(new)
    return [
        f"{key} {_change(before.get(key), after.get(key))}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def description(model: str) -> dict[str, Any]:
    """What the SavedModel in the folder `model` says of itself, see `trainer_module.signatures.model_description`.

    Raises:
        OSError: it says nothing, as models did before there was a contract.
    """
    with fileio.open(os.path.join(model, MODEL_FILE), "r") as file:
        described: dict[str, Any] = json.load(file)
    return described


def _contract(model: str) -> dict[str, Any]:
    """Everything that must stay, by a name that a person understands."""
    described = description(model)
    with fileio.open(os.path.join(model, SAVED_MODEL), "rb") as file:
        [graph] = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs
    found: dict[str, Any] = {}
    for name, signature in sorted(graph.signature_def.items()):
        for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
            if name.startswith("serving_"):
                found |= {f"{name}'s {kind} {key!r}": _tensor(tensor) for key, tensor in sorted(tensors.items())}
    for name, label in described.get("coarser", {}).items():
        pairs = zip(described["classes"], label["of"], strict=True)
        found[f"coarser label {name!r}"] = [f"{fine} as {label['classes'][index]}" for fine, index in pairs]
    return found | {key: value for key, value in described.items() if key not in (*_FREE, "coarser")}


def _tensor(info: Any) -> str:
    """Such as `float32 [?, 37]`."""
    shape = tf.TensorShape(info.tensor_shape)
    sides = "?" if shape.rank is None else ", ".join("?" if side is None else str(side) for side in shape)
    return f"{tf.as_dtype(info.dtype).name} [{sides}]"


def _change(before: Any, after: Any) -> str:
    if after is None:
        return "is gone"
    if before is None:
        return "is new"
    if isinstance(before, list) and isinstance(after, list):
        lost, won = ([name for name in one if name not in other] for one, other in ((before, after), (after, before)))
        parts = [f"lost {_names(lost)}"] * bool(lost) + [f"gained {_names(won)}"] * bool(won)
        return " and ".join(parts) or "stand in another order"
    return f"is {_text(after)}, was {_text(before)}"


def _names(names: list[Any]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]} …"
