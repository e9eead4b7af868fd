"""What ends a run: a component that fails, or what can be known before anything runs."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import time

import pytest
from conftest import ROOT, Run, run_locally

from tests.imports import heavy_imports


def test_a_failure_names_component_cause_and_log(first_run: Run) -> None:
    failed = run_locally(first_run.directory.parents[1], "--dcnn.phases.0.learning-rate", "1e30")
    assert failed.status == 1
    assert failed.states["Trainer_dcnn"] == "failed"
    text = failed.console.replace("\n", " ")
    assert re.search(r"Trainer_dcnn: \w+: .*dcnn  epoch 1.*diverged", text)
    assert "log.txt" in text
    assert "Traceback" not in text
    assert "Traceback" in (first_run.directory / "log.txt").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--weights", "nowhere.h5"], "weights is 'nowhere.h5', which is no file"),
        (["--run-dir", "a file"], "which is a file: give a folder"),
        (["--run-dir", "a file/below"], "which lies below the file"),
        (["--run-dir", "x[v2]"], "it must be a path without * ? [ ]"),
        (["--thresholds.accuracy", "80"], "--thresholds.accuracy is 80.0"),
    ],
)
def test_what_can_be_known_is_said_at_once(tmp_path: pathlib.Path, flags: list[str], message: str) -> None:
    (tmp_path / "a file").touch()
    started = time.monotonic()
    refused = run_locally(tmp_path, *flags)
    assert refused.status == 2
    [line] = refused.console.splitlines()
    assert line.startswith("local_runner.py: ")
    assert message in line
    assert time.monotonic() - started < 10, "nothing heavy was imported"


def test_what_is_known_once_the_pipeline_is_put_together_ends_it_before_anything_runs(tmp_path: pathlib.Path) -> None:
    refused = run_locally(tmp_path, "--config", "own", "--weights", "none", "--data-dir", str(tmp_path / "nowhere"))
    assert refused.status == 2
    assert refused.states == {}
    assert f"local_runner.py: there is no folder {tmp_path / 'nowhere'}: name one that holds photos" in refused.console
    assert "Traceback" not in refused.console


def test_help_imports_nothing_heavy() -> None:
    shown, imported = heavy_imports(ROOT / "local_runner.py", "--help")
    assert imported == []
    assert "--data-dir" in shown


def test_an_unknown_config_is_refused_with_the_known_ones(tmp_path: pathlib.Path) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "local_runner.py"), "--config", "cats"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "sample" in result.stderr
