"""Which tests run in one process of `pytest -n 2` (`make test`), and where their temporary files lie."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Imported before everything else: all tests compute as the runners do, whichever file comes first.
from pipeline import run_dir

_EXPENSIVE = "first_run"
"""A fixture that is made once for all files that use it, and that some of them change."""


@pytest.fixture(scope="session", autouse=True)
def _temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What Beam and Transform leave when a test asks them alone, without a runner that removes it, goes in the end, and
    so do the digests of photos that are remembered from run to run."""
    folder = tmp_path_factory.mktemp("temporary")
    with run_dir.temporary_files(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield


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
