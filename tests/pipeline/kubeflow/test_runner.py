"""How the commands end that write packages; test_client.py has those that ask a server."""

from __future__ import annotations

import pathlib
import sys

import pytest

import kubeflow_runner


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("compile --uncached Foo", "uncached names 'Foo': give some of "),
        ("compile --label foo", "label is 'foo': Synthetic pets has breed, species"),
        (
            "compile --task classification --champion mask_f1",
            "champion is 'mask_f1', but the networks of this run have",
        ),
        ("compile --data.masks masks", "data.masks is set, and data.source synthetic_pets does not read it"),
        ("compile --data.leave-out nowhere.csv", "nowhere.csv"),
        ("compile --output nowhere/x.yaml", "output is 'nowhere/x.yaml', which cannot be written (No such file or dir"),
        (
            "compile --config own --weights none",
            "data_dir is missing: data.source folder needs the folder of the photos",
        ),
        ("compile --deployment.serving-dir s3://x", "serving_dir is 's3://x', which TensorFlow cannot read"),
        (
            "watch --deployment.volume pets:/mnt/pets --output nowhere/x.yaml",
            "output is 'nowhere/x.yaml', which cannot be written (No such file or direc",
        ),
        ("watch --photos inbox", "photos is 'inbox', but the step reads plain files"),
    ],
)
def test_a_mistake_ends_with_status_2_and_one_sentence(
    command: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: pathlib.Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *flags = command.split()
    config = ["--config", "debug"] if name == "compile" and "--config" not in flags else []
    monkeypatch.setattr(sys, "argv", ["kubeflow_runner.py", name, *config, *flags])
    assert kubeflow_runner.main() == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith(f"kubeflow_runner.py {name}: ")
    assert sentence in said
    assert not list(tmp_path.iterdir())
