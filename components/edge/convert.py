"""From a SavedModel's `serving_pixels` to TFLite and ONNX."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, get_args
from unittest import mock

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated
from tensorflow.lite.tools import flatbuffer_utils
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from trainer_module import looks

SIGNATURE = "serving_pixels"

Format = Literal["float32", "float16", "int8", "onnx"]
FORMATS: tuple[Format, ...] = get_args(Format)

FILES: dict[Format, str] = {
    "float32": "model.tflite",
    "float16": "model_float16.tflite",
    "int8": "model_int8.tflite",
    "onnx": "model.onnx",
}

_OPSET = 17

_KEPT_IN_FLOAT = ("EXP", "LOG", "LOG_SOFTMAX", "SOFTMAX", "SUM", "DIV")
"""Kinds of TFLite operations that int8 ruins and that cost nothing, for they see a few numbers a photo."""

_SILENT_SCALE = 1e-7
"""Of an activation in int8: it never exceeded some 1e-5."""

Pixels = NDArray[np.uint8]


class Frozen:
    """A model whose weights are constants of its graph: what both converters ask for."""

    def __init__(self, saved_model: str, folder: str) -> None:
        """Freezes a SavedModel.

        Args:
            saved_model: its folder; it has `serving_pixels`.
            folder: where the frozen one goes.
        """
        loaded = tf.saved_model.load(saved_model)  # a signature does not keep its model's variables alive
        signature = loaded.signatures[SIGNATURE]
        names, [argument] = sorted(signature.structured_outputs), signature.structured_input_signature[1].values()
        constant = convert_variables_to_constants_v2(signature)
        module = tf.Module()
        module.serve = tf.function(
            lambda pixels: dict(zip(names, tf.nest.flatten(constant(pixels)), strict=True)),
            input_signature=[tf.TensorSpec(argument.shape, argument.dtype, name="pixels")],
        )
        tf.saved_model.save(module, folder, signatures={SIGNATURE: module.serve.get_concrete_function()})
        self.folder, self.function = folder, module.serve
        self.size: int = argument.shape[1]
        """Side of the square that the model sees, in pixels."""


def convert(
    saved_model: str, formats: Sequence[Format], photos: Callable[[], Iterable[Pixels]], folder: pathlib.Path
) -> dict[Format, str]:
    """Writes a model's file of each format into `folder`.

    Args:
        saved_model: folder of the SavedModel.
        formats: which.
        photos: gives pictures uint8 [S, S, 3] of split train, whose activations int8 is scaled to.
        folder: exists.

    Returns:
        For each format that could not be made the reason; the others are there, under `FILES`.
    """
    failed: dict[Format, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        frozen = Frozen(saved_model, os.path.join(scratch, "frozen"))
        for name in formats:
            try:
                content = _onnx(frozen) if name == "onnx" else _tflite(frozen, name, photos)
                (folder / FILES[name]).write_bytes(content)
            except Exception as error:  # a converter that lacks an operation must not end a run of hours
                failed[name] = f"it cannot be converted: {type(error).__name__}: {error}".splitlines()[0]
    return failed


def _tflite(frozen: Frozen, name: Format, photos: Callable[[], Iterable[Pixels]]) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(frozen.folder, signature_keys=[SIGNATURE])
    if name == "float32":
        return converter.convert()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if name == "float16":
        converter.target_spec.supported_types = [tf.float16]
        return converter.convert()

    def representative() -> Iterable[dict[str, Pixels]]:
        return ({"pixels": photo[None]} for photo in photos())

    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=list(_KEPT_IN_FLOAT))
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=representative, debug_options=options
    )
    model: bytes = debugger.get_nondebug_quantized_model()
    if in_float := [*_silent(model), *_of_places(model)]:
        options.denylisted_nodes = in_float
        debugger.options = options  # quantises anew
        model = debugger.get_nondebug_quantized_model()
    return model


# Workaround: XNNPACK refuses the whole int8 model: "failed to create XNNPACK runtime".
# Cause: where units answer zero to every representative photo, as those of a squeeze-and-excitation do when they have
# died in training, the converter gives their output a scale of 1e-6 / 127, and a convolution's sums are then more than
# 256 times as coarse as what they become, which XNNPACK has no arithmetic for. Such operations stay in float.
# Can go when the converter gives what was always zero a scale that XNNPACK takes.
def _silent(model: bytes) -> list[str]:
    """Outputs of the operations that write or read such a tensor."""
    [graph] = flatbuffer_utils.read_model_from_bytearray(bytearray(model)).subgraphs

    def silent(index: int) -> bool:
        tensor = graph.tensors[index]
        of_activation = tensor.type == schema_py_generated.TensorType.INT8 and len(tensor.quantization.scale) == 1
        return of_activation and tensor.quantization.scale[0] < _SILENT_SCALE

    operations = [op for op in graph.operators if any(silent(i) for i in (*op.inputs, *op.outputs) if i >= 0)]
    return [graph.tensors[index].name.decode() for op in operations for index in op.outputs]


def _of_places(model: bytes) -> list[str]:
    """Outputs of the operations that say where a closer look goes, and that move pixels there."""
    [graph] = flatbuffer_utils.read_model_from_bytearray(bytearray(model)).subgraphs
    names = [graph.tensors[index].name.decode() for operation in graph.operators for index in operation.outputs]
    return [name for name in names if looks.GEOMETRY in name]


def _onnx(frozen: Frozen) -> bytes:
    import tf2onnx

    with _scalar_biases():
        model, _ = tf2onnx.convert.from_function(
            frozen.function, input_signature=frozen.function.input_signature, opset=_OPSET
        )
    return model.SerializeToString()


# Workaround: tf2onnx logs "Failed to apply optimize_transpose", leaves a Transpose around every convolution, and the
# model is slow.
# Cause: `TransposeOptimizer._add_handler` takes the size of a constant that is added behind a convolution to be that of
# its longest axis, and a scalar, as in a hard sigmoid, has none (tf2onnx 1.17).
# Can go when it asks for the constant's rank first.
@contextlib.contextmanager
def _scalar_biases() -> Iterator[None]:
    from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer

    original = TransposeOptimizer._add_handler

    def add_handler(optimizer: Any, transpose: Any, node: Any) -> Any:
        added = node.inputs[1]
        if added.is_const() and not added.get_tensor_value(as_list=False).shape:
            return optimizer._handle_node_having_branches(transpose, node)
        return original(optimizer, transpose, node)

    with mock.patch.object(TransposeOptimizer, "_add_handler", add_handler):
        yield
