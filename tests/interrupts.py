"""Ctrl-C in a test: one that nothing takes fails the test, where pytest would end with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

import pytest


def interrupted(*_: object) -> NoReturn:
    """Stands for what a program does when Ctrl-C comes."""
    raise KeyboardInterrupt


def status(main: Callable[..., int], *arguments: Sequence[str]) -> int:
    """What `main` returns, which shall take every Ctrl-C."""
    try:
        return main(*arguments)
    except KeyboardInterrupt:
        pytest.fail(f"{main.__module__}.{main.__name__} let KeyboardInterrupt through")
