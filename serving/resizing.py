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
    values = values.astype(_F)
    for _ in "yx":
        if len(values) != size:  # else each is made of itself
            sources, weights = _triangles(len(values), size)
            resized = np.zeros((size, *values.shape[1:]), _F)
            tap = np.empty_like(resized)
            for source, weight in zip(sources.T, weights.T, strict=True):
                values.take(source, 0, out=tap, mode="clip")  # the mode that copies straight into `out`
                tap *= weight[:, None, None]
                resized += tap
            values = resized
        values = _turned(values)
    return values


def bilinear(values: NDArray, size: tuple[int, int]) -> Floats:
    """`tf.image.resize(values, size)` of [h, w, c] to (height, width), between the four nearest pixels."""
    values = _turned(values.astype(_F))
    for wanted in (size[1], size[0]):
        count = len(values)
        at = (np.arange(wanted, dtype=_F) + _F(0.5)) * (_F(count) / _F(wanted)) - _F(0.5)
        before = np.floor(at)
        low = values[np.maximum(before.astype(int), 0)]
        step = values[np.minimum(np.ceil(at).astype(int), count - 1)]
        step -= low
        step *= (at - before)[:, None, None]
        low += step
        values = _turned(low)
    return _turned(values)


def _turned(values: Floats) -> Floats:
    """Rows for columns [w, h, c], laid out anew, pixel by pixel: whole rows are then read at once."""
    height, width, channels = values.shape
    pixels = values.view(f"V{values.itemsize * channels}")[..., 0]
    return np.ascontiguousarray(pixels.T).view(_F).reshape(width, height, channels)


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
    # In place: what a photo needs of memory takes longer to get than to fill.
    return np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8)
