"""A pushed model in this process: encoded photos in, answers out, whether TensorFlow or TFLite computes them.

What a model answers is told by its `model.json`; docs/serving.md has the contract.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving import pictures, resizing

CONTRACT = 1
"""The version of the contract that is understood here."""

TOP = 5
"""So many classes are named, the most probable first."""


@dataclasses.dataclass(frozen=True)
class Description:
    """What `model.json` says."""

    title: str
    label: str | None
    """What the classes are of; None: the model names none."""
    classes: tuple[str, ...]
    coarser: dict[str, tuple[tuple[str, ...], tuple[int, ...]]]
    """Labels that follow from the class: their classes, and for each class of `classes` the index of its one."""
    mask_classes: tuple[str, ...]
    """Foreground classes of the mask; none: the model gives no mask."""
    image_size: int
    """Side of the square that a photo is resized to first, in pixels."""
    input_size: int
    """Side of the square that the network sees, in pixels."""


class Answer(NamedTuple):
    """What the model says of one photo."""

    error: str
    """Why there is no answer, in one sentence; empty: there is one."""
    classes: tuple[str, ...] = ()
    """The `TOP` most probable classes, best first."""
    scores: tuple[float, ...] = ()
    """Their probabilities."""
    coarser: dict[str, tuple[str, float]] = {}  # noqa: RUF012 - of a NamedTuple, and nobody writes into it
    """Class and probability of each coarser label."""
    known: float = 0.0
    """How much the photo looks like those of the training, in [0, 1]; below 0.5: do not trust the answer."""
    mask_png: bytes = b""
    """The mask at the photo's size: grey, the foreground's probability times 255, or of several classes the index."""


Prepared = Any
"""What a model makes of an encoded photo before the photos of a batch meet."""


class SavedModel:
    """A version as it is served: it reads photos itself."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.description = _description(folder / "assets" / "model.json")
        with _quiet():
            import tensorflow as tf

            self._tf = tf
            try:
                self._loaded = tf.saved_model.load(str(folder))  # a signature does not keep its model alive
            except Exception as error:  # TensorFlow has no error of its own for a damaged model
                reason = str(error).partition("\n")[0]
                raise ValueError(f"{folder} cannot be loaded, copy the version anew: {reason}") from error
        self.signatures = self._loaded.signatures
        self._serve = self.signatures["serving_default"]

    def prepare(self, data: bytes) -> Prepared:
        return data

    def answer(self, photos: Sequence[Prepared]) -> list[Answer]:
        """Answers encoded photos, each for itself: an unreadable one has its `error`."""
        found = {name: value.numpy() for name, value in self._serve(image_bytes=self._tf.constant(photos)).items()}
        return [self._one({name: value[number] for name, value in found.items()}) for number in range(len(photos))]

    def _one(self, found: dict[str, Any]) -> Answer:
        if found["error"]:
            return Answer(found["error"].decode())
        named = self.description.label is not None
        return Answer(
            error="",
            classes=tuple(name.decode() for name in found["classes"]) if named else (),
            scores=tuple(map(float, found["scores"])) if named else (),
            coarser={name: (found[name].decode(), float(found[f"{name}_score"])) for name in self.description.coarser},
            known=float(found["known"]),
            mask_png=found["mask_bytes"] if self.description.mask_classes else b"",
        )


class TFLite:
    """A `model.tflite` and the `model.json` beside it, without TensorFlow: Pillow reads photos to the same pixels.

    Each core has an engine of its own and photos of its own: cores that share a photo wait for each other.
    """

    def __init__(self, file: pathlib.Path) -> None:
        self.description = _description(file.with_name("model.json"))
        cores = os.cpu_count() or 1
        with _quiet():
            from ai_edge_litert.interpreter import Interpreter

            self._interpreters = [Interpreter(str(file), num_threads=1) for _ in range(cores)]
            self._interpreters[-1].allocate_tensors()  # the first one to do so says by what it computes
            _check_described(file, self._interpreters[-1].get_signature_runner("serving_pixels"), self.description)
            self._idle = queue.LifoQueue[Any]()  # an engine takes memory once it was asked
            for interpreter in self._interpreters:
                self._idle.put(interpreter.get_signature_runner("serving_pixels"))
        self._threads = concurrent.futures.ThreadPoolExecutor(cores)

    def prepare(self, data: bytes) -> Prepared:
        """The pixels uint8 [S, S, 3], and the photo's (width, height).

        Raises:
            ValueError: the photo cannot be read.
        """
        photo = pictures.decode(data)
        sizes = self.description.image_size, self.description.input_size
        return resizing.network_input(np.asarray(photo), *sizes), photo.size

    def answer(self, photos: Sequence[Prepared]) -> list[Answer]:
        return list(self._threads.map(self._one, photos))

    def _one(self, photo: Prepared) -> Answer:
        pixels, size = photo
        engine = self._idle.get()
        try:
            found = {name: value[0] for name, value in engine(pixels=pixels[None]).items()}
            return from_pixels(self.description, found, size)  # what was found is the engine's until its next call
        finally:
            self._idle.put(engine)


