"""Losses of the two heads, on logits."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


def class_loss(classes: int, label_smoothing: float) -> Loss:
    """Cross-entropy of class shares and logits, both float32 [B, classes]: float32 [B], in nats."""

    def loss(label: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        target = label * (1.0 - label_smoothing) + label_smoothing / classes
        return -ops.sum(target * ops.log_softmax(logits), axis=-1)

    return loss


def mask_loss(mask: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Mean of pixel cross-entropy and soft Dice loss (Milletari et al. 2016) of each picture.

    Args:
        mask: float32 [B, S, S, 1] of 0, 1 and -1; negative pixels have weight 0.
        logits: float32 [B, S, S, 1].

    Returns:
        float32 [B], >= 0.
    """
    known = ops.cast(mask >= 0, "float32")
    mask = mask * known
    cross_entropy = ops.softplus(logits) - mask * logits
    pixels = ops.maximum(ops.sum(known, axis=[1, 2, 3]), 1.0)
    cross_entropy = ops.sum(cross_entropy * known, axis=[1, 2, 3]) / pixels

    probability = ops.sigmoid(logits) * known
    overlap = ops.sum(probability * mask, axis=[1, 2, 3])
    total = ops.sum(probability + mask, axis=[1, 2, 3])
    dice = 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
    return cross_entropy + dice
