"""TensorFlow's two ways to resize, in NumPy and to the last bit: an engine's figures are then the SavedModel's.

They compute in float32 in the order of TensorFlow's own kernels. Pillow rounds otherwise, and between the two axes; a
level more or less in every fifth pixel moved a trained network's probability by up to 0.04.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_F = np.float32


def network_input(photo: NDArray[np.uint8], image_size: int, input_size: int) -> NDArray[np.uint8]:
    """What the network sees of a photo uint8 [h, w, 3]: uint8 [S, S, 3], as `serving_default` resizes it.

    Args:
        photo: RGB, upright.
        image_size: side of the square that it is stretched to first.
        input_size: S.
    """
    square = _levels(antialiased(photo, image_size))
    if input_size == image_size:
        return square
    return _levels(antialiased(square, input_size) if input_size < image_size else bilinear(square, (input_size,) * 2))


def antialiased(values: NDArray, size: int) -> Floats:
    """`tf.image.resize(values, [size, size], antialias=True)` of [h, w, c], where the triangle grows as they shrink."""
    for _ in "yx":
        sources, weights = _triangles(values.shape[0], size)
        taps = (values[sources[:, k]] * weights[:, k, None, None] for k in range(weights.shape[1]))
        resized = next(taps)
        for tap in taps:
            resized += tap
        values = np.ascontiguousarray(resized.swapaxes(0, 1))
    return values


def bilinear(values: NDArray, size: tuple[int, int]) -> Floats:
    """`tf.image.resize(values, size)` of [h, w, c] to (height, width), between the four nearest pixels."""
    for axis in (1, 0):
        count = values.shape[axis]
        at = (np.arange(size[axis], dtype=_F) + _F(0.5)) * (_F(count) / _F(size[axis])) - _F(0.5)
        before = np.floor(at)
        share = (at - before)[:, None, None] if axis == 0 else (at - before)[:, None]
        low = values.take(np.maximum(before.astype(int), 0), axis).astype(_F)
        high = values.take(np.minimum(np.ceil(at).astype(int), count - 1), axis)
        values = low + (high - low) * share
    return values


def _triangles(count: int, size: int) -> tuple[NDArray[np.int64], Floats]:
    """Which of `count` pixels each of `size` is made of, and their weights: both [size, k]."""
    step = _F(1) / (_F(size) / _F(count))
    radius = max(step, _F(1))
    centres = (np.arange(size, dtype=_F) + _F(0.5)) * step
    first = np.clip(np.ceil(centres - radius - _F(0.5)), 0, count - 1).astype(int)
    last = np.clip(np.floor(centres + radius - _F(0.5)), 0, count - 1).astype(int)
    sources = first[:, None] + np.arange((last - first).max() + 1)
    distances = np.abs((sources.astype(_F) + _F(0.5) - centres[:, None]) * (_F(1) / radius))
    weights = np.where(sources <= last[:, None], np.maximum(_F(1) - distances, _F(0)), _F(0))
    total = np.add.accumulate(weights, axis=1)[:, -1:]  # one after the other: `sum` adds in another order
    return np.minimum(sources, count - 1), (weights * (_F(1) / total)).astype(_F)


def _levels(values: Floats) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
