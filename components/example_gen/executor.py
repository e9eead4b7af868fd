"""The executor of `TfdsExampleGen`: TFDS' shards, through Beam, become shards of `schema.pets` records.

Beam's elements are shards: each is read and written as a stream, so memory holds one record a worker whatever the
size of the data set, and the same data always makes the same files. The photo stays encoded; of it only the header
is read. Beside the splits stands `summary.json`:

    {"dataset": "oxford_iiit_pet/4.0.0",
     "splits": {"train": {"examples": 3312, "breeds": {"Abyssinian": 90, ...}, "sizes": {"small": 1200, ...},
                          "masks_without_pet": 0, "masks_with_specks": 310, "speck_pixels": 5210}, ...}}

Nothing is dropped from the data but the specks counted there: a bad record is an error that names it.
"""

import collections
import contextlib
import hashlib
import json
import logging
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf
import tensorflow_datasets as tfds
from tfx.components.example_gen import utils as example_gen_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.example_gen import masks, preparation
from schema import pets

SUMMARY_FILE = "summary.json"

_progress = logging.getLogger("progress")


class _Shard(NamedTuple):
    """One of TFDS' shards, and where its records go."""

    source: str
    split: str
    """TFDS' split: `train` is cut into train and eval."""
    name: str
    """Of the files that are made of it."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """Prepares the data set if need be, then converts it."""

    def Do(
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the splits and `summary.json` into the output `examples`.

        Raises:
          RuntimeError: The data set is neither prepared nor can it be; or Beam met a bad record (its message names it).
          ValueError: The data set has other classes than `schema.pets`, or too few photos to be split.
        """
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        builder = preparation.prepared_builder(
            exec_properties["dataset"],
            exec_properties["data_dir"],
            exec_properties["manual_dir"],
            exec_properties["examples_per_breed"],
        )
        examples.splits = list(pets.SPLITS)
        examples.set_string_custom_property(example_gen_utils.PAYLOAD_FORMAT_PROPERTY_NAME, "FORMAT_TF_EXAMPLE")
        for split in pets.SPLITS:
            fileio.makedirs(_split_dir(examples.uri, split))

        with self._make_beam_pipeline() as pipeline:
            shards = pipeline | "Shards" >> beam.Create(_shards(builder)) | beam.Reshuffle()
            eval_names = (
                shards
                | "ReadNames" >> beam.FlatMap(_read_names)
                | "ByName" >> beam.GroupByKey()
                | "OnlyOnce" >> beam.FlatMap(_unique_train_name)
                | "ByBreed" >> beam.GroupByKey()
                | "ChooseEval" >> beam.FlatMap(_choose_eval, exec_properties["eval_fraction"])
            )
            (
                shards
                | "Convert" >> beam.ParDo(_ConvertShard(examples.uri, exec_properties), beam.pvalue.AsIter(eval_names))
                | "Count" >> beam.CombinePerKey(sum)
                | "Counts" >> beam.combiners.ToDict()
                | "Summarise" >> beam.Map(_write_summary, builder.info.full_name, examples.uri)
            )
        _report(examples.uri)


def _shards(builder: tfds.core.DatasetBuilder) -> Iterator[_Shard]:
    for split in ("train", "test"):
        paths = [os.fspath(path) for path in builder.info.splits[split].filepaths]
        for index, path in enumerate(paths):
            yield _Shard(path, split, f"data_tfrecord-{index:05d}-of-{len(paths):05d}")


def _records(shard: _Shard) -> Iterator[Mapping[str, tf.train.Feature]]:
    for serialized in tf.data.TFRecordDataset(shard.source).as_numpy_iterator():
        yield tf.train.Example.FromString(serialized).features.feature


def _file_name(record: Mapping[str, tf.train.Feature]) -> str:
    return record["file_name"].bytes_list.value[0].decode()


def _read_names(shard: _Shard) -> Iterator[tuple[str, tuple[str, int]]]:
    for record in _records(shard):
        yield _file_name(record), (shard.split, record["label"].int64_list.value[0])


def _unique_train_name(item: tuple[str, Iterable[tuple[str, int]]]) -> Iterator[tuple[int, str]]:
    name, places = item[0], sorted(item[1])
    if len(places) > 1:
        raise ValueError(f"{name}: {len(places)} records have this file_name, in {[split for split, _ in places]}")
    split, label = places[0]
    if split == "train":
        yield label, name


def _choose_eval(breed: tuple[int, Iterable[str]], fraction: float) -> list[str]:
    """The names with the smallest hashes: of two or more photos at least one is chosen, and at least one is left."""
    names = sorted(breed[1], key=lambda name: hashlib.sha256(name.encode()).digest())
    return names[: min(max(1, round(fraction * len(names))), len(names) - 1)]


