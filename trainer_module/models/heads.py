"""The two heads that all networks carry: dense layers for the class, a lean decoder for the mask."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from trainer_module.models.norm import BatchNormalization

_DEEPEST_CHANNELS = 96
_STEP_CHANNELS = (64, 48, 32)


def class_logits(
    features: keras.KerasTensor, mask: keras.KerasTensor | None, classes: int, dropout: float, name: str
) -> keras.KerasTensor:
    """Pools [B, h, w, c] by mean, by maximum and, where there is a mask head, by mean over the foreground.

    Args:
        features: the backbone's deepest map.
        mask: logits [B, S, S, 1] or [B, S, S, K + 1] of the mask head, or None.
        classes: how many.
        dropout: share of the pooled features that a training step leaves out.
        name: of the output.

    Returns:
        logits float32 [B, classes].
    """
    views = [
        layers.GlobalAveragePooling2D(name=f"{name}_mean")(features),
        layers.GlobalMaxPooling2D(name=f"{name}_max")(features),
    ]
    if mask is not None:
        views.append(MeanOverForeground(name=f"{name}_mean_over_foreground")([features, mask]))
    pooled = layers.Concatenate(name=f"{name}_pool")(views)
    # Pooled features differ in scale by orders of magnitude between channels; one learning rate then fits them all.
    pooled = BatchNormalization(momentum=0.95, name=f"{name}_norm")(pooled)
    pooled = layers.Dropout(dropout, name=f"{name}_dropout")(pooled)
    return layers.Dense(classes, dtype="float32", name=name)(pooled)


def mask_logits(features: Sequence[keras.KerasTensor], stride: int, channels: int, name: str) -> keras.KerasTensor:
    """Decodes four feature maps to logits float32 [B, S, S, channels].

    A narrow U-Net decoder (Ronneberger et al. 2015) with LinkNet's added rather than concatenated skips (Chaurasia and
    Culurciello 2017). Each step spreads a pixel to four and smooths them by a separable convolution, which has an
    eighth of a strided transpose's weights. The steps stop at the shallowest map: one strided transpose does the rest,
    since the layers at full size would cost more than the whole backbone.

    Args:
        features: shallow to deep, each of half the side of the one before.
        stride: of the shallowest, whose side is S / stride.
        channels: of the logits.
        name: of the output.
    """
    *skips, deepest = features
    x = _conv_norm_relu(deepest, _DEEPEST_CHANNELS, 1, f"{name}_bottleneck")
    for step, (skip, width) in enumerate(zip(reversed(skips), _STEP_CHANNELS, strict=True)):
        x = layers.UpSampling2D(2, name=f"{name}_spread{step}")(x)
        x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False, name=f"{name}_up{step}")(x)
        skip = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_skip{step}")(skip)
        x = layers.Add(name=f"{name}_add{step}")([x, skip])
        x = BatchNormalization(momentum=0.95, name=f"{name}_norm{step}")(x)
        x = layers.ReLU(name=f"{name}_relu{step}")(x)
    logits = layers.Conv2DTranspose(channels, 2 * stride, stride, "same", name=f"{name}_to_full_size")(x)
    return layers.Activation("linear", dtype="float32", name=name)(logits)


class MeanOverForeground(layers.Layer):
    """Mean of features [B, h, w, c] weighted by the foreground's probability: [B, c].

    Reads features and mask logits [B, S, S, 1] or, of several classes, [B, S, S, K + 1], background first.
    """

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        features, mask = inputs
        mask = ops.cast(mask, features.dtype)
        foreground = ops.sigmoid(mask) if mask.shape[-1] == 1 else 1.0 - ops.softmax(mask)[..., :1]
        # The class must not teach the mask: what helps to name it (a face) is not the outline.
        share = ops.average_pool(ops.stop_gradient(foreground), mask.shape[1] // features.shape[1])
        return ops.sum(features * share, axis=[1, 2]) / (ops.sum(share, axis=[1, 2]) + 1e-3)


def _conv_norm_relu(x: keras.KerasTensor, channels: int, kernel: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(channels, kernel, padding="same", use_bias=False, name=name)(x)
    x = BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
