"""Photos of strangers to what the network sees, in TensorFlow's graph: each for itself, whatever is in its bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from trainer_module import photo_header, preprocessing

MAX_PIXELS = 50_000_000
"""Of one photo: 150 MB when it is decoded. Larger ones are refused by their header."""

_PARALLEL = 8
"""So many photos are decoded at once."""

_DAMAGED = "the photo cannot be decoded: its file is damaged or not whole"


class Photos(NamedTuple):
    """A batch of photos; of one that cannot be used all is 0 but `error`."""

    pixels: tf.Tensor
    """uint8 [B, S, S, 3], RGB, upright."""
    sizes: tf.Tensor
    """int32 [B, 2], height and width of the photo itself, upright, in pixels."""
    errors: tf.Tensor
    """string [B], empty, or a sentence that says why the photo cannot be used."""


def decode_photos(encoded: tf.Tensor, image_size: int, network_size: int) -> Photos:
    """Decodes and resizes photos as Transform and training do; one that fails leaves its neighbours alone.

    Args:
        encoded: string [B], JPEG, PNG, GIF (its first picture), BMP or WebP bytes.
        image_size: side that Transform resizes to, in pixels.
        network_size: S, side that the network sees, in pixels.
    """
    # An empty photo behind them, unusable without an error of TensorFlow's, stands for all that fail.
    photos = tf.concat([encoded, [b""]], axis=0)
    count = tf.size(photos, tf.int64)
    # A function that fails ends the whole graph; a data set can leave out the element instead.
    decoded = (
        tf.data.Dataset.range(count)
        .map(
            lambda index: (index, *_decode_photo(photos[index], image_size, network_size)),
            num_parallel_calls=_PARALLEL,
            deterministic=False,
        )
        .ignore_errors()
        .batch(count)
    )
    # What tunes and rewrites a data set costs more than these few steps take.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    index, *values = decoded.with_options(options).get_single_element()
    places = tf.tensor_scatter_nd_update(tf.fill([count], -1), index[:, None], tf.range(tf.size(index)))
    pixels, sizes, errors = (tf.gather(value, tf.where(places < 0, places[-1], places)[:-1]) for value in values)
    return Photos(pixels, sizes, tf.where(places[:-1] < 0, _DAMAGED, errors))


@tf.autograph.experimental.do_not_convert  # all of it is TensorFlow's own control flow already
def _decode_photo(photo: tf.Tensor, image_size: int, network_size: int) -> Photos:
    """The same of one photo, without B; an error of TensorFlow if it cannot be decoded."""
    data = photo_header.padded(photo)
    kind = photo_header.format_of(data)
    size = photo_header.size_of(photo, data, kind)
    error = _error(photo, data, kind, size)

    def usable() -> Photos:
        image = preprocessing.resize_image(_pixels(photo, data, kind), image_size)
        # A square can be turned for nothing, after the resizing.
        orientation = photo_header.orientation(data, kind)
        image = preprocessing.resize_image(_turned(image, orientation), network_size)
        upright = tf.where(orientation >= 5, tf.reverse(size, [0]), size)
        return Photos(image, tf.cast(upright, tf.int32), error)

    return tf.cond(error == "", usable, lambda: _unusable(network_size, error))


def _unusable(network_size: int, error: tf.Tensor | str) -> Photos:
    return Photos(
        tf.zeros([network_size, network_size, 3], tf.uint8), tf.zeros([2], tf.int32), tf.convert_to_tensor(error)
    )


def _error(photo: tf.Tensor, data: tf.Tensor, kind: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Why it is not to be decoded, string []; empty where it is."""
    height, width = tf.strings.as_string(size[0]), tf.strings.as_string(size[1])
    limit = f" pixels, more than {MAX_PIXELS / 1e6:g} million: send a smaller one"
    palette = (kind == photo_header.BMP) & (photo_header.bmp_bits(data) < 24)
    animated = (kind == photo_header.WEBP) & photo_header.is_animated(data)
    more = tf.cond(kind == photo_header.GIF, lambda: photo_header.gif_shows_more(data), lambda: tf.constant(False))
    checks: list[tuple[tf.Tensor, tf.Tensor | str]] = [
        (size[0] * size[1] > MAX_PIXELS, tf.strings.join(["the photo has ", width, " x ", height, limit])),
        (palette, "the photo is a BMP with a palette: send one of 24 bits a pixel, or JPEG or PNG"),
        (animated, "the photo is an animated WebP: send one picture"),
        (more, "the photo is a GIF that is transparent, or larger than its first picture: send a JPEG or a PNG"),
        (size[0] * size[1] == 0, _DAMAGED),
        (kind == photo_header.UNKNOWN, "the photo is none of JPEG, PNG, GIF, BMP and WebP: send one of them"),
        (tf.strings.length(photo) == 0, "the photo is empty"),
    ]
    error = tf.constant("")
    for wrong, sentence in checks:
        error = tf.where(wrong, sentence, error)
    return error


def _pixels(photo: tf.Tensor, data: tf.Tensor, kind: tf.Tensor) -> tf.Tensor:
    """Decodes to uint8 [h, w, 3] as ingestion does: one picture, the upper 8 of 16 bits, alpha on white."""

    def jpeg() -> tf.Tensor:
        return preprocessing.decode_jpeg(photo)

    def png() -> tf.Tensor:
        # Not always 4: of a palette of 16 colours the missing alpha would come out as 15 of 255.
        return tf.cond(
            photo_header.png_has_alpha(data),
            lambda: _on_white(tf.io.decode_png(photo, channels=4)),
            lambda: tf.io.decode_png(photo, channels=3),
        )

    def gif() -> tf.Tensor:
        return tf.io.decode_gif(photo_header.first_gif_picture(photo, data))[0]

    def bmp() -> tf.Tensor:
        return tf.io.decode_image(photo, expand_animations=False)[..., :3]

    def webp() -> tf.Tensor:
        image = tf.io.decode_image(photo, expand_animations=False)
        return tf.cond(tf.shape(image)[-1] == 4, lambda: _on_white(image), lambda: image)

    pixels = tf.switch_case(kind, [jpeg, png, gif, bmp, webp])
    return tf.ensure_shape(pixels, [None, None, 3])


def _on_white(rgba: tf.Tensor) -> tf.Tensor:
    """Lays uint8 [h, w, 4] on white: uint8 [h, w, 3]."""
    rgba = tf.ensure_shape(rgba, [None, None, 4])
    colour, alpha = tf.split(rgba, [3, 1], axis=-1)
    share = tf.cast(alpha, tf.float32) / 255.0
    return tf.cast(tf.round(255.0 - share * (255.0 - tf.cast(colour, tf.float32))), tf.uint8)


def _turned(square: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Pixels [S, S, 3] as EXIF's orientation, 1 to 8, wants them shown."""

    def when(these: tuple[int, ...], turn: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor) -> tf.Tensor:
        asked = tf.reduce_any(orientation == tf.constant(these, tf.int64))
        return tf.cond(asked, lambda: turn(image), lambda: image)

    image = when((5, 6, 7, 8), lambda image: tf.transpose(image, [1, 0, 2]), square)
    image = when((2, 3, 6, 7), lambda image: tf.reverse(image, [1]), image)
    return when((3, 4, 7, 8), lambda image: tf.reverse(image, [0]), image)
