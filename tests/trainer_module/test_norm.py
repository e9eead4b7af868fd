from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer_module.models.norm import BatchNormalization

FEATURES = np.random.default_rng(0).normal(3.0, 2.0, (8, 6, 5, 4)).astype(np.float32)


def _layers() -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """Ours and Keras', with the same scales and offsets."""
    pair = BatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for layer in pair:
        layer.build(FEATURES.shape)
        layer.gamma.assign([0.5, 1.0, 2.0, -1.0])
        layer.beta.assign([0.0, 1.0, -2.0, 3.0])
    return pair


def test_training_gives_the_result_and_the_gradients_of_keras_layer() -> None:
    answers = []
    for layer in _layers():
        with tf.GradientTape() as tape:
            x = tf.constant(FEATURES)
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.sin(y))
        gamma, beta = layer.trainable_variables
        answers.append([y, *tape.gradient(loss, [x, gamma.value, beta.value])])
    for ours, theirs in zip(*answers, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-4)


def test_the_moving_statistics_follow_the_batch() -> None:
    layer, _ = _layers()
    layer(FEATURES, training=True)
    values = FEATURES.reshape(-1, 4)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * values.var(axis=0, ddof=1), rtol=1e-5)


@pytest.mark.parametrize("trainable", [True, False])
def test_inference_uses_the_moving_statistics(trainable: bool) -> None:
    layer, _ = _layers()
    layer(FEATURES, training=True)
    layer.trainable = trainable
    expected = FEATURES - layer.moving_mean.numpy()
    expected = expected / np.sqrt(layer.moving_variance.numpy() + layer.epsilon) * layer.gamma.numpy()
    # A layer that does not train is in inference mode even in training.
    np.testing.assert_allclose(layer(FEATURES, training=not trainable), expected + layer.beta.numpy(), atol=1e-5)


def test_half_precision_in_gives_half_precision_out_and_float32_statistics() -> None:
    layer = BatchNormalization(dtype=keras.DTypePolicy("mixed_float16"))
    assert layer(tf.cast(FEATURES, tf.float16), training=True).dtype == tf.float16
    assert layer.moving_variance.dtype == "float32"
