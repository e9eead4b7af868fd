"""Photos as arrays, masks as PNGs, and one drawn over the other."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from serving import resizing

Image.MAX_IMAGE_PIXELS = None  # `decode` has a bound of its own, and Pillow's is a warning

MAX_MEGAPIXELS = 50
"""Of a photo that is decoded here; more, by its header, is refused before any memory is taken."""

_COLOURS = ((0, 158, 115), (230, 159, 0), (86, 180, 233), (213, 94, 0), (204, 121, 167), (240, 228, 66), (0, 114, 178))
"""Of a mask's classes, one after the other and then again: colours that the colour-blind tell apart (Okabe, Ito)."""

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "AVIF", "PPM")
"""Those that training takes. Pillow knows more, and hands some of a stranger's bytes to other programs: EPS is run."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's orientation, what shows a photo upright."""

_SURE = np.float32(1e-7)
"""Less of a probability is 0, which has no logarithm."""

OVERLAY_SIDE = 1024
"""Pixels of an overlay's longer side at most."""


def decode(data: bytes, at_least: int = 0) -> Image.Image:
    """Opens an encoded photo upright, as RGB.

    Args:
        data: a JPEG, a PNG or another of `_FORMATS`.
        at_least: pixels that either side is to keep; a JPEG may then be decoded at a half, a quarter or an eighth of
            its size, which is faster. 0: its own size.

    Raises:
        ValueError: it cannot be read, has more than `MAX_MEGAPIXELS`, or levels that are none of a photo; one sentence.
    """
    try:
        photo = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Exception as error:  # hostile bytes make Pillow raise anything
        raise ValueError("the photo cannot be read: its bytes begin no picture that is known here") from error
    width, height = photo.size
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise ValueError(f"the photo has {width} x {height} pixels: {MAX_MEGAPIXELS} million are the limit")
    try:
        if at_least:
            photo.draft("RGB", (at_least, at_least))
        upright = _upright(photo)
        wrong = _wrong_levels(upright)
        if not wrong:
            return _rgb(upright)
    except Exception as error:  # as above
        raise ValueError("the photo cannot be decoded: its file is damaged or not whole") from error
    raise ValueError(wrong)


def _upright(photo: Image.Image) -> Image.Image:
    """As EXIF says, whatever XMP says, which Pillow would heed: a model's own `serving_default` reads EXIF alone."""
    photo.info.pop("xmp", None)  # of a TIFF, which Pillow turns as it loads it
    photo.load()  # the EXIF of a PNG may stand behind its pixels
    exif = Image.Exif()
    try:
        exif.load(photo.info.get("exif", b""))
        turn = _TURNS.get(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF says nothing of the picture
        return photo
    return photo if turn is None else photo.transpose(turn)


def _wrong_levels(photo: Image.Image) -> str:
    """Why its pixels are no levels of 8 or 16 bits, in a sentence, as ingestion refuses it; empty: they are."""
    if photo.mode == "F":
        return "the photo's pixels are floating-point numbers, which have no scale: save it with 8 or 16 bits"
    levels = np.asarray(photo) if photo.mode.startswith("I") else np.zeros(1)
    if levels.min() < 0 or levels.max() > 65535:
        return "the photo's pixels hold more than 16 bits: save it with 8 or 16"
    return ""


def _rgb(photo: Image.Image) -> Image.Image:
    """Of 16 bits the upper 8, transparency on white: as a model's own `serving_default` has it."""
    if photo.mode.startswith("I"):
        photo = Image.fromarray((np.asarray(photo) >> 8).astype(np.uint8))
    if photo.has_transparency_data:
        white = Image.new("RGBA", photo.size, "white")
        photo = Image.alpha_composite(white, photo.convert("RGBA"))
    return photo.convert("RGB")


def mask_png(mask: NDArray[np.float32], size: tuple[int, int]) -> bytes:
    """A model's mask as a PNG of the photo's size.

    Args:
        mask: probabilities [S, S, 1] of the one foreground class, or [S, S, K + 1] of background and K classes; their
            logits are resized, as in `serving_default`.
        size: (width, height) of the PNG.

    Returns:
        Grey: the probability times 255, or the index of the most probable class.
    """
    share = np.clip(mask, _SURE, 1 - _SURE)
    if mask.shape[-1] == 1:
        logits = resizing.bilinear(np.log(share) - np.log1p(-share), size[::-1])
        grey = np.rint(255 / (1 + np.exp(-logits[..., 0])))
    else:
        grey = resizing.bilinear(np.log(share), size[::-1]).argmax(axis=-1)
    encoded = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def overlay(photo: Image.Image, mask: Image.Image, classes: int, opacity: float = 0.5) -> Image.Image:
    """Draws a mask over its photo, at most `OVERLAY_SIDE` large.

    Args:
        photo: upright, RGB.
        mask: grey, as a model's `mask_bytes` has it.
        classes: foreground classes of the mask.
        opacity: of the colour where the mask is sure, in [0, 1].
    """
    photo = shown(photo)
    layer = tinted(mask, classes, photo.size)
    strength = layer.getchannel("A").point([round(opacity * value) for value in range(256)])
    return Image.composite(layer.convert("RGB"), photo, strength)


def shown(photo: Image.Image) -> Image.Image:
    """A copy that is at most `OVERLAY_SIDE` large."""
    photo = photo.copy()
    photo.thumbnail((OVERLAY_SIDE, OVERLAY_SIDE))
    return photo


def tinted(mask: Image.Image, classes: int, size: tuple[int, int]) -> Image.Image:
    """A mask as a layer for its photo: RGBA, the classes' colours, opaque where the mask is sure.

    Args:
        mask: grey, as a model's `mask_bytes` has it.
        classes: foreground classes of the mask.
        size: (width, height) of the layer.
    """
    if classes == 1:
        layer = Image.new("RGB", size, colour(1))
        layer.putalpha(mask.resize(size, Image.Resampling.BILINEAR))
        return layer
    index = mask.resize(size, Image.Resampling.NEAREST)
    coloured = index.copy()
    coloured.putpalette([0, 0, 0, *(part for number in range(255) for part in colour(number + 1))])
    layer = coloured.convert("RGB")
    layer.putalpha(index.point([0] + [255] * 255))
    return layer


def colour(index: int) -> tuple[int, int, int]:
    """RGB of a mask's class, from 1 on."""
    return _COLOURS[(index - 1) % len(_COLOURS)]
