"""A run after another: what is taken from the cache, what kills and people did to it, what it is held against."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, TEMPORARY, Run, run_locally, start_locally

from tests.drawn import MODELS


def test_a_second_run_takes_every_component_from_the_cache(first_run: Run) -> None:
    second = run_locally(first_run.directory.parents[1])
    assert second.status == 0
    assert second.states == {**dict.fromkeys(first_run.states, "cached"), "Pusher": "done"}, "the Pusher only looks"
    assert len(list(first_run.directory.glob("serving/*"))) == 1


@pytest.fixture(scope="module")
def copied_run(first_run: Run) -> Run:
    """The first run's directory copied, and then treated as people and kills treat one; the same command again."""
    run_dir = first_run.directory.with_name("copy")
    shutil.copytree(first_run.directory, run_dir)
    [version] = run_dir.glob("serving/*")
    shutil.copytree(version, version.with_name("8888888888"))
    (version.with_name("8888888888") / "variables" / "variables.index").write_text("of another run's model")
    (version.with_name("9999999999")).mkdir()
    (run_dir / "serving" / f".incoming-1-{'0' * 32}").mkdir()
    (run_dir / ".temporary-files" / "beam-temp").mkdir(parents=True)
    (run_dir / "report" / "notes.txt").write_text("mine")
    shutil.rmtree(next(run_dir.glob("pipeline/ModelComparison/report/*")))
    run = run_locally(first_run.directory.parents[1], "--run-dir", str(run_dir))
    assert run.status == 0, run.console
    return Run(run_dir, run.console, run.status)


def test_after_a_cached_run_the_newest_version_is_its_champion_and_the_console_names_it(copied_run: Run) -> None:
    served = copied_run.directory / "serving" / "10000000000"
    assert f"Pushed model  {served}\n" in copied_run.console
    champion = next(copied_run.directory.glob("pipeline/ModelComparison/champion/*/Format-Serving/saved_model.pb"))
    assert (served / "saved_model.pb").read_bytes() == champion.read_bytes()
    assert {path.name for path in served.parent.iterdir()} >= {"8888888888", "9999999999", served.name}


def test_a_copied_run_directory_trains_nothing_anew_and_what_is_gone_is_said_and_remade(copied_run: Run) -> None:
    states = copied_run.states
    assert {name for name, state in states.items() if state != "cached"} == {"ModelComparison", "Edge", "Pusher"}
    assert re.search(r"^gone: .*/pipeline/ModelComparison/report/\d+; ", copied_run.console, re.MULTILINE)
    assert list(copied_run.directory.glob("pipeline/ModelComparison/report/*/index.html"))


def test_a_persons_file_in_the_report_stays_and_what_kills_left_goes(copied_run: Run) -> None:
    assert (copied_run.directory / "report" / "notes.txt").read_text() == "mine"
    left = [path for path in copied_run.directory.rglob(".*") if path.name.startswith((".incoming", ".temporary"))]
    assert left == []


def test_a_run_leaves_nothing_in_the_temporary_directory(first_run: Run, copied_run: Run) -> None:
    temporary = first_run.directory.parents[1] / TEMPORARY
    assert list(temporary.iterdir()) == []


def test_kills_at_the_hard_moments_lose_nothing_and_leave_nothing(first_run: Run, tmp_path: pathlib.Path) -> None:
    """The program says what it checks; each kill costs a second or two, since its runs are forks."""
    flags = ["--of", str(first_run.directory), "--folder", str(tmp_path), "--config", "debug"]
    kills = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "kills.py"), *flags],
        cwd=first_run.directory.parents[1],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert kills.returncode == 0, kills.stdout + kills.stderr[-2000:]
    assert kills.stdout.count("killed: ") == 6


@pytest.fixture(scope="module")
def interrupted_run(first_run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, float]:
    """A run ended by SIGTERM in StatisticsGen, another begun meanwhile, and the seconds that the end took."""
    run_dir = tmp_path_factory.mktemp("interrupted")
    with start_locally(first_run.directory.parents[1], "--run-dir", str(run_dir)) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("ExampleGen"):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        other = run_locally(first_run.directory.parents[1], "--run-dir", str(run_dir))
        assert f"process {process.pid}, started 20" in other.console
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        rest, _ = process.communicate()
        return Run(run_dir, "".join(lines) + rest, process.returncode), other, time.monotonic() - started


def test_a_second_run_at_the_same_time_is_refused(interrupted_run: tuple[Run, Run, float]) -> None:
    run, other, _ = interrupted_run
    assert other.status == 2
    assert len(other.console.splitlines()) == 1
    assert str(run.directory) in other.console


def test_a_signal_ends_the_run_in_order(interrupted_run: tuple[Run, Run, float], first_run: Run) -> None:
    run, _, seconds = interrupted_run
    assert run.status == 128 + signal.SIGTERM
    assert "Interrupted (SIGTERM). The same command goes on" in run.console
    assert "Traceback" not in run.console
    assert seconds < 30
    assert not (run.directory / ".temporary-files").exists()
    assert list((first_run.directory.parents[1] / TEMPORARY).iterdir()) == []


def test_a_champion_is_held_against_the_serving_model_on_the_same_photos(
    first_run: Run, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(first_run.directory, tmp_path / "run")
    flags = ("--contestants", "dcnn", "--seed", "21", "--run-dir", str(tmp_path / "run"))
    run = run_locally(first_run.directory.parents[1], *flags)
    assert run.status == 0, run.console
    before, after = (
        json.loads((folder / "report" / "metrics.json").read_text())
        for folder in (first_run.directory, tmp_path / "run")
    )
    accuracy, mask_f1 = (one for one in after["decision"]["against_serving"] if one["slice"] == "overall")
    served = before["models"][before["champion"]]["metrics"]["overall"]
    assert accuracy["other"] == pytest.approx(served["classification"]["accuracy"]["value"])
    assert mask_f1["other"] == pytest.approx(served["segmentation"]["f1"]["value"])
    assert accuracy["examples"] == after["data"]["examples"]["test"]


def test_nothing_is_pushed_where_no_model_reaches_the_thresholds(first_run: Run) -> None:
    versions = set(first_run.directory.glob("serving/*"))
    bars = ("--thresholds.accuracy", "0.99", "--thresholds.max-label-issues", "0")
    strict = run_locally(first_run.directory.parents[1], *bars)
    assert strict.status == 0, "the run still ends in order"
    states = strict.states
    assert {states[f"Trainer_{model}"] for model in MODELS} == {"cached"}
    for model in MODELS:
        assert re.search(rf"{model} is not blessed: breed accuracy is 0\.\d+: 0\.\d+ below", strict.console)
    assert re.search(r"no model is blessed: \d+ of 111 audited photos .*: look at suspects\.csv", strict.console)
    assert "none: no model is blessed" in strict.console
    assert set(first_run.directory.glob("serving/*")) == versions
