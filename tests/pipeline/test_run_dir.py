from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

from pipeline import run_dir

_HOLD = """
import pathlib, sys, time
from pipeline import run_dir
with run_dir.occupied(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_with_the_first_ones_process_and_start_until_it_dies(tmp_path: pathlib.Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(run_dir.Unusable, match=rf"process {first.pid}, started 20\d\d-.* is at work in it"),
            run_dir.occupied(tmp_path),
        ):
            raise AssertionError("two runs at once")
        first.send_signal(signal.SIGKILL)
        first.wait()
        with run_dir.occupied(tmp_path):
            pass


def test_temporary_files_lie_in_the_run_directory_and_are_gone_afterwards(tmp_path: pathlib.Path) -> None:
    before = tempfile.gettempdir()
    left = tmp_path / run_dir.TEMPORARY / "of a killed run"
    left.mkdir(parents=True)
    with run_dir.occupied(tmp_path):
        assert not left.exists()
        handle, path = tempfile.mkstemp()
        os.close(handle)
        assert pathlib.Path(path).parent == tmp_path / run_dir.TEMPORARY
        assert os.environ["TMPDIR"] == str(tmp_path / run_dir.TEMPORARY)
    assert not (tmp_path / run_dir.TEMPORARY).exists()
    assert tempfile.gettempdir() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(run_dir.Unusable, match=r"run_dir is .*file/run, and nothing can be written there: Not a direct"),
        run_dir.occupied(tmp_path / "file" / "run"),
    ):
        pass
