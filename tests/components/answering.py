"""SavedModels in small that keep the contract of docs/serving.md and name the same class for every photo."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import tensorflow as tf

from trainer_module import warmup


class _Answering(tf.Module):
    def __init__(self, classes: Sequence[str], coarser: str, size: int, description: str, refuses: int) -> None:
        super().__init__()
        self.description = tf.saved_model.Asset(description)
        self._classes, self._coarser, self._size = tuple(classes), coarser, size
        self._refused = refuses

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def photos(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        answers = self._answer(tf.size(image_bytes))
        answers["classes"] = tf.repeat(tf.constant([self._classes]), tf.size(image_bytes), axis=0)
        if self._coarser:
            answers[self._coarser] = tf.fill([tf.size(image_bytes)], "all")
        readable = tf.map_fn(
            lambda photo: tf.strings.length(photo) > self._refused, image_bytes, fn_output_signature=tf.bool
        )
        answers["error"] = tf.where(readable, "", "the photo cannot be decoded")
        return answers

    def pixels(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(tf.shape(pixels)[0])

    def _answer(self, count: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.one_hot(tf.zeros([count], tf.int32), len(self._classes))
        return {"probabilities": tf.ensure_shape(probabilities, [None, len(self._classes)])}


def export_answering(
    folder: pathlib.Path,
    classes: Sequence[str] = ("disc", "square"),
    coarser: str = "",
    size: int = 32,
    refuses: int = len("no photo"),
) -> str:
    """Exports one into `folder`, which is returned; it has no answer for so few bytes as `refuses`."""
    described = {
        "title": str(folder),
        "label": "kind",
        "classes": list(classes),
        "coarser": {coarser: {"classes": ["all"], "of": [0] * len(classes)}} if coarser else {},
        "mask": None,
        "input_size": size,
        "version of the contract": 1,
    }
    path = folder.parent / "model.json"
    folder.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(described))
    model = _Answering(classes, coarser, size, str(path), refuses)
    pixels = tf.function(model.pixels, input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8, name="pixels")])
    signatures = {"serving_default": model.photos, "serving_pixels": pixels.get_concrete_function()}
    tf.saved_model.save(model, str(folder), signatures=signatures)
    warmup.write(str(folder))
    return str(folder)
