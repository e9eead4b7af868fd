"""Figures of what a model says of pictures that are none of its data."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

from components.comparison import foreign, known
from pipeline.configs import Data
from trainer_module import photos


@pytest.mark.parametrize("kind", foreign.KINDS)
def test_the_pictures_are_the_same_in_every_run_and_none_is_like_the_next(kind: str) -> None:
    photos = foreign.photos(kind)
    assert photos == foreign.photos(kind)
    assert len(set(photos)) == len(photos) == foreign.PICTURES
    pictures = [np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)) for photo in photos]
    assert {picture.shape for picture in pictures} == {(240, 320, 3)}


def _record(photo: bytes) -> bytes:
    image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[photo]))
    return tf.train.Example(features=tf.train.Features(feature={"image": image})).SerializeToString()


def test_the_area_and_the_shares_are_those_of_what_the_model_says() -> None:
    """Of 1,000 test photos every fourth one is asked about: half of those are known at 0.7, half at 0.3."""
    records = [_record(b"7" if number % 8 == 0 else b"3") for number in range(1000)]
    batches = [tf.constant(records[start : start + 300]) for start in range(0, 1000, 300)]
    asked = 0

    def serve(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        nonlocal asked
        asked += len(image_bytes)
        said = [0.1 * int(photo) if len(photo) == 1 else 0.4 for photo in image_bytes.numpy()]
        return {"known": tf.constant(said, tf.float32), "error": tf.fill([len(said)], "")}

    found = known.judge(serve, batches, examples=1000, mask_classes=0)
    assert asked == known._PHOTOS + len(foreign.KINDS) * foreign.PICTURES
    assert found.test == 0.5
    assert found.reference.keys() == {"known"}, "the model has no head"
    assert sorted(found.reference["known"]) == pytest.approx([0.3] * 125 + [0.7] * 125)
    for of_kind in found.foreign.values():
        assert (of_kind.pictures, of_kind.area, of_kind.known) == (foreign.PICTURES, 0.5, 0.0)


@pytest.mark.parametrize(("mask_classes", "level", "area"), [(1, 127, 0.0), (1, 128, 0.25), (2, 2, 0.25)])
def test_the_reference_holds_confidence_and_the_masks_share(mask_classes: int, level: int, area: float) -> None:
    mask = np.zeros((4, 8, 1), np.uint8)
    mask[:2, :4] = level
    png = tf.io.encode_png(mask)

    def serve(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        count = len(image_bytes)
        probabilities = tf.tile([[0.2, 0.7, 0.1]], [count, 1])
        refused = image_bytes == b"larger than a server takes"
        masks = tf.where(refused, b"", tf.fill([count], png))
        known = tf.where(refused, 0.0, 1.0)
        return {
            "known": known,
            "probabilities": probabilities,
            "mask_bytes": masks,
            "error": tf.where(refused, "no", ""),
        }

    photos = [b"7", b"7", b"larger than a server takes", b"7"]
    records = [tf.constant([_record(photo) for photo in photos])]
    found = known.judge(serve, records, examples=4, mask_classes=mask_classes)
    assert found.reference == {"known": (1.0,) * 3, "confidence": (0.7,) * 3, "mask_area": (area,) * 3}


def test_what_is_ingested_is_no_larger_than_what_a_pushed_model_answers() -> None:
    assert Data.max_megapixels * 1_000_000 == photos.MAX_PIXELS


def test_text_pages_are_told_from_what_stands_on_grey(metrics: dict[str, Any]) -> None:
    for model in metrics["models"].values():
        assert model["known"]["test"] == 1.0
        assert set(model["known"]["foreign"]) == set(foreign.KINDS)
        assert model["known"]["foreign"]["text pages"]["area"] == 1.0
        assert model["known"]["foreign"]["text pages"]["known"] == 0.0
