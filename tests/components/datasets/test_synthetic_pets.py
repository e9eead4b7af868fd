import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from components.datasets import pet_drawings
from components.datasets.synthetic_pets import PetDrawings
from tests.drawn import BREEDS, SPECIES

DRAWINGS = [(breed, number) for breed in BREEDS for number in range(3)]


@pytest.fixture(scope="module")
def drawn():
    return [pet_drawings.draw(breed, np.random.default_rng(number)) for breed, number in DRAWINGS]


def test_every_breed_has_its_own_look():
    assert set(pet_drawings.LOOKS) == set(BREEDS)
    assert len(set(pet_drawings.LOOKS.values())) == len(BREEDS)


def test_pictures_and_trimaps_fit_each_other(drawn):
    for image, trimap in drawn:
        assert image.shape == (*trimap.shape, 3)
        assert image.dtype == trimap.dtype == np.uint8
        assert set(np.unique(trimap)) == {1, 2, 3}
        assert all(96 <= side <= 160 for side in trimap.shape)


def test_animals_come_small_medium_and_large(drawn):
    shares = np.array([np.mean(drawing.trimap != 2) for drawing in drawn])
    assert shares.min() < 0.2
    assert shares.max() > 0.7
    assert np.histogram(shares, bins=(0, 1 / 3, 2 / 3, 1))[0].min() > 5


def test_the_same_seed_draws_the_same_picture():
    one, two = (pet_drawings.draw("beagle", np.random.default_rng(5)) for _ in range(2))
    assert (one.image == two.image).all()
    assert (one.trimap == two.trimap).all()


def test_the_trimap_outlines_the_animal():
    """A black cat on a lighter background is found by its darkness alone."""
    image, trimap = pet_drawings.draw("Bombay", np.random.default_rng(3))
    dark = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) < 60
    pet = trimap != 2
    assert np.mean(dark[pet]) > 2 * np.mean(dark[~pet])


def test_tfds_reads_them_like_the_real_data_set(tmp_path):
    drawings = PetDrawings(2, str(tmp_path))
    drawings.prepare()
    builder = tfds.builder_from_directory(drawings.folder())
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 74, "test": 74}
    assert tuple(builder.info.features["label"].names) == BREEDS
    names, species_of = [], {}
    for split in ("train", "test"):
        for example in tfds.as_numpy(builder.as_dataset(split=split)):
            name = example["file_name"].decode()
            names.append(name)
            assert name.startswith(BREEDS[example["label"]])
            assert example["image"].shape[:2] == example["segmentation_mask"].shape[:2]
            species_of[example["label"]] = SPECIES[example["species"]]
    assert len(set(names)) == len(names)
    assert all((species == "Cat") == BREEDS[label][0].isupper() for label, species in species_of.items())


def test_drawing_keeps_the_key_and_a_changed_file_changes_it(tmp_path):
    drawings = PetDrawings(2, str(tmp_path))
    before = drawings.key()
    assert PetDrawings(3, str(tmp_path)).key() != before
    drawings.prepare()
    assert drawings.key() == before
    shard = next(iter(drawings.shards()))
    with open(shard.path, "r+b") as file:
        file.seek(1000)
        file.write(b"?")
    assert drawings.key() != before


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="drawings is 1"):
        PetDrawings(1)
