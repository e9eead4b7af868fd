"""Reads every photo and mask of a source once and measures what `describe` tells of them."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import io
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from components.datasets import duplicates, mask_values, storage
from components.datasets.listing import printable
from components.datasets.source import RawRecord, Source
from components.example_gen import images, masks, records
from schema.dataset_spec import DatasetSpec

_TOGETHER = 32
"""So many photos are in memory at once."""
_MODES = {"RGB": "", "L": " grey", "1": " black and white", "P": " palette", "LA": " grey, alpha", "RGBA": " alpha"}


class Photo(NamedTuple):
    """What one record holds."""

    name: str
    split: str
    group: str
    labels: dict[str, int]
    fault: str
    """Why it cannot be used; empty: it can, as far as was looked."""
    digest: bytes
    form: str = ""
    """Such as `JPEG grey`."""
    size: tuple[int, int] = (0, 0)
    """Height and width in pixels, upright."""
    orientation: int = 1
    """EXIF's, by which it will be turned; 1: it lies upright."""
    repairs: tuple[str, ...] = ()
    """What ingestion will mend, as `images.check_photo` calls it."""
    look: tuple[int, bytes] = (0, b"")
    """As `duplicates.fingerprint` gives it."""
    mask: mask_values.Values | None = None


@dataclasses.dataclass
class Survey:
    """All of a source's records."""

    photos: list[Photo] = dataclasses.field(default_factory=list)
    values: mask_values.Values = dataclasses.field(default_factory=mask_values.Values)
    """Of all masks."""
    left_out: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """How many files below a folder are none of the data set's, by what they are."""
    left_out_pictures: list[str] = dataclasses.field(default_factory=list)
    left_out_splits: dict[str, int] = dataclasses.field(default_factory=dict)
    """How many examples TFDS' splits hold that are none of ours."""
    objects: int = 0
    """How many objects COCO's files annotate."""
    crowds: int = 0
    """Those of them whose pixels are unknown since they are crowds."""

    def usable(self) -> list[Photo]:
        return [photo for photo in self.photos if not photo.fault]


def look(source: Source, max_pixels: int, progress: Callable[[int], None] = lambda count: None) -> Survey:
    """Reads all records of a source.

    Args:
        source: the data set.
        max_pixels: as `images.check_photo` takes it.
        progress: is told how many photos were read so far.

    Raises:
        ValueError: the source contradicts itself.
    """
    found = Survey()
    spec = source.spec()
    # Of classes that are missing `describe` tells once for all photos.
    spec = dataclasses.replace(spec, labels=tuple(dataclasses.replace(of, optional=True) for of in spec.labels))
    measured = functools.partial(_measured, spec=spec, max_pixels=max_pixels)
    # Pillow decodes outside the interpreter's lock.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found_records = itertools.chain.from_iterable(map(source.read, source.shards()))
        while some := list(itertools.islice(found_records, _TOGETHER)):
            for photo in pool.map(measured, some):
                found.photos.append(photo)
                if photo.mask:
                    found.values.merge(photo.mask)
            progress(len(found.photos))
    return found


def _measured(record: RawRecord, spec: DatasetSpec, max_pixels: int) -> Photo:
    refused = records.refusal(record, spec)
    photo = Photo(
        name=record.file_name,
        split=record.split,
        group=record.group,
        labels=dict(record.labels),
        fault=refused.reason if refused else "",
        digest=hashlib.sha256(record.image).digest(),
    )
    if not photo.fault:
        photo = _with_picture(photo, record.image, max_pixels)
    if not photo.fault and record.mask is not None:
        photo = _with_mask(photo, record.mask)
    return photo


def _with_picture(photo: Photo, data: bytes, max_pixels: int) -> Photo:
    """What ingestion will make of the photo, by its own verdict."""
    try:
        used = images.check_photo(data, photo.name, max_pixels)
    except ValueError as error:
        return photo._replace(fault=f"its photo cannot be used: {error}")
    with PIL.Image.open(io.BytesIO(data)) as picture:
        form = f"{picture.format}{_MODES.get(picture.mode, f' {picture.mode}')}"
    try:
        with PIL.Image.open(io.BytesIO(used.data)) as upright:
            look = duplicates.fingerprint(upright)
    except Exception:  # Pillow may raise anything of what TensorFlow decodes: it is compared by its bytes alone.
        look = 0, bytes(duplicates.THUMBNAIL**2)
    return photo._replace(form=form, size=used.size, orientation=used.orientation, repairs=used.repairs, look=look)


def _with_mask(photo: Photo, data: bytes) -> Photo:
    try:
        pixels = masks.read_values(data)
        masks.is_to_turn(pixels.shape, photo.size, photo.orientation)
    except ValueError as error:
        return photo._replace(fault=f"its mask cannot be used: {error}")
    values = mask_values.Values()
    values.add(pixels)
    return photo._replace(mask=values)


def left_out(survey: Survey, folder: str, used: set[str], pictures: str = "pictures") -> None:
    """Counts the files below a folder that are none of a data set's, hidden ones too.

    Args:
        survey: to be completed.
        folder: is looked through.
        used: the paths of the data set's files.
        pictures: what those are called that are none of it.
    """
    for path in _files(folder, set()):
        name = path.rpartition("/")[2]
        if path in used:
            continue
        if any(map(storage.is_hidden, path.removeprefix(folder).split("/"))):
            survey.left_out["hidden"] += 1
        elif storage.is_picture(name):
            survey.left_out[pictures] += 1
            survey.left_out_pictures.append(printable(path.removeprefix(f"{folder}/")))
        else:
            survey.left_out[storage.suffix(name) or "without ending"] += 1


def _files(folder: str, above: set[Any]) -> Iterator[str]:
    identity = storage.identity(folder)
    if identity in above:
        return
    for name, is_folder in sorted(storage.names(folder)):
        path = storage.join(folder, name)
        if is_folder:
            yield from _files(path, above | {identity})
        else:
            yield path


def median_size(photos: list[Photo]) -> tuple[int, int]:
    """Median height and width in pixels."""
    sizes = np.array([photo.size for photo in photos])
    height, width = np.median(sizes, axis=0).astype(int).tolist()
    return height, width
