"""How fast the weights move: warm-up, cosine, and a slower backbone."""

from __future__ import annotations

import keras

from trainer_module.config import Phase

_WARM_UP = 0.1
_FINAL_SHARE = 0.01


def learning_rate(phase: Phase, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up over a tenth of `steps`, then a cosine down to a hundredth (Loshchilov and Hutter 2017)."""
    warm_up = max(1, round(steps * _WARM_UP))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=phase.learning_rate * _FINAL_SHARE,
        decay_steps=max(1, steps - warm_up),
        alpha=_FINAL_SHARE,
        warmup_target=phase.learning_rate,
        warmup_steps=warm_up,
    )


class TwoSpeedAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter 2019) that moves the backbone's variables at a share of the learning rate."""

    def __init__(self, backbone: keras.Model, backbone_rate: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        # Keras' TensorFlow trainer hands `update_step` the tf.Variable inside its own.
        self._slow = {id(variable.value) for variable in backbone.trainable_variables}
        self._backbone_rate = backbone_rate
        # Norm scales and biases are not pulled to zero.
        self.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])

    def update_step(self, gradient: keras.KerasTensor, variable: keras.Variable, learning_rate: float) -> None:
        rate = self._backbone_rate if id(variable) in self._slow else 1.0
        super().update_step(gradient, variable, learning_rate * rate)
