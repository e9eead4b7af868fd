"""Which tests run in one process of `pytest -n 2` (`make test`)."""

from __future__ import annotations

import pathlib

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

import pipeline  # noqa: F401 - all tests compute as the runners do, whichever file comes first and reads TensorFlow's settings

_EXPENSIVE = "first_run"
"""A fixture that is made once for all files that use it, and that some of them change."""


class _Scheduling(LoadFileScheduling):
    """Keeps the tests of a file together, and of all files that use the expensive fixture."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _EXPENSIVE if _uses_it(self.config.rootpath / file) else file


def _uses_it(file: pathlib.Path) -> bool:
    return _EXPENSIVE in file.read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest group comes first: begun last, it would keep one process busy when the other has nothing left."""
    of_files = {file: _uses_it(file) for file in {item.path for item in items}}
    items.sort(key=lambda item: not of_files[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)
