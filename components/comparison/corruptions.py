"""Photos made worse as a phone makes them worse: out of focus, shaken, noisy, badly lit, saved too small.

Kinds and strengths are those of ImageNet-C (Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261), whose
photos were first made 256 pixels high or wide, whichever is less; lengths here are in such pixels. They are scaled to a
smaller photo, and a larger one is to be `shrunk` first, since noise and JPEG's blocks come in pixels and would vanish.

| kind             | what of ImageNet-C           | strengths 1 to 5                                         |
|------------------|------------------------------|----------------------------------------------------------|
| `defocus`        | defocus blur                 | a disc's radius: 3, 4, 6, 8, 10 pixels                   |
| `motion blur`    | motion blur                  | sigma of half a Gaussian: 3, 5, 8, 12, 15 pixels, within |
|                  |                              | 45 degrees of level; its mean stays where the pixel was, |
|                  |                              | for the true mask stays too                              |
| `noise`          | Gaussian noise               | sigma: 0.08, 0.12, 0.18, 0.26, 0.38 of white             |
| `JPEG`           | JPEG compression             | quality: 25, 18, 15, 10, 7                               |
| `bright`         | brightness                   | HSV's value + 0.1, 0.2, 0.3, 0.4, 0.5                    |
| `dark`           | its opposite, not among them | HSV's value - 0.1, 0.2, 0.3, 0.4, 0.5                    |
| `low resolution` | pixelate                     | 0.6, 0.5, 0.4, 0.3, 0.25 of the pixels a side; enlarged  |
|                  |                              | again bilinearly, as Transform enlarges                  |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
"""[H, W, 3], RGB, of any size."""

STRENGTHS = (1, 2, 3, 4, 5)

_SIDE = 256


def shrunk(photo: Photo) -> Photo:
    """The photo with the shorter side at most 256 pixels long."""
    factor = _SIDE / min(photo.shape[:2])
    return photo if factor >= 1 else _resized(photo, factor)


def defocus(photo: Photo, strength: int, _: np.random.Generator) -> Photo:
    """Each pixel is the mean of a disc."""
    radius = (3, 4, 6, 8, 10)[strength - 1] * _scale(photo)
    reach = math.ceil(radius)
    row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _filtered(photo, np.clip(radius + 0.5 - np.hypot(row, column), 0, 1))


def motion_blur(photo: Photo, strength: int, generator: np.random.Generator) -> Photo:
    """Each pixel is smeared along a line, fading."""
    sigma = (3, 5, 8, 12, 15)[strength - 1] * _scale(photo)
    reach = math.ceil(3 * sigma)
    along = np.arange(-reach, reach + 1) + sigma * math.sqrt(2 / math.pi)  # the mean of half a Gaussian
    kernel = np.zeros((len(along), len(along)))
    kernel[reach] = np.where(along >= 0, np.exp(-((along / sigma) ** 2) / 2), 0)
    turn = cv2.getRotationMatrix2D((reach, reach), generator.uniform(-45, 45), 1)
    return _filtered(photo, np.asarray(cv2.warpAffine(kernel, turn, kernel.shape)))


def noise(photo: Photo, strength: int, generator: np.random.Generator) -> Photo:
    """Each channel of each pixel is off by chance."""
    sigma = (0.08, 0.12, 0.18, 0.26, 0.38)[strength - 1]
    return _photo(photo + 255 * sigma * generator.standard_normal(photo.shape, np.float32))


def jpeg(photo: Photo, strength: int, _: np.random.Generator) -> Photo:
    """Saved as a JPEG of low quality."""
    quality = (25, 18, 15, 10, 7)[strength - 1]
    encoded = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def bright(photo: Photo, strength: int, _: np.random.Generator) -> Photo:
    """Too much light, or too long a time."""
    return _lit(photo, 0.1 * strength)


def dark(photo: Photo, strength: int, _: np.random.Generator) -> Photo:
    """Too little."""
    return _lit(photo, -0.1 * strength)


def low_resolution(photo: Photo, strength: int, _: np.random.Generator) -> Photo:
    """Saved small, and enlarged."""
    factor = (0.6, 0.5, 0.4, 0.3, 0.25)[strength - 1] / _scale(photo)
    if factor >= 1:
        return photo
    return np.asarray(cv2.resize(_resized(photo, factor), photo.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


KINDS: dict[str, Callable[[Photo, int, np.random.Generator], Photo]] = {
    "defocus": defocus,
    "motion blur": motion_blur,
    "noise": noise,
    "JPEG": jpeg,
    "bright": bright,
    "dark": dark,
    "low resolution": low_resolution,
}


def corrupt(photo: Photo, kind: str, strength: int, name: str) -> Photo:
    """The photo made worse.

    Args:
      photo: As it is; at most 256 pixels high or wide, or its noise would be finer than ImageNet-C's.
      kind: One of `KINDS`.
      strength: One of `STRENGTHS`.
      name: The photo's; what chance does to it is the same in every run, and at every strength.

    Returns:
      uint8 [H, W, 3], as large as it was.
    """
    return KINDS[kind](photo, strength, np.random.default_rng([list(KINDS).index(kind), *name.encode()]))


def _scale(photo: Photo) -> float:
    return min(photo.shape[:2]) / _SIDE


def _resized(photo: Photo, factor: float) -> Photo:
    height, width = (max(round(factor * side), 1) for side in photo.shape[:2])
    return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _filtered(photo: Photo, kernel: NDArray[np.float64]) -> Photo:
    return np.asarray(cv2.filter2D(photo, -1, kernel / kernel.sum()), np.uint8)


def _lit(photo: Photo, change: float) -> Photo:
    hsv = np.asarray(cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2HSV))
    hsv[..., 2] = np.clip(hsv[..., 2] + change, 0, 1)
    return _photo(255 * np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)))


def _photo(values: NDArray[Any]) -> Photo:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
