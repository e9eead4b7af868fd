"""What the first bytes of an encoded photo say of it, in TensorFlow's graph: format, size and EXIF's orientation.

A server needs to know them before it decodes what a stranger sent: a PNG of a megabyte may hold 400 million pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

JPEG, PNG, GIF, BMP, WEBP, UNKNOWN = range(6)
"""Formats; TensorFlow decodes all but the last."""

_MAGIC = {
    JPEG: b"\xff\xd8\xff",
    PNG: b"\x89PNG\r\n\x1a\n",
    GIF: b"GIF8",
    BMP: b"BM",
    WEBP: b"RIFF????WEBP",
    UNKNOWN: b"",
}
"""Bytes that tell a format, in the order of their numbers, as `tf.io.decode_image` tells it; ? stands for any."""
_ANY = ord("?")
_MAGIC_BYTES = max(map(len, _MAGIC.values()))
_MAGIC_TABLE = np.array([list(magic.ljust(_MAGIC_BYTES, b"?")) for magic in _MAGIC.values()], np.uint8)

_PADDING = 64
"""More than is read at any one position."""

_STEPS = 1_000
"""So many segments or chunks are looked at before the orientation is given up: a hostile file holds millions."""
_GIF_STEPS = 20_000
"""Blocks of 255 bytes: five megabytes of one picture."""

_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4


class Header(NamedTuple):
    """What a photo's first bytes say."""

    kind: tf.Tensor
    """One of the formats, int32 []."""
    size: tf.Tensor
    """(height, width) in pixels as it is stored, int64 [2]; 0 where it says nothing, of a GIF its first picture's.

    0 of a JPEG: `tf.io.extract_jpeg_shape` reads what libjpeg does, but fails where that would."""
    orientation: tf.Tensor
    """EXIF's, int64 [] from 1 (upright) to 8; 1 where there is none or it makes no sense."""
    png_has_alpha: tf.Tensor
    """Whether a PNG says how opaque its pixels are, bool []: as a channel, or in chunk `tRNS`, before the pixels."""
    gif_end: tf.Tensor
    """Where the last block of a GIF's first picture ends, int64 []; 0 where there is none."""
    gif_shows_more: tf.Tensor
    """Whether a GIF is more than its first picture's colours, bool []: seen through, or with an edge around it."""
    bmp_has_palette: tf.Tensor
    """Whether a BMP has at most 16 bits a pixel, bool []: TensorFlow takes 8 for grey, which may stand for colours."""
    webp_is_animated: tf.Tensor
    """Whether a WebP holds several pictures, bool []."""


_Fields = dict[str, tf.Tensor]
"""Those of a header that one format has."""

SIGNATURE = Header(
    *(tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.int64), tf.TensorSpec([], tf.int64)),
    *(tf.TensorSpec([], tf.bool), tf.TensorSpec([], tf.int64), *[tf.TensorSpec([], tf.bool)] * 3),
)
"""Of what `read` returns, for `tf.map_fn`."""


def read(photo: tf.Tensor) -> Header:
    """The header of a photo, string [], without an error whatever its bytes are; zeros are read behind their end."""
    data = tf.concat([tf.io.decode_raw(photo, tf.uint8), tf.zeros([_PADDING], tf.uint8)], axis=0)
    kind = _format_of(data)
    nothing = Header(*(tf.zeros(spec.shape, spec.dtype) for spec in SIGNATURE))
    nothing = nothing._replace(kind=kind, orientation=tf.ones([], tf.int64))
    readers = {JPEG: _jpeg, PNG: _png, GIF: _gif, BMP: _bmp, WEBP: _webp, UNKNOWN: lambda _: {}}

    def of_format(number: int) -> Callable[[], Header]:
        return lambda: nothing._replace(**readers[number](data))

    return tf.switch_case(kind, [of_format(number) for number in range(UNKNOWN + 1)])


def _format_of(data: tf.Tensor) -> tf.Tensor:
    fits = (data[:_MAGIC_BYTES] == _MAGIC_TABLE) | (_MAGIC_TABLE == _ANY)
    return tf.argmax(tf.reduce_all(fits, axis=1), output_type=tf.int32)  # the first; the last fits all


