"""How fast the weights move: warm-up, cosine, and slower where they are trained already."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import keras
import tensorflow as tf

from trainer_module.config import Phase

_WARM_UP = 0.1
_FIRST_RATE = 0.01
_STAGE_DECAY = 0.7

Share = tuple[keras.Variable, float]
"""A variable and the share of the learning rate that it moves at."""


def learning_rate(phase: Phase, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up over a tenth of `steps`, then a cosine down to `final_rate` (Loshchilov and Hutter 2017)."""
    warm_up = max(1, round(steps * _WARM_UP))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=phase.learning_rate * _FIRST_RATE,
        decay_steps=max(1, steps - warm_up),
        alpha=phase.final_rate,
        warmup_target=phase.learning_rate,
        warmup_steps=warm_up,
    )


def backbone_shares(backbone: keras.Model, rate: float) -> Iterator[Share]:
    """`rate` for the backbone's deepest layers, less by a factor for every doubling of a layer's map.

    Early layers are the most general, so they should change least (layer-wise decay: Howard and Ruder 2018).
    """
    side = backbone.output[-1].shape[1]
    halvings = 0.0
    for layer in backbone.layers:
        if len(layer.output.shape) == 4:
            if layer.output.shape[1] >= side:  # else a gate, which belongs to the map that it weighs
                halvings = math.log2(layer.output.shape[1] / side)
            yield from ((variable, rate * _STAGE_DECAY**halvings) for variable in layer.trainable_variables)


class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter 2019) that moves some variables at a share of the learning rate."""

    def __init__(self, shares: Iterable[Share], **kwargs: object) -> None:
        super().__init__(**kwargs)
        # `update_step` gets the tf.Variable inside Keras' own, on several devices each device's: the key is the same.
        self._shares = {self._var_key(variable): share for variable, share in shares}
        # Norm scales and biases are not pulled to zero.
        self.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])

    # Workaround: with several devices, clipping by norm trains otherwise than on one.
    # Cause: Keras clips each device's part of the gradient and then sums the parts.
    # Can go when Keras' TensorFlow optimizer sums first.
    def _clip_gradients(self, grads: list[keras.KerasTensor | None]) -> list[keras.KerasTensor | None]:
        summed = super()._all_reduce_sum_gradients([(gradient, None) for gradient in grads])
        return super()._clip_gradients([gradient for gradient, _ in summed])

    def _all_reduce_sum_gradients(self, grads_and_vars: list[tuple]) -> list[tuple]:
        return grads_and_vars

    # Workaround: tracing the optimizer takes two thirds of the time of tracing a training step.
    # Cause: for every variable, Keras' AdamW asks the schedule for the rate and corrects the moments' bias anew, by
    # operations that are slow to build. This is the same arithmetic, bit for bit.
    # Can go when Keras computes once what is the same for all variables.
    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        """Left to `update_step`, which is told the rate."""

    def _backend_update_step(
        self, grads: list[tf.Tensor], trainable_variables: list[keras.Variable], learning_rate: tf.Tensor
    ) -> None:
        step = tf.cast(self.iterations + 1, tf.float32)
        root, rest = tf.sqrt(1.0 - tf.pow(self.beta_2, step)), 1.0 - tf.pow(self.beta_1, step)
        super()._backend_update_step(grads, trainable_variables, (learning_rate, root, rest))

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tuple[tf.Tensor, tf.Tensor, tf.Tensor]
    ) -> None:
        rate, root, rest = learning_rate
        index = self._get_variable_index(variable)
        first, second = self._momentums[index].value, self._velocities[index].value
        if self.weight_decay and self._use_weight_decay(variable):
            variable.assign_sub(variable * self.weight_decay * rate)
        alpha = rate * self._shares.get(self._var_key(variable), 1.0) * root / rest
        first.assign_add((gradient - first) * (1.0 - self.beta_1))
        second.assign_add((tf.square(gradient) - second) * (1.0 - self.beta_2))
        variable.assign_sub(first * alpha / (tf.sqrt(second) + self.epsilon))
