"""A run's own directory: one run at a time in it, and its temporary files inside, so that nothing stays outside it."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import filelock

_LOCK_FILE = ".lock"
_OWNER_FILE = ".running.json"
TEMPORARY = ".temporary-files"


class Unusable(ValueError):
    """Another process runs in the directory, or nothing can be written there; the message says which and what to do."""


@contextlib.contextmanager
def occupied(run_dir: pathlib.Path) -> Iterator[None]:
    """Holds the directory, which is made if there is none, for this process until the block or the process ends.

    Until then temporary files, Python's and those of C++ code that asks the environment, lie in a folder of it.

    Raises:
        Unusable: another process holds it, or it cannot be written.
    """
    owner = run_dir / _OWNER_FILE
    with contextlib.ExitStack() as held:
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            # The system lets go of it when the process dies, however it dies.
            held.enter_context(filelock.FileLock(run_dir / _LOCK_FILE, blocking=False))
            held.callback(owner.unlink, missing_ok=True)
            started = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
            owner.write_text(json.dumps({"process": os.getpid(), "started": started}))
            held.enter_context(temporary_files(run_dir / TEMPORARY))
        except filelock.Timeout:
            raise Unusable(
                f"run_dir is {run_dir}, and {_described(owner)} is at work in it: wait for it, stop it, or give "
                "another --run-dir"
            ) from None
        except OSError as error:
            raise Unusable(
                f"run_dir is {run_dir}, and nothing can be written there: {error.strerror}; give another --run-dir"
            ) from error
        yield


def _described(owner: pathlib.Path) -> str:
    try:
        of = json.loads(owner.read_text())
        return f"process {of['process']}, started {of['started']},"
    except (OSError, ValueError):  # it has only just begun, or is about to end
        return "another process"


@contextlib.contextmanager
def temporary_files(folder: pathlib.Path) -> Iterator[None]:
    """Makes `folder` the one for temporary files; it is removed at the end, and first where a killed run left it."""
    before = os.environ.get("TMPDIR")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
        shutil.rmtree(folder, ignore_errors=True)
