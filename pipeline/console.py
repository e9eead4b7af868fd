"""What a person sees of a local run: a line a component, training progress, and the table at the end.

Everything else that the process prints (TensorFlow, Beam, TFX, their C++ parts) goes to the run's log file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from pipeline import cause

if TYPE_CHECKING:
    from components.comparison.results import Comparison
    from components.metrics.results import Interval

_MARKS = {
    "complete": ("done", "green"),
    "cached": ("cached", "cyan"),
    "looked up": ("looked up", "cyan"),
    "failed": ("failed", "red"),
}
"""Word and colour of each state."""


def plain(file: TextIO) -> Console:
    """A console that prints every text as it is: names, paths and errors may hold `[/]` or `:cat:`."""
    return Console(file=file, markup=False, emoji=False, highlight=False, soft_wrap=True)


def open_console(log_file: pathlib.Path) -> Console:
    """Sends file descriptors 1 and 2, so C++ code's output too, to `log_file`; returns a console on the real terminal.

    Call it before anything heavy is imported: the libraries print on import.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # What the terminal's encoding lacks is shown by its number.
    terminal = os.fdopen(os.dup(1), "w", buffering=1, errors="backslashreplace")
    with log_file.open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    return plain(terminal)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what libraries print off the terminal; Python's exceptions come through all the same."""
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

    INFO messages stay; DEBUG messages only replace the status line of a terminal. The newest display is the only one.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(logging.DEBUG)
        self._console = console
        self._status: Status | None = None
        self._title = ""
        logger = logging.getLogger("progress")
        logger.setLevel(logging.DEBUG)
        for earlier in [handler for handler in logger.handlers if isinstance(handler, RunDisplay)]:
            logger.removeHandler(earlier)
        logger.addHandler(self)

    @contextlib.contextmanager
    def component(self, name: str) -> Iterator[dict[str, str]]:
        """Shows `name` as running; the block sets `outcome["state"]` to another of `_MARKS` than failed."""
        outcome = {"state": "failed"}
        started = time.monotonic()
        self._title = name
        self._status = self._console.status(Text(f"{name} …"))
        self._status.start()
        try:
            yield outcome
        finally:
            self._status.stop()
            self._console.print(component_line(name, outcome["state"], time.monotonic() - started))

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.INFO:
            self._console.print(Text(f"    {message}", style="dim"))
        elif self._status:
            self._status.update(Text(f"{self._title}  {message}"))


def component_line(name: str, state: str, seconds: float) -> Text:
    """One component's line; `state` is one of `_MARKS`."""
    word, colour = _MARKS[state]
    return Text.assemble(f"{name:<34} ", (f"{word:<10}", colour), f" {_duration(seconds):>8}")


def print_results(console: Console, compared: Comparison) -> None:
    """Prints the models' figures on split test."""
    from components.metrics.results import OVERALL  # imports TensorFlow

    table = Table(title="Results on the test split", title_justify="left")
    for heading in ("model", "accuracy", "macro F1", "mask F1", "blessed", ""):
        table.add_column(heading, justify="left" if heading in ("model", "") else "right")
    decision = compared.decision
    for name, model in compared.models.items():
        classes, mask = model.metrics[OVERALL].classification, model.metrics[OVERALL].segmentation
        table.add_row(
            name,
            _figure(classes.accuracy if classes else None),
            _figure(classes.macro_f1 if classes else None),
            _figure(mask.f1 if mask else None),
            "yes" if _is_blessed(name, compared) else "no",
            ("champion" if decision.blessed else "best") if name == compared.champion else "",
        )
    console.print()
    console.print(table)
    for name, model in compared.models.items():
        for failed in model.failed_thresholds:
            console.print(f"{name} is not blessed: {failed}")
    for refusal in decision.data_refusals:
        console.print(f"no model is blessed: {refusal}")
    for refusal in decision.refusals:
        console.print(f"{compared.champion} does not replace the serving model: its {refusal}")


def _is_blessed(name: str, compared: Comparison) -> bool:
    """It passed its own thresholds, the data theirs, and, if it is the champion, the serving model is not better."""
    decision = compared.decision
    refused = decision.data_refusals or (name == compared.champion and decision.refusals)
    return compared.models[name].blessed and not refused


def print_failure(console: Console, error: Exception, log: pathlib.Path) -> None:
    """Prints the component, where the error is one's, why it failed, and where the log is."""
    of_component = isinstance(error, cause.ComponentError)
    console.print(f"\n{error}: " if of_component else "\n", style="red", end="")
    reason = error.__cause__ if of_component and error.__cause__ else error
    console.print(f"{cause.sentence(reason)}\nThe log has more: {log}")


def _figure(figure: Interval | None) -> str:
    return "-" if figure is None or figure.value is None else f"{figure.value:.3f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)}:{int(seconds % 60):02d} min"
