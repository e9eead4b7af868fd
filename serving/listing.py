"""Which photos are meant by files, folders and patterns: one after the other, however many there are."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from serving import results

_DECODABLE = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".mpo",
    ".png",
    ".webp",
    ".bmp",
    ".dib",
    ".gif",
    ".tif",
    ".tiff",
    ".avif",
)
_PHONES = (".heic", ".heif")
"""Photos whose error is better than their silence: nothing here decodes them."""
SUFFIXES = _DECODABLE + _PHONES
"""Of the files in a folder those are photos; a file that is named itself is taken for one whatever it is called."""


class Count(NamedTuple):
    """How many files the arguments mean."""

    photos: int
    others: int
    """Files in folders whose names are none of photos, or hidden: they are passed over."""


def photos(arguments: Sequence[str], outside: str | None = None) -> Iterator[str]:
    """Paths of the photos, by argument, within a folder by name.

    Args:
        arguments: files, folders (to the bottom, but hidden ones) and patterns (`*`, `?`, `[…]`, `**`). One that is
            nothing of that is given back as it is: whoever reads it learns that there is no such file. So is a folder
            that cannot be looked into, there or on a pattern's way.
        outside: the folder that results are written to, which may hold photos as well: the results are none. Nor are
            masks and overlays of another such folder, unless a file of them is named itself.
    """
    return (path for path, is_photo in _files(arguments, outside) if is_photo)


def count(arguments: Sequence[str], outside: str | None = None) -> Count:
    """How many files `photos` gives, and how many it passes over."""
    counts = [0, 0]
    for _, is_photo in _files(arguments, outside):
        counts[not is_photo] += 1
    return Count(*counts)


def root(arguments: Sequence[str]) -> str:
    """The deepest folder below which every photo of `arguments` lies; in it no two have the same path."""
    return os.path.commonpath([os.path.abspath(_fixed_part(argument)) for argument in arguments])


def _fixed_part(argument: str) -> str:
    """The folder that an argument's photos lie in, as far as it is known before looking."""
    if os.path.isdir(argument):
        return argument
    folder = os.path.dirname(argument)
    while not os.path.lexists(argument) and glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or os.curdir


def _files(arguments: Sequence[str], outside: str | None) -> Iterator[tuple[str, bool]]:
    results_of = [os.path.join(outside, name) for name in results.WRITTEN] if outside is not None else []
    left_out = tuple(os.path.realpath(path) + os.sep for path in results_of)
    for argument in arguments:
        pattern = glob.has_magic(argument) and not os.path.lexists(argument)
        seen: set[str] = set()  # folders and files, by where they really lie
        found = sorted(glob.iglob(argument, recursive=True)) if pattern else []
        unreadable = sorted(_unreadable(argument)) if pattern else []
        for path in found if found or unreadable else [argument]:
            folder = os.path.join(os.path.realpath(os.path.dirname(path)), "")
            place = os.path.join(folder, os.path.basename(path), "")
            if os.path.isdir(path):
                yield from _in_folder(path, left_out, seen)
            elif not (place.startswith(left_out) or (pattern and _drawn(folder))) and seen.isdisjoint((folder, place)):
                seen.add(place)
                yield path, True
        yield from _told(unreadable, left_out, seen)


def _in_folder(folder: str, left_out: tuple[str, ...], seen: set[str]) -> Iterator[tuple[str, bool]]:
    """Each file once, though links to folders, or a pattern's `**`, may lead to it on several ways or in a circle."""
    unreadable: list[str] = []
    walk = os.walk(folder, onerror=lambda error: unreadable.append(error.filename), followlinks=True)
    for place, folders, names in walk:
        real = os.path.join(os.path.realpath(place), "")
        if real in seen or real.startswith(left_out) or _drawn(real):
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(names):
            if not f"{real}{name}{os.sep}".startswith(left_out):
                path = os.path.join(place, name)
                # To patterns and to training, too: `.thumbnails`, and the `._one.jpg` that macOS puts beside a photo.
                hidden = f"{os.sep}." in f"{os.sep}{path[len(folder) :]}"
                yield path, name.lower().endswith(SUFFIXES) and not hidden
    yield from _told(unreadable, left_out, seen)


def _drawn(folder: str) -> bool:
    """Whether a folder lies in masks or overlays that `predict` wrote, into whatever folder it was told to then."""
    above, name = os.path.split(folder)
    beside = (os.path.join(above, lines) for lines in (results.CSV_FILE, results.JSON_FILE))
    if name in (results.MASKS, results.OVERLAYS) and all(map(os.path.isfile, beside)):
        return True
    return above != folder and _drawn(above)


def _told(folders: Sequence[str], left_out: tuple[str, ...], seen: set[str]) -> Iterator[tuple[str, bool]]:
    """Folders that cannot be looked into, each once, as photos are: whoever reads one learns why."""
    for folder in folders:
        real = os.path.join(os.path.realpath(folder), "")
        if real not in seen and not real.startswith(left_out):
            seen.add(real)
            yield folder, True


def _unreadable(pattern: str) -> Iterator[str]:
    """The folders on a pattern's way that cannot be looked into, some of them several times: `glob` says nothing."""
    folder, name = os.path.split(pattern)
    if glob.has_magic(folder):
        yield from _unreadable(folder)
        places: Iterable[str] = glob.iglob(os.path.join(folder, ""), recursive=True)
    else:
        places = [folder or os.curdir]
    searched = glob.has_magic(name) or os.path.basename(folder) == "**"
    for place in places:
        try:
            if searched:
                os.scandir(place).close()
            else:
                os.lstat(os.path.join(place, name))  # one that cannot be listed may let through to a name
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            yield place.rstrip(os.sep) or place
