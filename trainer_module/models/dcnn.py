"""The DCNN: a convolutional encoder of four stages, trained from scratch."""

from __future__ import annotations

import keras
from keras import layers

from trainer_module.config import Recipe

_STAGE_CHANNELS = (32, 64, 128, 256)


def backbone(recipe: Recipe, weights: str) -> keras.Model:
    """Builds the encoder: a stride-2 stem, then a residual block at each of 1/4, 1/8, 1/16 and 1/32.

    Args:
        recipe: `input_size` and `width`, which scales the channels.
        weights: must be `none`.

    Returns:
        A model from float32 [B, S, S, 3] to the four stages' feature maps, shallow to deep.
    """
    if weights != "none":
        raise ValueError(f"weights is {weights!r}, but the DCNN is trained from scratch: use 'none'")
    channels = [max(8, round(count * recipe.width)) for count in _STAGE_CHANNELS]
    image = keras.Input((recipe.input_size, recipe.input_size, 3))
    x = _conv_norm(image, channels[0], 2, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    features = []
    for stage, count in enumerate(channels):
        x = _residual_block(x, count, f"stage{stage}")
        features.append(x)
    return keras.Model(image, features, name="backbone")


def _residual_block(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions that halve the map, and a pooled shortcut around them (He et al. 2015 and 2019)."""
    shortcut = layers.AveragePooling2D(2, padding="same", name=f"{name}_pool")(x)
    shortcut = _conv_norm(shortcut, channels, 1, f"{name}_shortcut", kernel=1)
    x = _conv_norm(x, channels, 2, f"{name}_conv0")
    x = layers.ReLU(name=f"{name}_relu0")(x)
    x = _conv_norm(x, channels, 1, f"{name}_conv1")
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu1")(x)


def _conv_norm(x: keras.KerasTensor, channels: int, stride: int, name: str, kernel: int = 3) -> keras.KerasTensor:
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
