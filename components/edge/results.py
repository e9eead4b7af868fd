"""What became of each format, as frozen dataclasses: `edge.json` of the component, and a part of the report."""

from __future__ import annotations

import dataclasses

import pydantic

EDGE_FILE = "edge.json"
"""In the component's output `figures`: an `Edge`."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """Of one model on split `test`."""

    accuracy: float | None
    """Of the class head, in [0, 1]; None if the model has no such head."""
    mask_f1: float | None
    """Of the mask head over all pixels, of several classes their mean, in [0, 1]; None likewise."""


@dataclasses.dataclass(frozen=True)
class EdgeModel:
    """One file."""

    format: str
    """`float32`, `float16`, `int8` (all TFLite) or `onnx`."""
    file: str
    blessed: bool
    """It is pushed."""
    reason: str
    """Why it is not, in one sentence; empty: it is."""
    size_bytes: int = 0
    figures: Figures | None = None
    """None: it could not be made, or did not run to the end."""
    milliseconds: float | None = None
    """Median of single photos' answers from pixels, on this machine."""
    photos_per_second: float | None = None
    """From pixels, in batches."""


@dataclasses.dataclass(frozen=True)
class Edge:
    """All of them, and what they are held against."""

    champion: str
    saved_model: Figures
    saved_model_milliseconds: float
    """As `EdgeModel.milliseconds`."""
    machine: str
    models: tuple[EdgeModel, ...]

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Edge:
        return _ADAPTER.validate_json(text)


_ADAPTER = pydantic.TypeAdapter(Edge)
