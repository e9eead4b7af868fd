"""The drawings: pets drawn by a program, prepared by TFDS like the real ones, so that a first run needs no network."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import pathlib

from etils import epath

from components.datasets import pets, tfds_folder
from schema.dataset_spec import DatasetSpec

_progress = logging.getLogger("progress")

NAME = "synthetic_pets"
_DRAWN_BY = ("pet_drawings.py", "synthetic_pets_builder.py")


@dataclasses.dataclass(frozen=True)
class PetDrawings(pets.Pets):
    """So many drawings a breed in TFDS' split `train`, and half as many, but at least two, in `test`."""

    name = NAME

    drawings: int
    """2 or more: train and eval each need one of every breed."""
    data_dir: str = ""
    """A TFDS data_dir, prepared or to be prepared; empty for TFDS' default."""
    description: DatasetSpec | None = None
    """Of the data; None: schema/synthetic_pets.yaml."""

    def __post_init__(self) -> None:
        if self.drawings < 2:
            raise ValueError(
                f"drawings is {self.drawings}: give 2 or more, since train and eval each need one of a class"
            )
        object.__setattr__(self, "data_dir", tfds_folder.absolute(self.data_dir))

    def _prepared(self) -> epath.Path | None:
        return tfds_folder.find(self.data_dir, f"{NAME}/{self._config()}", pets.VERSION)

    def _make(self) -> epath.Path:
        from components.datasets.synthetic_pets_builder import SyntheticPets

        builder = SyntheticPets(config_name=self._config(), examples_per_breed=self.drawings, data_dir=self.data_dir)
        _progress.info("drawing %s in %s", NAME, self.data_dir)
        try:
            tfds_folder.prepare(builder, num_shards=pets.PREPARED_SHARDS)
        except Exception as error:
            raise RuntimeError(f"{NAME} could not be drawn in {self.data_dir}: {error}") from error
        return builder.data_path

    def _config(self) -> str:
        """A folder's name, so that other counts and other drawings never meet."""
        return f"{self.drawings}_per_breed_{self._key_of_unprepared()[:8]}"

    def _key_of_unprepared(self) -> str:
        folder = pathlib.Path(__file__).parent
        code = b"".join((folder / name).read_bytes() for name in _DRAWN_BY)
        return hashlib.sha256(code + str(self.drawings).encode()).hexdigest()
