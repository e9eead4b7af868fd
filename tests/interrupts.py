"""Ctrl-C in a test: one that nothing takes fails the test, where pytest would end with it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Sequence
from typing import NoReturn

import pytest

from serving import models


def interrupted(*_: object) -> NoReturn:
    """Stands for what a program does when Ctrl-C comes."""
    raise KeyboardInterrupt


def swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on Ctrl-C comes with each batch that a SavedModel answers, and TensorFlow drops it."""
    answer = models.SavedModel.answer

    def swallowing(model: models.SavedModel, photos: Sequence[bytes]) -> list[models.Answer]:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return answer(model, photos)

    monkeypatch.setattr(models.SavedModel, "answer", swallowing)


def status(main: Callable[..., int], *arguments: Sequence[str]) -> int:
    """What `main` returns, which shall take every Ctrl-C."""
    try:
        return main(*arguments)
    except KeyboardInterrupt:
        pytest.fail(f"{main.__module__}.{main.__name__} let KeyboardInterrupt through")
