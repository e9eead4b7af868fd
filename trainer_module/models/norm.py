"""Batch normalisation by TensorFlow's fused kernel."""

from __future__ import annotations

import keras
import tensorflow as tf


# Workaround: with keras.layers.BatchNormalization the DCNN's training step takes 1.2 times as long
# (benchmarks/batch_norm.py), since it passes over the features about ten times.
# Cause: Keras 3 with TensorFlow composes it of single operations, where Keras 2 called the fused kernel.
# Can go when Keras' TensorFlow backend calls that kernel again.
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer; in training on [B, h, w, c] the statistics and the result come from one kernel.

    The moving variance follows the batch's unbiased variance, N / (N - 1) times Keras' of N = B h w values.
    """

    def call(
        self, inputs: keras.KerasTensor, training: bool | None = None, mask: keras.KerasTensor | None = None
    ) -> keras.KerasTensor:
        if not (training and self.trainable) or self.synchronized or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma, offset=self.beta, mean=[], variance=[], epsilon=self.epsilon
        )
        for moving, of_batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + of_batch * (1.0 - self.momentum))
        return outputs
