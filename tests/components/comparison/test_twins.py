"""Photos that stand in two splits: how they are seen, and which of them is listed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tensorflow as tf

from components.comparison import twins
from schema import record
from tests.components.comparison.conftest import write_records


def scene(seed: int) -> np.ndarray:
    """A photo of soft shapes, uint8 [90, 120, 3], no two alike."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.resize(small, (120, 90), interpolation=cv2.INTER_CUBIC)


def example(name: str, photo: np.ndarray, quality: int = 95) -> bytes:
    encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    values = {record.IMAGE: encoded, record.FILE_NAME: name.encode()}
    features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[twins.Photo]:
    """A copy of a train photo in test, one of another in eval, one of a third in both; and two within train."""
    root = tmp_path_factory.mktemp("twins")
    small = cv2.resize(scene(1), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    lighter = np.clip(scene(2) * 1.03, 0, 255).astype(np.uint8)
    splits = {
        "train": [*(example(f"{seed}.jpg", scene(seed)) for seed in range(1, 9)), example("4 again.jpg", scene(4), 60)],
        "eval": [example("light 2.jpg", lighter), example("3 in eval.jpg", scene(3), 80), example("e.jpg", scene(90))],
        "test": [example("small 1.jpg", small), example("3 in test.jpg", scene(3), 70), example("t.jpg", scene(91))],
    }
    return twins.look_at({split: write_records(root / split, examples) for split, examples in splits.items()})


def test_every_photo_of_every_split_is_seen(photos) -> None:
    assert [photo.split for photo in photos] == ["train"] * 9 + ["eval"] * 3 + ["test"] * 3
    assert photos[0].file_name == "1.jpg"
    assert photos[0].shape == 0.75


def test_the_twin_that_is_held_out_less_is_listed(photos) -> None:
    suspects, counts = twins.across_splits(photos)
    listed = {(one.split, one.file_name): (one.twin_split, one.twin) for one in suspects}
    assert listed == {
        ("train", "1.jpg"): ("test", "small 1.jpg"),
        ("train", "2.jpg"): ("eval", "light 2.jpg"),
        ("train", "3.jpg"): ("test", "3 in test.jpg"),
        ("eval", "3 in eval.jpg"): ("test", "3 in test.jpg"),
    }
    assert counts == {"train": 3, "eval": 2, "test": 2}


def test_what_is_left_when_the_listed_are_gone_has_no_twins(photos) -> None:
    suspects, _ = twins.across_splits(photos)
    gone = {one.file_name for one in suspects}
    assert twins.across_splits([photo for photo in photos if photo.file_name not in gone]) == ([], {})
