"""The DCNN: a convolutional encoder of four stages, trained from scratch."""

from __future__ import annotations

import keras
from keras import layers

from trainer_module.config import Recipe
from trainer_module.models.norm import BatchNormalization

_STAGE_CHANNELS = (24, 48, 96, 192)


def backbone(recipe: Recipe) -> keras.Model:
    """Builds the encoder: stages at 1/2, 1/4, 1/8 and 1/16 of the input.

    The first stage is one convolution, since nothing costs more than a layer at that size, and the second one opens
    with another; the rest are residual blocks. The deepest map stops at 1/16: at 1/32 a photo of 128 pixels would be
    told by 4 x 4 cells, too few for what tells classes apart.

    Args:
        recipe: `input_size` and `width`, which scales the channels.

    Returns:
        A model from float32 [B, S, S, 3] to the feature maps of the four stages, shallow to deep.
    """
    channels = [max(8, round(count * recipe.width)) for count in _STAGE_CHANNELS]
    image = keras.Input((recipe.input_size, recipe.input_size, 3))
    features = [_conv_norm_relu(image, channels[0], 2, "stage0_conv")]
    x = _conv_norm_relu(features[0], channels[1], 2, "stage1_conv")
    features.append(_residual_block(x, channels[1], 1, "stage1"))
    for stage, count in enumerate(channels[2:], start=2):
        features.append(_residual_block(features[-1], count, 2, f"stage{stage}"))
    return keras.Model(image, features, name="backbone")


def _residual_block(x: keras.KerasTensor, channels: int, stride: int, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions and a shortcut around them, pooled where they stride (He et al. 2015 and 2019)."""
    shortcut = x
    if stride > 1:
        shortcut = layers.AveragePooling2D(stride, padding="same", name=f"{name}_pool")(x)
        shortcut = _conv_norm(shortcut, channels, 1, f"{name}_shortcut", kernel=1)
    x = _conv_norm_relu(x, channels, stride, f"{name}_conv0")
    x = _conv_norm(x, channels, 1, f"{name}_conv1")
    x = _squeeze_excite(x, name)
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu")(x)


def _squeeze_excite(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Weighs channels by what the whole picture shows (Hu et al. 2018): context for nearly no multiplications."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    gate = layers.Conv2D(max(8, channels // 4), 1, name=f"{name}_reduce")(gate)
    gate = layers.ReLU(name=f"{name}_reduce_relu")(gate)
    gate = layers.Conv2D(channels, 1, name=f"{name}_excite")(gate)
    gate = layers.Activation("sigmoid", name=f"{name}_excite_sigmoid")(gate)
    return layers.Multiply(name=f"{name}_gate")([x, gate])


def _conv_norm_relu(x: keras.KerasTensor, channels: int, stride: int, name: str) -> keras.KerasTensor:
    return layers.ReLU(name=f"{name}_relu")(_conv_norm(x, channels, stride, name))


def _conv_norm(x: keras.KerasTensor, channels: int, stride: int, name: str, kernel: int = 3) -> keras.KerasTensor:
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)
    return BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
