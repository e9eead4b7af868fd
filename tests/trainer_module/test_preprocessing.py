from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from conftest import IMAGE_SIZE, small_config
from PIL import Image

from trainer_module import inputs, preprocessing


def _png(array: np.ndarray) -> bytes:
    return cv2.imencode(".png", array)[1].tobytes()


def test_an_image_becomes_a_square_of_rgb_bytes() -> None:
    blue_in_opencv = np.full((30, 50, 3), (255, 0, 0), np.uint8)
    image = preprocessing.decode_image(tf.constant(_png(blue_in_opencv)), 20)
    assert image.dtype == tf.uint8
    np.testing.assert_array_equal(image, np.full((20, 20, 3), (0, 0, 255)))


def test_a_grey_photo_gets_three_channels() -> None:
    jpeg = cv2.imencode(".jpg", np.full((16, 16), 90, np.uint8))[1].tobytes()
    assert preprocessing.decode_image(tf.constant(jpeg), 16).shape == (16, 16, 3)


@pytest.mark.parametrize("sampling", [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420])
def test_a_jpeg_has_the_pixels_that_it_has_in_other_programs(sampling: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])[1].tobytes()
    pixels = preprocessing.decode(tf.constant(jpeg)).numpy()
    np.testing.assert_array_equal(pixels, Image.open(io.BytesIO(jpeg)))
    np.testing.assert_array_equal(pixels, cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB))


def test_masks_are_resized_without_new_values() -> None:
    mask = np.random.default_rng(0).choice([0, 1, 2], (31, 57)).astype(np.uint8)
    assert set(np.unique(preprocessing.decode_mask(tf.constant(_png(mask)), 40))) == {0, 1, 2}


def test_pixels_are_normalised_to_minus_one_to_one() -> None:
    pixels = preprocessing.normalise_image(tf.constant([0, 255], tf.uint8))
    np.testing.assert_allclose(pixels, [-1.0, 1.0])


def test_ignored_pixels_become_minus_one() -> None:
    np.testing.assert_array_equal(preprocessing.mask_label(tf.constant([0, 1, 255], tf.uint8)), [0.0, 1.0, -1.0])


def test_the_transform_graph_gives_what_training_sees(
    transform_graph: str, serialized: list[bytes], records: object
) -> None:
    transform = tft.TFTransformOutput(transform_graph)
    raw = tf.io.parse_example(serialized, transform.raw_feature_spec())
    transformed = transform.transform_raw_features(raw)
    config = small_config(input_size=IMAGE_SIZE, batch_size=4)
    training = inputs.eval_dataset(inputs.Split.of([str(records)]), config, IMAGE_SIZE, "")
    image, targets = next(iter(training))
    # A grey level is 1/127.5 apart from the next; TensorFlow's graph optimiser moves the last bit of a float.
    np.testing.assert_allclose(image, transformed["image"], atol=1e-6)
    np.testing.assert_array_equal(targets["mask"], transformed["mask"])
    np.testing.assert_array_equal(np.argmax(targets["breed"], axis=1), transformed["breed"])


def test_the_transform_graph_has_the_documented_types(transform_graph: str) -> None:
    spec = tft.TFTransformOutput(transform_graph).transformed_feature_spec()
    shapes = {name: (feature.dtype, tuple(feature.shape)) for name, feature in spec.items()}
    assert shapes == {
        "image": (tf.float32, (IMAGE_SIZE, IMAGE_SIZE, 3)),
        "mask": (tf.float32, (IMAGE_SIZE, IMAGE_SIZE, 1)),
        "breed": (tf.int64, ()),
        "species": (tf.int64, ()),
    }
