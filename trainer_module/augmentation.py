"""Random changes of training pictures, a batch at a time, in TensorFlow ops; reproducible from a stateless seed."""

from __future__ import annotations

import math

import tensorflow as tf

from trainer_module.config import Augmentation

# Luma of ITU-R BT.601, the grey that saturation is measured from.
_LUMA = (0.299, 0.587, 0.114)


def augment(
    image: tf.Tensor, mask: tf.Tensor, size: int, settings: Augmentation, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops, turns, mirrors and resizes image and mask together, then changes the image's colours.

    Args:
        image: uint8 [B, h, w, 3].
        mask: uint8 [B, h, w, 1] of `schema.pets.MASK_*`.
        size: side of the result, in pixels.
        settings: how much of each change.
        seed: int64 [2], a stateless seed; the same seed gives the same result.

    Returns:
        image uint8 [B, size, size, 3] and mask uint8 [B, size, size, 1].
    """
    seeds = tf.unstack(tf.random.split(seed, 2))
    transforms = _random_transforms(tf.shape(image), size, settings, seeds[0])
    image = _warp(image, transforms, size, "BILINEAR")
    mask = _warp(mask, transforms, size, "NEAREST")
    if settings.colour > 0:
        image = _jitter_colours(image, settings.colour, seeds[1])
    return image, mask


def cutmix(
    image: tf.Tensor, mask: tf.Tensor, label: tf.Tensor, share: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Pastes one random square of each picture's opposite in the batch into it (Yun et al. 2019), mask and label alike.

    Args:
        image: [B, S, S, 3], any type.
        mask: [B, S, S, 1], any type.
        label: float32 [B, classes], each class's share of the picture.
        share: how many batches of all are mixed, in [0, 1].
        seed: int64 [2], a stateless seed.

    Returns:
        The same three; a mixed label holds each class's share of the area.
    """
    size = image.shape[1]
    chance, area, y, x = tf.unstack(tf.random.stateless_uniform([4], seed))
    half_side = tf.where(chance < share, tf.sqrt(area), 0.0) / 2.0
    position = (tf.range(size, dtype=tf.float32) + 0.5) / size
    pasted = (tf.abs(position - y) < half_side)[:, None] & (tf.abs(position - x) < half_side)[None, :]
    kept = 1.0 - tf.reduce_mean(tf.cast(pasted, tf.float32))
    pasted = pasted[None, :, :, None]
    label = kept * label + (1.0 - kept) * label[::-1]
    return tf.where(pasted, image[::-1], image), tf.where(pasted, mask[::-1], mask), label


def _random_transforms(shape_bhwc: tf.Tensor, size: int, settings: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Draws one affine map a picture, from output to input pixels: float32 [B, 8] for ImageProjectiveTransformV3."""
    count = shape_bhwc[0]
    height, width = tf.cast(shape_bhwc[1], tf.float32), tf.cast(shape_bhwc[2], tf.float32)
    seeds = tf.unstack(tf.random.split(seed, 6))

    def uniform(index: int, low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform([count], seeds[index], low, high)

    # Crops are drawn by area, as in Inception's and ResNet's training.
    scale = tf.sqrt(uniform(0, settings.min_scale**2, 1.0))
    stretch = tf.exp(uniform(1, -0.5, 0.5) * math.log(settings.aspect))
    crop_y, crop_x = tf.minimum(scale * stretch, 1.0), tf.minimum(scale / stretch, 1.0)
    shift_y, shift_x = (1.0 - crop_y) * uniform(2, -0.5, 0.5), (1.0 - crop_x) * uniform(3, -0.5, 0.5)
    angle = uniform(4, -1.0, 1.0) * (settings.rotation * math.pi / 180.0)
    flip = tf.where(uniform(5, 0.0, 1.0) < 0.5, -1.0, 1.0) if settings.flip else tf.ones([count])

    # Output pixel -> offset from the output's centre -> scaled, turned, moved offset from the input's centre.
    centre = (size - 1) / 2.0
    step_x, step_y = flip * crop_x * width / size, crop_y * height / size
    cos, sin = tf.cos(angle), tf.sin(angle)
    a0, a1 = cos * step_x, -sin * step_y
    b0, b1 = sin * step_x, cos * step_y
    a2 = (width - 1.0) / 2.0 + shift_x * width - (a0 + a1) * centre
    b2 = (height - 1.0) / 2.0 + shift_y * height - (b0 + b1) * centre
    zeros = tf.zeros([count])
    return tf.stack([a0, a1, a2, b0, b1, b2, zeros, zeros], axis=1)


def _warp(pictures: tf.Tensor, transforms: tf.Tensor, size: int, interpolation: str) -> tf.Tensor:
    # Beyond the picture its mirror image continues: a turned corner shows fur or grass rather than black.
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=transforms,
        output_shape=[size, size],
        interpolation=interpolation,
        fill_mode="REFLECT",
        fill_value=0.0,
    )
    warped.set_shape([None, size, size, pictures.shape[-1]])
    return warped


def _jitter_colours(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Scales brightness, contrast (about each picture's mean) and saturation (about its grey) by 1 +- strength."""
    factors = tf.random.stateless_uniform([3, tf.shape(image)[0], 1, 1, 1], seed, 1.0 - strength, 1.0 + strength)
    pixels = tf.cast(image, tf.float32) * factors[0]
    mean = tf.reduce_mean(pixels, axis=[1, 2, 3], keepdims=True)
    pixels = mean + (pixels - mean) * factors[1]
    grey = tf.reduce_sum(pixels * tf.constant(_LUMA), axis=-1, keepdims=True)
    pixels = grey + (pixels - grey) * factors[2]
    return tf.cast(tf.clip_by_value(pixels, 0.0, 255.0), tf.uint8)
