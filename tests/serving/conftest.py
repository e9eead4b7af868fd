from __future__ import annotations

import pathlib
import shutil

import pytest

from components.edge.convert import convert
from tests.colours import Write, export, png


def with_tflite(version: pathlib.Path) -> pathlib.Path:
    """Puts the same model beside a version, as `edge/model.tflite`; returns the version."""
    (version / "edge").mkdir()
    assert not convert(str(version), ["float32"], list, version / "edge")
    shutil.copyfile(version / "assets" / "model.json", version / "edge" / "model.json")
    return version


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A pushed version of the colour model in a run's folder."""
    folder = tmp_path_factory.mktemp("project") / "runs" / "colours" / "serving" / "1700000000"
    folder.parent.mkdir(parents=True)
    return with_tflite(export(folder))


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A version with two mask classes and no class head."""
    folder = tmp_path_factory.mktemp("several") / "1"
    return with_tflite(export(folder, mask_classes=("ruddy", "grassy"), label=False))


@pytest.fixture
def photo(tmp_path: pathlib.Path) -> Write:
    """Writes a PNG of a colour below the test's folder."""

    def write(name: str, colour: tuple[int, int, int] = (250, 0, 0)) -> pathlib.Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(colour))
        return path

    return write
