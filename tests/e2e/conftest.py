"""One run of the debug config, as a user starts it."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished local run."""

    directory: pathlib.Path
    console: str
    status: int


def run_locally(directory: pathlib.Path, *flags: str) -> Run:
    """Runs `python local_runner.py --config debug` in `directory`, where its data goes too."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "local_runner.py"), "--config", "debug", *flags],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(directory / "runs" / "debug", result.stdout, result.returncode)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The first run in a new folder."""
    run = run_locally(tmp_path_factory.mktemp("debug"))
    assert run.status == 0, run.console + (run.directory / "log.txt").read_text()[-5000:]
    return run
