"""Keras metrics that training reports; the figures that count come from TFMA."""

from __future__ import annotations

import keras
from keras import ops


class MaskF1(keras.metrics.Metric):
    """F1 (Dice) of pet pixels over everything seen since the last reset, in [0, 1]; 0 where there is no pet at all.

    Reads masks float32 [B, S, S, 1] of 0, 1 and -1 (weight 0), and logits of the same shape.
    """

    def __init__(self, name: str = "f1") -> None:
        super().__init__(name=name)
        # True positives, and the sum of predicted and true pixels. Shares of a picture rather than counts: float32
        # would stop counting at 2^24 pixels.
        self.overlap = self.add_variable((), "zeros", name="overlap")
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        known = ops.cast(y_true >= 0, "float32")
        pet = ops.cast(y_true > 0, "float32")
        predicted = ops.cast(y_pred > 0, "float32") * known
        self.overlap.assign_add(ops.sum(ops.mean(predicted * pet, axis=[1, 2, 3])))
        self.total.assign_add(ops.sum(ops.mean(predicted + pet, axis=[1, 2, 3])))

    def result(self) -> keras.KerasTensor:
        return ops.divide_no_nan(2.0 * self.overlap, self.total)
