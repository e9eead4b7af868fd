"""What a person reads where a new model does not answer as the version before."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import pytest

from components import contract
from tests.components.answering import export_answering


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> str:
    return export_answering(tmp_path_factory.mktemp("contract") / "7")


def test_a_model_of_the_same_data_keeps_the_contract_whatever_it_is_called(old: str, tmp_path: pathlib.Path) -> None:
    assert contract.differences(old, export_answering(tmp_path / "model")) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ("square", "disc")}, ["classes stand in another order"]),
        ({"classes": ("disc", "ring")}, ["classes lost square and gained ring"]),
        (
            {"classes": ("disc", "square", "a", "b", "c", "d")},
            [
                "serving_default's output 'classes' is string [?, 6], was string [?, 2]",
                "serving_default's output 'probabilities' is float32 [?, 6], was float32 [?, 2]",
                "serving_pixels's output 'probabilities' is float32 [?, 6], was float32 [?, 2]",
                "classes gained a, b, c and 1 more",
            ],
        ),
        (
            {"size": 64},
            [
                "serving_pixels's input 'pixels' is uint8 [?, 64, 64, 3], was uint8 [?, 32, 32, 3]",
                "input_size is 64, was 32",
            ],
        ),
        (
            {"coarser": "shape"},
            [
                "coarser label 'shape' is new",
                "serving_default's output 'shape' is new",
            ],
        ),
    ],
)
def test_each_difference_is_named(change: dict[str, Any], said: list[str], old: str, tmp_path: pathlib.Path) -> None:
    assert sorted(contract.differences(old, export_answering(tmp_path / "model", **change))) == sorted(said)


def test_a_class_that_moves_to_another_coarser_one_is_named(tmp_path: pathlib.Path) -> None:
    classes = tuple(f"a class with a long name {number}" for number in range(10))
    old, new = (export_answering(tmp_path / name, classes, coarser="shape") for name in ("old", "new"))
    for model, of in ((old, [0] * 10), (new, [0] * 9 + [1])):
        file = pathlib.Path(model, contract.MODEL_FILE)
        told = json.loads(file.read_text())
        told["coarser"]["shape"] = {"classes": ["round", "straight"], "of": of}
        file.write_text(json.dumps(told))
    assert contract.differences(old, new) == [
        f"coarser label 'shape' lost {classes[9]} as round and gained {classes[9]} as straight"
    ]


def test_an_output_that_is_gone_is_named(tmp_path: pathlib.Path, old: str) -> None:
    before = export_answering(tmp_path / "model", coarser="shape")
    assert "serving_default's output 'shape' is gone" in contract.differences(before, old)


@pytest.mark.parametrize("file", ["saved_model.pb", contract.MODEL_FILE])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_damaged_version_is_called_so(old: str, tmp_path: pathlib.Path, file: str, kept: float) -> None:
    damaged = tmp_path / "8"
    shutil.copytree(old, damaged)
    content = (damaged / file).read_bytes()
    (damaged / file).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match="version 8 is damaged and cannot be compared: "):
        contract.differences(str(damaged), old)
