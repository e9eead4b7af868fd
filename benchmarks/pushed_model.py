"""A pushed model at work, as ratios within a run: photos by `serving_default`, folders by `predict`, pixels by engine.

    python benchmarks/pushed_model.py --model runs/sample/serving/VERSION [--photos DIR]

- latency: one photo through `serving_default` over decoding, resizing and the bare network. At most 1.25 is wanted.
- predict: photos a second of `serving.predict` over those of `serving_default` on the same bytes in memory, in batches
  of 32; at least 0.9 is wanted. With overlays too, and by TFLite.
- engines: photos a second from pixels of each file in `assets.extra/edge` over the SavedModel's, at batch 1 and 32.

What is compared takes turns, and each ratio is the median of the rounds' with their range. Without --photos they are
drawings of 500 x 375 pixels.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.datasets import pet_drawings
from components.edge import package
from components.edge.convert import SIGNATURE
from components.edge.isolation import Engine
from schema import spec_file
from serving import listing, models, predict, results
from trainer_module import preprocessing

BATCH = 32
WIDTH, HEIGHT = 500, 375
_TURN = 4
"""Photos one by one before it is the other's turn: a machine changes its speed by more than they differ."""

Seconds = Callable[[], float]
"""Does something once and says how long it took."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a version that the pipeline pushed")
    parser.add_argument("--photos", help="a folder of photos")
    parser.add_argument("--count", type=int, default=256, help="photos of each round of predict")
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = flags.photos or _draw(pathlib.Path(folder) / "photos", min(flags.count, 64))
        paths = list(listing.photos([photos], outside=folder + "/out"))
        paths = (paths * (1 + flags.count // len(paths)))[: flags.count]
        model = models.open_model(flags.model)
        assert isinstance(model, models.SavedModel)
        _latency(model, pathlib.Path(paths[0]).read_bytes(), flags.rounds)
        _predict(model, flags.model, paths, pathlib.Path(folder), flags.rounds)
        _engines(model, flags.model, flags.rounds)


def _latency(model: models.SavedModel, photo: bytes, rounds: int) -> None:
    signatures = model.signatures
    side, encoded = model.description.input_size, tf.constant([photo])

    @tf.function(input_signature=[tf.TensorSpec([1], tf.string)])
    def bare(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return signatures[SIGNATURE](pixels=preprocessing.decode_image(encoded[0], side)[None])

    compared = {
        "serving_default": _calls(lambda: signatures["serving_default"](image_bytes=encoded), _TURN),
        "decoding, the bare network": _calls(lambda: bare(encoded), _TURN),
    }
    _print("photos one by one", compared, rounds * BATCH // _TURN, _TURN, base="decoding, the bare network")


def _predict(model: models.SavedModel, version: str, paths: Sequence[str], folder: pathlib.Path, rounds: int) -> None:
    contents = [pathlib.Path(path).read_bytes() for path in paths]
    batches = [tf.constant(contents[start : start + BATCH]) for start in range(0, len(contents), BATCH)]
    serve = model.signatures["serving_default"]

    def in_memory() -> float:
        return sum(_calls(functools.partial(serve, image_bytes=batch), 1)() for batch in batches)

    def by(answering: models.Model, overlays: bool) -> Seconds:
        def run() -> float:
            started = time.perf_counter()
            with results.Writer(str(folder / "out"), answering.description, listing.root(paths), overlays) as writer:
                outcome = predict.predict(answering, paths, writer)
            assert not outcome.errors, outcome.first_errors
            return time.perf_counter() - started

        return run

    compared = {"serving_default in memory": in_memory, "predict": by(model, False)}
    compared["predict --overlays"] = by(model, True)
    tflite = pathlib.Path(version, package.FOLDER, "model.tflite")
    if tflite.exists():
        compared["predict, TFLite"] = by(models.open_model(str(tflite)), False)
    _print(f"{len(paths)} photos", compared, rounds, len(paths), base="serving_default in memory")


def _engines(model: models.SavedModel, version: str, rounds: int) -> None:
    side = model.description.input_size
    serve = model.signatures[SIGNATURE]
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), np.uint8)
    files = sorted(pathlib.Path(version, package.FOLDER).glob("model*.[to]*"))
    for size in (1, BATCH):
        batch, repeat = pixels[:size], BATCH // size
        compared = {"SavedModel": _calls(functools.partial(serve, pixels=tf.constant(batch)), repeat)}
        with contextlib.ExitStack() as running:
            for file in files:
                compared[file.name] = _runs(running.enter_context(Engine(file)), batch, repeat)
            _print(f"pixels, batch {size}", compared, rounds, base="SavedModel")


def _runs(engine: Engine, batch: NDArray[np.uint8], repeat: int) -> Seconds:
    return lambda: sum(engine.run(batch).seconds for _ in range(repeat))


def _calls(answer: Callable[[], Mapping[str, tf.Tensor]], repeat: int) -> Seconds:
    def run() -> float:
        started = time.perf_counter()
        for _ in range(repeat):
            for value in answer().values():
                value.numpy()
        return time.perf_counter() - started

    return run


def _print(title: str, compared: Mapping[str, Seconds], rounds: int, photos: int = BATCH, *, base: str) -> None:
    """Prints photos a second, and their ratio to those of `base`."""
    for run in compared.values():
        run()  # warm
    times: dict[str, list[float]] = {name: [] for name in compared}
    for number in range(rounds):
        for name in compared if number % 2 else reversed(list(compared)):
            times[name].append(compared[name]())
    for name, seconds in times.items():
        ratios = sorted(b / a for a, b in zip(seconds, times[base], strict=True))
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{title:18s} {name:28s} {photos / statistics.median(seconds):7.1f}/s  ratio {spread}", flush=True)


def _draw(folder: pathlib.Path, count: int) -> str:
    folder.mkdir()
    classes = spec_file.shipped("synthetic_pets").label().classes
    generator = np.random.default_rng(0)
    for number in range(count):
        image = pet_drawings.draw(classes[number % len(classes)], generator)[0]
        image = cv2.resize(np.asarray(image), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), image[..., ::-1])
    return str(folder)


if __name__ == "__main__":
    main()