class _ConvertShard(beam.DoFn):
    """Reads one shard, writes its records, and yields what `summary.json` counts: ((split, what, which), count)."""

    def __init__(self, uri: str, exec_properties: dict[str, Any]) -> None:
        self._uri = uri
        self._border = exec_properties["border"]
        self._min_speck = exec_properties["min_speck"]

    def process(self, shard: _Shard, eval_names: Iterable[str]) -> Iterator[tuple[tuple[str, str, str], int]]:
        held_out = frozenset(eval_names)
        counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
        with contextlib.ExitStack() as stack:
            writers = {
                split: stack.enter_context(_shard_writer(os.path.join(_split_dir(self._uri, split), shard.name)))
                for split in ((pets.TRAIN, pets.EVAL) if shard.split == "train" else (pets.TEST,))
            }
            for record in _records(shard):
                name = _file_name(record)
                split = pets.TEST if shard.split == "test" else pets.EVAL if name in held_out else pets.TRAIN
                try:
                    example, mask = convert(record, self._border, self._min_speck)
                except (ValueError, IndexError) as error:
                    raise ValueError(f"{name}: {error}") from error
                writers[split].write(example.SerializeToString(deterministic=True))
                counts.update(_counted(split, example, mask))
        yield from counts.items()


@contextlib.contextmanager
def _shard_writer(path: str) -> Iterator[tf.io.TFRecordWriter]:
    """Writes beside `path` and renames at the end, so that a retried bundle leaves whole files only."""
    split_dir, name = os.path.split(path)
    unfinished = f"{split_dir}-{name}.unfinished"
    with tf.io.TFRecordWriter(unfinished) as writer:
        yield writer
    fileio.rename(unfinished, path, overwrite=True)


def convert(
    record: Mapping[str, tf.train.Feature], border: masks.Border, min_speck: float
) -> tuple[tf.train.Example, masks.PreparedMask]:
    """One TFDS record as `schema.pets` describes it, and its mask with what was measured on it.

    Raises:
      ValueError: The photo is no JPEG, a label is unknown, or the trimap does not fit (see `masks.prepare_mask`).
    """
    breed, species = record["label"].int64_list.value[0], record["species"].int64_list.value[0]
    for label, classes, what in ((breed, pets.BREEDS, "breed"), (species, pets.SPECIES, "species")):
        if not 0 <= label < len(classes):
            raise ValueError(f"{what} label {label} is unknown; labels are 0 to {len(classes) - 1}")
    jpeg = record["image"].bytes_list.value[0]
    mask = masks.prepare_mask(record["segmentation_mask"].bytes_list.value[0], jpeg_size(jpeg), border, min_speck)
    features = {
        pets.IMAGE: jpeg,
        pets.MASK: mask.png,
        pets.BREED: breed,
        pets.SPECIES_LABEL: species,
        pets.BREED_NAME: pets.BREEDS[breed].encode(),
        pets.SPECIES_NAME: pets.SPECIES[species].encode(),
        pets.SIZE: pets.SIZES[min(int(mask.pet_share * len(pets.SIZES)), len(pets.SIZES) - 1)].encode(),
        pets.FILE_NAME: record["file_name"].bytes_list.value[0],
    }
    return tf.train.Example(features=tf.train.Features(feature={k: _feature(v) for k, v in features.items()})), mask


def _feature(value: bytes | int) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """(height, width) in pixels from a JPEG's frame header (ITU-T T.81, B.2.2), without decoding it.

    Raises:
      ValueError: The bytes are no JPEG or hold no frame header.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise ValueError(f"the image starts with {jpeg[:4]!r}, which is not a JPEG")
    position = 2
    while position + 9 <= len(jpeg) and jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        # Start of frame is C0 to CF, save DHT (C4), JPG (C8) and DAC (CC).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack_from(">HH", jpeg, position + 5)
        position += 2 + struct.unpack_from(">H", jpeg, position + 2)[0]
    raise ValueError("the JPEG ends before its frame header")


def _counted(split: str, example: tf.train.Example, mask: masks.PreparedMask) -> dict[tuple[str, str, str], int]:
    feature = example.features.feature
    return {
        (split, "examples", ""): 1,
        (split, "breeds", feature[pets.BREED_NAME].bytes_list.value[0].decode()): 1,
        (split, "sizes", feature[pets.SIZE].bytes_list.value[0].decode()): 1,
        (split, "masks_without_pet", ""): int(mask.pet_share == 0),
        (split, "masks_with_specks", ""): int(mask.dropped_pixels > 0),
        (split, "speck_pixels", ""): mask.dropped_pixels,
    }


def _write_summary(counts: dict[tuple[str, str, str], int], dataset: str, uri: str) -> None:
    splits: dict[str, dict[str, Any]] = {split: {"examples": 0} for split in pets.SPLITS}
    for (split, what, which), count in sorted(counts.items()):
        if which:
            splits[split].setdefault(what, {})[which] = count
        else:
            splits[split][what] = count
    with fileio.open(os.path.join(uri, SUMMARY_FILE), "w") as file:
        file.write(json.dumps({"dataset": dataset, "splits": splits}, indent=1))


def _report(uri: str) -> None:
    with fileio.open(os.path.join(uri, SUMMARY_FILE)) as file:
        summary = json.loads(file.read())
    counts = {split: summary["splits"][split]["examples"] for split in pets.SPLITS}
    _progress.info("%s: %s", summary["dataset"], ", ".join(f"{split} {count:,}" for split, count in counts.items()))
    empty = [split for split, count in counts.items() if not count]
    if empty:
        raise ValueError(
            f"{summary['dataset']} leaves split {empty[0]} empty: eval needs a breed of two photos or more"
        )


def _split_dir(uri: str, split: str) -> str:
    return os.path.join(uri, f"Split-{split}")
