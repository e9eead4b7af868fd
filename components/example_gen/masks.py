"""Masks at ingestion, with OpenCV: read, checked, turned into classes, freed of specks, written as clean PNG.

It runs in a Beam DoFn before Transform: a Python function inside a Transform graph is lost when another
process loads the saved graph.
"""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.datasets import mask_values, storage
from components.example_gen import images
from schema import dataset_spec, record

Mask = NDArray[np.uint8]
Values = NDArray[Any]
"""uint8 or uint16."""

_PNG = b"\x89PNG\r\n\x1a\n"
_GREY = (b"\x08\x00", b"\x10\x00")
"""PNG's bit depth and colour type of grey pictures of 8 and 16 bits."""
_NAMED_VALUES = 10
"""So many unexpected values a message names."""


class PreparedMask(NamedTuple):
    """A mask as the records carry it, and what was measured on the way."""

    png: bytes
    """One grey channel: 0 background, k the k-th class, `schema.record.MASK_IGNORED`."""
    share: float
    """Pixels of the foreground as a share of all pixels, in [0, 1]."""
    speck_pixels: Mapping[str, int]
    """Pixels that a class lost or won because they belonged to a speck or a hole; classes without any are missing."""
    between_pixels: int
    """Pixels whose value stands for nothing, which became the nearest that does."""
    turned: bool
    """Whether it was turned as the photo was."""
    known: bool = True
    """Whether there is one; else every pixel is unknown."""


def prepare_mask(
    data: bytes, size: tuple[int, int], spec: dataset_spec.Mask, min_speck: float, orientation: int = 1
) -> PreparedMask:
    """Makes a clean mask of one mask file.

    Args:
      data: The encoded mask.
      size: (height, width) of the upright photo that it belongs to, in pixels.
      spec: Which values stand for what.
      min_speck: Connected areas smaller than this share of the picture are dropped, in [0, 1).
      orientation: EXIF's, that was applied to the photo. A mask of the size that the photo had before is turned with
        it; one of the upright size is left, also where the two sizes are the same.

    Raises:
      ValueError: It cannot be decoded, is not of the photo's size, or holds values that stand for nothing.
    """
    turn = is_to_turn(_header_size(data), size, orientation)
    values = read_values(data)
    mask, between = _classes(images.turned(values, orientation) if turn else values, spec)
    clean = drop_specks(mask, min_speck * mask.size, len(spec.classes)) if min_speck else mask
    return PreparedMask(
        png=_encode(clean),
        share=np.count_nonzero((clean != record.MASK_BACKGROUND) & (clean != record.MASK_IGNORED)) / clean.size,
        speck_pixels=_changes(mask, clean, spec),
        between_pixels=between,
        turned=turn,
    )


def is_to_turn(found: tuple[int, int], size: tuple[int, int], orientation: int) -> bool:
    """Whether a mask of the size `found` is as its photo was stored; the others as `prepare_mask` takes them.

    Raises:
      ValueError: It is not of the photo's size.
    """
    if found not in (size, size[::-1] if orientation >= 5 else size):
        raise ValueError(f"it is {_text(found)}, but the photo is {_text(size)}")
    return found != size


@functools.lru_cache(maxsize=64)
def unknown_mask(size: tuple[int, int]) -> PreparedMask:
    """The mask of a photo of (height, width) pixels that has none: every pixel is unknown."""
    return PreparedMask(_encode(np.full(size, record.MASK_IGNORED, np.uint8)), 0.0, {}, 0, False, known=False)


def read_values(data: bytes) -> Values:
    """The values as the file holds them, [H, W]: of a palette picture its indices, of 16 bits all 16.

    Colour is read where the channels agree. A channel of transparency is left out.

    Raises:
      ValueError: It is no picture, or one whose colours have no one value.
    """
    if data[:8] == _PNG and data[24:26] in _GREY:
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # faster than Pillow
        if grey is None or grey.ndim != 2:
            raise ValueError("the mask cannot be read: it is cut or damaged")
        return np.asarray(grey)
    try:
        return mask_values.pixels(data)
    except ValueError:
        raise
    except Exception as error:  # hostile bytes make Pillow raise anything
        raise ValueError(f"the mask cannot be read: {error}") from error


def _header_size(data: bytes) -> tuple[int, int]:
    """(height, width) as its header claims, nothing decoded."""
    if data[:8] == _PNG and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return height, width
    try:
        with Image.open(io.BytesIO(data), formats=storage.FORMATS) as header:
            return header.height, header.width
    except Exception as error:  # as in `read_values`
        raise ValueError(f"it ({len(data)} bytes) is no picture that can be read") from error


