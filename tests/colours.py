"""A model with the contract of the pushed one, whose answers can be told by eye: it names the strongest colour."""

from __future__ import annotations

import io
import json
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image

from trainer_module import preprocessing

Write = Callable[..., pathlib.Path]
"""Of a fixture that writes a picture: name and colour to path."""

SIZE = 32
CLASSES = ("red", "green", "blue")


class ColourModel(tf.Module):
    """Class: the channel with the largest mean. Mask: the red channel; of two classes, where red or green is largest.

    `known` is the mean of the largest channel.
    """

    def __init__(self, mask_classes: tuple[str, ...], label: bool) -> None:
        super().__init__()
        self.mask_classes, self.label = mask_classes, label
        self.one = tf.Variable(1.0)

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8, name="pixels")])
    def serving_pixels(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        shares = tf.cast(pixels, tf.float32) / 255.0 * self.one
        means = tf.reduce_mean(shares, axis=[1, 2])
        answers = {"known": tf.reduce_max(means, axis=-1)}
        if self.label:
            answers["probabilities"] = tf.nn.softmax(8.0 * means)
        if len(self.mask_classes) == 1:
            answers["mask"] = shares[..., :1]
        elif self.mask_classes:
            answers["mask"] = tf.nn.softmax(9.0 * tf.stack([shares[..., 2], shares[..., 0], shares[..., 1]], axis=-1))
        return answers

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serving_default(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        signature = self._specs()
        return tf.map_fn(self._one, image_bytes, fn_output_signature=signature)

    def _specs(self) -> dict[str, tf.TensorSpec]:
        specs = {"known": tf.TensorSpec([], tf.float32), "error": tf.TensorSpec([], tf.string)}
        if self.label:
            specs |= {"probabilities": tf.TensorSpec([3], tf.float32), "scores": tf.TensorSpec([3], tf.float32)}
            specs |= {"classes": tf.TensorSpec([3], tf.string), "kind": tf.TensorSpec([], tf.string)}
            specs |= {"kind_score": tf.TensorSpec([], tf.float32)}
        return specs | ({"mask_bytes": tf.TensorSpec([], tf.string)} if self.mask_classes else {})

    def _one(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        first = tf.strings.substr(tf.strings.join([encoded, ".."]), 0, 2)
        readable = tf.reduce_any(first == tf.constant([b"\xff\xd8", b"\x89P", b"GI", b"BM", b"RI"]))
        return tf.cond(readable, lambda: self._answer(encoded), self._no_answer)

    def _answer(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        photo = preprocessing.decode(encoded)
        pixels = tf.cast(tf.round(tf.image.resize(photo, [SIZE, SIZE], antialias=True)), tf.uint8)
        found = {name: value[0] for name, value in self.serving_pixels(pixels[None]).items()}
        answer = {"known": found["known"], "error": tf.constant("")}
        if self.label:
            scores, best = tf.math.top_k(found["probabilities"], 3)
            warm, cold = found["probabilities"][0], found["probabilities"][1] + found["probabilities"][2]
            answer |= {"probabilities": found["probabilities"], "scores": scores}
            answer["classes"] = tf.gather(tf.constant(CLASSES), best)
            answer["kind"] = tf.where(warm > cold, "warm", "cold")
            answer["kind_score"] = tf.maximum(warm, cold)
        if self.mask_classes:
            mask = tf.image.resize(found["mask"], tf.shape(photo)[:2])
            grey = tf.round(mask * 255) if len(self.mask_classes) == 1 else tf.argmax(mask, axis=-1)[..., None]
            answer["mask_bytes"] = tf.io.encode_png(tf.cast(grey, tf.uint8))
        return answer

    def _no_answer(self) -> dict[str, tf.Tensor]:
        empty = {
            name: tf.zeros(spec.shape, spec.dtype) if spec.dtype == tf.float32 else tf.fill(spec.shape, "")
            for name, spec in self._specs().items()
        }
        return empty | {"error": tf.constant("the photo is no picture")}


def export(folder: pathlib.Path, mask_classes: tuple[str, ...] = ("object",), label: bool = True) -> pathlib.Path:
    """Writes a version."""
    save(ColourModel(mask_classes, label), folder)
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "model.json").write_text(json.dumps(described(mask_classes, label)))
    return folder


def save(module: ColourModel, folder: pathlib.Path) -> None:
    """Writes the SavedModel alone."""
    names = ("serving_default", "serving_pixels")
    signatures = {name: getattr(module, name).get_concrete_function() for name in names}
    tf.saved_model.save(module, str(folder), signatures=signatures)


def described(mask_classes: tuple[str, ...], label: bool) -> dict[str, object]:
    """What `model.json` says of it."""
    return {
        "version of the contract": 1,
        "title": "Colours",
        "label": "colour" if label else None,
        "classes": list(CLASSES) if label else [],
        "coarser": {"kind": {"classes": ["warm", "cold"], "of": [0, 1, 1]}} if label else {},
        "mask": {"classes": list(mask_classes)} if mask_classes else None,
        "image_size": SIZE,
        "input_size": SIZE,
    }


def png(colour: tuple[int, int, int], width: int = 40, height: int = 24) -> bytes:
    """A picture of one colour whose right half is black."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = colour
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()
