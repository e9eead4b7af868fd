import pathlib

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from schema import pets

TYPES = {
    pets.IMAGE: tf.string,
    pets.MASK: tf.string,
    pets.BREED: tf.int64,
    pets.SPECIES_LABEL: tf.int64,
    pets.BREED_NAME: tf.string,
    pets.SPECIES_NAME: tf.string,
    pets.SIZE: tf.string,
    pets.FILE_NAME: tf.string,
}


@pytest.fixture(scope="module")
def schema():
    text = (pathlib.Path(pets.__file__).parent / "schema.pbtxt").read_text()
    return text_format.Parse(text, schema_pb2.Schema())


def feature(schema, name):
    return next(feature for feature in schema.feature if feature.name == name)


def test_each_feature_is_parsed_as_one_value(schema):
    parsed = schema_utils.schema_as_feature_spec(schema).feature_spec
    assert parsed == {name: tf.io.FixedLenFeature([], dtype) for name, dtype in TYPES.items()}


@pytest.mark.parametrize(("name", "classes"), [(pets.BREED, pets.BREEDS), (pets.SPECIES_LABEL, pets.SPECIES)])
def test_labels_are_categories_that_index_the_classes(schema, name, classes):
    domain = feature(schema, name).int_domain
    assert (domain.min, domain.max, domain.is_categorical) == (0, len(classes) - 1, True)


@pytest.mark.parametrize(
    ("name", "values"),
    [(pets.BREED_NAME, pets.BREEDS), (pets.SPECIES_NAME, pets.SPECIES), (pets.SIZE, pets.SIZES)],
)
def test_names_come_from_the_known_ones(schema, name, values):
    domains = {domain.name: tuple(domain.value) for domain in schema.string_domain}
    assert domains[feature(schema, name).domain] == values


def test_every_described_feature_must_be_present(schema):
    for name in set(TYPES) - {pets.IMAGE, pets.MASK}:
        assert feature(schema, name).presence.min_fraction == 1
