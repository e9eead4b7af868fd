"""The bodies of requests and answers in docs/serving.md, against TensorFlow Serving's documented rules.

The rules are those of its RESTful API: https://www.tensorflow.org/tfx/serving/api_rest, "Predict API", "Encoding binary
values" and "JSON mapping".
"""

from __future__ import annotations

import base64
import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from test_photos import PHOTOS
from tfx.components.trainer.fn_args_utils import FnArgs

from schema import spec_file

GUIDE = (pathlib.Path(__file__).parents[2] / "docs" / "serving.md").read_text()


@pytest.fixture(scope="module")
def signature(trained: FnArgs) -> Any:
    return tf.saved_model.load(trained.serving_model_dir).signatures["serving_default"]


def _value(given: Any) -> Any:
    """JSON to a tensor's value: an object with the one key `b64` is binary."""
    if isinstance(given, dict):
        assert set(given) == {"b64"}
        return base64.b64decode(given["b64"])
    return [_value(one) for one in given] if isinstance(given, list) else given


def _json(value: Any, binary: bool) -> Any:
    """A tensor's value to JSON; binary where the output's name ends in `_bytes`, else text must be UTF-8."""
    if isinstance(value, list):
        return [_json(one, binary) for one in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if binary else value.decode()
    return value


def serve(signature: Any, body: str) -> str:
    """What `POST /v1/models/MODEL:predict` answers."""
    request = json.loads(body)
    [name] = signature.structured_input_signature[1]
    by_rows = "instances" in request
    # By rows, the values of a signature with one input need not be named.
    values = _value(request["instances"]) if by_rows else _value(request["inputs"][name])
    outputs = {key: value.numpy().tolist() for key, value in signature(**{name: tf.constant(values)}).items()}
    columns = {key: _json(value, key.endswith("_bytes")) for key, value in outputs.items()}
    if not by_rows:
        return json.dumps({"outputs": columns})
    assert {len(column) for column in columns.values()} == {len(values)}, "by rows each output has a row an instance"
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"predictions": rows})


def test_rows_and_columns_carry_photos_and_masks_as_base64(signature: Any) -> None:
    photo = base64.b64encode(PHOTOS["JPEG"]).decode()
    rows = json.loads(serve(signature, json.dumps({"instances": [{"b64": photo}, {"b64": "bm8gcGhvdG8="}]})))
    columns = json.loads(serve(signature, json.dumps({"inputs": {"image_bytes": [{"b64": photo}]}})))
    answered, refused = rows["predictions"]
    assert answered["error"] == ""
    assert tf.io.decode_png(base64.b64decode(answered["mask_bytes"]["b64"])).shape == (70, 100, 1)
    assert columns["outputs"]["classes"] == [answered["classes"]]
    assert refused["error"].startswith("the photo is none of JPEG")
    assert refused["mask_bytes"] == {"b64": ""}


def test_the_guides_bodies_are_those_that_the_server_takes_and_answers(signature: Any) -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]
    described, request, answer = blocks
    request["instances"][0]["b64"] = base64.b64encode(PHOTOS["JPEG"]).decode()
    rows = json.loads(serve(signature, json.dumps(request)))["predictions"]
    assert [set(row) for row in answer["predictions"]] == [set(row) for row in rows]
    for shown, real in zip(answer["predictions"], rows, strict=True):
        assert {name: type(value) for name, value in shown.items()} == {name: type(real[name]) for name in shown}
    assert answer["predictions"][1]["error"] == rows[1]["error"]
    sizes = {"image_size", "input_size"}
    assert set(described) == {"title", "label", "classes", "coarser", "mask", *sizes, "version of the contract"}


def test_the_guides_model_names_what_the_pets_have() -> None:
    described, _, answer = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL))
    species = spec_file.shipped("oxford_iiit_pet").label("species")
    assert tuple(described["coarser"]["species"]["classes"]) == species.classes
    assert answer["predictions"][0]["species"] in species.classes


def test_a_request_by_grpc_is_a_proto_of_one_string_tensor(signature: Any) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "pets"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([PHOTOS["JPEG"]]))
    sent = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    photos = tf.constant(tf.make_ndarray(sent.inputs["image_bytes"]))
    assert photos.dtype == tf.string
    answer = predict_pb2.PredictResponse()
    for name, value in signature(image_bytes=photos).items():
        answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    received = predict_pb2.PredictResponse.FromString(answer.SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(received.outputs["error"]), [b""])
