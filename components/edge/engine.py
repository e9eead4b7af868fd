"""A process of its own that runs one model's file: `python engine.py FILE`. An engine that crashes ends this process.

It reads pickled batches of pixels uint8 [B, S, S, 3] from its standard input until the end, and writes for each the
pair of the answers by name and the seconds that they took, pickled, to its standard output. It imports nothing of ours.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from typing import Any

Run = Callable[[Any], dict[str, Any]]


def _tflite(file: str) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(file, num_threads=os.cpu_count())
    serve = interpreter.get_signature_runner("serving_pixels")
    # What it returns lies in its own memory until the next call; so does the interpreter behind it.
    return lambda pixels: {name: value.copy() for name, value in serve(pixels=pixels).items()} if interpreter else {}


def _onnx(file: str) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda pixels: dict(zip(names, session.run(names, {"pixels": pixels}), strict=True))


def main(file: str) -> None:
    # What the libraries print would mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    run = _onnx(file) if file.endswith(".onnx") else _tflite(file)
    while True:
        try:
            pixels = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        started = time.perf_counter()
        found = run(pixels)
        seconds = time.perf_counter() - started
        pickle.dump((found, seconds), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