def _classes(values: Values, spec: dataset_spec.Mask) -> tuple[Mask, int]:
    """Classes of the values, and how many pixels had a value that stands for nothing."""
    table, known = _tables(spec)
    between = values.size - int(np.count_nonzero(known[values]))
    if between and spec.between == "refuse":
        found = np.unique(values)
        wrong = [str(value) for value in found[~known[found]]]
        more = f" and {len(wrong) - _NAMED_VALUES} more" if len(wrong) > _NAMED_VALUES else ""
        raise ValueError(f"it holds {', '.join(wrong[:_NAMED_VALUES])}{more}; known are {_meanings(spec)}")
    return table[values], between


@functools.lru_cache(maxsize=4)
def _tables(spec: dataset_spec.Mask) -> tuple[Mask, NDArray[np.bool_]]:
    """For each value of 16 bits: its class, and whether the spec names it (else the nearest's, the lower of two)."""
    classes = dict.fromkeys(spec.background, record.MASK_BACKGROUND) | dict.fromkeys(spec.ignored, record.MASK_IGNORED)
    for number, values in enumerate(spec.values, start=1):
        classes |= dict.fromkeys(values, number)
    stated = np.array(sorted(classes))
    every = np.arange(65536)
    above = np.clip(np.searchsorted(stated, every), 0, len(stated) - 1)
    below = np.maximum(above - 1, 0)
    nearest = np.where(every - stated[below] <= np.abs(stated[above] - every), stated[below], stated[above])
    nearest = np.where(every <= stated[0], stated[0], nearest)
    table = np.array([classes[int(value)] for value in stated], np.uint8)[np.searchsorted(stated, nearest)]
    return table, np.isin(every, stated)


def _meanings(spec: dataset_spec.Mask) -> str:
    groups = [
        *zip(spec.classes, spec.values, strict=True),
        ("background", spec.background),
        ("ignored", spec.ignored),
    ]
    return ", ".join(f"{' '.join(map(str, values))} {name}" for name, values in groups if values)


def drop_specks(mask: Mask, min_pixels: float, classes: int = 1) -> Mask:
    """Gives specks of each class to the background, then holes in a class to the class around them.

    A speck is a connected area of fewer than `min_pixels`: 8-connected for a class, 4-connected for background,
    so that the two never cross. The largest area of each class stays whatever its size, and ignored pixels stay.

    Args:
      mask: Background, classes and ignored pixels of `schema.record`, [H, W].
      min_pixels: Size of the smallest area that stays.
      classes: How many classes there are.
    """
    clean = mask.copy()
    for number in range(1, classes + 1):
        specks, small = _small_areas(clean == number, min_pixels, connectivity=8, keep_largest=True)
        clean[small[specks]] = record.MASK_BACKGROUND
    if ((clean != record.MASK_BACKGROUND) & (clean != record.MASK_IGNORED)).any():
        holes, small = _small_areas(clean == record.MASK_BACKGROUND, min_pixels, connectivity=4, keep_largest=False)
        _fill(clean, holes, np.flatnonzero(small))
    return clean


def _fill(clean: Mask, holes: NDArray[Any], numbers: NDArray[Any]) -> None:
    """Gives each of these holes to the class that most of the pixels around it have, if any has one."""
    before = clean.copy()
    for number in numbers:
        hole = holes == number
        around = (cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~hole
        counts = np.bincount(before[around], minlength=256)
        counts[[record.MASK_BACKGROUND, record.MASK_IGNORED]] = 0
        if counts.any():
            clean[hole] = counts.argmax()


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


def _changes(before: Mask, after: Mask, spec: dataset_spec.Mask) -> dict[str, int]:
    changed = before != after
    if not changed.any():
        return {}
    sides = before[changed], after[changed]
    counts = {
        name: int(np.count_nonzero((sides[0] == number) | (sides[1] == number)))
        for number, name in enumerate(spec.classes, start=1)
    }
    return {name: count for name, count in counts.items() if count}


def _text(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]} pixels"


def _encode(mask: Mask) -> bytes:
    done, png = cv2.imencode(".png", mask)
    if not done:
        raise ValueError(f"OpenCV cannot encode a mask of {_text(mask.shape)}")
    return png.tobytes()
