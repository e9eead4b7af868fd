"""Requests that a server answers before the first person asks: a drawn photo of every kind that it may meet.

They are part of the SavedModel, so they are drawn: photos of the training data would leave the house with it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
"""In a SavedModel: where TensorFlow Serving looks for them."""

_SIGNATURE = "serving_default"
_WIDTH, _HEIGHT = 500, 375


def photos() -> dict[str, bytes]:
    """An encoded photo of each kind, 500 x 375 pixels, and bytes that are none."""
    generator = np.random.default_rng(0)
    image = Image.fromarray(generator.integers(0, 256, (6, 8, 3), np.uint8)).resize((_WIDTH, _HEIGHT))
    translucent = image.copy()
    translucent.putalpha(Image.linear_gradient("L").resize(image.size))
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6

    def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    return {
        "JPEG": encoded(image, "JPEG"),
        "turned JPEG": encoded(image, "JPEG", exif=turned),
        "grey JPEG": encoded(image.convert("L"), "JPEG"),
        "PNG": encoded(image, "PNG"),
        "translucent PNG": encoded(translucent, "PNG"),
        "GIF": encoded(image, "GIF"),
        "BMP": encoded(image, "BMP"),
        "WebP": encoded(image, "WEBP"),
        "no photo": b"no photo",
    }


def write(saved_model: str) -> None:
    """Writes the requests into the folder of a SavedModel: one of a single JPEG, one of every kind."""
    drawn = photos()
    path = os.path.join(saved_model, FILE)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path) as file:
        for batch in ([drawn["JPEG"]], list(drawn.values())):
            file.write(_log(batch).SerializeToString())


def _log(batch: Sequence[bytes]) -> prediction_log_pb2.PredictionLog:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "model"  # the server replays it on the version that it lies in, whatever that is called
    request.model_spec.signature_name = _SIGNATURE
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(list(batch), tf.string))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
