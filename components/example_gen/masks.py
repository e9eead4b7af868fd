"""Preparation of one trimap with OpenCV: decode, check, border rule, speck removal, re-encode.

It runs in a Beam DoFn before Transform: a Python function inside a Transform graph is lost when another
process loads the saved graph.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from schema import pets

Border = Literal["pet", "background", "ignore"]
Mask = NDArray[np.uint8]

TRIMAP_PET, TRIMAP_BACKGROUND, TRIMAP_BORDER = 1, 2, 3
"""Pixel values of an Oxford-IIIT trimap."""

_BORDER_BECOMES = {"pet": pets.MASK_PET, "background": pets.MASK_BACKGROUND, "ignore": pets.MASK_IGNORED}


class PreparedMask(NamedTuple):
    """A mask as the examples carry it, and what was measured on the way."""

    png: bytes
    """One grey channel of `schema.pets.MASK_*`."""
    pet_share: float
    """Pixels of pet as a share of all pixels, in [0, 1]."""
    dropped_pixels: int
    """Pixels that changed sides because they belonged to a speck."""


def prepare_mask(trimap_png: bytes, image_size: tuple[int, int], border: Border, min_speck: float) -> PreparedMask:
    """Makes a clean mask of one trimap.

    Args:
      trimap_png: The encoded trimap; grey, palette and colour files are all read as one grey channel.
      image_size: (height, width) of the photo that the trimap belongs to, in pixels.
      border: What the trimap's border band counts as.
      min_speck: Connected areas smaller than this share of the picture are dropped, in [0, 1).

    Raises:
      ValueError: The trimap cannot be decoded, is not of the photo's size, or holds other values than 1, 2, 3.
    """
    trimap = _decode(trimap_png)
    _check(trimap, image_size)
    mask = _apply_border(trimap, border)
    clean = drop_specks(mask, min_speck * mask.size)
    return PreparedMask(
        png=_encode(clean),
        pet_share=np.count_nonzero(clean == pets.MASK_PET) / clean.size,
        dropped_pixels=int(np.count_nonzero(clean != mask)),
    )


def drop_specks(mask: Mask, min_pixels: float) -> Mask:
    """Gives specks of pet to the background, then holes in the pet to the pet.

    A speck is a connected area of fewer than `min_pixels`: 8-connected for pet, 4-connected for background,
    so that the two never cross. The largest area of pet stays whatever its size, and ignored pixels stay ignored.

    Args:
      mask: `schema.pets.MASK_*`, [H, W].
      min_pixels: Size of the smallest area that stays.
    """
    clean = mask.copy()
    specks, small = _small_areas(clean == pets.MASK_PET, min_pixels, connectivity=8, keep_largest=True)
    clean[small[specks]] = pets.MASK_BACKGROUND
    if (clean == pets.MASK_PET).any():
        holes, small = _small_areas(clean == pets.MASK_BACKGROUND, min_pixels, connectivity=4, keep_largest=False)
        clean[small[holes]] = pets.MASK_PET
    return clean


def _small_areas(
    area: NDArray[np.bool_], min_pixels: float, connectivity: int, keep_largest: bool
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels [H, W] of the connected parts of `area` (0 outside it), and for each label whether to drop that part."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(area.astype(np.uint8), connectivity=connectivity)
    sizes = stats[:, cv2.CC_STAT_AREA]
    small = sizes < min_pixels
    small[0] = False
    if keep_largest and count > 1:
        small[1 + sizes[1:].argmax()] = False
    return np.asarray(labels), small


def _decode(png: bytes) -> Mask:
    trimap = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE) if png else None
    if trimap is None:
        raise ValueError(f"the trimap ({len(png)} bytes) is not an image that OpenCV can decode")
    return trimap.astype(np.uint8, copy=False)


def _check(trimap: Mask, image_size: tuple[int, int]) -> None:
    if trimap.shape != tuple(image_size):
        raise ValueError(f"the trimap is {_size(trimap.shape)}, but the image is {_size(image_size)}")
    found = np.flatnonzero(np.bincount(trimap.ravel()))
    if not set(found) <= {TRIMAP_PET, TRIMAP_BACKGROUND, TRIMAP_BORDER}:
        raise ValueError(f"the trimap holds the values {found.tolist()}; known are 1 pet, 2 background, 3 border")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"


def _apply_border(trimap: Mask, border: Border) -> Mask:
    table = np.zeros(256, np.uint8)
    table[TRIMAP_PET] = pets.MASK_PET
    table[TRIMAP_BACKGROUND] = pets.MASK_BACKGROUND
    table[TRIMAP_BORDER] = _BORDER_BECOMES[border]
    return table[trimap]


def _encode(mask: Mask) -> bytes:
    done, png = cv2.imencode(".png", mask)
    if not done:
        raise ValueError(f"OpenCV cannot encode a mask of {_size(mask.shape)}")
    return png.tobytes()
