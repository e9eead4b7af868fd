"""Files of a data set where they lie: a local folder, or one behind a scheme (`gs://`, `s3://`) through TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

_PICTURES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".avif"}
)

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "AVIF", "PPM")
"""Of photos and masks that are opened. Pillow knows more, and hands some of a file to other programs: an EPS is run."""


class Listing(NamedTuple):
    """What one folder holds, hidden names left out; both sorted."""

    folders: tuple[str, ...]
    files: tuple[str, ...]


class Stamp(NamedTuple):
    """What a file system says of a file without reading it; the times in nanoseconds, 0 where it does not know."""

    size: int
    modified: int
    changed: int


def is_remote(path: str) -> bool:
    return "://" in path


def is_picture(name: str) -> bool:
    """By the ending; whether it can be read is for the ExampleGen to say."""
    return suffix(name) in _PICTURES


def suffix(name: str) -> str:
    """`.jpg` of `a/Leaf.JPG`."""
    return os.path.splitext(name)[1].lower()


def is_hidden(name: str) -> bool:
    """Names that file managers and archivers leave behind: `.DS_Store`, `._leaf.jpg`, `__MACOSX`."""
    return name.startswith(".") or name == "__MACOSX"


def is_path(text: str) -> bool:
    """Whether a file could be called so: NUL and halves of surrogate pairs stand in no path."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def join(folder: str, *names: str) -> str:
    """`folder/a/b` with forward slashes; a name that is absolute or has a scheme stands for itself."""
    path = folder
    for name in names:
        if is_remote(name) or os.path.isabs(name):
            path = name
        elif name:
            path = f"{path.rstrip('/')}/{name}" if path else name
    return path


def absolute(path: str) -> str:
    """One spelling of a path; one with a scheme stays as it is but for trailing slashes."""
    return path.rstrip("/") if is_remote(path) else os.path.abspath(os.path.expanduser(path))


def located(folder: str, path: str) -> str:
    """A path that a user gave beside a folder: from there, or where only that exists, from the working directory."""
    if path and not is_remote(folder) and not os.path.exists(join(folder, path)) and os.path.exists(path):
        return absolute(path)
    return path


def inside(folder: str, path: str) -> str:
    """A path from a folder that holds it, by whatever links either is named; another path stays as it is."""
    if is_remote(path):
        return path.removeprefix(f"{folder}/")
    if is_remote(folder) or not os.path.isabs(path):
        return path
    for spelling in (os.path.abspath, os.path.realpath):
        relative = os.path.relpath(spelling(path), spelling(folder))
        if relative.split(os.sep)[0] != os.pardir:
            return relative
    return path


def listing(folder: str) -> Listing:
    """One folder's names; memory holds those of one folder at a time.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    folders: list[str] = []
    files: list[str] = []
    for name, is_folder in names(folder):
        if not is_hidden(name):
            (folders if is_folder else files).append(name)
    return Listing(tuple(sorted(folders)), tuple(sorted(files)))


def names(folder: str) -> Iterator[tuple[str, bool]]:
    """Every name in a folder, hidden ones too, and whether it is a folder; in no order."""
    return _remote_names(folder) if is_remote(folder) else _local_names(folder)


def _local_names(folder: str) -> Iterator[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name, entry.is_dir()


def _remote_names(folder: str) -> Iterator[tuple[str, bool]]:
    with _remotely(folder) as gfile:
        found = gfile.listdir(folder)
    for name in found:
        # Buckets end folders with a slash; where a scheme does not, only names without a picture's ending are asked.
        yield name.rstrip("/"), name.endswith("/") or (not is_picture(name) and gfile.isdir(join(folder, name)))


def is_folder(path: str) -> bool:
    if is_remote(path):
        import tensorflow as tf

        return tf.io.gfile.isdir(path)
    return os.path.isdir(path)


def is_file(path: str) -> bool:
    if not is_remote(path):
        return os.path.isfile(path)
    with contextlib.suppress(FileNotFoundError), _remotely(path) as gfile:
        return gfile.exists(path) and not gfile.isdir(path)
    return False


def identity(folder: str) -> tuple[int, int] | str:
    """The same for two paths to one folder, so that a link to a folder above is seen."""
    if is_remote(folder):
        return folder
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def read(path: str) -> bytes:
    """A file's content.

    Raises:
        OSError: it is missing or cannot be read.
    """
    if not is_remote(path):
        return pathlib.Path(path).read_bytes()
    with _remotely(path) as gfile, gfile.GFile(path, "rb") as file:
        return file.read()


def stamp(path: str) -> Stamp:
    """Size and times of a file.

    Raises:
        OSError: it is missing.
    """
    if not is_remote(path):
        status = os.stat(path)
        return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    with _remotely(path) as gfile:
        status = gfile.stat(path)
    return Stamp(status.length, status.mtime_nsec, 0)


@contextlib.contextmanager
def _remotely(path: str) -> Iterator[Any]:
    """TensorFlow's `gfile`, whose errors of `path` become those of a local file."""
    import tensorflow as tf

    try:
        yield tf.io.gfile
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(2, "No such file", path) from error
    except tf.errors.UnimplementedError as error:  # No file system has this scheme: tables name photos of the web, too.
        raise FileNotFoundError(2, error.message, path) from error
    except tf.errors.OpError as error:
        raise OSError(5, error.message, path) from error


def content_digest(path: str) -> bytes:
    """SHA-256 of a file's content, read in blocks.

    Raises:
        OSError: it is missing or cannot be read.
    """
    if is_remote(path):
        return hashlib.sha256(read(path)).digest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
