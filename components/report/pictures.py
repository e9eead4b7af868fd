"""Photos and masks of the report, as small files: JPEG for photos, PNG for masks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from schema import record

Array = npt.NDArray[Any]

# Okabe and Ito's colours: told apart with any colour vision, and in grey.
FALSE_ALARM = (230, 159, 0)
MISS = (86, 180, 233)
MIXED_UP = (204, 121, 167)
FOUND = (150, 150, 150)
BACKGROUND = (243, 243, 243)
IGNORED = (255, 255, 255)
UNKNOWN = (190, 190, 190)
TINT = (0, 114, 178)
GIVEN_OUTLINE, OUTLINE = FALSE_ALARM, MISS
CLASS_COLOURS = (TINT, (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (240, 228, 66))
"""Of several foreground classes, in their order, and round again."""

PANELS = {
    "photo.jpg": "Photo",
    "truth.png": "Ground truth",
    "prediction.png": "Prediction",
    "overlay.jpg": "Overlay",
    "errors.png": "Error map",
}
"""Of each case with a mask, in the order in which they stand side by side: the end of the file's name, and caption."""


def write_photo(photo: Array, path: str, side: int = 0) -> None:
    """Writes uint8 [H, W, 3] RGB as JPEG, shrunk to `side` pixels if that is given."""
    if side:
        photo = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    _write(path, photo, [cv2.IMWRITE_JPEG_QUALITY, 82, cv2.IMWRITE_JPEG_OPTIMIZE, 1])


def write_panels(photo: Array, truth: Array, prediction: Array, several: bool, stem: str) -> None:
    """Writes the five `PANELS` of one case.

    Args:
      photo: uint8 [H, W, 3], RGB.
      truth: uint8 [H, W]: class indices, 0 background, `record.MASK_IGNORED` unknown.
      prediction: uint8 [H, W] of class indices.
      several: Whether there is more than one foreground class.
      stem: Path of the files without `-PANEL`.
    """
    write_photo(photo, f"{stem}-photo.jpg")
    draw = class_map if several else two_tone
    _write(f"{stem}-truth.png", draw(truth))
    _write(f"{stem}-prediction.png", draw(prediction))
    write_photo(overlay(photo, truth, prediction), f"{stem}-overlay.jpg")
    _write(f"{stem}-errors.png", error_map(truth, prediction))


def overlay(photo: Array, truth: Array, prediction: Array) -> Array:
    """The photo, the prediction tinted by class, the ground truth's outlines in white: uint8 [H, W, 3]."""
    tints = _colours_of_classes()[prediction]
    drawn = np.where((prediction > 0)[..., None], 0.5 * photo + 0.5 * tints, photo).astype(np.uint8)
    drawn = np.ascontiguousarray(drawn)
    _outline(drawn, truth, (255, 255, 255))
    return drawn


def outlines(photo: Array, given: Array, others: Sequence[Array]) -> Array:
    """The photo with the outlines of the given mask and of the others, each in its colour: uint8 [H, W, 3]."""
    drawn = np.ascontiguousarray(photo)
    for mask, colour in (*((other, OUTLINE) for other in others), (given, GIVEN_OUTLINE)):
        _outline(drawn, mask, colour, thickness=2)
    return drawn


def error_map(truth: Array, prediction: Array) -> Array:
    """Pixels found, missed, wrongly found, taken for another class, background, each in its colour: uint8 [H, W, 3]."""
    kinds = [
        truth == record.MASK_IGNORED,
        (truth == 0) & (prediction == 0),
        truth == prediction,
        truth == 0,
        prediction == 0,
    ]
    colours = np.array([IGNORED, BACKGROUND, FOUND, FALSE_ALARM, MISS, MIXED_UP], np.uint8)
    return colours[np.select(kinds, range(len(kinds)), default=len(kinds))]


def _outline(drawn: Array, mask: Array, colour: tuple[int, int, int], thickness: int = 1) -> None:
    for one in np.unique(mask[(mask > 0) & (mask != record.MASK_IGNORED)]):
        outline, _ = cv2.findContours((mask == one).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outline, -1, colour, thickness)


def two_tone(mask: Array) -> Array:
    """One foreground class dark on light; unknown pixels half-way: uint8 [H, W]."""
    return np.select([mask == record.MASK_IGNORED, mask > 0], [190, 60], default=243).astype(np.uint8)


def class_map(mask: Array) -> Array:
    """Each class in its colour: uint8 [H, W, 3]."""
    return _colours_of_classes()[mask]


def _colours_of_classes() -> Array:
    """uint8 [256, 3]: the colour of each value of a mask."""
    colours = np.array([BACKGROUND, *(CLASS_COLOURS[k % len(CLASS_COLOURS)] for k in range(255))], np.uint8)
    colours[record.MASK_IGNORED] = UNKNOWN
    return colours


def _write(path: str, pixels: Array, options: list[int] | None = None) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    bgr = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    if not cv2.imwrite(path, np.ascontiguousarray(bgr), options or [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"OpenCV could not write {path}")