Model = SavedModel | TFLite


def from_pixels(description: Description, found: dict[str, NDArray[np.float32]], size: tuple[int, int]) -> Answer:
    """The answer from what `serving_pixels` says of one photo of `size` (width, height)."""
    classes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    coarser: dict[str, tuple[str, float]] = {}
    if description.label is not None:
        probabilities = found["probabilities"]
        best = np.argsort(-probabilities, kind="stable")[:TOP]
        classes, scores = tuple(description.classes[k] for k in best), tuple(float(probabilities[k]) for k in best)
        for name, (names, of) in description.coarser.items():
            summed = np.bincount(of, probabilities, len(names))
            coarser[name] = names[int(summed.argmax())], float(summed.max())
    mask = pictures.mask_png(found["mask"], size) if description.mask_classes else b""
    return Answer("", classes, scores, coarser, float(found["known"]), mask)


def open_model(path: str) -> Model:
    """Loads a version's folder or a `.tflite`.

    Raises:
        ValueError: it is neither, or of a contract that is not understood; one sentence.
    """
    if path.endswith(".tflite") and os.path.isfile(path):
        return TFLite(pathlib.Path(path))
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        return SavedModel(pathlib.Path(path))
    raise ValueError(f"model is {path!r}, which is no folder with a saved_model.pb and no .tflite: give one of them")


def find(path: str | None = None, runs: str = "runs") -> str:
    """The model that is meant: `path`, of a folder of versions the newest, and without a path that of all `runs`.

    Raises:
        ValueError: no run has pushed a model.
    """
    folder, of_version = (path, "*") if path else (runs, "*/serving/*")
    files = pathlib.Path(folder).glob(f"{of_version}/saved_model.pb")
    versions = [(int(file.parent.name), str(file.parent)) for file in files if file.parent.name.isdecimal()]
    if versions:
        return max(versions)[1]
    if not path:
        raise ValueError(f"there is no model in {runs}/*/serving: give one as --model")
    return path


def _description(file: pathlib.Path) -> Description:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file}, which says what the model answers, cannot be read: {error}") from error
    contract = told.get("version of the contract") if isinstance(told, dict) else None
    if contract != CONTRACT:
        raise ValueError(
            f"{file} is of version {contract!r} of the contract, and {CONTRACT} is what is "
            "understood here: use the code that made the model"
        )
    try:
        return _described(told)
    except (KeyError, TypeError, AttributeError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"is not as the pipeline writes it ({error})"
        raise ValueError(f"{file} {what}: use it as it was pushed") from error


def _described(told: dict[str, Any]) -> Description:
    return Description(
        title=told["title"],
        label=told["label"],
        classes=tuple(told["classes"]),
        coarser={name: (tuple(one["classes"]), tuple(one["of"])) for name, one in told["coarser"].items()},
        mask_classes=tuple(told["mask"]["classes"]) if told["mask"] else (),
        # Models from before it was told.
        image_size=told.get("image_size", told["input_size"]),
        input_size=told["input_size"],
    )


def _check_described(file: pathlib.Path, engine: Any, description: Description) -> None:
    """Raises ValueError where a `.tflite` is not the one that the `model.json` beside it tells of."""
    inputs, outputs = engine.get_input_details(), engine.get_output_details()
    side = int(inputs["pixels"]["shape"][1])
    classes = int(outputs["probabilities"]["shape"][1]) if "probabilities" in outputs else 0
    told = len(description.classes) if description.label is not None else 0
    if (side, classes, "mask" in outputs) != (description.input_size, told, bool(description.mask_classes)):
        raise ValueError(
            f"{file} is of another model than the model.json beside it ({side} pixels and {classes} classes, told are "
            f"{description.input_size} and {told}): copy both from one version"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what C++ libraries print on import off the terminal; Python's exceptions come through all the same."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
