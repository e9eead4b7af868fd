"""Slices on which two models are held against each other."""

import dataclasses

from components.comparison.decision import slices_of
from components.comparison.predictions import Truth
from schema import spec_file


def test_a_slice_that_is_named_twice_counts_each_photo_once() -> None:
    spec = spec_file.shipped("synthetic_pets")
    spec = dataclasses.replace(spec, slices=(("species", "size"), ("size", "species")))
    truth = Truth(labels={"breed": [0, 1], "species": [0, 0]}, slices={"species": ["Cat"] * 2, "size": ["small"] * 2})
    assert slices_of(truth, spec)["species: Cat, size: small"].tolist() == [0, 1]
