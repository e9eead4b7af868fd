"""Photos at ingestion: each is decoded once, repaired where that can be done, refused with the reason where not.

What passes can be decoded by TensorFlow, which training, evaluation and serving use, and says the same there
as in any viewer. A photo with nothing wrong stays the bytes that it was.
"""

from __future__ import annotations

import io
import os
import re
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import ExifTags, Image

from components.datasets import storage

Image.MAX_IMAGE_PIXELS = None  # `check_photo` has a bound of its own, and Pillow's is a warning

MISSING_ROWS = 0.1
"""A JPEG whose end is missing is kept if this share of its rows or less went with it; they become grey."""

_LOSSY = ("JPEG", "MPO", "AVIF")
_DECODABLE = ("JPEG", "MPO", "PNG", "BMP", "WEBP")
"""Formats that TensorFlow decodes; an MPO is a JPEG with more pictures behind it, which Pillow finds in one."""
_JPEG_QUALITY = 95
_EXTENSIONS = {
    ".jpg": ("JPEG", "MPO"),
    ".jpeg": ("JPEG", "MPO"),
    ".png": ("PNG",),
    ".bmp": ("BMP",),
    ".webp": ("WEBP",),
    ".gif": ("GIF",),
    ".tif": ("TIFF",),
    ".tiff": ("TIFF",),
    ".avif": ("AVIF",),
}

Pixels = NDArray[np.uint8]


class Photo(NamedTuple):
    """A photo that the pipeline can use."""

    data: bytes
    """Encoded, upright, 8 bits, RGB or grey."""
    size: tuple[int, int]
    """(height, width) in pixels, upright."""
    orientation: int
    """EXIF's, that was applied to it: 1 where it lay upright already."""
    repairs: tuple[str, ...]
    """What was mended: see `check_photo`."""


def check_photo(data: bytes, file_name: str, max_pixels: int) -> Photo:
    """Decodes a photo and mends what can be mended.

    Repairs are `orientation` (EXIF's, applied), `alpha` (laid on white), `palette` (to RGB), `16 bits` (the upper 8
    are kept), `CMYK` (to RGB), `format` (one that TensorFlow does not read, to PNG or JPEG), `end of file` (the
    missing last rows of a JPEG, up to `MISSING_ROWS`, become grey; a PNG gets its closing chunk), and `extension` (of
    another format than the content, which decides).

    Args:
        data: the encoded photo.
        file_name: its name, for `extension` alone.
        max_pixels: refused unopened if its header claims more.

    Raises:
        ValueError: it cannot be used; the message is the reason.
    """
    header = _header(data)
    width, height = header.size
    if width * height > max_pixels:
        raise ValueError(f"it has {width} x {height} pixels, more than {max_pixels / 1e6:g} million")
    orientation = _orientation(header, data)
    repairs = _what_to_repair(header, data, orientation)
    decodable = _decoded_size(data) == (height, width)
    if decodable and not repairs:
        photo = Photo(data, (height, width), 1, ())
    else:
        photo = _repaired(header, data, orientation, repairs, decodable)
    expected = _EXTENSIONS.get(os.path.splitext(file_name)[1].lower())
    if expected and header.format not in expected:
        return photo._replace(repairs=(*photo.repairs, "extension"))
    return photo


def _header(data: bytes) -> Image.Image:
    """The photo opened, not decoded."""
    if not data:
        raise ValueError("it is empty")
    try:
        return Image.open(io.BytesIO(data), formats=storage.FORMATS)
    except Exception as error:  # hostile bytes make Pillow raise anything
        raise ValueError(f"its {len(data)} bytes begin no picture that can be read") from error


def _orientation(header: Image.Image, data: bytes) -> int:
    """EXIF's, whatever XMP says, which Pillow would heed and a model's signatures do not read."""
    header.info.pop("xmp", None)
    try:
        if header.format == "TIFF":  # EXIF is its own directory
            value = header.getexif().get(ExifTags.Base.Orientation, 1)
        else:
            if header.format == "PNG" and b"eXIf" in data:
                header.load()  # it may stand behind the pixels
            exif = Image.Exif()
            exif.load(header.info.get("exif", b""))
            value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken EXIF says nothing of the picture
        return 1
    return value if value in range(1, 9) else 1


def _what_to_repair(header: Image.Image, data: bytes, orientation: int) -> list[str]:
    checks = {
        "orientation": orientation != 1,
        "alpha": _has_alpha(header) and _translucent(header),
        # To Pillow a BMP whose palette is grey has none.
        "palette": header.mode in ("P", "PA", "1") or (header.format == "BMP" and header.mode == "L"),
        "16 bits": header.mode.startswith("I") or (header.format == "PNG" and data[24:25] == b"\x10"),
        "CMYK": header.mode == "CMYK",
        "format": header.format not in _DECODABLE
        or (getattr(header, "is_animated", False) and header.format == "WEBP"),
    }
    return [repair for repair, needed in checks.items() if needed]


