"""The replay of a package of one step, which writes the metrics that a real one's ModelComparison would.

Without `from __future__ import annotations`: KFP reads a component's types from its function.
"""

import json
import pathlib
import subprocess
import sys

import pytest
from kfp import compiler, dsl

SCRIPT = pathlib.Path(__file__).parents[2] / "tools" / "replay_package.py"
# What the step writes into its report: the champion is the name of its user, so that a prefix can be seen.
WRITE_METRICS = """
import json, os, pathlib, sys
report = pathlib.Path(sys.argv[1])
report.mkdir(parents=True)
metrics = {"champion": os.environ["CHAMPION"], "models": {"dcnn": {"blessed": True, "metrics": {"f1": 0.25}}}}
(report / "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    @dsl.container_component
    def model_comparison(data_dir: str, serving_dir: str, report: dsl.Output[dsl.Artifact]):
        return dsl.ContainerSpec("image", ["python3", "-c", WRITE_METRICS], [report.path])

    @dsl.pipeline(name="one-step")
    def pipeline(data_dir: str, serving_dir: str):
        model_comparison(data_dir=data_dir, serving_dir=serving_dir)

    path = tmp_path_factory.mktemp("package") / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    # KFP's compiler turns names into lower case; TFX's, which compiles ours, leaves them.
    path.write_text(path.read_text().replace("model-comparison", "ModelComparison"))
    return path


def _replay(package: pathlib.Path, folder: pathlib.Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(package), "--folder", str(folder), *flags]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def _metrics(path: pathlib.Path, champion: str, f1: float) -> str:
    models = {"dcnn": {"blessed": True, "metrics": {"f1": f1}}}
    path.write_text(json.dumps({"champion": champion, "models": models, "run": {"seconds": 1}}))
    return str(path)


def test_a_prefix_runs_the_steps_and_equal_figures_pass(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    expected = _metrics(tmp_path / "metrics.json", "dcnn", 0.25)
    run = _replay(package, tmp_path / "replay", "--prefix", "env CHAMPION=dcnn", "--expect", expected)
    assert run.returncode == 0, run.stdout
    assert "all 3 figures" in run.stdout


def test_another_user_may_write_what_the_engine_made(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    _replay(package, tmp_path / "replay", "--prefix", "env CHAMPION=dcnn")
    [run] = (tmp_path / "replay" / "artifacts").iterdir()
    assert run.stat().st_mode & 0o777 == 0o777


def test_a_figure_may_differ_by_rounding(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    expected = _metrics(tmp_path / "metrics.json", "dcnn", 0.25 + 2.5e-7)
    run = _replay(package, tmp_path / "replay", "--prefix", "env CHAMPION=dcnn", "--expect", expected)
    assert run.returncode == 0, run.stdout
    assert "1 but for rounding" in run.stdout


def test_a_figure_that_differs_is_named(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    expected = _metrics(tmp_path / "metrics.json", "dcnn", 0.5)
    run = _replay(package, tmp_path / "replay", "--prefix", "env CHAMPION=dcnn", "--expect", expected)
    assert run.returncode == 1
    assert "dcnn/metrics/f1: 0.25 here, 0.5 there" in run.stdout


def test_a_step_that_fails_fails_the_replay(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run = _replay(package, tmp_path / "replay", "--prefix", "env --unset=CHAMPION")
    assert run.returncode != 0
    assert "KeyError: 'CHAMPION'" in run.stdout


def test_a_folder_that_is_in_use_is_refused(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "keep").touch()
    run = _replay(package, tmp_path)
    assert run.returncode == 2
    assert "is not empty" in run.stdout
