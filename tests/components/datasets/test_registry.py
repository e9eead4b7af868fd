"""`DATASETS`: sources by name, as one JSON text among a component's parameters."""

import dataclasses

import pytest

from components import datasets
from schema import spec_file


@pytest.mark.parametrize(
    "source",
    [
        datasets.Folder("photos", labels=("kind", "state"), metadata="table.csv"),
        datasets.Coco(("train=a.json", "b.json"), dir="photos"),
        datasets.OxfordPets("data", manual_dir="archives"),
        datasets.PetDrawings(3, "data"),
        datasets.Tfds("toys/small:1.0.0", "data", features=("kind=label",)),
    ],
    ids=lambda source: type(source).__name__,
)
def test_a_source_is_the_same_after_json_and_knows_what_its_data_are(source):
    spec = spec_file.shipped("synthetic_pets")
    for told in (source, dataclasses.replace(source, description=spec)):
        made = datasets.from_json(datasets.to_json(told), spec)
        assert made == dataclasses.replace(source, description=spec)
        assert made.spec() == spec  # where the folder is not even there
