"""Photos and masks of the report, as small files: JPEG for photos, PNG for masks."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Okabe and Ito's colours: told apart with any colour vision, and in grey.
FALSE_ALARM = (230, 159, 0)
MISS = (86, 180, 233)
FOUND = (150, 150, 150)
BACKGROUND = (243, 243, 243)
IGNORED = (255, 255, 255)
TINT = (0, 114, 178)

PANELS = {
    "photo": "Photo",
    "truth": "Ground truth",
    "prediction": "Prediction",
    "overlay": "Overlay",
    "errors": "Error map",
}
"""Of each case with a mask, in the order in which they stand side by side: key and caption."""


def write_photo(photo: Array, path: str, side: int = 0) -> None:
    """Writes uint8 [H, W, 3] RGB as JPEG, shrunk to `side` pixels if that is given."""
    if side:
        photo = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    _write(path, photo, [cv2.IMWRITE_JPEG_QUALITY, 82, cv2.IMWRITE_JPEG_OPTIMIZE, 1])


def write_panels(photo: Array, truth: Array, counted: Array, prediction: Array, stem: str) -> dict[str, str]:
    """Writes the five `PANELS` of one case.

    Args:
      photo: uint8 [H, W, 3], RGB.
      truth: bool [H, W], the ground truth.
      counted: bool [H, W], False where the truth is unknown.
      prediction: bool [H, W].
      stem: Path of the files without `-PANEL.jpg` or `-PANEL.png`.

    Returns:
      The file's path of each panel.
    """
    paths = {panel: f"{stem}-{panel}.{'jpg' if panel in ('photo', 'overlay') else 'png'}" for panel in PANELS}
    write_photo(photo, paths["photo"])
    _write(paths["truth"], _two_tone(truth, counted))
    _write(paths["prediction"], _two_tone(prediction, np.ones_like(counted)))
    write_photo(overlay(photo, truth, prediction), paths["overlay"])
    _write(paths["errors"], error_map(truth, counted, prediction))
    return paths


def overlay(photo: Array, truth: Array, prediction: Array) -> Array:
    """The photo, the prediction tinted, the ground truth's outline in white: uint8 [H, W, 3]."""
    tinted = np.where(prediction[..., None], 0.5 * photo + 0.5 * np.array(TINT), photo).astype(np.uint8)
    outline, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.ascontiguousarray(tinted), outline, -1, (255, 255, 255), 1)


def error_map(truth: Array, counted: Array, prediction: Array) -> Array:
    """Pixels found, missed, wrongly found, and background, each in its colour: uint8 [H, W, 3]."""
    colours = np.array([BACKGROUND, FALSE_ALARM, MISS, FOUND], np.uint8)
    return np.where(counted[..., None], colours[2 * truth.astype(np.uint8) + prediction], np.array(IGNORED, np.uint8))


def _two_tone(mask: Array, counted: Array) -> Array:
    """Pet dark on light; unknown pixels half-way: uint8 [H, W]."""
    return np.where(counted, np.where(mask, 60, 243), 190).astype(np.uint8)


def _write(path: str, pixels: Array, options: list[int] | None = None) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    bgr = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    if not cv2.imwrite(path, np.ascontiguousarray(bgr), options or [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"OpenCV could not write {path}")
