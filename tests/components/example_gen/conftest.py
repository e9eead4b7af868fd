from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts

from components import datasets
from components.datasets.source import Source
from components.example_gen import executor, quarantine, summary
from components.example_gen.component import ExampleGen
from schema import record
from schema.dataset_spec import DatasetSpec


class Made:
    """What one run of ExampleGen wrote."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.examples = folder / "examples"
        self.quarantine = folder / "quarantine"

    @property
    def splits(self) -> dict[str, Any]:
        return summary.read(str(self.examples))["splits"]

    @property
    def quarantined(self) -> list[quarantine.Row]:
        return quarantine.read(str(self.quarantine))

    def serialized(self, split: str) -> list[bytes]:
        shards = sorted(self.examples.glob(f"Split-{split}/*"))
        return list(tf.data.TFRecordDataset([str(shard) for shard in shards]).as_numpy_iterator())

    def read(self, split: str) -> list[Any]:
        return [tf.train.Example.FromString(one).features.feature for one in self.serialized(split)]

    def names(self, split: str) -> set[str]:
        return {value(one, record.FILE_NAME).decode() for one in self.read(split)}


def value(features: Any, name: str) -> Any:
    feature = features[name]
    return (feature.bytes_list.value or feature.int64_list.value)[0]


def pixels(features: Any, name: str) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(value(features, name), np.uint8), cv2.IMREAD_UNCHANGED))


def run(folder: pathlib.Path, source: Source, spec: DatasetSpec | None = None, **rules: Any) -> Made:
    """Runs the component's executor as TFX would."""
    component = ExampleGen(source, spec or source.spec(), fingerprint="", **rules)
    examples, aside = standard_artifacts.Examples(), simple_artifacts.File()
    made = Made(folder)
    examples.uri, aside.uri = str(made.examples), str(made.quarantine)
    context = BaseBeamExecutor.Context(beam_pipeline_args=["--direct_running_mode=in_memory", "--direct_num_workers=1"])
    executor.Executor(context).Do({}, {"examples": [examples], "quarantine": [aside]}, component.exec_properties)
    assert examples.splits == list(record.SPLITS)
    return made


@pytest.fixture(scope="session")
def drawings_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A data_dir with four drawings a breed, prepared."""
    folder = tmp_path_factory.mktemp("drawings")
    datasets.PetDrawings(4, str(folder)).prepare()
    return folder


Edit = Callable[[list[tf.train.Example]], None]


@pytest.fixture
def real(drawings_dir: pathlib.Path, tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Makes a prepared data_dir of `oxford_iiit_pet` out of the drawings, one shard of train changed by `edit`."""
    prepared = next(drawings_dir.glob("synthetic_pets/*/4.0.0"))

    def make(edit: Edit = lambda records: None) -> pathlib.Path:
        folder = tmp_path / "real" / "oxford_iiit_pet" / "4.0.0"
        folder.mkdir(parents=True)
        for path in prepared.iterdir():
            if path.name != "made_of.json":
                shutil.copy(path, folder / path.name.replace("synthetic_pets", "oxford_iiit_pet"))
        info = json.loads((folder / "dataset_info.json").read_text())
        info["name"] = "oxford_iiit_pet"
        info["moduleName"] = "tensorflow_datasets.datasets.oxford_iiit_pet.oxford_iiit_pet_dataset_builder"
        for key in ("configName", "configDescription"):
            del info[key]
        shard = next(folder.glob("*train*00000-of*"))
        records = [tf.train.Example.FromString(r) for r in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()]
        edit(records)
        with tf.io.TFRecordWriter(str(shard)) as writer:
            for one in records:
                writer.write(one.SerializeToString())
        for of in info["splits"]:
            if of["name"] == "train":
                of["shardLengths"][0] = str(len(records))
        (folder / "dataset_info.json").write_text(json.dumps(info))
        return folder.parents[1]

    return make


def shards(data_dir: pathlib.Path, split: str = "train") -> Iterator[pathlib.Path]:
    return iter(sorted(data_dir.rglob(f"*-{split}.tfrecord-*")))