def _jpeg(data: tf.Tensor) -> _Fields:
    def look(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        segment = tf.cast(_slice(data, position, 10), tf.int64)  # at once: a photo has a dozen before its pixels
        marker = segment[1]
        found = (marker == 0xE1) & tf.reduce_all(segment[4:] == list(b"Exif\x00\x00"))
        junk = (segment[0] != 0xFF) | (marker == 0xFF)
        after = tf.where(junk, position + 1, position + 2 + 256 * segment[2] + segment[3])
        return found, tf.where(marker == 0xDA, _length(data), after)  # behind it only coded pixels

    return {"orientation": _orientation(data, _walk(data, 2, look), 4)}


def _png(data: tf.Tensor) -> _Fields:
    def after(position: tf.Tensor) -> tf.Tensor:
        return position + 12 + _number(data, position, 4)

    def exif(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _is(data, position + 4, b"eXIf"), after(position)

    def transparency(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = _is(data, position + 4, b"IDAT")
        return _is(data, position + 4, b"tRNS"), tf.where(pixels, _length(data), after(position))

    return {
        "size": tf.stack([_number(data, 20, 4), _number(data, 16, 4)]),
        "orientation": _orientation(data, _walk(data, 8, exif), 8),
        "png_has_alpha": (_number(data, 25, 1) >= 4) | (_walk(data, 8, transparency) > 0),
    }


def _gif(data: tf.Tensor) -> _Fields:
    gif = _first_gif_picture(data)
    left, top, width, height = (_number(data, gif.start + at, 2, little=True) for at in (1, 3, 5, 7))
    covers = (left == 0) & (top == 0)
    covers &= (width >= _number(data, 6, 2, little=True)) & (height >= _number(data, 8, 2, little=True))
    return {
        "size": tf.where(gif.start > 0, tf.stack([height, width]), 0),
        "gif_end": gif.end,
        "gif_shows_more": (gif.start > 0) & (gif.transparent | ~covers),
    }


def _bmp(data: tf.Tensor) -> _Fields:
    height, width = _number(data, 22, 4, little=True), _number(data, 18, 4, little=True)
    return {
        "size": tf.stack([tf.minimum(height, 2**32 - height), width]),  # negative: the first row is the topmost
        "bmp_has_palette": _number(data, 28, 2, little=True) < 24,
    }


def _webp(data: tf.Tensor) -> _Fields:
    def exif(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        size = _number(data, position + 4, 4, little=True)
        return _is(data, position, b"EXIF"), position + 8 + size + size % 2

    lossless = _number(data, 21, 4, little=True)
    sizes = {
        b"VP8 ": (_number(data, 28, 2, little=True) % 2**14, _number(data, 26, 2, little=True) % 2**14),
        b"VP8L": (1 + lossless // 2**14 % 2**14, 1 + lossless % 2**14),
        b"VP8X": (1 + _number(data, 27, 3, little=True), 1 + _number(data, 24, 3, little=True)),
    }
    found = tf.zeros([2], tf.int64)
    for name, size in sizes.items():
        found = tf.where(_is(data, 12, name), tf.stack(size), found)
    return {
        "size": found,
        "orientation": _orientation(data, _walk(data, 12, exif), 8),
        "webp_is_animated": _is(data, 12, b"VP8X") & (_number(data, 20, 1) // 2 % 2 == 1),
    }


class _GifPicture(NamedTuple):
    start: tf.Tensor
    """Of its descriptor, int64 []; 0 where there is none."""
    end: tf.Tensor
    """Of its last block, int64 []; 0 likewise."""
    transparent: tf.Tensor
    """Whether a graphic control extension before it gives it a transparent colour, bool [] (GIF89a, section 23)."""


def _first_gif_picture(data: tf.Tensor) -> _GifPicture:
    def table(position: tf.Tensor | int) -> tf.Tensor:
        """Bytes of the colour table that the flags at `position` announce."""
        flags = _number(data, position, 1)
        return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8), 0)

    def step(
        position: tf.Tensor, found: tf.Tensor, transparent: tf.Tensor, in_blocks: tf.Tensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        byte = _number(data, position, 1)
        is_picture = ~in_blocks & (byte == 0x2C)
        is_extension = ~in_blocks & (byte == 0x21)
        controls = is_extension & (found == 0) & (_number(data, position + 1, 1) == 0xF9)
        transparent |= controls & (_number(data, position + 3, 1) % 2 == 1)
        found = tf.where(is_picture, position, found)
        after = tf.where(is_picture, position + 11 + table(position + 9), position + 2)
        after = tf.where(in_blocks, position + 1 + byte, after)
        done = (in_blocks & (byte == 0) & (found > 0)) | ~(in_blocks | is_picture | is_extension)
        return after, found, transparent, (in_blocks & (byte > 0)) | is_picture | is_extension, done

    zero, no = tf.zeros([], tf.int64), tf.constant(False)
    position, found, transparent, in_blocks, done = tf.while_loop(
        lambda position, found, transparent, in_blocks, done: ~done & (position < _length(data)),
        step,
        (13 + table(10), zero, no, no, no),
        maximum_iterations=_GIF_STEPS,
    )
    whole = done & (found > 0) & ~in_blocks
    return _GifPicture(tf.where(whole, found, zero), tf.where(whole, position, zero), transparent)


def _orientation(data: tf.Tensor, position: tf.Tensor, header: int) -> tf.Tensor:
    """By the segment at `position`, 0 if there is none, whose own header is of so many bytes."""

    def of_segment() -> tf.Tensor:
        start = position + header
        return _orientation_of_tiff(data, tf.where(_is(data, start, b"Exif\x00\x00"), start + 6, start))

    return tf.cond(position > 0, of_segment, lambda: tf.ones([], tf.int64))


_Look = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From a segment's position to whether it is the one, and where the next one begins."""


def _walk(data: tf.Tensor, start: int, look: _Look) -> tf.Tensor:
    """The position of the segment that `look` finds, int64 []; 0 where there is none."""

    def step(position: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found, after = look(position)
        return tf.where(found, position, after), found

    position, found = tf.while_loop(
        lambda position, found: ~found & (position < _length(data)),
        step,
        (tf.constant(start, tf.int64), tf.constant(False)),
        maximum_iterations=_STEPS,
    )
    return tf.where(found, position, 0)


def _orientation_of_tiff(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """EXIF is a TIFF without a picture: a header, then a directory of entries of 12 bytes (TIFF 6.0, section 2)."""
    little = _is(data, start, b"II")
    directory = start + _number(data, start + 4, 4, little)
    entries = _number(data, directory, 2, little)
    first = tf.minimum(directory + 2, _length(data))
    bytes_e12 = data[first : first + 12 * entries]
    bytes_e12 = tf.reshape(bytes_e12[: tf.size(bytes_e12) // 12 * 12], [-1, 12])

    def column(at: int, count: int) -> tf.Tensor:
        return _value(bytes_e12[:, at : at + count], count, little)

    kind = column(2, 2)
    value = tf.where(kind == _SHORT, column(8, 2), tf.where(kind == _LONG, column(8, 4), 0))
    values = tf.boolean_mask(value, (column(0, 2) == _ORIENTATION) & (value >= 1) & (value <= 8))
    return tf.concat([values, [1]], axis=0)[0]


def _length(data: tf.Tensor) -> tf.Tensor:
    return tf.size(data, tf.int64) - _PADDING


def _slice(data: tf.Tensor, position: tf.Tensor | int, count: int) -> tf.Tensor:
    position = tf.clip_by_value(tf.cast(position, tf.int64), 0, _length(data))
    return tf.slice(data, [position], [count])


def _is(data: tf.Tensor, position: tf.Tensor | int, text: bytes) -> tf.Tensor:
    return tf.reduce_all(_slice(data, position, len(text)) == tf.constant(list(text), tf.uint8))


def _number(data: tf.Tensor, position: tf.Tensor | int, count: int, little: tf.Tensor | bool = False) -> tf.Tensor:
    """An unsigned integer of `count` bytes, int64 []."""
    return _value(_slice(data, position, count), count, little)


def _value(digits: tf.Tensor, count: int, little: tf.Tensor | bool) -> tf.Tensor:
    """Integers int64 [...] of bytes uint8 [..., count], the most significant first unless `little`."""
    powers = [256**power for power in reversed(range(count))]
    powers = tf.where(little, tf.constant(powers[::-1], tf.int64), tf.constant(powers, tf.int64))
    return tf.reduce_sum(tf.cast(digits, tf.int64) * powers, axis=-1)
