"""Random changes of training pictures, a batch at a time; reproducible from a stateless seed.

TensorFlow draws what to do, OpenCV does it: its warp of a photo is several times as fast as TensorFlow's
(docs/training.md), and only training runs it, in the process that built the data set, so no saved graph needs it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import tensorflow as tf

from trainer_module.config import Augmentation

# Luma of ITU-R BT.601, the grey that saturation is measured from.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# tf.data has a batch in work on each core already.
cv2.setNumThreads(1)


def augment(picture: tf.Tensor, size: int, settings: Augmentation, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops, turns, mirrors and resizes image and mask together, then changes the image's colours.

    Args:
        picture: uint8 [B, h, w, 4], red, green, blue and the mask of `schema.record`: OpenCV warps four channels
            in less than half of the time of three.
        size: side of the result, in pixels.
        settings: how much of each change.
        seed: int64 [2], a stateless seed; the same seed gives the same result.

    Returns:
        image uint8 [B, size, size, 3] and mask uint8 [B, size, size, 1].
    """
    seeds = tf.unstack(tf.random.split(seed, 2))
    count = tf.shape(picture)[0]
    transforms = _random_transforms(tf.shape(picture), size, settings, seeds[0])
    factors = tf.random.stateless_uniform([count, 3], seeds[1], 1.0 - settings.colour, 1.0 + settings.colour)
    image, mask = tf.numpy_function(_change, [picture, transforms, factors, size], [tf.uint8, tf.uint8], stateful=False)
    return tf.ensure_shape(image, [None, size, size, 3]), tf.ensure_shape(mask, [None, size, size, 1])


def cutmix(
    image: tf.Tensor, mask: tf.Tensor, label: tf.Tensor, share: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Pastes one random square of each picture's opposite in the batch into it (Yun et al. 2019), mask and label alike.

    Args:
        image: uint8 [B, S, S, 3].
        mask: uint8 [B, S, S, 1].
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
    rows, columns = tf.abs(position - y) < half_side, tf.abs(position - x) < half_side
    pasted = tf.reduce_mean(tf.cast(rows, tf.float32)) * tf.reduce_mean(tf.cast(columns, tf.float32))
    label = (1.0 - pasted) * label + pasted * label[::-1]
    new_image, new_mask = tf.numpy_function(
        _paste_opposites, [image, mask, rows, columns], [tf.uint8, tf.uint8], stateful=False
    )
    return tf.ensure_shape(new_image, image.shape), tf.ensure_shape(new_mask, mask.shape), label


def _random_transforms(shape_bhwc: tf.Tensor, size: int, settings: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Draws one affine map a picture, from output to input pixels: float32 [B, 2, 3]."""
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
    return tf.stack([tf.stack([a0, a1, a2], axis=1), tf.stack([b0, b1, b2], axis=1)], axis=1)


def _change(
    pictures: np.ndarray, transforms: np.ndarray, factors: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Warps a batch and changes its colours; arguments and results as in `augment`."""
    images = np.empty((len(pictures), size, size, 3), np.uint8)
    masks = np.empty((len(pictures), size, size, 1), np.uint8)
    warped = np.empty((size, size, 4), np.uint8)
    for picture, transform, factor, image, mask in zip(pictures, transforms, factors, images, masks, strict=True):
        _warp(picture, transform, cv2.INTER_LINEAR, warped)
        cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB, image)
        _warp(cv2.extractChannel(picture, 3), transform, cv2.INTER_NEAREST, mask)
        if np.any(factor != 1.0):
            _change_colours(image, factor)
    return images, masks


def _warp(picture: np.ndarray, transform: np.ndarray, interpolation: int, out: np.ndarray) -> None:
    # Beyond the picture its mirror image continues: a turned corner shows fur or grass rather than black.
    flags = interpolation | cv2.WARP_INVERSE_MAP
    cv2.warpAffine(picture, transform, out.shape[:2], out, flags, cv2.BORDER_REFLECT)


def _paste_opposites(
    images: np.ndarray, masks: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fills the rows and columns that are True (bool [S], in one piece) from the batch in reverse order."""
    window = np.s_[:, _range(rows), _range(columns)]
    new_images, new_masks = images.copy(), masks.copy()
    new_images[window], new_masks[window] = images[::-1][window], masks[::-1][window]
    return new_images, new_masks


def _range(chosen: np.ndarray) -> slice:
    start = int(chosen.argmax())
    return slice(start, start + int(chosen.sum()))


def _change_colours(image: np.ndarray, factors: np.ndarray) -> None:
    """Scales brightness, contrast (about the picture's mean) and saturation (about its grey) by `factors`, in place.

    The three, one after the other, are one affine map of a pixel's colour.
    """
    brightness, contrast, saturation = factors
    matrix = brightness * contrast * (saturation * np.eye(3, dtype=np.float32) + (1.0 - saturation) * _LUMA)
    offset = (1.0 - contrast) * brightness * np.mean(cv2.mean(image)[:3])
    cv2.transform(image, np.c_[matrix, np.full(3, offset)], image)
