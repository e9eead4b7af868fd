"""Which tests run in one process of `pytest -n 2 --dist loadgroup` (`make test`)."""

from __future__ import annotations

import pytest

_EXPENSIVE = "first_run"
"""A fixture that is made once for all files that use it, and that some of them change."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the tests of a file together, and of all files that use the expensive fixture."""
    users = {item.path for item in items if _EXPENSIVE in getattr(item, "fixturenames", ())}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_EXPENSIVE if item.path in users else str(item.path)))
