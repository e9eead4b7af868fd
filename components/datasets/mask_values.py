"""Reads the pixels of mask files, and guesses what the values in them stand for.

The rule, for masks that no spec describes (the user corrects it in the spec):

- 0 is background; where it stands nowhere, the commonest value is.
- Small numbers (under 64, or to 191 where most between are there too: label masks, palettes) are classes, and 255
  beside them is unknown.
- Else (0 and 255, or a few levels of grey) a value is a class if it fills a 3 x 3 square somewhere, holds 1 % of the
  pixels that are no background, and lies more than 16 from a commoner one; if none is, the commonest is. All others
  stand between: edges that were smoothed, or noise of JPEG; they become the nearest of the values that stand for
  something (`between: nearest`).
- One class is called `object`, several `class_VALUE`.
"""

from __future__ import annotations

import collections
import io

import numpy as np
import PIL.Image

from components.datasets import storage
from schema.dataset_spec import Mask

SAMPLE = 200
"""So many masks, evenly spaced, are read where a description is derived from a listing."""

_NEAR = 16
_LEAST_SHARE = 0.01


class Values:
    """What values a number of masks hold."""

    def __init__(self) -> None:
        self.pixels: collections.Counter[int] = collections.Counter()
        """How many pixels have each value."""
        self.filled: set[int] = set()
        """Values that fill a square of 3 x 3 pixels somewhere."""

    def add(self, mask: np.ndarray) -> None:
        """Counts a mask's pixels, [H, W]."""
        values, counts = np.unique(mask, return_counts=True)
        self.pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        self.filled |= set(np.unique(mask[1:-1, 1:-1][_squares(mask)]).tolist())

    def merge(self, other: Values) -> None:
        """Adds what other masks hold."""
        self.pixels.update(other.pixels)
        self.filled |= other.filled


def _squares(mask: np.ndarray) -> np.ndarray:
    """Where the 3 x 3 pixels around a pixel all have its value: bool, [H - 2, W - 2]."""
    rows = (mask[:, 1:-1] == mask[:, :-2]) & (mask[:, 1:-1] == mask[:, 2:])
    middle = mask[1:-1, 1:-1]
    columns = (middle == mask[:-2, 1:-1]) & (middle == mask[2:, 1:-1])
    return rows[1:-1] & rows[:-2] & rows[2:] & columns


def pixels(data: bytes) -> np.ndarray:
    """The values of a mask file: palette indices, or one channel of grey; [H, W], uint8 or uint16.

    Raises:
        ValueError: it is no picture, or one in colours; the message is a sentence's end.
    """
    try:
        with PIL.Image.open(io.BytesIO(data), formats=storage.FORMATS) as picture:
            # Pillow keeps the upper half of each number, unless there is one a pixel.
            if picture.format == "PNG" and data[24] == 16 and data[25] != 0:
                raise ValueError("it has 16 bits in several channels: save it with one number a pixel")
            if picture.mode == "1":
                return np.asarray(picture.convert("L"))
            values = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise ValueError(f"the mask cannot be read: {error}") from error
    if values.ndim == 3:
        colours = values[..., : 1 if values.shape[2] < 3 else 3]
        if (colours != colours[..., :1]).any():
            raise ValueError("the mask is a picture in colours: save it with one number a pixel (grey, or a palette)")
        values = colours[..., 0]
    if values.dtype.itemsize == 1:
        return values
    if not ((values >= 0) & (values <= 65535) & (values % 1 == 0)).all():
        raise ValueError("the mask holds values that are none of the integers from 0 to 65535: save it with these")
    return values.astype(np.uint16)


def derive(values: Values, optional: bool) -> Mask:
    """The description that the values suggest; the module's docstring states the rule.

    Raises:
        ValueError: there is one value, which is not 0, or no few of them hold most of the foreground.
    """
    found = sorted(values.pixels)
    background = 0 if 0 in found else max(found, key=lambda value: values.pixels[value])
    others = [value for value in found if value != background]
    inner = [value for value in others if value != 255]
    if not others and background:
        raise ValueError(
            f"the masks hold the value {background} alone and so no background: write a description's file that says "
            f"which value is which, such as `mask: {{classes: {{object: [{background}]}}, background: [0]}}`"
        )
    if not others:
        return _mask([255], background, optional=optional)
    if inner and max(inner) < min(max(64, 2 * len(inner)), 192):
        return _mask(inner, background, ignored=(255,) if 255 in others else (), optional=optional)
    classes = _levels(values, background)
    edges = set(others) - set(classes)
    return _mask(sorted(classes), background, between="nearest" if edges else "refuse", optional=optional)


def _levels(values: Values, background: int) -> list[int]:
    total = sum(values.pixels.values()) - values.pixels[background]
    chosen = [background]
    for value, count in values.pixels.most_common():
        far = all(abs(value - other) > _NEAR for other in chosen)
        if far and count >= _LEAST_SHARE * total and value in values.filled:
            chosen.append(value)
    commonest = max((value for value in values.pixels if value != background), key=lambda value: values.pixels[value])
    classes = chosen[1:] or [commonest]
    if sum(values.pixels[value] for value in classes) < total / 10:
        raise ValueError(
            f"the masks hold {len(values.pixels) - 1} values beside the background {background}, none of which is "
            "common: describe in a spec's file which values are classes"
        )
    return classes


def _mask(
    classes: list[int], background: int, ignored: tuple[int, ...] = (), between: str = "refuse", optional: bool = False
) -> Mask:
    names = ("object",) if len(classes) == 1 else tuple(f"class_{value}" for value in classes)
    return Mask(names, tuple((value,) for value in classes), (background,), ignored, between, optional)  # type: ignore[arg-type]


def foreground_pixels(values: Values, mask: Mask) -> int:
    """How many of the pixels are of the foreground classes, those that stand between as the nearest value."""
    meaning = dict.fromkeys((*mask.background, *mask.ignored), False)
    meaning |= {value: True for group in mask.values for value in group}
    known = sorted(meaning)
    between = mask.between == "nearest"
    return sum(
        count
        for value, count in values.pixels.items()
        if meaning.get(value, between and meaning[min(known, key=lambda one: abs(one - value))])
    )


def edge_pixels(values: Values, mask: Mask) -> int:
    """How many of the pixels have a value that the description does not name."""
    named = {value for group in (*mask.values, mask.background, mask.ignored) for value in group}
    return sum(count for value, count in values.pixels.items() if value not in named)
