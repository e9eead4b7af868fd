"""tf.data pipelines: records -> decoded uint8 pictures, kept -> shuffled, augmented, normalised batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from schema import record
from trainer_module import augmentation, preprocessing
from trainer_module.config import TrainerConfig

_PICTURE, _CLASS = "picture", "class"

Batch = tuple[tf.Tensor, dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Split:
    """One split's files and how many examples they hold."""

    files: tuple[str, ...]
    examples: int

    @classmethod
    def of(cls, patterns: Sequence[str]) -> Split:
        """Counts the records of the files that match `patterns`; raises ValueError where there are none."""
        files = tuple(sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern)))
        examples = sum(1 for _ in record.serialized(files)) if files else 0
        if not examples:
            raise ValueError(f"no examples in {list(patterns)}: check ExampleGen's output")
        return cls(files, examples)


def train_dataset(split: Split, config: TrainerConfig, image_size: int, cache_file: str) -> tf.data.Dataset:
    """Endless variety, one epoch an iteration: shuffled anew, augmented, whole batches only.

    Args:
        split: the training records.
        config: sizes, batch size, augmentation, cache budget and seed.
        image_size: side that Transform resizes to, in pixels.
        cache_file: where decoded pictures go if they do not fit `config.cache_mb`.

    Returns:
        Batches (image float32 [B, S, S, 3] in [-1, 1], {output: target}), as `_targets` gives them.
    """
    recipe = config.recipe
    kept_size = config.kept_size(image_size)
    pictures = _kept_pictures(split, config, image_size, kept_size, cache_file)
    pictures = pictures.shuffle(_shuffle_buffer(split, config, kept_size), config.seed, reshuffle_each_iteration=True)
    batches = pictures.batch(min(recipe.batch_size, split.examples), drop_remainder=True)
    seeds = tf.data.Dataset.random(config.seed, rerandomize_each_iteration=True).batch(2)

    def finish(picture: dict[str, tf.Tensor], seed: tf.Tensor) -> Batch:
        seeds = tf.unstack(tf.random.split(seed, 2))
        label = _one_hot(picture, config)
        image, mask = augmentation.augment(picture[_PICTURE], recipe.input_size, recipe.augmentation, seeds[0])
        if recipe.augmentation.cutmix:
            image, mask, label = augmentation.cutmix(image, mask, label, recipe.augmentation.cutmix, seeds[1])
        return preprocessing.normalise_image(image), _targets(label, mask, config)

    examples = tf.data.Dataset.zip(batches, seeds).map(finish, tf.data.AUTOTUNE, deterministic=True)
    return _without_tuner(examples.prefetch(2))


def eval_dataset(
    split: Split, config: TrainerConfig, image_size: int, cache_file: str, size: int = 0
) -> tf.data.Dataset:
    """All examples in file order: Transform's picture at the side `size`, in pixels; 0: the network's."""
    size = size or config.recipe.input_size
    pictures = _kept_pictures(split, config, image_size, size, cache_file)

    def finish(picture: dict[str, tf.Tensor]) -> Batch:
        image, mask = tf.split(picture[_PICTURE], [3, 1], axis=-1)
        return preprocessing.normalise_image(image), _targets(_one_hot(picture, config), mask, config)

    return _without_tuner(pictures.batch(config.recipe.batch_size).map(finish, tf.data.AUTOTUNE).prefetch(2))


