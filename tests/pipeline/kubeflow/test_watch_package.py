from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import pytest
import yaml

from pipeline.kubeflow import watch
from pipeline.kubeflow.commands import Watch
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
