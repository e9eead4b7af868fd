"""Runs exported models over records, once, and keeps what the report needs: probabilities, masks, counts.

A mask is kept as PNG, one or two kB each: those of 3,669 photos and eight models fit into 60 MB.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.comparison.paired import Answers
from components.metrics import segmentation
from schema import record
from schema.dataset_spec import DatasetSpec, Heads
from trainer_module import preprocessing

BATCH = 32

Array = npt.NDArray[Any]
Signature = Callable[..., dict[str, tf.Tensor]]
Signatures = Mapping[str, Signature]


class Masks(list[bytes]):
    """Masks uint8 [H, W] of class indices, 0 background, `record.MASK_IGNORED` unknown; kept as PNG."""

    def append_masks(self, masks: Array) -> None:
        """Appends uint8 [N, H, W]."""
        self.extend(cv2.imencode(".png", mask)[1].tobytes() for mask in masks)

    def mask(self, index: int) -> Array:
        """Mask `index`, uint8 [H, W]."""
        return np.asarray(cv2.imdecode(np.frombuffer(self[index], np.uint8), cv2.IMREAD_UNCHANGED))


@dataclasses.dataclass
class Truth:
    """What people said about each example."""

    file_names: list[str] = dataclasses.field(default_factory=list)
    labels: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    """Class of each example, by label; `record.UNKNOWN_CLASS` where it is unknown."""
    masks: Masks = dataclasses.field(default_factory=Masks)
    """Empty without a mask head."""
    slices: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """What each example is in the slices by a label, or by size."""


@dataclasses.dataclass
class Predictions:
    """What one model says about the same examples, in the same order; what its heads do not give is empty."""

    probabilities: list[Array] = dataclasses.field(default_factory=list)
    """float32 [C] each."""
    masks: Masks = dataclasses.field(default_factory=Masks)
    pixels: list[Array] = dataclasses.field(default_factory=list)
    """int64 [K + 1, K + 1] each, see `segmentation.count_pixels`."""
    image_f1: list[float] = dataclasses.field(default_factory=list)
    """NaN where no pixel's truth is known."""
    seconds: float = 0.0

    @property
    def images_per_second(self) -> float:
        """From encoded photo to answer, in batches of `BATCH`, the first batch's tracing left out."""
        return max(len(self.probabilities), len(self.masks)) / self.seconds


def predict(
    models: Mapping[str, Signatures],
    records: Iterable[tf.Tensor],
    spec: DatasetSpec,
    heads: Heads,
    one_mask: bool = False,
) -> tuple[Truth, dict[str, Predictions]]:
    """Runs every model's `serving_examples` over the records, batch by batch, and compares it with the truth.

    Labels are as the examples hold them, masks as a model's own `transform_features` gives them: every model carries
    the same Transform graph, so one of them tells the truth for all.

    Args:
      models: Each SavedModel's signatures, by its name.
      records: Batches of serialized examples, string [B].
      spec: Of the data.
      heads: Of the models.
      one_mask: The examples of a batch differ in their photos alone, so that their mask is prepared once.

    Raises:
      ValueError: A model lacks a head.
    """
    transform = next(iter(models.values()))["transform_features"]
    truth = Truth(
        labels={label.name: [] for label in spec.labels},
        slices={name: [] for names in spec.slices for name in names},
    )
    predictions = {name: Predictions() for name in models}
    for number, serialized in enumerate(records):
        masks = _add_truth(truth, transform, serialized, spec, heads, one_mask)
        for name, found in predictions.items():
            serve = models[name]["serving_examples"]
            if number == 0:
                _call(serve, serialized)
            start = time.perf_counter()
            outputs = {output: value.numpy() for output, value in _call(serve, serialized).items()}
            found.seconds += time.perf_counter() - start
            missing = set(heads.outputs) - set(outputs)
            if missing:
                raise ValueError(f"{name} does not answer {', '.join(missing)}, only {', '.join(outputs)}")
            if heads.label:
                found.probabilities += list(outputs[heads.label.name].astype(np.float32))
            if masks is not None:
                _add_masks(found, masks, outputs[record.MASK])
    return truth, predictions


