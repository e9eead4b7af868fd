"""The embedded data set: drawn pets, in the official folder layout, read by TFDS' own Oxford-IIIT Pet builder.

It exists so that a first run needs no network and no licence; its figures say nothing about real pets.
"""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator

import cv2
import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.oxford_iiit_pet import oxford_iiit_pet_dataset_builder

from components.datasets import pet_drawings
from schema import spec_file

_SPEC = spec_file.shipped("synthetic_pets")
BREEDS, SPECIES_OF_BREED = _SPEC.label("breed").classes, _SPEC.label("species").parents

_SEED = 37


class SyntheticPets(oxford_iiit_pet_dataset_builder.Builder):
    """`synthetic_pets`: the features and the record code of `oxford_iiit_pet`, over drawings.

    Args:
      examples_per_breed: Drawings of each breed in split `train`; half as many, but at least two, are in `test`.
      config_name: Of the folder in `data_dir`: other counts and other drawings must have another.
      data_dir: Where TFDS keeps prepared data sets.
    """

    name = "synthetic_pets"
    # TFDS would describe this data set with the README and the citation of the class that it inherits from.
    pkg_dir_path = pathlib.Path(__file__).parent

    def __init__(self, *, examples_per_breed: int, config_name: str, data_dir: str) -> None:
        self.examples_per_breed = examples_per_breed
        config = tfds.core.BuilderConfig(
            name=config_name,
            description="Cartoon pets, drawn by a program: 37 breeds, 2 species, exact trimaps.",
        )
        super().__init__(config=config, data_dir=data_dir)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, object]:
        del dl_manager
        train, test = self.examples_per_breed, max(2, self.examples_per_breed // 2)
        return {
            "train": self._generate_examples(range(1, train + 1)),
            "test": self._generate_examples(range(train + 1, train + test + 1)),
        }

    def _generate_examples(self, numbers: range) -> Iterator[tuple[str, dict[str, object]]]:
        with tempfile.TemporaryDirectory() as folder:
            yield from super()._generate_examples(*_draw_official_layout(pathlib.Path(folder), numbers))


def _draw_official_layout(root: pathlib.Path, numbers: range) -> tuple[str, str, str]:
    """Writes images/, annotations/trimaps/ and a list of them; returns the three paths as the builder takes them."""
    images, annotations, listing = root / "images", root / "annotations", root / "annotations" / "list.txt"
    images.mkdir()
    (annotations / "trimaps").mkdir(parents=True)
    lines = []
    for label, breed in enumerate(BREEDS):
        species = SPECIES_OF_BREED[label]
        for number in numbers:
            drawing = pet_drawings.draw(breed, np.random.default_rng((_SEED, label, number)))
            name = f"{breed}_{number}"
            _write(images / f"{name}.jpg", drawing.image[..., ::-1])
            _write(annotations / "trimaps" / f"{name}.png", drawing.trimap)
            lines.append(f"{name} {label + 1} {species + 1} 0\n")
    listing.write_text("".join(lines))
    return str(images), str(annotations), str(listing)


def _write(path: pathlib.Path, image: np.ndarray) -> None:
    if not cv2.imwrite(str(path), image):
        raise OSError(f"OpenCV could not write {path}")
