"""Photos of one split that are nearly the same as one of another: figures on such a test photo flatter.

What counts as nearly the same is said in `components.datasets.duplicates`.
"""

from __future__ import annotations

import collections
import concurrent.futures
import io
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import PIL.Image
import tensorflow as tf

from components.comparison.predictions import batches
from components.comparison.results import Suspect
from components.datasets import duplicates
from schema import record


class Photo(NamedTuple):
    """One record's photo."""

    split: str
    file_name: str
    look: tuple[int, bytes]
    """As `duplicates.fingerprint` gives it."""
    shape: float
    """Height to width."""


def look_at(splits: Mapping[str, Sequence[str]]) -> list[Photo]:
    """Every photo of the record files of each split."""
    found = []
    names = {name: tf.io.FixedLenFeature([], tf.string) for name in (record.IMAGE, record.FILE_NAME)}
    # Pillow decodes outside the interpreter's lock.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for split, files in splits.items():
            for serialized in batches(files):
                features = tf.io.parse_example(serialized, names)
                looks = pool.map(_look, features[record.IMAGE].numpy())
                for name, (look, shape) in zip(features[record.FILE_NAME].numpy(), looks, strict=True):
                    found.append(Photo(split, name.decode(), look, shape))
    return found


def _look(encoded: bytes) -> tuple[tuple[int, bytes], float]:
    with PIL.Image.open(io.BytesIO(encoded)) as picture:
        shape = picture.height / picture.width
        return duplicates.fingerprint(picture), shape


def across_splits(photos: Sequence[Photo]) -> tuple[list[Suspect], dict[str, int]]:
    """Which photos to leave out so that no two splits share one, and how many of each split have a twin elsewhere.

    Of a group of photos that are nearly the same those of the split that is held out the most stay: `test`, else
    `eval`. The others are listed, the most alike first, each with the one of those that stay that it is most like.
    """
    counts: collections.Counter[str] = collections.Counter()
    found: list[tuple[int, Suspect]] = []
    groups = duplicates.near([photo.look for photo in photos], [photo.shape for photo in photos])
    for group in duplicates.across(groups, [photo.split for photo in photos]):
        members = [photos[index] for index in group]
        counts.update(photo.split for photo in members)
        kept = max((photo.split for photo in members), key=record.SPLITS.index)
        staying = [photo for photo in members if photo.split == kept]
        for photo in members:
            if photo.split != kept:
                apart, twin = min(((photo.look[0] ^ one.look[0]).bit_count(), one) for one in staying)
                suspect = Suspect(photo.split, photo.file_name, "duplicate", twin=twin.file_name, twin_split=kept)
                found.append((apart, suspect))
    found.sort(key=lambda pair: (pair[0], pair[1].split, pair[1].file_name))
    return [suspect for _, suspect in found], dict(counts)
