"""One run of the debug config, as a user starts it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

TEMPORARY = "temporary"
"""The temporary directory of a run's environment, in the folder that it was started in."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished local run."""

    directory: pathlib.Path
    console: str
    status: int

    @property
    def states(self) -> dict[str, str]:
        """How each component ended by the console: done, cached or failed."""
        return dict(re.findall(r"^(\w+) +(done|cached|failed) ", self.console, re.MULTILINE))


def start_locally(directory: pathlib.Path, *flags: str) -> subprocess.Popen[str]:
    """Starts `python local_runner.py --config debug` in `directory`, where its data goes too, and its TEMPORARY."""
    (directory / TEMPORARY).mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(ROOT / "local_runner.py"), "--config", "debug", *flags],
        cwd=directory,
        env={**os.environ, "TMPDIR": str(directory / TEMPORARY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_locally(directory: pathlib.Path, *flags: str) -> Run:
    """The same, to its end."""
    with start_locally(directory, *flags) as process:
        console, _ = process.communicate()
    return Run(directory / "runs" / "debug", console, process.returncode)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The first run in a new folder."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # once for all processes, as tests/conftest.py promises: it takes minutes
        (tmp_path_factory.getbasetemp().parent / "first_run").touch(exist_ok=False)
    run = run_locally(tmp_path_factory.mktemp("debug"))
    assert run.status == 0, run.console + (run.directory / "log.txt").read_text()[-5000:]
    return run
