"""The multi-task ledger from small `metrics.json`."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import multi_task


def _model(accuracy: float | None, f1: float | None, seconds: float, cosines: Sequence[float] = ()) -> dict[str, Any]:
    classes = {"accuracy": {"value": accuracy}, "macro_f1": {"value": accuracy}} if accuracy is not None else None
    epochs: list[dict[str, float]] = [{"epoch": 0}]  # the backbone is frozen
    for number, cosine in enumerate(cosines, 1):
        figures = {"gradient_cosine": cosine, "class_gradient": 2.0, "mask_gradient": 1.0, "gradient_seconds": 3.0}
        epochs.append({"epoch": number, **figures})
    return {
        "metrics": {
            "overall": {"classification": classes, "segmentation": {"f1": {"value": f1}} if f1 is not None else None}
        },
        "history": {"parameters": 1234567, "train_seconds": seconds, "epochs": epochs},
        "inference_images_per_second": 50.0,
    }


def _keep(ledger: pathlib.Path, name: str, model: dict[str, Any]) -> None:
    (ledger / name).mkdir(parents=True)
    (ledger / name / "metrics.json").write_text(json.dumps({"models": {"net": model}}))


@pytest.fixture
def ledger(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two seeds with both tasks, one with each alone, and a copy that was killed."""
    _keep(tmp_path, "both-20", _model(0.5, 0.9, 106.0, cosines=(0.25, -0.5)))
    _keep(tmp_path, "both-21", _model(0.7, 0.8, 126.0, cosines=(0.75, -0.5)))
    _keep(tmp_path, "classification-20", _model(0.25, None, 60.0))
    _keep(tmp_path, "segmentation-20", _model(None, 0.85, 80.0))
    _keep(tmp_path, "segmentation-21.part", _model(None, 0.1, 1.0))
    return tmp_path


def test_a_row_is_the_mean_of_the_seeds_and_from_the_smallest_to_the_largest(ledger: pathlib.Path) -> None:
    _, _, *rows = multi_task.table(multi_task.kept_results(ledger)).splitlines()
    assert rows == [
        "| net | classes | 1 | 25.0% | 0.250 |  | 60 | 1,234,567 | 50 |",
        "| net | masks | 1 |  |  | 0.8500 | 80 | 1,234,567 | 50 |",
        "| net | both | 2 | 60.0% (50.0% to 70.0%) | 0.600 (0.500 to 0.700) | 0.8500 (0.8000 to 0.9000) "
        "| 110 (100 to 120) | 1,234,567 | 50 |",
    ]


def test_the_gradients_are_told_by_epoch_where_they_were_measured(ledger: pathlib.Path) -> None:
    header, _, *rows = multi_task.conflict_table(multi_task.kept_results(ledger)).splitlines()
    assert header == "| after epoch | net: cosine | mask's gradient / class's |"
    assert rows == ["| 2 | 0.50 (0.25 to 0.75) | 0.50 |", "| 3 | -0.50 | 0.50 |"]


@pytest.fixture
def made(ledger: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of the runs, of which nothing but an empty report is made."""
    commands: list[list[str]] = []

    def local_run(command: list[str], check: bool) -> None:
        commands.append(command)
        (ledger / "run" / "report").mkdir(parents=True)
        (ledger / "run" / "report" / "metrics.json").write_text("{}")

    monkeypatch.setattr(subprocess, "run", local_run)
    return commands


def test_a_copy_that_was_killed_is_made_anew(ledger: pathlib.Path, made: list[list[str]]) -> None:
    (ledger / "segmentation-21.part" / "of the killed one.svg").touch()
    multi_task.run(ledger, "segmentation", 21, ["--config", "debug"])
    assert [path.name for path in (ledger / "segmentation-21").iterdir()] == ["metrics.json"]
    assert not (ledger / "segmentation-21.part").exists()


def test_a_run_that_is_kept_is_not_made_again(ledger: pathlib.Path, made: list[list[str]]) -> None:
    multi_task.run(ledger, "both", 20, ["--config", "debug"])
    assert made == []
    multi_task.run(ledger, "classification", 21, ["--config", "debug"])
    [command] = made
    assert (ledger / "classification-21" / "metrics.json").exists()
    assert command[2:4] == ["--config", "debug"]
    assert {"--dcnn.gradient-conflict", "--mobilenet_v3_small.gradient-conflict", "--thresholds.mask-f1=0"} < {*command}
