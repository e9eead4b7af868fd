from __future__ import annotations

import dataclasses
import pathlib

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

import schema
from schema import record
from schema.dataset_spec import DatasetSpec
from schema.spec_file import load

FOLDER = pathlib.Path(schema.__file__).parent


@pytest.fixture(scope="module")
def spec() -> DatasetSpec:
    return load(FOLDER / "oxford_iiit_pet.yaml")


def test_the_generated_schema_is_the_one_curated_by_hand(spec: DatasetSpec) -> None:
    curated = text_format.Parse(
        pathlib.Path(__file__).with_name("curated_by_hand.pbtxt").read_text(), schema_pb2.Schema()
    )
    assert record.schema(spec) == curated


def test_a_record_holds_what_the_schema_asks_for(spec: DatasetSpec) -> None:
    example = record.encode(spec, "x/ü.jpg", b"jpeg", {"breed": 5, "species": 0}, b"png", 0.5)
    assert set(example.features.feature) == {feature.name for feature in record.schema(spec).feature}
    parsed = tf.io.parse_single_example(
        example.SerializeToString(), record.parsing_spec("breed", "breed_name", "size", "file_name", spec=spec)
    )
    assert {name: value.numpy() for name, value in parsed.items()} == {
        "breed": 5,
        "breed_name": b"Bengal",
        "size": b"medium",
        "file_name": "x/ü.jpg".encode(),
    }


def test_an_unknown_class_has_a_name_that_the_schema_of_an_optional_label_knows(spec: DatasetSpec) -> None:
    optional = dataclasses.replace(
        spec, labels=tuple(dataclasses.replace(label, optional=True) for label in spec.labels)
    )
    example = record.encode(optional, "x", b"jpeg", {"breed": -1, "species": 1}, b"png", 0.0)
    assert example.features.feature["breed_name"].bytes_list.value[0].decode() == record.UNKNOWN_NAME
    made = record.schema(optional)
    assert record.UNKNOWN_NAME in next(d for d in made.string_domain if d.name == "breed_names").value
    assert next(f for f in made.feature if f.name == "breed").int_domain.min == record.UNKNOWN_CLASS


def test_the_size_of_an_unknown_mask_is_none_of_the_sizes(spec: DatasetSpec) -> None:
    assert spec.mask
    optional = dataclasses.replace(spec, mask=dataclasses.replace(spec.mask, optional=True))
    example = record.encode(optional, "x", b"jpeg", {"breed": 1, "species": 1}, b"png", None)
    assert example.features.feature["size"].bytes_list.value[0].decode() == record.UNKNOWN_NAME
    for described, known in ((optional, True), (spec, False)):
        sizes = next(domain for domain in record.schema(described).string_domain if domain.name == "sizes").value
        assert (record.UNKNOWN_NAME in sizes) == known


def test_without_a_mask_neither_mask_nor_size_is_recorded(spec: DatasetSpec) -> None:
    maskless = dataclasses.replace(spec, mask=None, slices=())
    example = record.encode(maskless, "x", b"jpeg", {"breed": 1, "species": 1}, None, 0.0)
    assert not {"mask", "size"} & set(example.features.feature)
    assert not {"mask", "size"} & {feature.name for feature in record.schema(maskless).feature}


@pytest.mark.parametrize(("share", "size"), [(0.0, "small"), (0.34, "medium"), (0.67, "large"), (1.0, "large")])
def test_sizes_are_thirds_of_the_picture(share: float, size: str) -> None:
    assert record.size_of(share) == size
