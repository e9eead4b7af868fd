"""Photos of strangers to what the network sees, in TensorFlow's graph: each for itself, whatever is in its bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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
    headers = tf.map_fn(photo_header.read, photos, fn_output_signature=photo_header.SIGNATURE)
    wrong = _errors(photos, headers)

    def decode(index: tf.Tensor, *of_photo: Any) -> tuple[tf.Tensor, ...]:
        return index, *_decode_photo(*of_photo, image_size, network_size)

    # A function that fails ends the whole graph; a data set can leave out the element instead. It prepares the function
    # anew at each call, so nothing is in there but what may fail or is much work.
    decoded = (
        tf.data.Dataset.from_tensor_slices((tf.range(count), photos, headers, wrong == ""))
        .map(decode, num_parallel_calls=_PARALLEL, deterministic=False)
        .ignore_errors()
        .batch(count)
    )
    # What tunes and rewrites a data set costs more than these few steps take.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    index, *values = decoded.with_options(options).get_single_element()
    places = tf.tensor_scatter_nd_update(tf.fill([count], -1), index[:, None], tf.range(tf.size(index)))
    pixels, sizes = (tf.gather(value, tf.where(places < 0, places[-1], places)) for value in values)
    errors = tf.where(wrong == "", _size_errors(sizes), wrong)
    sizes = tf.where(headers.orientation[:, None] >= 5, tf.reverse(sizes, [1]), sizes)
    sizes = tf.where(errors[:, None] == "", tf.cast(sizes, tf.int32), 0)
    return Photos(pixels[:-1], sizes[:-1], errors[:-1])


def _errors(photos: tf.Tensor, headers: photo_header.Header) -> tf.Tensor:
    """Why photos, string [B], of whatever size are not to be decoded, string [B]; empty where they are."""
    checks: list[tuple[tf.Tensor, str]] = [
        (headers.bmp_has_palette, "the photo is a BMP with a palette: send one of 24 bits a pixel, or JPEG or PNG"),
        (headers.webp_is_animated, "the photo is an animated WebP: send one picture"),
        (
            headers.gif_shows_more,
            "the photo is a GIF that is transparent, or larger than its first picture: send a JPEG or a PNG",
        ),
        (
            headers.kind == photo_header.UNKNOWN,
            "the photo is none of JPEG, PNG, GIF, BMP and WebP: send one of them",
        ),
        (tf.strings.length(photos) == 0, "the photo is empty"),
    ]
    errors = tf.fill(tf.shape(photos), "")
    for wrong, sentence in checks:
        errors = tf.where(wrong, sentence, errors)
    return errors


def _size_errors(sizes: tf.Tensor) -> tf.Tensor:
    """The same of photos of these sizes, int64 [B, 2]."""
    height, width = tf.unstack(tf.strings.as_string(sizes), axis=1)
    limit = f" pixels, more than {MAX_PIXELS / 1e6:g} million: send a smaller one"
    too_large = tf.strings.join(["the photo has ", width, " x ", height, limit])
    return tf.where(tf.reduce_min(sizes, axis=1) == 0, _DAMAGED, tf.where(_fits(sizes), "", too_large))


def _fits(sizes: tf.Tensor) -> tf.Tensor:
    """Whether sizes int64 [..., 2] are of a picture within the limit, bool [...]; their product may not fit int64."""
    height, width = tf.unstack(sizes, axis=-1)
    return (height > 0) & (width > 0) & (height <= MAX_PIXELS // tf.maximum(width, 1))


@tf.autograph.experimental.do_not_convert  # all of it is TensorFlow's own control flow already
def _decode_photo(
    photo: tf.Tensor, header: photo_header.Header, usable: tf.Tensor, image_size: int, network_size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels uint8 [S, S, 3], upright, and the stored size int64 [2]; an error of TensorFlow if it is damaged.

    The pixels are 0 where it is not `usable` or of a size that is not.
    """
    size = tf.cond(
        header.kind == photo_header.JPEG,
        lambda: tf.cast(tf.io.extract_jpeg_shape(photo)[:2], tf.int64),
        lambda: header.size,
    )

    def decoded() -> tf.Tensor:
        image = preprocessing.resize_image(_pixels(photo, header), image_size)
        # A square can be turned for nothing, after the resizing.
        return preprocessing.resize_image(_turned(image, header.orientation), network_size)

    def nothing() -> tf.Tensor:
        return tf.zeros([network_size, network_size, 3], tf.uint8)

    return tf.cond(usable & _fits(size), decoded, nothing), size


def _pixels(photo: tf.Tensor, header: photo_header.Header) -> tf.Tensor:
    """Decodes to uint8 [h, w, 3] as ingestion does: one picture, the upper 8 of 16 bits, alpha on white."""

    def jpeg() -> tf.Tensor:
        return preprocessing.decode_jpeg(photo)

    def png() -> tf.Tensor:
        # Not always 4: of a palette of 16 colours the missing alpha would come out as 15 of 255.
        return tf.cond(
            header.png_has_alpha,
            lambda: _on_white(tf.io.decode_png(photo, channels=4)),
            lambda: tf.io.decode_png(photo, channels=3),
        )

    def gif() -> tf.Tensor:
        # Cut behind its first picture: giflib would unpack them all.
        first = tf.strings.substr(photo, 0, tf.cast(header.gif_end, tf.int32))
        return tf.io.decode_gif(tf.strings.join([first, b";"]))[0]

    def bmp() -> tf.Tensor:
        return tf.io.decode_image(photo, expand_animations=False)[..., :3]

    def webp() -> tf.Tensor:
        image = tf.io.decode_image(photo, expand_animations=False)
        return tf.cond(tf.shape(image)[-1] == 4, lambda: _on_white(image), lambda: image)

    pixels = tf.switch_case(header.kind, [jpeg, png, gif, bmp, webp])
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
