"""`DATASETS`: sources by name, as one JSON text among a component's parameters."""

import pytest

from components import datasets


@pytest.mark.parametrize(
    "source",
    [
        datasets.Folder("photos", labels=("kind", "state"), metadata="table.csv"),
        datasets.Coco(("train=a.json", "b.json"), dir="photos"),
        datasets.Tfds("toys/small:1.0.0", "data", features=("kind=label",)),
    ],
    ids=lambda source: type(source).__name__,
)
def test_a_source_is_the_same_after_json(source):
    assert datasets.from_json(datasets.to_json(source)) == source
