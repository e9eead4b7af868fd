"""What a source that lists files knows of its examples before it reads one; chunks of it are its shards."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from components.datasets import storage
from components.datasets.digests import Digests
from components.datasets.source import RawRecord
from schema.dataset_spec import DatasetSpec

_CHUNK = 256
"""Examples a shard: some dozens of kB when it is pickled, some dozens of MB of photos when it is read."""


class Listed(NamedTuple):
    """One example: where its files lie, and the names of its classes."""

    file_name: str
    image: str
    """The photo's path, from the source's folder or absolute."""
    mask: str = ""
    """The mask's path likewise; empty: there is none."""
    classes: tuple[tuple[str, str], ...] = ()
    """Of each label that is known: its name and the class's."""
    split: str = ""
    group: str = ""
    where: str = ""
    """Which line or folder says so, for errors."""
    fault: str = ""
    """As in `RawRecord`."""


class Shard(NamedTuple):
    """Examples that are read together, their classes resolved to indices."""

    examples: tuple[Listed, ...]
    labels: tuple[dict[str, int], ...]

    def __str__(self) -> str:
        return f"{self.examples[0].file_name} to {self.examples[-1].file_name}"


def shards(examples: Iterable[Listed], spec: DatasetSpec) -> Iterator[Shard]:
    """Chunks of the examples, in their order.

    Raises:
        ValueError: an example has a class that the spec does not name.
    """
    index = {label.name: {name: number for number, name in enumerate(label.classes)} for label in spec.labels}
    examples = iter(examples)
    while chunk := tuple(itertools.islice(examples, _CHUNK)):
        yield Shard(chunk, tuple(_indices(example, index, spec) for example in chunk))


def _indices(example: Listed, index: dict[str, dict[str, int]], spec: DatasetSpec) -> dict[str, int]:
    found = {}
    for label, name in example.classes:
        if label not in index:
            continue  # A column that the spec leaves out.
        if name not in index[label]:
            known = ", ".join(itertools.islice(index[label], 12))
            raise ValueError(
                f"{example.where}: the class {name!r} is not among labels.{label} of "
                f"the description {spec.name!r}, which names {known}: add it there, or take its photos out"
            )
        found[label] = index[label][name]
    return found


def read(folder: str, shard: Shard, has_mask: bool = False) -> Iterator[RawRecord]:
    """The records of a shard; a file that cannot be read makes the record's fault.

    Args:
        folder: that the paths start from.
        shard: to be read.
        has_mask: the caller has masks of its own, so that an example may have neither class nor mask here.
    """
    for example, labels in zip(shard.examples, shard.labels, strict=True):
        image, mask, fault = b"", None, example.fault
        try:
            image = storage.read(storage.join(folder, example.image))
            mask = storage.read(storage.join(folder, example.mask)) if example.mask else None
        except OSError as error:
            what = "mask" if image else "photo"
            path = example.mask if image else example.image
            fault = fault or f"its {what} {printable(path)} cannot be read: {error.strerror or error}"
        if not (fault or labels or mask or has_mask):
            fault = "it has neither a class nor a mask"
        yield RawRecord(example.file_name, image, mask, labels, example.split, example.group, fault)


def key(folder: str, examples: Iterable[Listed]) -> str:
    """Names the examples' names, classes, splits and groups and the contents of their files, not where these lie.

    The order of the classes and the values of the masks are the spec's, which is a parameter of its own.
    """
    total = hashlib.sha256()
    with Digests() as digests:
        for example in examples:
            said = [example.file_name, example.classes, example.split, example.group, example.fault]
            total.update(json.dumps(said).encode() + b"\n")
            for path in (example.image, example.mask):
                total.update(digests.of(storage.join(folder, path)) + b"\n" if path else b"-\n")
    return total.hexdigest()[:32]


def printable(path: str) -> str:
    """A path that can be written as UTF-8: bytes of a name that are none are shown as escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
