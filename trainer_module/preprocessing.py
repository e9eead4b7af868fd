"""From encoded photo and mask to what the networks see: the only such code, for training, evaluation and serving.

`preprocessing_fn` is Transform's; its saved graph runs in the Evaluator and in the server. The input pipeline of
training composes the same small functions, so that it can keep decoded uint8 pictures (Transform's outputs can only be
float32, int64 or string); a test holds both to the same values.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from schema import record


def decode_image(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes one photo and stretches it to a square.

    Args:
        encoded: string [], JPEG (or PNG, BMP, GIF) bytes.
        size: side of the square, in pixels.

    Returns:
        uint8 [size, size, 3], RGB.
    """
    return resize_image(decode(encoded), size)


def decode_images(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """The same of a batch, string [B]: uint8 [B, size, size, 3]."""
    square = tf.TensorSpec([size, size, 3], tf.uint8)
    return tf.map_fn(lambda photo: decode_image(photo, size), encoded, fn_output_signature=square)


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one photo, string [], to uint8 [h, w, 3], RGB."""
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: decode_jpeg(encoded),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    image.set_shape([None, None, 3])
    return image


def decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, string [], to the uint8 [h, w, 3] that other programs get, such as Pillow and OpenCV.

    `tf.io.decode_image` has libjpeg's fast transform, which is up to 8 levels off what libjpeg gives by default.
    """
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def resize_image(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes uint8 [..., h, w, 3] to uint8 [..., size, size, 3], bilinear with anti-aliasing."""
    if image.shape[-3] == size and image.shape[-2] == size:
        return image
    # An enlarged picture has no aliases, and the plain kernel takes a third of the time.
    shrinks = image.shape[-3] is None or image.shape[-3] > size
    resized = tf.image.resize(image, [size, size], antialias=shrinks)
    return tf.cast(tf.round(resized), tf.uint8)  # means of pixels, so none is out of range


def decode_mask(png: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes one prepared mask (string [], PNG) to uint8 [size, size, 1] as `schema.record` describes it."""
    return resize_mask(tf.io.decode_png(png, channels=1), size)


def resize_mask(mask: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes uint8 [..., h, w, 1] to uint8 [..., size, size, 1], nearest neighbour: classes do not mix."""
    return tf.image.resize(mask, [size, size], method="nearest")


def normalise_image(image: tf.Tensor) -> tf.Tensor:
    """Maps uint8 [...] to float32 [...] in [-1, 1], as MobileNetV3's weights were trained."""
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def mask_label(mask: tf.Tensor) -> tf.Tensor:
    """Maps uint8 [...] of a record's mask to float32 [...]: 0 background, k the k-th class, -1 unknown."""
    unknown = tf.equal(mask, record.MASK_IGNORED)
    return tf.where(unknown, record.IGNORED_LABEL, tf.cast(mask, tf.float32))


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transform's graph over a batch of raw features.

    Args:
        inputs: raw features as `schema.record` describes them, each [B].
        custom_config: `image_size`, the side of the square that pictures are resized to, in pixels, and `labels`, the
            names of the data set's labels.

    Returns:
        `image` float32 [B, H, W, 3] in [-1, 1]; `mask` float32 [B, H, W, 1] of 0 background, k the k-th class, -1
        unknown, where the records have masks; each label's class int64 [B], -1 unknown.
    """
    size = custom_config["image_size"]
    outputs = {name: tf.identity(inputs[name]) for name in custom_config["labels"]}
    outputs[record.IMAGE] = normalise_image(decode_images(inputs[record.IMAGE], size))
    if record.MASK in inputs:
        mask = tf.map_fn(
            lambda png: decode_mask(png, size),
            inputs[record.MASK],
            fn_output_signature=tf.TensorSpec([size, size, 1], tf.uint8),
        )
        outputs[record.MASK] = mask_label(mask)
    return outputs
