from __future__ import annotations

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from components.edge import convert
from tests.colours import SIZE, export
from tests.components.edge.photo_records import PHOTOS, example
from trainer_module import warmup


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("examples")
    for split, count in PHOTOS.items():
        (folder / f"Split-{split}").mkdir()
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "data.gz"), "GZIP") as writer:
            for number in range(count):
                writer.write(example(number))
    return folder


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A Trainer's `Model` artifact."""
    folder = tmp_path_factory.mktemp("champion")
    warmup.write(str(export(folder / "Format-Serving")))
    return folder


@pytest.fixture(scope="session")
def files(champion: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """All formats of it."""
    folder = tmp_path_factory.mktemp("files")
    photos = [np.full((SIZE, SIZE, 3), value, np.uint8) for value in (0, 120, 255)]
    assert convert.convert(str(champion / "Format-Serving"), convert.FORMATS, lambda: photos, folder) == {}
    return folder
