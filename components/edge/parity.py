"""Holds each file against the SavedModel: the same metrics over the same photos of split `test`."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.edge.convert import FILES, SIGNATURE, Format
from components.edge.isolation import Answers, Engine, EngineError
from components.edge.results import EdgeModel, Figures
from components.metrics import segmentation
from schema import record
from schema.dataset_spec import DatasetSpec, Heads
from trainer_module import preprocessing

ALLOWED: dict[str, Figures] = {"int8": Figures(0.01, 0.01)}
"""By how much a format's figures may be below the SavedModel's; `ALLOWED_ELSE` where it is not here."""
ALLOWED_ELSE = Figures(0.005, 0.005)

_BATCH = 32
_CALLS, _CALL_SECONDS = 50, 2.0
"""A single photo's answer is timed so often at most, and for so long at most."""


class Batch(NamedTuple):
    """Records as the models and their judge see them; what the models have no head for is None."""

    pixels: NDArray[np.uint8]
    """[B, S, S, 3]."""
    classes: NDArray[np.int64] | None
    """[B], -1 unknown."""
    masks: NDArray[np.float32] | None
    """[B, T, T, 1] of class indices, -1 unknown."""


@dataclasses.dataclass(frozen=True)
class Photos:
    """How the records of a split become what the models see."""

    spec: DatasetSpec
    heads: Heads
    image_size: int
    """Side that Transform resizes to, at which masks are judged, in pixels."""
    input_size: int
    """Side of the models' square, in pixels."""

    def pixels(self, files: Sequence[str], count: int, of: int) -> Iterator[NDArray[np.uint8]]:
        """About `count` of the `of` photos in the files, evenly spread: uint8 [S, S, 3]."""
        chosen = record.serialized(files).shard(max(1, of // count), 0).take(count)
        return (one["pixels"].numpy() for one in chosen.map(lambda serialized: self._decoded(serialized, ())))

    def batches(self, files: Sequence[str]) -> Iterator[Batch]:
        """Every record of the files."""
        wanted = [*([self.heads.label.name] if self.heads.label else []), *([record.MASK] if self.heads.mask else [])]
        decoded = record.serialized(files).map(lambda serialized: self._decoded(serialized, wanted), tf.data.AUTOTUNE)
        for batch in decoded.batch(_BATCH).prefetch(1).as_numpy_iterator():
            yield Batch(batch["pixels"], batch.get("class"), batch.get("mask"))

    def _decoded(self, serialized: tf.Tensor, wanted: Sequence[str]) -> dict[str, tf.Tensor]:
        features = record.parsing_spec(record.IMAGE, *wanted, spec=self.spec)
        example = tf.io.parse_single_example(serialized, features)
        image = preprocessing.decode_image(example[record.IMAGE], self.image_size)
        found = {"pixels": preprocessing.resize_image(image, self.input_size)}
        if self.heads.label and self.heads.label.name in example:
            found["class"] = example[self.heads.label.name]
        if record.MASK in example:
            found["mask"] = preprocessing.mask_label(preprocessing.decode_mask(example[record.MASK], self.image_size))
        return found


def judge(
    files: Mapping[Format, pathlib.Path], reference: Figures, photos: Photos, records: Sequence[str]
) -> list[EdgeModel]:
    """Runs every file over the records, each photo decoded once for all, and blesses it or says why not.

    Args:
        files: by format.
        reference: what the SavedModel reached on the same records.
        photos: how they are read.
        records: record files of split `test`.
    """
    tallies = {name: _Tally() for name in files}
    with contextlib.ExitStack() as running:
        engines = {name: running.enter_context(Engine(file)) for name, file in files.items()}
        first = None
        for batch in photos.batches(records):
            first = batch.pixels[:1] if first is None else first
            for name, tally in tallies.items():
                tally.run(engines[name], batch)
        for name, tally in tallies.items():
            tally.time(engines[name], first)
    return [_judged(name, file, tallies[name], reference) for name, file in files.items()]


def milliseconds(saved_model: str, pixels: NDArray[np.uint8]) -> float:
    """Median of the SavedModel's answers to a single photo [1, S, S, 3]."""
    loaded = tf.saved_model.load(saved_model)  # a signature does not keep its model's variables alive
    serve = loaded.signatures[SIGNATURE]

    def call() -> float:
        started = time.perf_counter()
        for value in serve(pixels=tf.constant(pixels)).values():
            value.numpy()
        return time.perf_counter() - started

    return _median_milliseconds(call)


class _Tally:
    """What one file said so far."""

    def __init__(self) -> None:
        self.error = ""
        self.milliseconds = 0.0
        self._photos, self._seconds = 0, 0.0
        self._named, self._right = 0, 0
        self._pixels: NDArray[Any] | None = None

    def run(self, engine: Engine, batch: Batch) -> None:
        if self.error:
            return
        try:
            answers, seconds = engine.run(batch.pixels)
        except EngineError as error:
            self.error = str(error)
            return
        if self._photos:  # the first batch is the one that allocates
            self._seconds += seconds
        self._photos += len(batch.pixels)
        if not all(np.isfinite(value).all() for value in answers.values()):
            self.error = "it answers what is no number"
        self._add(answers, batch)

    def time(self, engine: Engine, photo: NDArray[np.uint8] | None) -> None:
        if self.error or photo is None:
            return
        try:
            self.milliseconds = _median_milliseconds(lambda: engine.run(photo).seconds)
        except EngineError as error:
            self.error = str(error)

    @property
    def photos_per_second(self) -> float | None:
        """None where there was one batch only."""
        return (self._photos - _BATCH) / self._seconds if self._seconds else None

    @property
    def figures(self) -> Figures:
        f1 = None if self._pixels is None else segmentation.PixelF1().result({"pixels": self._pixels})
        return Figures(self._right / self._named if self._named else None, f1)

    def _add(self, answers: Answers, batch: Batch) -> None:
        if batch.classes is not None:
            known = batch.classes >= 0
            self._named += int(known.sum())
            self._right += int((answers["probabilities"].argmax(axis=1) == batch.classes)[known].sum())
        if batch.masks is not None:
            predicted = at_size(answers["mask"], batch.masks.shape[1])
            for label, mask in zip(batch.masks, predicted, strict=True):
                counts = segmentation.count_pixels(label, mask)["pixels"]
                self._pixels = counts if self._pixels is None else self._pixels + counts


def at_size(mask: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Probabilities [B, S, S, 1 or K + 1] at another size, resized as the SavedModel resizes them: as logits."""
    if mask.shape[1] == size:
        return mask
    several = mask.shape[-1] > 1
    share = tf.clip_by_value(tf.constant(mask), 1e-7, 1 - 1e-7)
    logits = tf.math.log(share) if several else tf.math.log(share) - tf.math.log1p(-share)
    logits = tf.image.resize(logits, [size, size])
    return (tf.nn.softmax(logits) if several else tf.sigmoid(logits)).numpy()


def _judged(name: Format, file: pathlib.Path, tally: _Tally, reference: Figures) -> EdgeModel:
    size = file.stat().st_size
    if tally.error:
        return EdgeModel(name, FILES[name], False, tally.error, size)
    reason = _too_low(tally.figures, reference, ALLOWED.get(name, ALLOWED_ELSE))
    return EdgeModel(
        name, FILES[name], not reason, reason, size, tally.figures, tally.milliseconds, tally.photos_per_second
    )


def _too_low(found: Figures, reference: Figures, allowed: Figures) -> str:
    reasons = []
    for field, title in (("accuracy", "accuracy"), ("mask_f1", "mask F1")):
        ours, theirs, limit = (getattr(figures, field) for figures in (found, reference, allowed))
        if ours is not None and theirs is not None and theirs - ours > limit:
            reasons.append(
                f"its {title} of {ours:.4f} is {theirs - ours:.4f} below the SavedModel's {theirs:.4f}, and {limit} is "
                "allowed"
            )
    return "; ".join(reasons)


def _median_milliseconds(call: Callable[[], float]) -> float:
    call()
    times: list[float] = []
    while len(times) < _CALLS and sum(times) < _CALL_SECONDS:
        times.append(call())
    return 1000 * statistics.median(times)
