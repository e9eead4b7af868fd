"""Every way to a pushed model's answer, over split test: the same figures, and how far each photo's own are apart.

    python benchmarks/parity.py --run-dir runs/pets

Prints a row for each way: accuracy, mask F1 over all pixels at 0.5, the largest difference of any probability of any
photo to what `serving_examples` says, and that of any mask probability. `serving_default` gives masks in 255 steps and
at the photo's own size, so its are apart by 0.002 where photos have Transform's size, as the prepared pets, and by more
where they must be resized here; the engines answer at the network's own size, and their masks are resized as well.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import io
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from components.comparison.results import Comparison
from components.edge import package
from components.edge.convert import FILES
from components.edge.isolation import Engine
from components.edge.parity import Photos, at_size
from components.metrics import segmentation
from components.report.page import METRICS_FILE
from schema import record
from serving import models

BATCH = 32

Array = NDArray[np.float32]
Answer = tuple[Array | None, Array | None]
"""Probabilities [B, C] and mask [B, T, T, 1 or K + 1]; what the model has no head for is None."""


class Tally:
    """What one way said of all photos."""

    def __init__(self) -> None:
        self.right = self.photos = 0
        self.pixels: NDArray[np.int64] | int = 0
        self.apart, self.mask_apart = 0.0, 0.0

    def add(self, answer: Answer, reference: Answer, classes: NDArray[np.int64] | None, masks: Array | None) -> None:
        (probabilities, mask), (expected, expected_mask) = answer, reference
        if probabilities is not None and expected is not None and classes is not None:
            self.apart = max(self.apart, float(np.abs(probabilities - expected).max()))
            self.right += int((probabilities.argmax(axis=1) == classes).sum())
            self.photos += len(classes)
        if mask is not None and expected_mask is not None and masks is not None:
            self.mask_apart = max(self.mask_apart, float(np.abs(mask - expected_mask).max()))
            for label, predicted in zip(masks, mask, strict=True):
                self.pixels = self.pixels + segmentation.count_pixels(label, predicted)["pixels"]

    def row(self, name: str) -> str:
        accuracy = f"{self.right / self.photos:.4f}" if self.photos else "-"
        f1 = "-" if isinstance(self.pixels, int) else f"{segmentation.PixelF1().result({'pixels': self.pixels}):.5f}"
        return f"{name:34s} {accuracy:>8s} {f1:>8s} {self.apart:11.1e} {self.mask_apart:11.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", required=True, help="of a run that pushed a model")
    flags = parser.parse_args()
    run = pathlib.Path(flags.run_dir)
    compared = Comparison.from_json((run / "report" / METRICS_FILE).read_bytes())
    version = models.find(str(run / "serving"))
    newest = max(glob.glob(f"{run}/pipeline/ExampleGen/examples/*"), key=lambda folder: int(os.path.basename(folder)))
    files = sorted(glob.glob(f"{newest}/Split-test/*"))
    image_size = compared.run.config["data"]["image_size"]
    model = models.open_model(version)
    assert isinstance(model, models.SavedModel)
    photos = Photos(compared.spec, compared.heads, image_size, model.description.input_size)
    label = compared.heads.label.name if compared.heads.label else ""
    edge = sorted(pathlib.Path(version, package.FOLDER).glob("model*.[to]*"))
    with contextlib.ExitStack() as running:
        engines = {file.name: running.enter_context(Engine(file)) for file in edge}
        ways: dict[str, Callable[[NDArray[np.uint8], list[bytes]], Answer]] = {
            "serving_default": lambda _, photos: _of_photos(model, photos, image_size),
            "serving_pixels": lambda pixels, _: _of_pixels(
                {k: v.numpy() for k, v in model.signatures["serving_pixels"](pixels=tf.constant(pixels)).items()},
                image_size,
            ),
            **{name: _by_engine(engine, image_size) for name, engine in engines.items()},
        }
        tallies = {name: Tally() for name in ("serving_examples", *ways)}
        edge_model = pathlib.Path(version, package.FOLDER, FILES["float32"])
        predicting = [model, *([models.open_model(str(edge_model))] if edge_model.exists() else [])]
        predicted = [Predicted(one) for one in predicting]
        for serialized, batch in zip(_serialized(files), photos.batches(files), strict=True):
            found = model.signatures["serving_examples"](examples=tf.constant(serialized))
            reference = (
                found[label].numpy() if label else None,
                found[record.MASK].numpy() if record.MASK in found else None,
            )
            tallies["serving_examples"].add(reference, reference, batch.classes, batch.masks)
            encoded = [tf.train.Example.FromString(one).features.feature[record.IMAGE] for one in serialized]
            photo_bytes = [one.bytes_list.value[0] for one in encoded]
            for name, way in ways.items():
                tallies[name].add(way(batch.pixels, photo_bytes), reference, batch.classes, batch.masks)
            if reference[0] is not None:
                for one in predicted:
                    one.add(photo_bytes, reference[0])
    print(f"{version}: {tallies['serving_examples'].photos} photos")
    print(f"{'':34s} {'accuracy':>8s} {'mask F1':>8s} {'apart':>11s} {'mask apart':>11s}")
    for name, tally in tallies.items():
        print(tally.row(name))
    for one in predicted:
        by = f"predict by {type(one.model).__name__}"
        print(f"{by}: the best class is another one for {one.other} photos, its score {one.apart:.1e} apart")


class Predicted:
    """What `serving.predict` says of photos, against the reference's best class."""

    def __init__(self, model: models.Model) -> None:
        self.model = model
        self.other, self.apart = 0, 0.0

    def add(self, photos: list[bytes], probabilities: Array) -> None:
        answers = self.model.answer([self.model.prepare(one) for one in photos])
        for answer, expected in zip(answers, probabilities, strict=True):
            self.other += answer.classes[0] != self.model.description.classes[expected.argmax()]
            self.apart = max(self.apart, abs(answer.scores[0] - float(expected.max())))


def _of_photos(model: models.SavedModel, photos: list[bytes], image_size: int) -> Answer:
    found = model.signatures["serving_default"](image_bytes=tf.constant(photos))
    mask = None
    if "mask_bytes" in found:
        pngs = [Image.open(io.BytesIO(png)) for png in found["mask_bytes"].numpy()]
        grey = np.stack([np.asarray(png.resize((image_size, image_size), Image.Resampling.NEAREST)) for png in pngs])
        several = len(model.description.mask_classes) > 1
        index = np.eye(len(model.description.mask_classes) + 1, dtype=np.float32)
        mask = index[grey] if several else (grey[..., None] / 255.0).astype(np.float32)
    return (found["probabilities"].numpy() if "probabilities" in found else None), mask


def _by_engine(engine: Engine, image_size: int) -> Callable[[NDArray[np.uint8], list[bytes]], Answer]:
    return lambda pixels, _: _of_pixels(engine.run(pixels).answers, image_size)


def _of_pixels(found: dict[str, Array], image_size: int) -> Answer:
    mask = found.get(record.MASK)
    return found.get("probabilities"), None if mask is None else at_size(mask, image_size)


def _serialized(files: list[str]) -> Iterator[list[bytes]]:
    for batch in record.serialized(files).batch(BATCH).as_numpy_iterator():
        yield list(batch)


if __name__ == "__main__":
    main()
