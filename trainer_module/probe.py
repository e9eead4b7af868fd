"""A class head that starts at its best: logistic regression on the frozen backbone's features.

A few epochs of gradient descent leave a head far from the best linear one, and fine-tuning from there bends the
features to a poor head; starting from the converged probe does not (LP-FT: Kumar et al. 2022).
"""

from __future__ import annotations

import logging

import keras
import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

_progress = logging.getLogger("progress")

_INVERSE_REGULARISATION = 0.003
_ABSENT_CLASS_BIAS = -10.0


def fit_class_head(model: keras.Model, label: str, train_data: tf.data.Dataset, passes: int) -> None:
    """Sets the head's norm and dense layer to the logistic regression on pooled features.

    Args:
        model: from `models.build_model`, with a head `label`.
        label: the class output's name.
        train_data: batches (image, targets) of the training split, augmented anew on each pass.
        passes: how many times to go over them.
    """
    features, labels = _pooled_features(model, label, train_data, passes)
    mean, variance = features.mean(axis=0), features.var(axis=0)
    norm, dense = model.get_layer(f"{label}_norm"), model.get_layer(label)
    norm.set_weights([np.ones_like(mean), np.zeros_like(mean), mean, variance])
    standardised = (features - mean) / np.sqrt(variance + norm.epsilon)
    regression = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=100).fit(standardised, labels)
    dense.set_weights(_dense_weights(regression, classes=dense.units))
    _progress.info(
        "%s  class head fitted to %d frozen features, %.3f of them right",
        model.name,
        len(labels),
        regression.score(standardised, labels),
    )


def _pooled_features(
    model: keras.Model, label: str, train_data: tf.data.Dataset, passes: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the class head pools, float32 [N, F], and the class indices [N], of photos whose class is known, over all
    passes."""
    pooled = keras.Model(model.input, model.get_layer(f"{label}_pool").output)
    compute = tf.function(lambda image: pooled(image, training=False))
    batches = [(compute(image).numpy(), targets[label].numpy()) for _ in range(passes) for image, targets in train_data]
    features, shares = map(np.concatenate, zip(*batches, strict=True))
    known = shares.any(axis=1)
    return features[known], shares[known].argmax(axis=1)


def _dense_weights(regression: LogisticRegression, classes: int) -> list[np.ndarray]:
    """Kernel [F, classes] and bias [classes] of a softmax layer that equals the regression; absent classes lose."""
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn then gives the second class's logit alone
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    kernel = np.zeros((coefficients.shape[1], classes), np.float32)
    bias = np.full(classes, _ABSENT_CLASS_BIAS, np.float32)
    kernel[:, regression.classes_] = coefficients.T
    bias[regression.classes_] = intercepts
    return [kernel, bias]
