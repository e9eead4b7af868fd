"""How far the two tasks pull the layers that they share in the same direction, after every epoch.

Where two tasks' gradients point apart (a negative cosine), a step for one undoes some of the other's (Yu et al. 2020,
Gradient Surgery for Multi-Task Learning, https://arxiv.org/abs/2001.06782). Here that is measured, not mended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import keras
import tensorflow as tf

from trainer_module.losses import Loss
from trainer_module.models import backbone_of

FIGURES = ("gradient_cosine", "class_gradient", "mask_gradient", "gradient_seconds")
"""What an epoch's record then holds: the cosine of both gradients, their norms, and how long measuring took."""

Weighted = tuple[Loss, float]
"""A loss and its weight."""

_BATCHES = 4


class GradientConflict(keras.callbacks.Callback):
    """Adds `FIGURES` to an epoch's logs, for the callbacks after it; nothing while the backbone is frozen.

    The gradients are those of the weighted losses with respect to the backbone's trainable variables (the heads share
    no other: nothing of the class's loss flows into the mask's decoder), of the mean over the first batches of split
    eval. The network answers as it is judged, without dropout and with the running statistics, so that nothing of the
    training changes.
    """

    def __init__(self, eval_data: tf.data.Dataset, label: str, mask: str, objectives: Mapping[str, Weighted]) -> None:
        """Of the outputs `label` and `mask`, whose losses `objectives` holds."""
        super().__init__()
        self._data = eval_data.take(_BATCHES)
        self._outputs = label, mask
        self._objectives = objectives

    def on_train_begin(self, logs: dict | None = None) -> None:
        def gradients(image: tf.Tensor, targets: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return shared_gradients(self.model, image, targets, self._objectives)

        self._gradients = tf.function(gradients, autograph=False, reduce_retracing=True)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is None or not backbone_of(self.model).trainable_variables:
            return
        start = time.monotonic()
        of_batches = [self._gradients(image, targets) for image, targets in self._data]
        of_class, of_mask = (tf.reduce_mean([found[name] for found in of_batches], 0) for name in self._outputs)
        figures = (cosine(of_class, of_mask), tf.norm(of_class), tf.norm(of_mask), time.monotonic() - start)
        logs.update(zip(FIGURES, map(float, figures), strict=True))


def shared_gradients(
    model: keras.Model, image: tf.Tensor, targets: Mapping[str, tf.Tensor], objectives: Mapping[str, Weighted]
) -> dict[str, tf.Tensor]:
    """Of each output's weighted mean loss: its gradient over all trainable variables of the backbone, float32 [P].

    Args:
        model: from `models.build_model`.
        image: float32 [B, S, S, 3].
        targets: what the outputs should say.
        objectives: of each output the loss and its weight.
    """
    variables = backbone_of(model).trainable_variables
    # Values in place of the variables: those of several devices have no gradient outside a training step.
    shared = [tf.convert_to_tensor(variable.value) for variable in variables]
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(shared)
        with keras.StatelessScope(state_mapping=list(zip(variables, shared, strict=True))):
            answers = model(image, training=False)
        losses = {
            output: weight * tf.reduce_mean(loss(targets[output], answers[output]))
            for output, (loss, weight) in objectives.items()
        }
    parts = {
        output: tape.gradient(loss, shared, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for output, loss in losses.items()
    }
    return {output: tf.concat([tf.reshape(part, [-1]) for part in of_output], 0) for output, of_output in parts.items()}


def cosine(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Of the angle between two vectors float32 [P], in [-1, 1]; 0 where one of them is 0."""
    return tf.math.divide_no_nan(tf.tensordot(one, other, 1), tf.norm(one) * tf.norm(other))
