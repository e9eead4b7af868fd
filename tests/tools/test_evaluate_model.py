from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from tools import evaluate_model

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("prepared", "sentence"),
    [(False, "oxford_iiit_pet is not prepared in --data-dir {0}"), (True, "{0}/model is no folder of a SavedModel")],
)
def test_a_wrong_folder_is_told(tmp_path: pathlib.Path, prepared: bool, sentence: str) -> None:
    data = ROOT.parent / "shared" / "data" / "pets"
    if prepared and not data.exists():
        pytest.skip("the real pets are not at hand")
    folder = data if prepared else tmp_path
    command = [sys.executable, "tools/evaluate_model.py", str(tmp_path / "model"), "--data-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"evaluate_model.py: error: {sentence.format(tmp_path)}"


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ({"breed": [None, 37], "mask": [None, 256, 256, 1]}, ""),
        ({"mask": [None, 256, 256, 1]}, ""),
        ({"species": [None, 2]}, "answers species, neither breed nor mask"),
        ({"mask": [None, 64, 64, 3]}, "tells 2 classes of a mask's pixels apart, not pet from background"),
    ],
)
def test_a_model_of_other_answers_is_refused(outputs: dict[str, list[int | None]], why: str) -> None:
    """Of its answers no figure would be printed, or a wrong one."""
    assert evaluate_model.unfit({name: tf.TensorSpec(shape) for name, shape in outputs.items()}) == why
