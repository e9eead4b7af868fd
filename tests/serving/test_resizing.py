"""Every value is TensorFlow's own: what is resized here and there differs in no bit."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from serving import resizing
from trainer_module import preprocessing

SHAPES = [(48, 48), (75, 100), (101, 37), (30, 20), (20, 90), (600, 800), (1, 1), (2, 300)]


def _photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("input_size", [48, 60, 32])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_network_sees_the_pixels_that_it_sees_in_the_graph(shape: tuple[int, int], input_size: int) -> None:
    resize = tf.function(lambda photo: preprocessing.resize_image(photo, 48))
    of_any_size = resize.get_concrete_function(tf.TensorSpec([None, None, 3], tf.uint8))
    expected = preprocessing.resize_image(of_any_size(tf.constant(_photo(*shape))), input_size)
    np.testing.assert_array_equal(resizing.network_input(_photo(*shape), 48, input_size), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_get_the_photos_size_as_in_the_graph(shape: tuple[int, int]) -> None:
    logits = np.random.default_rng(0).normal(size=(48, 48, 2)).astype(np.float32)
    np.testing.assert_array_equal(resizing.bilinear(logits, shape), tf.image.resize(logits, shape))
