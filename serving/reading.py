"""Photos read ahead of the model by threads, in batches of bounded size."""

from __future__ import annotations

import collections
import concurrent.futures
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

MAX_MEGABYTES = 100
"""Of a file; a larger one is refused before it is read."""

_THREADS = 4
_MAX_BATCH_BYTES = 1 << 26
"""A batch of large files is smaller than asked for: what is decoded at a time is what takes memory."""


class Photo(NamedTuple):
    """A file, prepared for the model."""

    path: str
    data: bytes
    """Its content; empty where it could not be read."""
    prepared: Any
    error: str
    """Why it was not prepared; empty: it was."""


def batches(paths: Iterable[str], prepare: Callable[[bytes], Any], size: int) -> Iterator[list[Photo]]:
    """Reads and prepares files in the order of `paths`, at most two batches ahead of whoever takes them.

    Args:
        paths: drawn from as they are needed.
        prepare: called in several threads; its ValueError becomes the photo's `error`.
        size: photos in a batch; the last is smaller, and so is one of large files.
    """
    batch: list[Photo] = []
    for photo in _ahead(paths, prepare, 2 * size):
        if batch and sum(len(one.data) for one in batch) + len(photo.data) > _MAX_BATCH_BYTES:
            yield batch
            batch = []
        batch.append(photo)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def read(path: str) -> bytes:
    """A file's content.

    Raises:
        ValueError: it is none, or larger than `MAX_MEGABYTES`, or cannot be read; one sentence.
    """
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            os.listdir(path)  # a folder stands for a photo where it could not be looked into: this says why
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("this is no file")
        if found.st_size > MAX_MEGABYTES * 1_000_000:
            raise ValueError(f"the file has {found.st_size / 1e6:.0f} MB: {MAX_MEGABYTES} are the limit")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        kind = "folder" if os.path.isdir(path) else "file"
        raise ValueError(f"the {kind} cannot be read: {error.strerror}") from error


def _ahead(paths: Iterable[str], prepare: Callable[[bytes], Any], ahead: int) -> Iterator[Photo]:
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        waiting: collections.deque[concurrent.futures.Future[Photo]] = collections.deque()
        try:
            for path in paths:
                waiting.append(threads.submit(_photo, path, prepare))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _photo(path: str, prepare: Callable[[bytes], Any]) -> Photo:
    data = b""
    try:
        data = read(path)
        return Photo(path, data, prepare(data), "")
    except ValueError as error:
        return Photo(path, data, None, str(error))
