"""Data sets: one small class a source; each gives its description, its cache key and its records.

`DATASETS` names them. A source is a frozen dataclass of texts, numbers and tuples, so that it is one JSON text among a
component's parameters.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from components.datasets.coco import Coco
from components.datasets.folder import Folder
from components.datasets.pets import OxfordPets
from components.datasets.source import Source
from components.datasets.synthetic_pets import PetDrawings
from components.datasets.tfds import Tfds

__all__ = ["DATASETS", "Coco", "Folder", "OxfordPets", "PetDrawings", "Source", "Tfds", "from_json", "to_json"]

DATASETS: dict[str, type[Any]] = {
    "synthetic_pets": PetDrawings,
    "oxford_iiit_pet": OxfordPets,
    "folder": Folder,
    "coco": Coco,
    "tfds": Tfds,
}


def to_json(source: Source) -> str:
    """The source in one line; `from_json` makes it again."""
    kind = next(kind for kind, of in DATASETS.items() if type(source) is of)
    return json.dumps({"kind": kind, **dataclasses.asdict(source)}, sort_keys=True)  # type: ignore[call-overload]


def from_json(text: str) -> Source:
    """The source that `to_json` wrote."""
    fields = json.loads(text)
    source = DATASETS[fields.pop("kind")]
    return source(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