def sample_pictures(split: Split, config: TrainerConfig, image_size: int, most: int, size: int) -> tf.data.Dataset:
    """Batches of pictures float32 [B, S, S, 3] alone, as `eval_dataset` gives them: up to `most`, evenly spread."""
    features = record.parsing_spec(record.IMAGE, spec=config.spec)

    def decode(serialized: tf.Tensor) -> tf.Tensor:
        example = tf.io.parse_single_example(serialized, features)
        image = preprocessing.decode_image(example[record.IMAGE], image_size)
        return preprocessing.normalise_image(preprocessing.resize_image(image, size))

    every = -(-split.examples // most)
    pictures = record.serialized(split.files).shard(every, 0).map(decode, tf.data.AUTOTUNE)
    return _without_tuner(pictures.batch(config.recipe.batch_size).prefetch(2))


def pass_over(train_data: tf.data.Dataset, iterations: int) -> None:
    """Leaves `train_data` as so many iterations over it would, without reading a record.

    A data set draws the seeds of an epoch when an iterator is made, so that its order and its augmentation hang on the
    number of iterators before.
    """
    for _ in range(iterations):
        iter(train_data)


# Workaround: a third of the epochs began with 6, 17 or 26 seconds in which the whole process slept.
# Cause: an iterator's destructor waits for the thread that tunes its parallelism, which TensorFlow 2.21 does not always
# wake. That one sleeps for 10 ms, then for twice as long each time, so an epoch of 23 s waits up to the 41st.
# Can go when epochs no longer begin so (benchmarks/epoch_ends.py). Without the tuner a map uses all cores all the same.
def _without_tuner(data: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def class_counts(split: Split, config: TrainerConfig) -> tuple[int, ...]:
    """Examples of each class of the label that is trained."""
    label = config.heads.label
    assert label is not None
    spec = record.parsing_spec(label.name, spec=config.spec)
    counts = np.zeros(len(label.classes), np.int64)
    for serialized in record.serialized(split.files).batch(256):
        found = tf.io.parse_example(serialized, spec)[label.name].numpy()
        counts += np.bincount(found[found >= 0], minlength=len(counts))
    return tuple(counts.tolist())


def _one_hot(picture: dict[str, tf.Tensor], config: TrainerConfig) -> tf.Tensor:
    """float32 [B, classes]; all 0 where the class is unknown. [B, 0] without a class head."""
    label = config.heads.label
    return tf.one_hot(picture[_CLASS], len(label.classes) if label else 0)


def _targets(label: tf.Tensor, mask: tf.Tensor, config: TrainerConfig) -> dict[str, tf.Tensor]:
    """What the heads should say.

    Classes as shares float32 [B, classes], the mask float32 [B, S, S, 1] of class indices, -1 unknown.
    """
    targets = {record.MASK: preprocessing.mask_label(mask)}
    if config.heads.label:
        targets[config.heads.label.name] = label
    return {output: targets[output] for output in config.heads.outputs}


def _kept_pictures(
    split: Split, config: TrainerConfig, image_size: int, kept_size: int, cache_file: str
) -> tf.data.Dataset:
    """Decodes every record once: the class int64 [], image and mask as one uint8 [k, k, 4] (see `augment`).

    Without a mask head the fourth channel is 0, without a class head the class is unknown.
    """
    heads = config.heads
    label = [heads.label.name] if heads.label else []
    features = record.parsing_spec(record.IMAGE, *([record.MASK] if heads.mask else []), *label, spec=config.spec)

    def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        example = tf.io.parse_single_example(serialized, features)
        image = preprocessing.decode_image(example[record.IMAGE], image_size)
        image = preprocessing.resize_image(image, kept_size)
        mask = tf.zeros_like(image[..., :1])
        if heads.mask:
            mask = preprocessing.resize_mask(preprocessing.decode_mask(example[record.MASK], image_size), kept_size)
        known = example[label[0]] if label else tf.constant(record.UNKNOWN_CLASS, tf.int64)
        return {_PICTURE: tf.concat([image, mask], axis=-1), _CLASS: known}

    pictures = record.serialized(split.files).map(decode, tf.data.AUTOTUNE, deterministic=True)
    fits = split.examples * _picture_bytes(kept_size) <= config.cache_mb * 2**20
    pictures = pictures.cache() if fits else pictures.cache(cache_file)
    return pictures.apply(tf.data.experimental.assert_cardinality(split.examples))


def _shuffle_buffer(split: Split, config: TrainerConfig, kept_size: int) -> int:
    """The whole split where the budget allows it; pictures kept in memory are shared with the cache, not copied."""
    return max(1, min(split.examples, config.cache_mb * 2**20 // _picture_bytes(kept_size)))


def _picture_bytes(kept_size: int) -> int:
    return kept_size * kept_size * 4  # three channels and the mask
