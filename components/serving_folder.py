"""The folder that a model server watches: a numbered subfolder a version, there whole or not at all, newest last."""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Callable

from tfx.dsl.io import fileio
from tfx.utils import io_utils

SAVED_MODEL = "saved_model.pb"
"""Makes a folder a model: TensorFlow Serving, too, looks for it."""

_INCOMING = re.compile(r"\.incoming-(\d+)-[0-9a-f]{32}")
"""A version on its way: the second in which it began, and something unique. No server takes the name for a number."""

_CHUNK = 1 << 22


def newest(folder: str) -> str | None:
    """The version that a model server would serve, as a path; None where there is none.

    A folder is a version if its name is a number and it holds a SavedModel.
    """
    numbers = _numbers(folder)
    return next((path for path in map(numbers.get, sorted(numbers, reverse=True)) if path and _is_model(path)), None)


def push(model: str, folder: str, check: Callable[[str], None] = lambda _: None) -> tuple[str, bool]:
    """Makes the SavedModel `model` the newest version in `folder`, which it may be already.

    Args:
        model: the SavedModel's folder.
        folder: a local path, where the version appears whole by a rename; or gs:// and the like, where nothing renames
            at once: there `saved_model.pb` comes last, without which no server takes a version for one.
        check: is given the folder of the copy, or of the model where nothing renames, before a server can see the
            version; what it raises leaves none.

    Returns:
        The version's path, and whether it is a new one.

    Raises:
        OSError: it cannot be written; no part of it is left in a local folder.
    """
    numbers = _numbers(folder)
    last = max(numbers, default=0)
    # A last folder that is no model is not served, but a version below it might not be either.
    if last and _same_files(numbers[last], model):
        return numbers[last], False
    version = os.path.join(folder, str(max(int(time.time()), last + 1)))
    if "://" in folder:
        check(model)
        _copy_model_last(model, version)
    else:
        _copy_then_rename(model, version, check)
    return version, True


def remove_leftovers(folder: str, older_than: float = 0) -> None:
    """Removes versions that a killed process left on their way.

    Args:
        folder: as in `push`.
        older_than: seconds; younger ones stay, where another process may be at work on them.
    """
    for name in _names(folder):
        begun = _INCOMING.fullmatch(name)
        if begun and time.time() - int(begun[1]) >= older_than:
            fileio.rmtree(os.path.join(folder, name))


def _copy_then_rename(model: str, version: str, check: Callable[[str], None]) -> None:
    incoming = os.path.join(os.path.dirname(version), f".incoming-{int(time.time())}-{uuid.uuid4().hex}")
    try:
        io_utils.copy_dir(model, incoming)
        check(incoming)
        # Written before it is named: otherwise a power cut may leave the name and lose the content.
        for path in [*_files(incoming).values(), *(place for place, _, _ in os.walk(incoming))]:
            _sync(path)
        os.rename(incoming, version)
    except BaseException:
        with contextlib.suppress(Exception):
            fileio.rmtree(incoming)
        raise
    _sync(os.path.dirname(version))


def _copy_model_last(model: str, version: str) -> None:
    io_utils.copy_dir(model, version, deny_regex_patterns=[rf"/{SAVED_MODEL}$"])
    io_utils.copy_file(os.path.join(model, SAVED_MODEL), os.path.join(version, SAVED_MODEL))


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _names(folder: str) -> list[str]:
    # Buckets list subfolders with a slash.
    return [str(name).rstrip("/") for name in fileio.listdir(folder)] if fileio.isdir(folder) else []


def _numbers(folder: str) -> dict[int, str]:
    """Every path in `folder` whose name is a number, model or not."""
    return {int(name): os.path.join(folder, name) for name in _names(folder) if name.isascii() and name.isdecimal()}


def _is_model(path: str) -> bool:
    return fileio.exists(os.path.join(path, SAVED_MODEL))


def _files(folder: str) -> dict[str, str]:
    """Paths of the files below `folder`, by their path in it."""
    paths = [os.path.join(str(place), str(name)) for place, _, names in fileio.walk(folder) for name in names]
    return {os.path.relpath(path, folder): path for path in paths}


def _same_files(one: str, other: str) -> bool:
    ours, theirs = _files(one), _files(other)
    return ours.keys() == theirs.keys() and all(_same_content(path, theirs[name]) for name, path in ours.items())


def _same_content(one: str, other: str) -> bool:
    with fileio.open(one, "rb") as ours, fileio.open(other, "rb") as theirs:
        while (part := ours.read(_CHUNK)) == theirs.read(_CHUNK):
            if not part:
                return True
    return False
