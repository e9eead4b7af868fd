from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import pytest
import yaml

from pipeline.kubeflow import parameters, submission, watch
from pipeline.kubeflow.commands import Submit, Watch
from pipeline.kubeflow.deployment import Resources
from serving.watch import FEWEST


def test_the_step_gets_what_its_flags_say(tmp_path: pathlib.Path) -> None:
    deployment = dataclasses.replace(Watch().deployment, volume="pets:/mnt/pets", light=Resources(0.5, 4.5, gpus=1))
    watch.write(tmp_path / "watch.yaml", Watch(deployment=deployment))
    spec, _ = yaml.safe_load_all((tmp_path / "watch.yaml").read_text())
    resources: dict[str, Any] = spec["deploymentSpec"]["executors"]["exec-watch"]["container"]["resources"]
    assert (resources["resourceCpuLimit"], resources["resourceMemoryLimit"]) == ("500m", "4500M")
    assert resources["accelerator"]["resourceCount"] == "1"


def test_what_one_step_has_no_use_for_is_no_flag() -> None:
    flags = {field.name for field in dataclasses.fields(Watch().deployment)}
    assert not flags & {"trainer", "beam", "trainer_nodes", "trainer_tolerations", "retries", "serving_model"}


def test_a_window_is_as_large_as_the_step_asks() -> None:
    Watch(window=FEWEST)
    with pytest.raises(ValueError, match=f"window is {FEWEST - 1}: it must be at least {FEWEST} "):
        Watch(window=FEWEST - 1)


def _sent(tmp_path: pathlib.Path, *parameters: str) -> dict[str, Any]:
    package = tmp_path / "watch.yaml"
    watch.write(package, Watch(deployment=dataclasses.replace(Watch().deployment, volume="pets:/mnt/pets")))
    sent: dict[str, Any] = submission.arguments(Submit(package=package, parameter=parameters))["params"]
    return sent


def test_a_run_may_watch_another_folder(tmp_path: pathlib.Path) -> None:
    assert _sent(tmp_path, "photos=/mnt/pets/other") == {"photos": "/mnt/pets/other"}


@pytest.mark.parametrize(
    "parameter", ["photos=inbox", "photos=/srv/inbox", "photos=gs://bucket/inbox", "serving_dir=gs://bucket/models"]
)
def test_a_run_is_not_sent_to_a_folder_that_its_step_cannot_read(tmp_path: pathlib.Path, parameter: str) -> None:
    name, _, folder = parameter.partition("=")
    with pytest.raises(submission.CommandError, match=f"^{name} is '{folder}', but the step reads plain files"):
        _sent(tmp_path, parameter)


def test_its_parameter_has_the_range_of_its_flag() -> None:
    with pytest.raises(ValueError, match=r"photos is '/mnt/\*': it must be a path without"):
        parameters.checked("photos", "/mnt/*")
