"""A gRPC server of one SavedModel with TensorFlow Serving's protos, which the snippets of docs/serving.md ask."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: pathlib.Path) -> None:
        self._model = tf.saved_model.load(str(model))

    def Predict(self, request: Any, context: Any) -> Any:
        signature = self._model.signatures[request.model_spec.signature_name or "serving_default"]
        given = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, tensor in signature(**given).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return response


@contextlib.contextmanager
def serving(model: pathlib.Path) -> Iterator[int]:
    """Serves the version in the folder `model` meanwhile; gives the port."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(model), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