def answers(truth: Truth, predictions: Predictions, heads: Heads) -> Answers:
    """Which of them are right."""
    right = None
    if heads.label:
        labels = np.array(truth.labels[heads.label.name])
        named = np.array(predictions.probabilities).argmax(axis=1)
        right = np.where(labels == record.UNKNOWN_CLASS, np.nan, named == labels)
    return Answers(right, np.array(predictions.pixels) if heads.mask else None)


def _add_truth(
    truth: Truth, transform: Signature, serialized: tf.Tensor, spec: DatasetSpec, heads: Heads, one_mask: bool
) -> Array | None:
    names = [record.FILE_NAME, *truth.labels, *map(record.slice_feature, truth.slices)]
    features = tf.io.parse_example(serialized, record.parsing_spec(*names, spec=spec))
    truth.file_names += [name.decode() for name in features[record.FILE_NAME].numpy()]
    for label, classes in truth.labels.items():
        classes += features[label].numpy().tolist()
    for name, values in truth.slices.items():
        values += [value.decode() for value in features[record.slice_feature(name)].numpy()]
    if not heads.mask:
        return None
    masks = _call(transform, serialized[:1] if one_mask else serialized)[record.MASK].numpy()
    masks = np.broadcast_to(masks, (len(serialized), *masks.shape[1:]))
    truth.masks.append_masks(np.where(masks < 0, record.MASK_IGNORED, masks)[..., 0].astype(np.uint8))
    return masks


def _add_masks(found: Predictions, truth: Array, probabilities: Array) -> None:
    """Adds a batch: truth float32 [B, H, W, 1], probabilities float32 [B, H, W, 1] or [B, H, W, K + 1]."""
    several = probabilities.shape[-1] > 1
    predicted = probabilities.argmax(axis=-1) if several else probabilities[..., 0] > segmentation.THRESHOLD
    found.masks.append_masks(predicted.astype(np.uint8))
    for label, prediction in zip(truth, probabilities, strict=True):
        counts = segmentation.count_pixels(label, prediction)
        found.pixels.append(counts["pixels"])
        found.image_f1.append(counts["image_f1"] if counts["examples"] else np.nan)


def write(path: str, truth: Truth, predictions: Predictions, heads: Heads) -> None:
    """Writes `predictions-MODEL.npz`; `comparison` says what it holds."""
    arrays: dict[str, Any] = {"file_names": np.array(truth.file_names)}
    if heads.label:
        arrays |= {
            "labels": np.array(truth.labels[heads.label.name], np.int64),
            "probabilities": np.array(predictions.probabilities),
        }
    if heads.mask:
        arrays["pixels"] = np.array(predictions.pixels)
    np.savez_compressed(path, **arrays)


def read_photos(files: Sequence[str], wanted: Collection[str], size: tuple[int, int] | None) -> dict[str, Array]:
    """The photos of the file names `wanted`, uint8 [H, W, 3], stretched to `size` (height, width) if it is given."""
    photos: dict[str, Array] = {}
    keys = tf.constant(sorted(wanted), tf.string)
    names_only = {record.FILE_NAME: tf.io.FixedLenFeature([], tf.string)}
    for serialized in batches(files):
        names = tf.io.parse_example(serialized, names_only)[record.FILE_NAME]
        chosen = tf.reduce_any(names[:, None] == keys[None, :], axis=1)
        encoded = tf.io.parse_example(serialized[chosen], {record.IMAGE: tf.io.FixedLenFeature([], tf.string)})
        for name, photo in zip(names[chosen].numpy(), encoded[record.IMAGE], strict=True):
            pixels = preprocessing.decode(photo)
            if size:
                pixels = tf.cast(tf.round(tf.image.resize(pixels, size)), tf.uint8)
            photos[name.decode()] = pixels.numpy()
    return photos


def batches(files: Sequence[str], size: int = BATCH) -> Iterator[tf.Tensor]:
    """Serialized examples, string [<= size], in the files' order."""
    return iter(record.serialized(files).batch(size).prefetch(2))


def _call(signature: Signature, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Calls a SavedModel's signature by the name of its one argument, which the exporter chose."""
    (argument,) = signature.structured_input_signature[1]  # type: ignore[attr-defined]
    return signature(**{argument: serialized})
