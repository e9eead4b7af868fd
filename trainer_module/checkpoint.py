"""A training's state on disk after every epoch: a killed training goes on from it to the same figures, to the digit.

Keras' `BackupAndRestore` keeps the weights and the optimizer. What else the course of a recipe depends on is kept here
too: the phase, the weights that `KeepBest` chose, the history, how often the data was gone over, the random generator.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_progress = logging.getLogger("progress")

_SUFFIX, _FINISHED = ".npz", ".finished"
_DIGEST_BYTES = 32


@dataclasses.dataclass(frozen=True)
class State:
    """Where a training is between two epochs."""

    phase: int
    """The phase to go on with, from 0; the number of phases where all are done."""
    epoch: int
    """How many of its epochs are done."""
    iterations: int
    """How often the training data of the last phase's pictures was gone over."""
    probed: bool
    """Whether the class head was fitted to frozen features."""
    epochs: list[dict[str, float]]
    """`callbacks.History`'s record of every epoch."""
    seconds: float
    """How long they took."""
    best: dict[str, float]
    """What `callbacks.KeepBest` judges by."""
    best_weights: list[np.ndarray]
    soup_start: list[np.ndarray]
    """What `callbacks.Soup` has: where its trainings begin, ..."""
    soup_weights: list[np.ndarray]
    soup_epochs: int
    """... and their mean, of so many epochs."""
    model: list[np.ndarray]
    """Values of all variables of the network of the last epoch's phase: weights, statistics, dropout's generators."""
    optimizer: list[np.ndarray]
    """Values of the optimizer's variables; none between two phases, for each has an optimizer of its own."""
    random: tuple[Any, ...]
    """Of Python's generator, from which Keras draws the seeds of new layers. Nothing in a training draws from NumPy's
    or TensorFlow's: the data's seeds are given, and a dropout layer's generator is a variable of the network."""


_ARRAYS = ("best_weights", "soup_start", "soup_weights", "model", "optimizer")


class Checkpoint:
    """One training's file: `KEY.npz` in `folder`, and `KEY.finished` from its export until that is published.

    Of another key's nothing is read, and none is removed before it is finished.
    """

    def __init__(self, folder: str, key: str) -> None:
        self.path, self._finished = (os.path.join(folder, key + suffix) for suffix in (_SUFFIX, _FINISHED))
        self._folder = folder
        self.epochs = 0
        """How many of the training's epochs the file holds."""

    def read(self) -> State | None:
        """The state to go on from; None where there is none, or none that can be used: the log then says so."""
        if not tf.io.gfile.isdir(self._folder):
            return None
        files = [os.path.join(self._folder, name) for name in tf.io.gfile.listdir(self._folder)]
        path = next((path for path in (self.path, self._finished) if path in files), None)
        if path is None:
            for other in (path for path in files if path.endswith(_SUFFIX)):
                _progress.info(
                    "%s is of a training with another config, code or data: not used, and kept until that goes on",
                    other,
                )
            forget_finished(self._folder)
            return None
        try:
            with tf.io.gfile.GFile(path, "rb") as file:
                state = _decoded(file.read())
        except Exception as error:  # zipfile and NumPy have no class of their own for what damage may do
            _progress.info("%s is damaged (%s): the training begins anew", path, error)
            return None
        self.epochs = len(state.epochs)
        return state

    def write(self, state: State) -> None:
        """Replaces the file as a whole: a process that is killed meanwhile leaves the one before."""
        tf.io.gfile.makedirs(self._folder)
        temporary = f"{self.path}.{uuid.uuid4().hex}"
        with tf.io.gfile.GFile(temporary, "wb") as file:
            file.write(_encoded(state))
        tf.io.gfile.rename(temporary, self.path, overwrite=True)
        self.epochs = len(state.epochs)

    def finish(self) -> None:
        """Says that the training is exported: the state is kept for a run that ends before it knows the export."""
        if tf.io.gfile.exists(self.path):
            tf.io.gfile.rename(self.path, self._finished, overwrite=True)
        for leftover in tf.io.gfile.glob(f"{self.path}*"):  # of writes that were killed
            tf.io.gfile.remove(leftover)


def forget_finished(folder: str) -> None:
    """Removes the states of finished trainings, whose exports are published by now, and the folder if it is empty."""
    for finished in tf.io.gfile.glob(os.path.join(folder, f"*{_FINISHED}")):
        tf.io.gfile.remove(finished)
    if not tf.io.gfile.listdir(folder):
        tf.io.gfile.rmtree(folder)


def key(custom_config: Mapping[str, Any], image_size: int, files: Sequence[str]) -> str:
    """What a training's course depends on, as 16 hexadecimal digits.

    Args:
        custom_config: the Trainer's, with the config and the fingerprints of code and weights.
        image_size: side of Transform's pictures, in pixels.
        files: the records, for training and then for evaluation.
    """
    versions = [tf.__version__, keras.__version__]
    digest = hashlib.sha256(json.dumps([custom_config, image_size, versions], sort_keys=True).encode())
    for path in files:
        with tf.io.gfile.GFile(path, "rb") as file:
            while block := file.read(2**24):
                digest.update(block)
        digest.update(b"end of file")
    return digest.hexdigest()[:16]


def values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """A copy of their values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], given: Sequence[np.ndarray]) -> None:
    """Gives the variables these values."""
    for variable, value in zip(variables, given, strict=True):
        variable.assign(value)


def _encoded(state: State) -> bytes:
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    arrays = {f"{name}/{index}": array for name in _ARRAYS for index, array in enumerate(fields.pop(name))}
    buffer = io.BytesIO()
    np.savez(buffer, state=np.array(json.dumps(fields)), **arrays)
    return buffer.getvalue() + hashlib.sha256(buffer.getbuffer()).digest()  # a zip's sums leave out its list of names


def _decoded(file: bytes) -> State:
    data, digest = file[:-_DIGEST_BYTES], file[-_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("its checksum is another")
    with np.load(io.BytesIO(data), allow_pickle=False) as content:
        fields = json.loads(content["state"].item())
        for name in _ARRAYS:
            count = sum(1 for entry in content.files if entry.startswith(f"{name}/"))
            fields[name] = [content[f"{name}/{index}"] for index in range(count)]
    version, internal, gauss = fields["random"]
    return State(**fields | {"random": (version, tuple(internal), gauss)})
