"""Runs the exported models over split `test` and keeps what the report needs: probabilities, masks as bits, counts.

A mask of 256² as bits is 8 kB: truth and two models' predictions of 3,669 photos fit into 120 MB.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from schema import pets

BATCH = 32
THRESHOLD = 0.5
"""A pixel is pet where its probability is larger; `components.metrics.segmentation` counts by the same."""

Array = npt.NDArray[Any]
Signature = Callable[..., dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Masks:
    """Binary masks [N, H, W], eight pixels to a byte."""

    bits: Array
    """uint8 [N, ceil(H * W / 8)], of `numpy.packbits`."""
    height: int
    width: int

    @classmethod
    def pack(cls, masks: Array) -> Masks:
        """From bool [N, H, W]."""
        count, height, width = masks.shape
        return cls(np.packbits(masks.reshape(count, -1), axis=1), height, width)

    @classmethod
    def concatenate(cls, parts: Sequence[Masks]) -> Masks:
        sizes = {(part.height, part.width) for part in parts}
        if len(sizes) != 1:
            raise ValueError(f"masks have the sizes {sorted(sizes)}: Transform must give one size")
        return cls(np.concatenate([part.bits for part in parts]), parts[0].height, parts[0].width)

    def __getitem__(self, index: int) -> Array:
        """Mask `index`, bool [H, W]."""
        flat = np.unpackbits(self.bits[index], count=self.height * self.width)
        return flat.reshape(self.height, self.width).astype(bool)


@dataclasses.dataclass(frozen=True)
class Truth:
    """What people said about each photo of split `test`."""

    file_names: list[str]
    labels: dict[str, Array]
    """int64 [N] under `breed` and `species`."""
    masks: Masks
    """1 where the pet is."""
    counted: Masks
    """1 where the truth is known: all but `pets.MASK_IGNORED`."""


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What one model says about the same photos, in the same order."""

    label: str | None
    """The class head's output, a key of `pets.CLASSES`; None without that head."""
    probabilities: Array | None
    """float32 [N, C]."""
    masks: Masks | None
    """1 where the pet's probability exceeds `THRESHOLD`; None without that head."""
    counts: Array | None
    """int64 [N, 4]: true positive, false positive, false negative, true negative pixels of each photo."""
    images_per_second: float
    """From encoded photo to answer, in batches of `BATCH`, the first batch's tracing left out."""


def read_truth(transform: Signature, files: Sequence[str]) -> Truth:
    """The labels as the examples hold them and the masks as the model's own `transform_features` gives them."""
    names: list[str] = []
    labels: dict[str, list[Array]] = {label: [] for label in pets.CLASSES}
    pet: list[Masks] = []
    counted: list[Masks] = []
    for serialized in batches(files):
        features = _parse(serialized)
        names += [name.decode() for name in features[pets.FILE_NAME].numpy()]
        for label in labels:
            labels[label].append(features[label].numpy())
        mask_bhw = _call(transform, serialized)[pets.MASK].numpy()[..., 0]
        pet.append(Masks.pack(mask_bhw == 1))
        counted.append(Masks.pack(mask_bhw != pets.IGNORED_LABEL))
    if not names:
        raise ValueError(f"split {pets.TEST!r} holds no examples: {list(files)}")
    return Truth(
        names,
        {label: np.concatenate(parts) for label, parts in labels.items()},
        Masks.concatenate(pet),
        Masks.concatenate(counted),
    )


def predict(serve: Signature, files: Sequence[str], truth: Truth) -> Predictions:
    """Runs `serving_default` over the photos of `truth`.

    Args:
      serve: The signature: serialized `tf.Example`s [B] to `breed` or `species` [B, C] and/or `mask` [B, H, W, 1].
      files: Record files of split `test`.
      truth: From `read_truth` of the same files.
    """
    probabilities: list[Array] = []
    masks: list[Masks] = []
    seconds = 0.0
    _call(serve, next(batches(files)))
    label = None
    for serialized in batches(files):
        start = time.perf_counter()
        outputs = {name: value.numpy() for name, value in _call(serve, serialized).items()}
        seconds += time.perf_counter() - start
        label = next((name for name in pets.CLASSES if name in outputs), None)
        if label:
            probabilities.append(outputs[label].astype(np.float32))
        if pets.MASK in outputs:
            masks.append(Masks.pack(outputs[pets.MASK][..., 0] > THRESHOLD))
    predicted = Masks.concatenate(masks) if masks else None
    return Predictions(
        label=label,
        probabilities=np.concatenate(probabilities) if probabilities else None,
        masks=predicted,
        counts=None if predicted is None else count_pixels(truth, predicted),
        images_per_second=len(truth.file_names) / seconds,
    )


