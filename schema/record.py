"""The record: what the ExampleGens write and everything downstream reads, one `tf.Example` an example.

| feature        | type  | value                                                                                   |
|----------------|-------|-----------------------------------------------------------------------------------------|
| `image`        | bytes | the encoded photo, upright, RGB or grey, any size                                       |
| `mask`         | bytes | PNG, one channel, the photo's size: 0 background, k the k-th mask class, 255 unknown    |
| LABEL          | int64 | index into the label's classes; -1: unknown                                             |
| LABEL`_name`   | bytes | the class's name, for slices that a person can read; `UNKNOWN_NAME` where it is unknown |
| `size`         | bytes | one of `SIZES`: the foreground's share of the picture; `UNKNOWN_NAME` without a mask    |
| `file_name`    | bytes | the photo's name in the data set, unique, UTF-8                                         |

LABEL stands for each label of the `DatasetSpec`. Without a mask in the spec, `mask` and `size` are missing. An
example without a mask of its own has one whose pixels are all unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from schema.dataset_spec import SIZE, DatasetSpec, Label

IMAGE = "image"
MASK = "mask"
FILE_NAME = "file_name"

MASK_BACKGROUND, MASK_IGNORED = 0, 255
IGNORED_LABEL = -1.0
"""What `MASK_IGNORED` becomes in the transformed mask: losses and metrics give such a pixel weight 0."""

UNKNOWN_CLASS = -1
UNKNOWN_NAME = "(unknown)"

SIZES = ("small", "medium", "large")
"""The foreground covers under a third, under two thirds, or more of the picture."""

TRAIN, EVAL, TEST = "train", "eval", "test"
SPLITS = (TRAIN, EVAL, TEST)

HISTORY_FILE = "history.json"
"""In a Trainer's `model_run` artifact: what it measured, see `trainer_module.callbacks.History`."""


def name_feature(label: str) -> str:
    """The feature that holds the name of a label's class."""
    return f"{label}_name"


def class_name(label: Label, index: int) -> str:
    """What the class of that index is called; `UNKNOWN_NAME` of `UNKNOWN_CLASS`."""
    return UNKNOWN_NAME if index == UNKNOWN_CLASS else label.classes[index]


def slice_feature(name: str) -> str:
    """The feature whose values name the slices by a label or by `size`."""
    return name if name == SIZE else name_feature(name)


def described_features(spec: DatasetSpec) -> list[str]:
    """Features that have statistics worth computing; encoded pictures have none."""
    labels = [label.name for label in spec.labels]
    return [*labels, *map(name_feature, labels), *([SIZE] if spec.mask else []), FILE_NAME]


def size_of(share: float) -> str:
    """One of `SIZES` for the foreground's share of the picture, in [0, 1]."""
    return SIZES[min(int(share * len(SIZES)), len(SIZES) - 1)]


def encode(
    spec: DatasetSpec, file_name: str, image: bytes, labels: Mapping[str, int], mask: bytes | None, share: float | None
) -> tf.train.Example:
    """Makes a record.

    Args:
        spec: of the data set.
        file_name: unique in the data set.
        image: the encoded photo.
        labels: the class's index of each of the spec's labels; `UNKNOWN_CLASS` where it is unknown.
        mask: the PNG; None where the spec has no mask.
        share: of the picture that is foreground, in [0, 1]; None where that is unknown.
    """
    features: dict[str, bytes | int] = {IMAGE: image, FILE_NAME: file_name.encode()}
    for label in spec.labels:
        index = labels[label.name]
        features[label.name] = index
        features[name_feature(label.name)] = class_name(label, index).encode()
    if spec.mask:
        assert mask is not None
        features |= {MASK: mask, SIZE: (UNKNOWN_NAME if share is None else size_of(share)).encode()}
    return tf.train.Example(features=tf.train.Features(feature={key: _feature(v) for key, v in features.items()}))


def files_in(folder: str) -> list[str]:
    """The files with records in a split's folder, in their order."""
    return sorted(tf.io.gfile.glob(f"{folder}/*"))


def serialized(files: Sequence[str]) -> tf.data.Dataset:
    """The records of files, in their order, each a string; TFX names compressed files `*.gz`."""
    return tf.data.TFRecordDataset(list(files), "GZIP" if files[0].endswith(".gz") else "")


def _feature(value: bytes | int) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def parsing_spec(*names: str, spec: DatasetSpec) -> dict[str, tf.io.FixedLenFeature]:
    """How `tf.io.parse_example` reads these features of a record."""
    integers = {label.name for label in spec.labels}
    return {name: tf.io.FixedLenFeature([], tf.int64 if name in integers else tf.string) for name in names}


def schema(spec: DatasetSpec) -> schema_pb2.Schema:
    """The TFMD schema that ExampleValidator holds the data against and Transform parses by.

    Of image and mask no statistics are computed, and a presence there would make that an anomaly ("Column dropped"). So
    the tensor representations say in its place that each record holds one value; the ExampleGens refuse one without.
    """
    made = schema_pb2.Schema()
    for label in spec.labels:
        unknown = (UNKNOWN_NAME,) if label.optional else ()
        made.string_domain.add(name=_domain(label.name), value=label.classes + unknown)
    if spec.mask:
        made.string_domain.add(name="sizes", value=SIZES + ((UNKNOWN_NAME,) if spec.mask.optional else ()))
    encoded = [IMAGE, *([MASK] if spec.mask else [])]
    for name in encoded:
        made.feature.add(name=name, type=schema_pb2.BYTES)
        tensor = made.tensor_representation_group[""].tensor_representation[name].dense_tensor
        tensor.column_name = name
        tensor.shape.SetInParent()
    for label in spec.labels:
        feature = _always(made, label.name, schema_pb2.INT)
        feature.int_domain.name = label.name
        feature.int_domain.min = UNKNOWN_CLASS if label.optional else 0
        feature.int_domain.max = len(label.classes) - 1
        feature.int_domain.is_categorical = True
    for label in spec.labels:
        _always(made, name_feature(label.name), schema_pb2.BYTES).domain = _domain(label.name)
    if spec.mask:
        _always(made, SIZE, schema_pb2.BYTES).domain = "sizes"
    _always(made, FILE_NAME, schema_pb2.BYTES)
    return made


def _domain(label: str) -> str:
    return f"{label}_names"


def _always(made: schema_pb2.Schema, name: str, kind: Any) -> Any:
    feature = made.feature.add(name=name, type=kind)
    feature.presence.min_fraction = 1.0
    feature.presence.min_count = 1
    feature.shape.SetInParent()
    return feature
