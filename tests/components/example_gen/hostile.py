"""Records that something is wrong with, one function a kind: each spoils a good record of TFDS' Oxford-IIIT Pet."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

SIDE = 40
"""Of the photos, in pixels."""


class Kind(NamedTuple):
    """What is done to a record, and what must become of it."""

    spoil: Callable[[Any], None]
    quarantined: str = ""
    """As `records.Refused.what`; empty: it is used."""
    repaired: tuple[str, ...] = ()
    """As `images.Photo.repairs`."""


def encoded(image: Image.Image | np.ndarray, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, form, **options)
    return file.getvalue()


def photo(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """Noise, smoothed: uint8 [H, W, 3]."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2))


def trimap(size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    made = np.full(size, 2, np.uint8)
    made[size[0] // 4 : -size[0] // 4, size[1] // 4 : -size[1] // 4] = 3
    made[size[0] // 3 : -size[0] // 3, size[1] // 3 : -size[1] // 3] = 1
    return made


def picture(features: Any) -> np.ndarray:
    """The photo of a record, RGB."""
    return np.asarray(Image.open(io.BytesIO(features["image"].bytes_list.value[0])).convert("RGB"))


def _image(change: Callable[[np.ndarray], bytes]) -> Callable[[Any], None]:
    """Another encoding of the photo."""

    def spoil(features: Any) -> None:
        features["image"].bytes_list.value[:] = [change(picture(features))]

    return spoil


def _jpeg(change: Callable[[bytes], bytes]) -> Callable[[Any], None]:
    return _image(lambda image: change(encoded(image, "JPEG", quality=95)))


def _mask(data: bytes) -> Callable[[Any], None]:
    def spoil(features: Any) -> None:
        features["segmentation_mask"].bytes_list.value[:] = [data]

    return spoil


def _set(name: str, kind: str, values: list[Any]) -> Callable[[Any], None]:
    def spoil(features: Any) -> None:
        features[name].Clear()
        getattr(features[name], kind).value.extend(values)

    return spoil


def _drop(name: str) -> Callable[[Any], None]:
    def spoil(features: Any) -> None:
        del features[name]

    return spoil


def _twice(name: str, kind: str) -> Callable[[Any], None]:
    def spoil(features: Any) -> None:
        getattr(features[name], kind).value.append(getattr(features[name], kind).value[0])

    return spoil


def _scan(jpeg: bytes) -> int:
    """Where the coded pixels begin."""
    start = jpeg.rindex(b"\xff\xda")
    return start + 2 + int(struct.unpack(">H", jpeg[start + 2 : start + 4])[0])


def _garbage(jpeg: bytes) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, 4 * len(jpeg), np.uint8).tobytes()
    return jpeg[: _scan(jpeg)] + noise


def _twelve_bits(jpeg: bytes) -> bytes:
    frame = jpeg.index(b"\xff\xc0")
    return jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :]


def _claims(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _sideways(mask_turned: bool) -> Callable[[Any], None]:
    """A photo that lies on its side, as a phone stores it, with the mask of the stored or of the upright picture."""

    def spoil(features: Any) -> None:
        image = cv2.resize(picture(features), (SIDE, 30))
        features["image"].bytes_list.value[:] = [encoded(image, "JPEG", quality=95, exif=_exif(6))]
        size = (30, SIDE) if mask_turned else (SIDE, 30)
        features["segmentation_mask"].bytes_list.value[:] = [encoded(trimap(size), "PNG")]

    return spoil


def _half_clear(image: np.ndarray) -> bytes:
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[:5] = 40
    return encoded(np.dstack([image, alpha]), "PNG")


def _palette(values: np.ndarray) -> bytes:
    made = Image.fromarray(values).convert("P")
    made.putdata(values.ravel().tolist())
    made.putpalette([90, 10, 10, 20, 120, 9, 7, 7, 200, 40, 40, 40])
    return encoded(made, "PNG")


def _one_pixel(features: Any) -> None:
    features["image"].bytes_list.value[:] = [encoded(picture(features)[:1, :1], "JPEG")]
    features["segmentation_mask"].bytes_list.value[:] = [encoded(np.array([[1]], np.uint8), "PNG")]


def _grey(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _wide(image: np.ndarray) -> bytes:
    bgr = image if image.ndim == 2 else image[..., ::-1]
    return cv2.imencode(".png", bgr.astype(np.uint16) * 257)[1].tobytes()


PHOTO, MASK, LABEL, RECORD, NAME = "photo", "mask", "label", "record", "file name"

KINDS = {
    # Photos that nothing can be made of.
    "half a JPEG": Kind(_jpeg(lambda data: data[: _scan(data) + (len(data) - _scan(data)) // 2]), PHOTO),
    "half a progressive JPEG": Kind(
        _image(lambda image: (data := encoded(image, "JPEG", progressive=True))[: len(data) // 2]), PHOTO
    ),
    "half a CMYK JPEG": Kind(
        _image(lambda image: (data := encoded(Image.fromarray(image).convert("CMYK"), "JPEG"))[: len(data) // 2]), PHOTO
    ),
    "only a JPEG's header": Kind(_jpeg(lambda data: data[: _scan(data)]), PHOTO),
    "a JPEG with a garbage scan": Kind(_jpeg(_garbage), PHOTO),
    "a JPEG of 12 bits": Kind(_jpeg(_twelve_bits), PHOTO),
    "half a PNG": Kind(_image(lambda image: (data := encoded(image, "PNG"))[: len(data) // 2]), PHOTO),
    "a PNG with a wrong checksum": Kind(
        _image(lambda image: (data := encoded(image, "PNG"))[:300] + bytes([data[300] ^ 1]) + data[301:]), PHOTO
    ),
    "a header that claims 900 megapixels": Kind(_image(lambda image: _claims(30_000, 30_000)), PHOTO),
    "no bytes": Kind(_image(lambda image: b""), PHOTO),
    "a text": Kind(_image(lambda image: b"<html>404</html>"), PHOTO),
    # Masks.
    "a mask of another size": Kind(_mask(encoded(trimap((SIDE, SIDE + 1)), "PNG")), MASK),
    "a mask with an unknown value": Kind(_mask(encoded(trimap() + 6, "PNG")), MASK),
    "a palette mask with an unknown index": Kind(_mask(_palette(trimap() - 1)), MASK),
    "a mask of 16 bits with an unknown value": Kind(
        _mask(cv2.imencode(".png", trimap().astype(np.uint16) + 256)[1].tobytes()), MASK
    ),
    "half a mask": Kind(_mask(encoded(trimap(), "PNG")[:50]), MASK),
    "a mask in colours": Kind(_mask(encoded(photo(1), "PNG")), MASK),
    "an empty mask file": Kind(_mask(b""), MASK),
    # Labels.
    "a breed beyond the last": Kind(_set("label", "int64_list", [37]), LABEL),
    "a species below the first": Kind(_set("species", "int64_list", [-1]), LABEL),
    "a species that contradicts the breed": Kind(
        lambda features: features["species"].int64_list.value.__setitem__(
            0, 1 - features["species"].int64_list.value[0]
        ),
        LABEL,
    ),
    # Features.
    "two photos": Kind(_twice("image", "bytes_list"), RECORD),
    "two labels": Kind(_twice("label", "int64_list"), RECORD),
    "no photo": Kind(_drop("image"), RECORD),
    "no label": Kind(_drop("label"), RECORD),
    "no mask": Kind(_drop("segmentation_mask"), RECORD),
    "an empty list": Kind(_set("label", "int64_list", []), RECORD),
    "a label that is a text": Kind(_set("label", "bytes_list", [b"beagle"]), RECORD),
    "a photo that is a number": Kind(_set("image", "int64_list", [3]), RECORD),
    # Names.
    "an empty name": Kind(_set("file_name", "bytes_list", [b""]), NAME),
    "a name that is not UTF-8": Kind(_set("file_name", "bytes_list", [b"caf\xe9.jpg"]), NAME),
    # What can be mended.
    "a JPEG without its end marker": Kind(_jpeg(lambda data: data[:-2]), repaired=("end of file",)),
    "a PNG without its end": Kind(
        _image(lambda image: encoded(image, "PNG")[:-12]), repaired=("end of file", "extension")
    ),
    "a photo on its side, its mask too": Kind(_sideways(True), repaired=("orientation",)),
    "a photo on its side, its mask upright": Kind(_sideways(False), repaired=("orientation",)),
    "a PNG of 16 bits": Kind(_image(_wide), repaired=("16 bits", "extension")),
    "a grey PNG of 16 bits": Kind(_image(lambda image: _wide(_grey(image))), repaired=("16 bits", "extension")),
    "a PNG with a palette": Kind(
        _image(lambda image: encoded(Image.fromarray(image).quantize(64), "PNG")), repaired=("palette", "extension")
    ),
    "a BMP with a palette": Kind(
        _image(lambda image: encoded(Image.fromarray(image).quantize(64), "BMP")), repaired=("palette", "extension")
    ),
    "a grey BMP": Kind(
        _image(lambda image: encoded(Image.fromarray(image).convert("L"), "BMP")), repaired=("palette", "extension")
    ),
    "a GIF": Kind(
        _image(lambda image: encoded(Image.fromarray(image).quantize(64), "GIF")),
        repaired=("palette", "format", "extension"),
    ),
    "a translucent PNG": Kind(_image(_half_clear), repaired=("alpha", "extension")),
    "a CMYK JPEG": Kind(
        _image(lambda image: encoded(Image.fromarray(image).convert("CMYK"), "JPEG")), repaired=("CMYK",)
    ),
    "a TIFF": Kind(_image(lambda image: encoded(image, "TIFF")), repaired=("format", "extension")),
    "an AVIF": Kind(_image(lambda image: encoded(image, "AVIF")), repaired=("format", "extension")),
    "a PNG called .jpg": Kind(_image(lambda image: encoded(image, "PNG")), repaired=("extension",)),
    # Odd, and right.
    "an opaque PNG with a channel of transparency": Kind(
        _image(lambda image: encoded(np.dstack([image, np.full((SIDE, SIDE), 255, np.uint8)]), "PNG")),
        repaired=("extension",),
    ),
    "fill bytes before a marker": Kind(_jpeg(lambda data: data[:2] + b"\xff\xff\xff" + data[2:])),
    "bytes behind the end": Kind(_jpeg(lambda data: data + b"more" * 100)),
    "a grey JPEG": Kind(_image(lambda image: encoded(_grey(image), "JPEG"))),
    "a progressive JPEG": Kind(_image(lambda image: encoded(image, "JPEG", progressive=True))),
    "one pixel": Kind(_one_pixel),
    "a palette mask": Kind(_mask(_palette(trimap()))),
    "a mask of 16 bits": Kind(_mask(cv2.imencode(".png", trimap().astype(np.uint16))[1].tobytes())),
    "a name with brackets and unicode": Kind(
        lambda features: _set(
            "file_name", "bytes_list", ["a [b] *\n\u2028ü ".encode() + features["file_name"].bytes_list.value[0]]
        )(features)
    ),
}
