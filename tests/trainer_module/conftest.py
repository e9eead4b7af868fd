"""A handful of drawn records, and the Transform graph over them."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from typing import Any

import apache_beam as beam
import cv2
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx_bsl.public import tfxio

from pipeline import configs
from schema import record
from tests.drawn import SPEC
from trainer_module.config import Recipe, TrainerConfig
from trainer_module.preprocessing import preprocessing_fn
from trainer_module.trainer import run_fn

IMAGE_SIZE = 64


def disc_example(index: int, generator: np.random.Generator) -> tf.train.Example:
    """A disc on grass: its colour tells the species, its place and size vary; one pixel row is ignored."""
    species = index % 2
    image = generator.normal((60, 120, 60), 20, (72, 80, 3))
    mask = np.zeros(image.shape[:2], np.uint8)
    centre = tuple(int(value) for value in generator.integers(24, 48, 2))
    cv2.circle(mask, centre, int(generator.integers(12, 24)), 1, -1)
    image[mask == 1] = ((220, 60, 40), (40, 60, 220))[species]
    mask[-1] = record.MASK_IGNORED
    jpeg = cv2.imencode(".jpg", np.clip(image, 0, 255).astype(np.uint8))[1].tobytes()
    png = cv2.imencode(".png", mask)[1].tobytes()
    return record.encode(SPEC, f"{index}.jpg", jpeg, {"breed": species, "species": species}, png, (mask == 1).mean())


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A TFRecord file of 24 disc examples."""
    path = tmp_path_factory.mktemp("records") / "discs.tfrecord"
    generator = np.random.default_rng(3)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index in range(24):
            writer.write(disc_example(index, generator).SerializeToString())
    return path


@pytest.fixture
def serialized(records: pathlib.Path) -> list[bytes]:
    """The first four records."""
    return list(tf.data.TFRecordDataset(str(records)).take(4).as_numpy_iterator())


@pytest.fixture(scope="session")
def transform_graph(records: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory of a saved Transform graph of `preprocessing_fn` at IMAGE_SIZE."""
    return transformed(records, str(tmp_path_factory.mktemp("transform")), IMAGE_SIZE)


def transformed(records: pathlib.Path, directory: str, image_size: int) -> str:
    """Saves the Transform graph at a size into `directory`, which is returned."""
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (record.IMAGE, record.MASK)}
    spec |= {name: tf.io.FixedLenFeature([], tf.int64) for name in ("breed", "species")}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    options = PipelineOptions(direct_running_mode="in_memory", direct_num_workers=1)
    with beam.Pipeline(options=options) as pipeline, tft_beam.Context(temp_dir=directory + "/tmp"):
        source = tfxio.TFExampleRecord(str(records), schema=metadata.schema, telemetry_descriptors=["tests"])
        data = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
        function = functools.partial(
            preprocessing_fn, custom_config={"image_size": image_size, "labels": ["breed", "species"]}
        )
        transform_fn = data | tft_beam.AnalyzeDataset(function)
        _ = transform_fn | tft_beam.WriteTransformFn(directory)
        _ = metadata | tft_beam.WriteMetadata(directory + "/metadata", pipeline=pipeline)
    return directory


def small_config(network: str = "dcnn", **changes: Any) -> TrainerConfig:
    """The debug config's Trainer with some fields of itself or of its recipe changed."""
    config = configs.debug().trainer(network, SPEC)
    of_recipe = {field.name for field in dataclasses.fields(Recipe)}
    recipe = dataclasses.replace(config.recipe, **{k: v for k, v in changes.items() if k in of_recipe})
    return dataclasses.replace(config, recipe=recipe, **{k: v for k, v in changes.items() if k not in of_recipe})


def train(directory: pathlib.Path, records: pathlib.Path, transform_graph: str, **changes: Any) -> FnArgs:
    """Runs the Trainer of `small_config(**changes)` as TFX does; split eval is split train."""
    config = small_config(**changes)
    fn_args = FnArgs(
        train_files=[str(records)],
        eval_files=[str(records)],
        transform_output=transform_graph,
        serving_model_dir=str(directory / "model"),
        model_run_dir=str(directory / "model_run" / "1"),
        custom_config={"config": config.to_json()},
    )
    run_fn(fn_args)
    return fn_args


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, records: pathlib.Path, transform_graph: str) -> FnArgs:
    """A MobileNet trained through a frozen and an open phase."""
    return train(tmp_path_factory.mktemp("trained"), records, transform_graph, network="mobilenet_v3_small")
