"""Drawn examples for the benchmarks that are given no data."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf

from components.datasets import pet_drawings
from schema import record, spec_file


def write_records(path: pathlib.Path, count: int, seed: int = 0) -> pathlib.Path:
    """Writes so many drawings with their masks into one file, as ExampleGen would; returns `path`."""
    spec = spec_file.shipped("synthetic_pets")
    breeds, species = spec.label("breed").classes, spec.label("species").parents
    generator = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index in range(count):
            breed = index % len(breeds)
            image, trimap = pet_drawings.draw(breeds[breed], generator)
            mask = (trimap != 2).astype(np.uint8)[..., None]
            jpeg, png = tf.io.encode_jpeg(image).numpy(), tf.io.encode_png(mask).numpy()
            labels = {"breed": breed, "species": species[breed]}
            example = record.encode(spec, f"{index}.jpg", jpeg, labels, png, mask.mean())
            writer.write(example.SerializeToString())
    return path


def write_splits(folder: pathlib.Path, train: int = 1024, evaluation: int = 128) -> pathlib.Path:
    """Writes the splits train and eval in the layout of ExampleGen's output; returns `folder`."""
    for seed, (split, count) in enumerate(((record.TRAIN, train), (record.EVAL, evaluation))):
        write_records(folder / f"Split-{split}" / "drawn", count, seed)
    return folder
