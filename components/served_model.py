"""Asks a SavedModel what a server would ask it, in a process of its own: `python -P served_model.py FOLDER`.

Replays the warm-up requests that lie in the SavedModel. Leaves with status 1 and a sentence where an answer is wrong.
A process of its own shows that the model needs nothing that training left in memory, and gives the memory back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

_WARM_UP = os.path.join("assets.extra", "tf_serving_warmup_requests")
_MODEL_FILE = os.path.join("assets", "model.json")
_SECONDS = 1_800
"""Longer than any model takes to load."""


def check(model: str) -> None:
    """Runs this module on the SavedModel in `model`.

    Raises:
        ValueError: it does not load, or an answer is wrong.
    """
    # -P: the folder of this file would shadow packages of the same names.
    command = [sys.executable, "-P", __file__, model]
    process = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if process.returncode:
        said = process.stderr.strip().splitlines() or [f"it ended with status {process.returncode}"]
        raise ValueError(f"the model in {model} is not pushed, since it does not answer as it should: {said[-1]}")


def _main(folder: str) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    with tf.io.gfile.GFile(os.path.join(folder, _MODEL_FILE)) as file:
        described = json.load(file)
    model = tf.saved_model.load(folder)
    path = os.path.join(folder, _WARM_UP)
    for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(serialized).predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        answer = model.signatures[request.model_spec.signature_name](**inputs)
        answers = {name: value.numpy() for name, value in answer.items()}
        for index, photo in enumerate(inputs["image_bytes"].numpy()):
            wrong = _wrong(photo, {name: values[index] for name, values in answers.items()}, described)
            if wrong:
                sys.exit(f"photo {index} of a warm-up request, {photo[:4]!r} …: {wrong}")


def _wrong(photo: bytes, answer: dict[str, Any], described: dict[str, Any]) -> str:
    """What is wrong with the answer for one photo; empty if nothing is."""
    import tensorflow as tf

    error = answer["error"].decode()
    if photo == b"no photo":
        return "" if error else "it is none, and there is no `error`"
    if error:
        return error
    if described["label"]:
        if abs(answer["probabilities"].sum() - 1.0) > 1e-3:
            return f"the probabilities add up to {answer['probabilities'].sum()}"
        best = described["classes"][answer["probabilities"].argmax()]
        if answer["classes"][0].decode() != best:
            return f"the model names {answer['classes'][0].decode()!r}, and {best!r} is the most probable class"
    if described["mask"] and tf.io.decode_png(answer["mask_bytes"]).shape[-1] != 1:
        return "the mask has several channels"
    return ""


if __name__ == "__main__":
    _main(sys.argv[1])
