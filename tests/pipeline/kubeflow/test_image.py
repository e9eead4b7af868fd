from __future__ import annotations

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).parents[3]


def test_the_image_is_built_from_all_that_the_package_is_made_of() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    needed = {package.partition(".")[0] for package in setuptools["packages"]}
    needed |= {f"{module}.py" for module in setuptools["py-modules"]}
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert needed - let_in == set()
