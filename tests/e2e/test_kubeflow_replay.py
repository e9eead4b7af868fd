"""The package for Kubeflow, run container by container in KFP's own local engine, against the local run."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from conftest import ROOT, Run

from tests.drawn import MODELS

# The first test waits for both runs: two minutes of the local one, and four of twelve containers that import TFX.
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with `artifacts/RUN/TASK/KEY` and `serving`, after a run of the debug package; data are made anew."""
    folder = tmp_path_factory.mktemp("kubeflow")
    compile_command = [str(ROOT / "kubeflow_runner.py"), "compile", "--config", "debug"]
    subprocess.run([sys.executable, *compile_command, "--output", "pipeline.yaml"], cwd=folder, check=True)
    replay_command = [str(ROOT / "tools" / "replay_package.py"), "pipeline.yaml", "--folder", "replay"]
    subprocess.run([sys.executable, *replay_command], cwd=folder, check=True)
    return folder / "replay"


def _task(replay: pathlib.Path, task: str) -> pathlib.Path:
    [folder] = (replay / "artifacts").glob(f"*/{task}")
    return folder


def _metrics(report: pathlib.Path) -> dict[str, Any]:
    return json.loads((report / "metrics.json").read_text())


def test_the_champions_metrics_are_those_of_the_local_run(replay: pathlib.Path, first_run: Run) -> None:
    remote, here = _metrics(_task(replay, "ModelComparison") / "report"), _metrics(first_run.directory / "report")
    assert remote["champion"] == here["champion"]
    for model in MODELS:
        _assert_close(remote["models"][model]["metrics"], here["models"][model]["metrics"])
        assert remote["models"][model]["blessed"] == here["models"][model]["blessed"]


def _assert_close(one: object, other: object) -> None:
    """Equal but for the order in which threads add: 1e-8 of a log loss was seen under load, which may move a pixel."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_close(one[key], other[key])
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            _assert_close(left, right)
    elif isinstance(other, int | float):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    else:
        assert one == other


def test_the_champion_is_pushed(replay: pathlib.Path) -> None:
    [version] = (replay / "serving").iterdir()
    assert (version / "saved_model.pb").is_file()


def test_the_parameters_of_the_run_are_in_its_report(replay: pathlib.Path) -> None:
    config = _metrics(_task(replay, "ModelComparison") / "report")["run"]["config"]
    assert config["data_dir"] == str(replay / "data")


def test_kfp_gets_a_page_and_a_table_of_figures(replay: pathlib.Path) -> None:
    task = _task(replay, "ModelComparison")
    assert (task / "report_page").read_bytes() == (task / "report" / "index.html").read_bytes()
    output = json.loads((task / "executor_output.json").read_text())
    [figures] = output["artifacts"]["metrics"]["artifacts"]
    metrics = _metrics(task / "report")
    assert figures["metadata"]["champion"] == metrics["champion"]
    for model in MODELS:
        accuracy = metrics["models"][model]["metrics"]["overall"]["classification"]["accuracy"]["value"]
        assert figures["metadata"][f"{model}_classification_accuracy"] == accuracy
