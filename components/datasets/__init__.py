"""Data sets: one small class a source; each gives its description, its cache key and its records.

`DATASETS` names them. A source is a frozen dataclass of texts, numbers and tuples, so that it is one JSON text among a
component's parameters, and of the description of its data, where that is given, which is another parameter.
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
from schema.dataset_spec import DatasetSpec

__all__ = ["DATASETS", "Coco", "Folder", "OxfordPets", "PetDrawings", "Source", "Tfds", "from_json", "to_json"]

DATASETS: dict[str, type[Any]] = {
    "synthetic_pets": PetDrawings,
    "oxford_iiit_pet": OxfordPets,
    "folder": Folder,
    "coco": Coco,
    "tfds": Tfds,
}


def to_json(source: Source) -> str:
    """The source in one line, without its description; `from_json` makes it again."""
    kind = next(kind for kind, of in DATASETS.items() if type(source) is of)
    fields = dataclasses.asdict(source)  # type: ignore[call-overload]
    del fields["description"]
    return json.dumps({"kind": kind, **fields}, sort_keys=True)


def from_json(text: str, description: DatasetSpec) -> Source:
    """The source that `to_json` wrote, told what its data are: it need not find out again, in another process."""
    fields = json.loads(text)
    source = DATASETS[fields.pop("kind")]
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return source(**fields, description=description)
