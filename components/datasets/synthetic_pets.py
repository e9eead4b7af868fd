"""The drawings: pets drawn by a program, prepared by TFDS like the real ones, so that a first run needs no network."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import pathlib
from collections.abc import Iterator

from etils import epath

from components.datasets import pets, tfds_folder
from components.datasets.source import RawRecord
from schema import spec_file
from schema.dataset_spec import DatasetSpec

_progress = logging.getLogger("progress")

NAME = "synthetic_pets"
_DRAWN_BY = ("pet_drawings.py", "synthetic_pets_builder.py")


@dataclasses.dataclass(frozen=True)
class PetDrawings:
    """So many drawings a breed in TFDS' split `train`, and half as many, but at least two, in `test`."""

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

    def spec(self) -> DatasetSpec:
        return self.description or spec_file.shipped(NAME)

    def key(self) -> str:
        folder = None if "://" in self.data_dir else self._prepared()
        return tfds_folder.key(folder) if folder else self._drawings_key()

    def prepare(self) -> None:
        if self._prepared() is None:
            from components.datasets.synthetic_pets_builder import SyntheticPets

            builder = SyntheticPets(
                config_name=self._config(), examples_per_breed=self.drawings, data_dir=self.data_dir
            )
            _progress.info("drawing %s in %s", NAME, self.data_dir)
            try:
                tfds_folder.prepare(builder, num_shards=pets.PREPARED_SHARDS)
            except Exception as error:
                raise RuntimeError(f"{NAME} could not be drawn in {self.data_dir}: {error}") from error
            tfds_folder.mark(builder.data_path, self._drawings_key())
        pets.check_classes(self.folder(), self.spec())

    def folder(self) -> epath.Path:
        """Where the drawings lie prepared."""
        folder = self._prepared()
        assert folder is not None, "prepare() comes first"
        return folder

    def shards(self) -> Iterator[tfds_folder.Shard]:
        return tfds_folder.shards(self.folder())

    def read(self, shard: tfds_folder.Shard) -> Iterator[RawRecord]:
        return (pets.raw_record(features, shard.split) for features in tfds_folder.read(shard))

    def _prepared(self) -> epath.Path | None:
        return tfds_folder.find(self.data_dir, f"{NAME}/{self._config()}", pets.VERSION)

    def _config(self) -> str:
        """A folder's name, so that other counts and other drawings never meet."""
        return f"{self.drawings}_per_breed_{self._drawings_key()[:8]}"

    def _drawings_key(self) -> str:
        folder = pathlib.Path(__file__).parent
        code = b"".join((folder / name).read_bytes() for name in _DRAWN_BY)
        return hashlib.sha256(code + str(self.drawings).encode()).hexdigest()
