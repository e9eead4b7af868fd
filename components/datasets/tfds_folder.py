"""A data set that TFDS has prepared, as it lies in a folder: found, known by its content, read shard by shard.

Only `prepare` needs TFDS, and all but that and `read` not even TensorFlow: pipelines are built by it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from etils import epath

from components.datasets import storage
from components.datasets.digests import Digests

INFO_FILE = "dataset_info.json"
MADE_OF_FILE = "made_of.json"
"""What this project leaves beside data that it prepared: the content that it had then, and what it was made of."""


class Shard(NamedTuple):
    """One file of records."""

    path: str
    split: str
    """TFDS' split."""
    examples: int
    """How many records it holds, by `dataset_info.json`."""

    def __str__(self) -> str:
        return os.path.basename(self.path)


def absolute(data_dir: str) -> str:
    """One spelling of a TFDS data_dir; empty is TFDS' default. A bucket's stays as it is but for trailing slashes."""
    return storage.absolute(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def find(data_dir: str, name: str, version: str) -> epath.Path | None:
    """The folder of the newest prepared version.

    Args:
        data_dir: as `absolute` gives it.
        name: of the data set, with its config where it has one: `NAME` or `NAME/CONFIG`.
        version: a pattern, such as `4.*.*`.
    """
    found = [path.parent for path in epath.Path(data_dir).glob(f"{name}/{version}/{INFO_FILE}")]
    return max(found, key=lambda path: [int(part) for part in path.name.split(".")], default=None)


def others(data_dir: str) -> list[str]:
    """What data sets and versions lie prepared in a data_dir, such as `mnist/3.0.1`."""
    root = epath.Path(data_dir)
    found = [path.parent for depth in ("*/*", "*/*/*") for path in root.glob(f"{depth}/{INFO_FILE}")]
    return sorted(str(path.relative_to(root)) for path in found)


def prepare(builder: Any, **options: Any) -> None:
    """Lets TFDS make a data set, with nothing on the console; `options` are those of its DownloadConfig."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(try_download_gcs=False, **options)
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(download_config=config)


def reason(error: Exception) -> str:
    """The first line of an error of TFDS, which may list all data sets that it knows, and the name that it suggests."""
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join([first, *(line for line in more if line.startswith("Did you mean"))])


def key(folder: epath.Path) -> str:
    """Of the content of every file in a prepared folder, wherever it lies.

    Data that this project prepared and nobody changed since has the key of what it was made of: so the run that
    prepares it and the next, which finds it prepared, share one cache entry.
    """
    content = _content(folder)
    mark = folder / MADE_OF_FILE
    if mark.exists():
        made = _json(mark)
        if made.get("content") == content:
            return made["of"]
    return content


def mark(folder: epath.Path, of: str) -> None:
    """Notes beside data just prepared what it was made of."""
    (folder / MADE_OF_FILE).write_text(json.dumps({"content": _content(folder), "of": of}))


def _json(file: epath.Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is no JSON: {error}: prepare the data set anew") from error


def _content(folder: epath.Path) -> str:
    total = hashlib.sha256()
    with Digests() as digests:
        for name in storage.listing(str(folder)).files:
            if name != MADE_OF_FILE:
                total.update(name.encode() + b"\n" + digests.of(str(folder / name)) + b"\n")
    return total.hexdigest()[:32]


def features(folder: epath.Path) -> dict[str, dict[str, Any]]:
    """TFDS' features by name, as `features.json` describes them.

    Raises:
        ValueError: it is no JSON.
    """
    return _json(folder / "features.json").get("featuresDict", {}).get("features", {})


def class_names(folder: epath.Path, feature: str) -> tuple[str, ...]:
    """The classes of a label, in the order of their indices; their numbers where they have no names."""
    names = folder / f"{feature}.labels.txt"
    if names.exists():
        return tuple(names.read_text(encoding="utf-8").splitlines())
    return tuple(map(str, range(int(features(folder)[feature]["classLabel"]["numClasses"]))))


def shards(folder: epath.Path) -> Iterator[Shard]:
    """All shards, in the order of `dataset_info.json`.

    Raises:
        ValueError: they are not TFRecord files, or `dataset_info.json` is no JSON.
    """
    info = _json(folder / INFO_FILE)
    form = info.get("fileFormat", "tfrecord")
    if form != "tfrecord":
        raise ValueError(f"{folder} holds {form} files: prepare the data set with file_format='tfrecord'")
    for split in info["splits"]:
        lengths = [int(length) for length in split["shardLengths"]]
        template = split.get("filepathTemplate") or "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
        for number, examples in enumerate(lengths):
            name = template.format(
                DATASET=info["name"],
                SPLIT=split["name"],
                FILEFORMAT=form,
                SHARD_INDEX=f"{number:05d}",
                NUM_SHARDS=f"{len(lengths):05d}",
                SHARD_X_OF_Y=f"{number:05d}-of-{len(lengths):05d}",
            )
            yield Shard(os.fspath(folder / name), split["name"], examples)


def read(shard: Shard) -> Iterator[Mapping[str, Any] | None]:
    """The features of a shard's records, as a stream; None for one that is no `tf.Example`.

    Raises:
        ValueError: the shard is cut, missing, emptied or damaged; the message names it.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    count = 0
    try:
        for serialized in tf.data.TFRecordDataset(shard.path).as_numpy_iterator():
            count += 1
            try:
                yield tf.train.Example.FromString(serialized).features.feature
            except DecodeError:
                yield None
    except tf.errors.OpError as error:
        raise ValueError(
            f"shard {shard.path} is cut or damaged after record {count} of {shard.examples}: copy or prepare it anew"
        ) from error
    if count != shard.examples:
        raise ValueError(
            f"shard {shard.path} holds {count} records, but {INFO_FILE} says {shard.examples}: copy or prepare it anew"
        )


def take(features: Mapping[str, Any], faults: list[str], name: str, kind: str, otherwise: Any) -> Any:
    """The one value of a feature; where there is none such, why joins `faults`, and the value is `otherwise`.

    Args:
        features: of a `tf.Example`.
        faults: the ends of sentences.
        name: of the feature.
        kind: `bytes_list`, `int64_list` or `float_list`.
        otherwise: where it is missing, of another type, or holds more values or none.
    """
    if name not in features:
        fault = "is missing"
    elif (found := features[name].WhichOneof("kind")) is None:
        fault = "is empty"
    elif found != kind:
        fault = f"is a {found}, not a {kind}"
    elif len(values := getattr(features[name], kind).value) != 1:
        fault = f"holds {len(values)} values, not one"
    else:
        return values[0]
    faults.append(f"its feature {name!r} {fault}")
    return otherwise