def count_pixels(truth: Truth, predicted: Masks) -> Array:
    """int64 [N, 4]: true positive, false positive, false negative, true negative pixels; ignored ones are in none."""
    if (predicted.height, predicted.width) != (truth.masks.height, truth.masks.width):
        raise ValueError(
            f"the model's masks are {predicted.height} x {predicted.width}, "
            f"the transformed ones {truth.masks.height} x {truth.masks.width}: export masks of Transform's size"
        )
    pet, guess, counted = truth.masks.bits, predicted.bits, truth.counted.bits
    parts = (pet & guess, ~pet & guess, pet & ~guess, ~pet & ~guess)
    return np.stack([np.bitwise_count(part & counted).sum(axis=1, dtype=np.int64) for part in parts], axis=1)


def image_f1(counts: Array) -> Array:
    """F1 of each photo's mask, float64 [N] in [0, 1], from counts int64 [N, 4]; 1 where nothing was there nor found."""
    hits, false_alarms, misses = counts[:, 0], counts[:, 1], counts[:, 2]
    either = 2 * hits + false_alarms + misses
    return np.divide(2.0 * hits, either, out=np.ones(len(counts)), where=either > 0)


def read_photos(files: Sequence[str], wanted: Collection[str], height: int, width: int) -> dict[str, Array]:
    """The photos of the file names `wanted`, stretched to the masks' size: uint8 [height, width, 3], RGB."""
    photos: dict[str, Array] = {}
    keys = tf.constant(sorted(wanted))
    for serialized in batches(files):
        names = _parse(serialized)[pets.FILE_NAME]
        chosen = tf.reduce_any(names[:, None] == keys[None, :], axis=1)
        encoded = tf.io.parse_example(serialized[chosen], {pets.IMAGE: tf.io.FixedLenFeature([], tf.string)})
        for name, photo in zip(names[chosen].numpy(), encoded[pets.IMAGE], strict=True):
            pixels = tf.image.resize(tf.io.decode_image(photo, channels=3, expand_animations=False), [height, width])
            photos[name.decode()] = tf.cast(tf.round(pixels), tf.uint8).numpy()
    return photos


def count_breeds(files: Sequence[str]) -> list[int]:
    """How many examples of each of `pets.BREEDS` the record files hold."""
    counts = np.zeros(len(pets.BREEDS), np.int64)
    for serialized in batches(files, 256):
        counts += np.bincount(_parse(serialized)[pets.BREED].numpy(), minlength=len(counts))
    return counts.tolist()


def batches(files: Sequence[str], size: int = BATCH) -> Iterator[tf.Tensor]:
    """Serialized examples, string [<= size], in the files' order; TFX names compressed files `*.gz`."""
    records = tf.data.Dataset.from_tensor_slices(tf.constant(list(files), tf.string)).flat_map(
        lambda name: (
            tf.data.TFRecordDataset(name, compression_type="GZIP")
            if files[0].endswith(".gz")
            else tf.data.TFRecordDataset(name)
        )
    )
    return iter(records.batch(size).prefetch(2))


def _parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    spec = {
        pets.FILE_NAME: tf.io.FixedLenFeature([], tf.string),
        pets.BREED: tf.io.FixedLenFeature([], tf.int64),
        pets.SPECIES_LABEL: tf.io.FixedLenFeature([], tf.int64),
    }
    return tf.io.parse_example(serialized, spec)


def _call(signature: Signature, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Calls a SavedModel's signature by the name of its one argument, which the exporter chose."""
    (argument,) = signature.structured_input_signature[1]  # type: ignore[attr-defined]
    return signature(**{argument: serialized})
