"""Photos that are there twice: the same bytes, or nearly the same picture.

Nearly the same are two photos whose perceptual hashes (`imagehash.phash`, 64 bits) differ in at most 4 bits, whose
thumbnails agree (correlation of 16 x 16 grey pixels of at least 0.98) and whose shapes do (height to width within 5 %):
copies that were resized, compressed anew, or made lighter. Photos without contrast are compared by their bytes alone.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence

import imagehash
import numpy as np
import PIL.Image

THUMBNAIL = 16
_BITS = 4
_CORRELATION = 0.98
_SHAPE = 0.05
_FLAT = 2.0
"""A thumbnail whose grey levels have a smaller standard deviation shows nothing to compare."""


def fingerprint(picture: PIL.Image.Image) -> tuple[int, bytes]:
    """The perceptual hash and the thumbnail, 16 x 16 bytes, of a picture; one just opened is decoded here."""
    picture.draft("L", (128, 128))  # A JPEG is decoded at a fraction of its size; all of its bytes are read.
    grey = picture.convert("L")
    thumbnail = grey.resize((THUMBNAIL, THUMBNAIL), PIL.Image.Resampling.BOX)
    return int(str(imagehash.phash(grey)), 16), thumbnail.tobytes()


def exact(digests: Sequence[bytes]) -> list[list[int]]:
    """Groups of two or more photos with the same bytes, as indices."""
    found: dict[bytes, list[int]] = collections.defaultdict(list)
    for index, digest in enumerate(digests):
        found[digest].append(index)
    return [group for group in found.values() if len(group) > 1]


def near(looks: Sequence[tuple[int, bytes]], shapes: Sequence[float]) -> list[list[int]]:
    """Groups of two or more photos that are nearly the same, as indices; a group is what pairs connect.

    Hashes that differ in 4 of 64 bits agree on one of five parts: only photos in one bucket of a part are compared.

    Args:
        looks: of the photos, as `fingerprint` gives them.
        shapes: height to width of each.
    """
    if not looks:
        return []
    hashes, thumbnails = zip(*looks, strict=True)
    codes = np.array(hashes, np.uint64)
    ratios = np.array(shapes)
    grey = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(len(codes), -1).astype(np.float32)
    spread = grey.std(axis=1)
    grey = (grey - grey.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-6)[:, None]
    above = np.arange(len(codes))
    for bucket in _buckets(codes, np.flatnonzero(spread >= _FLAT)):
        for place, one in enumerate(bucket[:-1]):
            others = bucket[place + 1 :]
            others = others[np.bitwise_count(codes[others] ^ codes[one]) <= _BITS]
            others = others[np.abs(ratios[others] / ratios[one] - 1) <= _SHAPE]
            others = others[grey[others] @ grey[one] >= _CORRELATION * grey.shape[1]]
            for other in others.tolist():
                above[_top(above, other)] = _top(above, int(one))
    groups: dict[int, list[int]] = collections.defaultdict(list)
    for index in range(len(codes)):
        groups[_top(above, index)].append(index)
    return sorted(group for group in groups.values() if len(group) > 1)


def _buckets(codes: np.ndarray, which: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of hashes that agree on a part of 12 or 13 bits."""
    edges = np.linspace(0, 64, _BITS + 2).astype(int)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = (codes[which] >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order])) + 1
        yield from (which[one] for one in np.split(order, starts) if len(one) > 1)


def _top(above: np.ndarray, index: int) -> int:
    """The representative of an index' group; paths are halved on the way."""
    while above[index] != index:
        above[index] = above[above[index]]
        index = int(above[index])
    return index


def across(groups: Iterable[Sequence[int]], of: Sequence[object]) -> list[list[int]]:
    """The groups whose photos differ in what `of` says of each, such as their split or their class."""
    return [list(group) for group in groups if len({of[index] for index in group}) > 1]
