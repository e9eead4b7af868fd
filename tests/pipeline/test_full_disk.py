from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[2]

_FULL = """
import pathlib, sys
import local_runner
from pipeline import interrupts, preflight

folder = pathlib.Path(sys.argv.pop(1))
preflight.check = lambda config, run_dir: None

def fill_and_fail(config, run_dir, screen):
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    print("a line for the log")
    sys.stdout.flush()

local_runner._run = fill_and_fail
interrupts.end_with(local_runner.main)
"""


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here: that takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _run(
    code: str, folder: pathlib.Path, run_dir: pathlib.Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(folder), "--config", "debug", "--run-dir", str(run_dir)],
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_disk_that_fills_up_under_the_log_too_is_one_error_line(small_disk: pathlib.Path) -> None:
    run = _run(_FULL, small_disk, small_disk / "run")
    assert run.returncode == 1
    assert "No space left on device" in run.stdout
    assert "The log has more" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (small_disk / "run" / ".temporary-files").exists()


def test_a_disk_that_is_full_already_is_one_sentence(small_disk: pathlib.Path) -> None:
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb") as file:
        file.write(bytes(1 << 20))
    run = _run(_FULL, small_disk, small_disk / "run")
    assert run.returncode == 2
    assert "run_dir is" in run.stdout
    assert len(run.stdout.splitlines()) == 1


def test_a_full_temporary_directory_does_not_matter(small_disk: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Nothing is written there."""
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb") as file:
        file.write(bytes(1 << 20))
    code = _FULL.replace('open(folder / "filler"', 'open("/dev/full"').replace("sys.stdout.flush()", "return 0")
    run = _run(code, tmp_path, tmp_path / "run", TMPDIR=str(small_disk))
    assert run.returncode == 0, run.stdout
