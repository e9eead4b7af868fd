"""Digests of files' contents for cache keys, remembered so that the second start does not read a large folder again.

What is remembered lies in one SQLite file below the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`): path,
size, time of modification, time of change and SHA-256. A file whose size or times differ is read again; so is one that
changed in the last seconds before it was read, since a second change may then bear the same times. The file is only
an accelerator: without it, or without the right to write it, the digests are the same and the contents are read.

A file behind a scheme (`gs://…`) is not read but known by its size and time of modification, which a bucket sets at
each writing; where the scheme knows no times, it is read.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import time

from components.datasets import storage

_SETTLED_NS = 2_000_000_000
"""Older than any clock tick of a file system; younger files are not remembered."""


class Digests:
    """A context in which `of` gives the digest of files; writes what it learned at its end."""

    def __init__(self) -> None:
        self._known: sqlite3.Connection | None = None

    def __enter__(self) -> Digests:
        with contextlib.suppress(OSError, RuntimeError, sqlite3.Error):  # RuntimeError: this user has no home
            folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pets-pipeline"
            folder.mkdir(parents=True, exist_ok=True)
            known = sqlite3.connect(folder / "digests.db", timeout=60)
            self._known = known
            known.execute(
                "CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, size INT, modified INT, changed INT, "
                "digest BLOB) WITHOUT ROWID"
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._known is not None:
            with contextlib.suppress(sqlite3.Error):
                self._known.commit()
            self._known.close()

    def of(self, path: str) -> bytes:
        """32 bytes that name the file's content; empty for a file that is missing or cannot be read."""
        try:
            stamp = storage.stamp(path)
            if storage.is_remote(path) and stamp.modified:
                return f"{stamp.size} {stamp.modified}".encode()
            return self._remembered(path, stamp) or self._learned(path, stamp)
        except OSError:
            return b""

    def _remembered(self, path: str, stamp: storage.Stamp) -> bytes | None:
        if self._known is None:
            return None
        try:
            row = self._known.execute(
                "SELECT size, modified, changed, digest FROM digests WHERE path = ?", (_key(path),)
            )
            found = row.fetchone()
        except sqlite3.Error:
            return None
        return found[3] if found and found[:3] == tuple(stamp) else None

    def _learned(self, path: str, stamp: storage.Stamp) -> bytes:
        digest = storage.content_digest(path)
        settled = stamp.modified and time.time_ns() - max(stamp.modified, stamp.changed) > _SETTLED_NS
        if self._known is not None and settled:
            with contextlib.suppress(sqlite3.Error):
                self._known.execute("REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", (_key(path), *stamp, digest))
        return digest


def _key(path: str) -> str:
    absolute = path if storage.is_remote(path) else os.path.abspath(path)
    return absolute.encode(errors="backslashreplace").decode()
