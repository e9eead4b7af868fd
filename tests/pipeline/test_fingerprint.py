from __future__ import annotations

import pathlib
import sys

import pytest

from pipeline import fingerprint


@pytest.fixture
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An importable package `painted` of one module and one template."""
    folder = tmp_path / "painted"
    folder.mkdir()
    (folder / "__init__.py").write_text("colour = 'red'\n")
    (folder / "page.html.j2").write_text("<p>")
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("painted", None)
    return folder


@pytest.mark.parametrize("name", ["__init__.py", "page.html.j2"])
def test_changed_code_and_changed_templates_change_the_fingerprint(package: pathlib.Path, name: str) -> None:
    before = fingerprint.of_code("painted")
    (package / name).write_text("colour = 'blue'")
    assert fingerprint.of_code("painted") != before


def test_changed_code_that_is_imported_changes_the_fingerprint(
    package: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "PACKAGES", ("painted",))
    (package / "house.py").write_text("def paint():\n    from painted import brush\n")
    (package / "brush.py").write_text("import painted.bristle as bristle\n")
    (package / "bristle.py").write_text("from painted.brush import paint\n")
    (package / "unused.py").write_text("")
    before = fingerprint.of_code("painted.house")
    (package / "unused.py").write_text("other")
    assert fingerprint.of_code("painted.house") == before
    (package / "bristle.py").write_text("other")
    assert fingerprint.of_code("painted.house") != before


def test_compiled_bytecode_does_not_change_the_fingerprint(package: pathlib.Path) -> None:
    before = fingerprint.of_code("painted")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "painted.pyc").write_bytes(b"compiled")
    assert fingerprint.of_code("painted") == before


def test_an_unknown_package_is_named() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        fingerprint.of_code("nowhere")


def test_a_weights_file_is_known_by_its_content(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "some.weights.h5"
    file.write_bytes(b"first")
    first = fingerprint.of_weights(str(file))
    file.write_bytes(b"other")
    assert fingerprint.of_weights(str(file)) != first
    assert fingerprint.of_weights("imagenet") == "imagenet"
