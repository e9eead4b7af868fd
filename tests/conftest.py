"""Which tests run in one process of `pytest -n 2` (`make test`)."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_EXPENSIVE = "first_run"
"""A fixture that is made once for all files that use it, and that some of them change."""


class _Scheduling(LoadFileScheduling):
    """Keeps the tests of a file together, and of all files that use the expensive fixture."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _EXPENSIVE if _EXPENSIVE in (self.config.rootpath / file).read_text(encoding="utf-8") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)