def _has_alpha(header: Image.Image) -> bool:
    return header.mode in ("RGBA", "LA", "PA") or "transparency" in header.info


def _translucent(header: Image.Image) -> bool:
    try:
        return bool(np.asarray(header.convert("RGBA"))[..., 3].min() < 255)
    except Exception:  # decoding it will tell
        return False


def _decoded_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) of what TensorFlow decodes; None where it cannot."""
    try:
        height, width = tf.io.decode_image(data, channels=3, expand_animations=False).shape[:2]
    except tf.errors.OpError:
        return None
    return height, width


def _repaired(header: Image.Image, data: bytes, orientation: int, repairs: list[str], decodable: bool) -> Photo:
    image = header
    if header.format in ("JPEG", "MPO") and not decodable:
        # Pillow would decode damaged scans to whatever comes out.
        image = _with_end(data)
        repairs = [*repairs, "end of file"]
    try:
        image.load()
    except Exception as error:  # as in `_header`
        raise ValueError(f"it cannot be decoded: {error}") from error
    if not repairs:  # Pillow takes what TensorFlow does not
        repairs = ["end of file" if header.format == "PNG" else "format"]
    pixels = _pixels(image)
    if header.format != "TIFF":  # which Pillow turned as it loaded it
        pixels = turned(pixels, orientation)
    made = _encode(pixels, lossy=header.format in _LOSSY)
    if _decoded_size(made) != pixels.shape[:2]:
        raise ValueError("it cannot be decoded")
    return Photo(made, (pixels.shape[0], pixels.shape[1]), orientation, tuple(repairs))


def _with_end(data: bytes) -> Image.Image:
    """A JPEG whose end is missing, with grey where rows went with it."""
    try:
        image = Image.open(io.BytesIO(data + b"\xff\xd9"), formats=("JPEG",))
        image.load()
    except Exception as error:  # as in `_header`
        raise ValueError(f"it cannot be decoded: {error}") from error
    if _MARKER.search(data, _scan(data)):
        raise ValueError("it is damaged in its middle")
    if image.info.get("progressive"):
        # All rows come with the first scan, so that how much is missing cannot be seen.
        raise ValueError("its end is missing")
    # The decoder leaves blocks that never came in the middle of every channel; Pillow turns Adobe's CMYK over, to 127.
    pixels = np.asarray(image if image.mode == "CMYK" else image.convert("RGB"))
    middle = (pixels == 128) | (pixels == 127) if image.mode == "CMYK" else pixels == 128
    there = np.flatnonzero(~middle.all(axis=(1, 2)))
    rows = int(there[-1]) + 1 if len(there) else 0
    if rows < (1 - MISSING_ROWS) * image.height:
        raise ValueError(f"its end is missing: {rows} of {image.height} rows are there")
    return image


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What no scan holds before it ends: all but escaped bytes and restarts (ITU-T T.81, B.1.1)."""


def _scan(jpeg: bytes) -> int:
    """Where the segments of a JPEG's header end and the coded pixels begin; its length if they never do."""
    position = 2
    while position + 4 <= len(jpeg):
        if jpeg[position + 1] == 0xFF:  # fill byte
            position += 1
            continue
        is_scan = jpeg[position + 1] == 0xDA
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if is_scan:
            return position
    return len(jpeg)


def _pixels(image: Image.Image) -> Pixels:
    """uint8 [H, W, 3], RGB, or [H, W], as the photo is stored."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels hold more than 16 bits")
        return (values >> 8).astype(np.uint8)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, which have no scale")
    if _has_alpha(image):
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return np.asarray(white.convert("L" if image.mode == "LA" else "RGB"))
    grey = image.mode in ("1", "L")
    return np.asarray(image.convert("L" if grey else "RGB"))


def turned(pixels: NDArray, orientation: int) -> NDArray:
    """Pixels [H, W] or [H, W, 3] as EXIF's orientation, 1 to 8, wants them shown."""
    turns = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p),
    }
    return np.ascontiguousarray(turns[orientation](pixels)) if orientation in turns else pixels


def _encode(pixels: Pixels, lossy: bool) -> bytes:
    bgr = pixels if pixels.ndim == 2 else pixels[..., ::-1]
    if lossy:
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    return cv2.imencode(".png", bgr)[1].tobytes()
