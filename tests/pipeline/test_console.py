from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from pipeline.console import RunDisplay, cause, print_results


def _shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120)


def test_a_component_is_shown_with_its_state_and_time(console: Console) -> None:
    with RunDisplay(console).component("Transform") as outcome:
        outcome["state"] = "cached"
    assert _shown(console).split()[:2] == ["Transform", "cached"]
    assert _shown(console).rstrip().endswith(" s")


def test_a_component_that_raises_is_shown_as_failed(console: Console) -> None:
    with pytest.raises(OSError, match="disk"), RunDisplay(console).component("Transform"):
        raise OSError("disk full")
    assert "failed" in _shown(console)


def test_progress_messages_are_shown_and_other_loggers_are_not(console: Console) -> None:
    RunDisplay(console)
    logging.getLogger("progress").info("epoch %d", 3)
    logging.getLogger("tensorflow").warning("noise")
    assert "epoch 3" in _shown(console)
    assert "noise" not in _shown(console)


def test_the_cause_is_the_first_error_of_the_chain() -> None:
    error = RuntimeError("a component failed")
    error.__cause__ = ValueError("Abyssinian_1.jpg: the trimap is broken")
    assert cause(error) == "ValueError: Abyssinian_1.jpg: the trimap is broken"


def test_beams_additions_are_left_out_of_the_cause() -> None:
    error = RuntimeError("ValueError: a.jpg: no JPEG [while running 'Convert-ptransform-12']")
    assert cause(error) == "RuntimeError: ValueError: a.jpg: no JPEG"


def test_results_of_a_refused_model_say_which_check_failed(console: Console) -> None:
    overall = {"class": {"accuracy": {"value": 0.41}}, "mask": {"f1": {"value": 0.8}, "iou": {"value": 0.67}}}
    refused = {"metrics": {"overall": overall}, "blessed": False, "failed_thresholds": ["breed accuracy is too low"]}
    print_results(console, {"champion": "dcnn", "models": {"dcnn": refused}})
    assert "0.410" in _shown(console)
    assert "dcnn is not blessed: breed accuracy is too low" in _shown(console)
    assert "champion" not in _shown(console)


def test_a_head_that_was_not_trained_is_a_dash(console: Console) -> None:
    overall = {"class": {"accuracy": {"value": 0.41}}}
    model = {"metrics": {"overall": overall}, "blessed": True, "failed_thresholds": []}
    print_results(console, {"champion": "dcnn", "models": {"dcnn": model}})
    row = next(line for line in _shown(console).splitlines() if "champion" in line)
    assert row.count(" - ") == 2
