from __future__ import annotations

import io
import logging
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from pipeline.console import RunDisplay, plain, print_results
from tests.pipeline.compared import comparison, masks


def _shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def console() -> Console:
    return plain(io.StringIO())


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


NASTY = ("[v2]", "[/y]", "[red]", "a [bold]b", ":cat:", "back\\slash\\", "'quoted' \"twice\"", "100 % #1 $HOME", "猫 é")
"""What paths and errors may hold, and rich would read as markup or emoji."""


@pytest.mark.parametrize("text", NASTY)
def test_every_text_is_shown_as_it_is(text: str) -> None:
    console = plain(io.StringIO())
    display = RunDisplay(console)
    with display.component(text) as outcome:
        logging.getLogger("progress").debug(text)
        logging.getLogger("progress").info("in %s", text)
        outcome["state"] = "complete"
    console.print(text)
    print_results(console, comparison([text], failed=(text,), refusals=(text,), data_refusals=(text,)))
    lines = _shown(console).splitlines()
    assert lines[:2] == [f"    in {text}", lines[1]]
    assert lines[1].split(" done ")[0].rstrip() == text
    assert lines[2] == text
    assert any(line.startswith(f"│ {text} ") for line in lines)
    assert lines[-3:] == [
        f"{text} is not blessed: {text}",
        f"no model is blessed: {text}",
        f"{text} does not replace the serving model: its {text}",
    ]


def test_what_the_terminal_cannot_show_is_shown_by_its_number(tmp_path: pathlib.Path) -> None:
    code = (
        "import pathlib, sys\n"
        "from pipeline import console\n"
        "console.open_console(pathlib.Path(sys.argv[1])).print('[x] caf\\xe9 \\udcff')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log.txt")],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert result.stdout == b"[x] caf\\xe9 \\udcff\n"


def test_results_of_a_refused_model_say_which_check_failed(console: Console) -> None:
    print_results(console, comparison(mask=masks(0.8), failed=("breed accuracy is too low",)))
    assert "0.410" in _shown(console)
    assert "dcnn is not blessed: breed accuracy is too low" in _shown(console)
    assert "champion" not in _shown(console)


@pytest.mark.parametrize("mask", [None, masks(None)])
def test_a_head_that_was_not_trained_or_had_nothing_to_find_is_a_dash(console: Console, mask: Any) -> None:
    print_results(console, comparison(mask=mask))
    row = next(line for line in _shown(console).splitlines() if "champion" in line)
    assert row.count(" - ") == 1


@pytest.mark.parametrize(
    ("refused", "column"),
    [({}, ["yes", "yes"]), ({"refusals": ("r",)}, ["no", "yes"]), ({"data_refusals": ("d",)}, ["no"] * 2)],
)
def test_what_is_refused_for_another_reason_than_its_thresholds_is_not_blessed(
    console: Console, refused: dict[str, Any], column: list[str]
) -> None:
    print_results(console, comparison(["a", "b"], **refused))
    rows = [line for line in _shown(console).splitlines() if line.startswith("│ ")]
    assert [row.split()[9] for row in rows] == column
