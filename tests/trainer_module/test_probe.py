from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer_module.probe import fit_class_head


def _model(classes: int) -> keras.Model:
    """The class head alone, over features that are the image itself."""
    image = keras.Input((3,))
    pooled = keras.layers.Identity(name="breed_pool")(image)
    logits = keras.layers.Dense(classes, name="breed")(keras.layers.BatchNormalization(name="breed_norm")(pooled))
    return keras.Model(image, {"breed": logits})


def _data(classes: int) -> tf.data.Dataset:
    generator = np.random.default_rng(0)
    labels = np.arange(240) % classes
    features = generator.normal(0, 0.3, (240, 3)) * (1, 10, 100)
    features[np.arange(240), labels % 3] += np.array([1, 10, 100])[labels % 3] * 3
    targets = {"breed": np.eye(classes)[labels]}
    return tf.data.Dataset.from_tensor_slices((features.astype(np.float32), targets)).batch(40)


def _predicted(model: keras.Model, data: tf.data.Dataset) -> np.ndarray:
    return np.concatenate([np.argmax(model(features)["breed"], axis=1) for features, _ in data])


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_separates_classes_whatever_the_features_scale(classes: int) -> None:
    model = _model(classes)
    fit_class_head(model, "breed", _data(classes), passes=1)
    assert np.mean(_predicted(model, _data(classes)) == np.arange(240) % classes) > 0.97


def test_photos_of_unknown_class_have_no_say() -> None:
    """Their targets are all zero, and their features would draw any class to them."""

    def without_class(features: tf.Tensor, targets: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return features[:, ::-1], {"breed": tf.zeros_like(targets["breed"])}

    of_known, of_all = _model(3), _model(3)
    fit_class_head(of_known, "breed", _data(3), passes=1)
    fit_class_head(of_all, "breed", _data(3).concatenate(_data(3).map(without_class)), passes=1)
    for expected, actual in zip(of_known.get_weights(), of_all.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_class_without_examples_is_not_predicted() -> None:
    model = _model(classes=5)
    fit_class_head(model, "breed", _data(classes=3), passes=2)
    assert set(_predicted(model, _data(classes=3))) <= {0, 1, 2}
