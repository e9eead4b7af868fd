"""Keras metrics that training reports; the figures that count come from TFMA."""

from __future__ import annotations

import keras
from keras import ops


class Accuracy(keras.metrics.Mean):
    """The share of examples whose class is known that are named right.

    Reads class shares float32 [B, C], all 0 where the class is unknown, and logits of the same shape.
    """

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name=name)

    def update_state(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        right = ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))
        known = ops.cast(ops.sum(y_true, axis=-1) > 0, "float32")
        super().update_state(ops.cast(right, "float32"), known)


class MaskF1(keras.metrics.Metric):
    """F1 (Dice) of foreground pixels over everything seen since the last reset, in [0, 1]; 0 where there are none.

    Of several classes the mean over those that occur. Reads masks float32 [B, S, S, 1] of class indices, 0 background,
    -1 unknown (weight 0), and logits of the same shape or, of several classes, float32 [B, S, S, K + 1].
    """

    def __init__(self, classes: int = 1, name: str = "f1") -> None:
        super().__init__(name=name)
        # True positives, and the sum of predicted and true pixels. Shares of a picture rather than counts: float32
        # would stop counting at 2^24 pixels.
        self.overlap = self.add_variable((classes,), "zeros", name="overlap")
        self.total = self.add_variable((classes,), "zeros", name="total")

    def update_state(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        known = ops.cast(y_true >= 0, "float32")
        if y_pred.shape[-1] == 1:
            true, predicted = y_true > 0, y_pred > 0
        else:
            foreground = ops.arange(1, y_pred.shape[-1])
            true = ops.cast(y_true, "int32") == foreground
            predicted = ops.argmax(y_pred, axis=-1)[..., None] == foreground
        true, predicted = ops.cast(true, "float32"), ops.cast(predicted, "float32") * known
        self.overlap.assign_add(ops.sum(ops.mean(predicted * true, axis=[1, 2]), axis=0))
        self.total.assign_add(ops.sum(ops.mean(predicted + true, axis=[1, 2]), axis=0))

    def result(self) -> keras.KerasTensor:
        f1 = ops.divide_no_nan(2.0 * self.overlap, self.total)
        return ops.divide_no_nan(ops.sum(f1), ops.sum(ops.cast(self.total > 0, "float32")))
