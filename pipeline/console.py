"""What a person sees of a local run: a line a component, training progress, and the table at the end.

Everything else that the process prints (TensorFlow, Beam, TFX, their C++ parts) goes to the run's log file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

_MARKS = {
    "complete": "[green]done[/]",
    "cached": "[cyan]cached[/]",
    "looked up": "[cyan]looked up[/]",
    "failed": "[red]failed[/]",
}


def open_console(log_file: pathlib.Path) -> Console:
    """Sends file descriptors 1 and 2, so C++ code's output too, to `log_file`; returns a console on the real terminal.

    Call it before anything heavy is imported: the libraries print on import.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = os.fdopen(os.dup(1), "w", buffering=1)
    with log_file.open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    return Console(file=terminal, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what C++ libraries print on import off the terminal; Python's exceptions come through all the same."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


class RunDisplay(logging.Handler):
    """Shows components as they run; as a handler of the logger `progress` it shows their own messages below them.

    INFO messages stay; DEBUG messages only replace the status line of a terminal.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(logging.DEBUG)
        self._console = console
        self._status: Status | None = None
        self._title = ""
        logger = logging.getLogger("progress")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)

    @contextlib.contextmanager
    def component(self, name: str) -> Iterator[dict[str, str]]:
        """Shows `name` as running; the block sets `outcome["state"]` to complete or cached."""
        outcome = {"state": "failed"}
        started = time.monotonic()
        self._title = name
        self._status = self._console.status(f"{name} …")
        self._status.start()
        try:
            yield outcome
        finally:
            self._status.stop()
            self._console.print(component_line(name, outcome["state"], time.monotonic() - started))

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.INFO:
            self._console.print(f"    {message}", markup=False, style="dim")
        elif self._status:
            self._status.update(f"{self._title}  {message}")


def component_line(name: str, state: str, seconds: float) -> str:
    """One component's line, with markup; `state` is one of `_MARKS`."""
    return f"{name:<34} {_MARKS[state]:<20} {_duration(seconds):>8}"


def print_results(console: Console, metrics: Mapping[str, Any]) -> None:
    """Prints both models' figures on split test.

    Args:
        console: where to.
        metrics: `metrics.json` of the model comparison.
    """
    table = Table(title="Results on the test split", title_justify="left")
    for heading in ("model", "accuracy", "mask F1", "mask IoU", "blessed", ""):
        table.add_column(heading, justify="left" if heading in ("model", "") else "right")
    for model, figures in metrics["models"].items():
        overall = figures["metrics"]["overall"]
        table.add_row(
            model,
            _figure(overall, "class", "accuracy"),
            _figure(overall, "mask", "f1"),
            _figure(overall, "mask", "iou"),
            "yes" if figures["blessed"] else "no",
            ("champion" if figures["blessed"] else "best") if model == metrics["champion"] else "",
        )
    console.print()
    console.print(table)
    for model, figures in metrics["models"].items():
        for failed in figures["failed_thresholds"]:
            console.print(f"{model} is not blessed: {failed}")


def cause(error: BaseException) -> str:
    """One sentence on why something failed: the first error of the chain, without Beam's and TensorFlow's additions."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Beam re-raises with the worker's traceback in the message, and appends the step.
    text = lines[-1] if lines and lines[0].startswith("Traceback") else " ".join(lines[:3])
    text = re.sub(r"\s*\[while running .*", "", text)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _figure(overall: Mapping[str, Any], head: str, metric: str) -> str:
    return f"{overall[head][metric]['value']:.3f}" if head in overall else "-"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)}:{int(seconds % 60):02d} min"
