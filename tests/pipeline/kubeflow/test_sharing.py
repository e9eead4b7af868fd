from __future__ import annotations

import copy
import dataclasses
import json
import pathlib
import time

import pytest

from pipeline import configs
from pipeline.beam import Beam, pipeline_args
from pipeline.kubeflow import cluster, package, sharing
from pipeline.kubeflow.deployment import Deployment

DEPLOYMENT = Deployment(volume="pets:/mnt/pets")
BEAM_STEPS = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator-dcnn", "Evaluator-mobilenet-v3-small")
CONFIG = dataclasses.replace(
    configs.debug(),
    data_dir="/mnt/pets/data",
    beam=Beam(
        "flink",
        job_endpoint="flink:8099",
        flink_master="flink:8081",
        worker_pool="localhost:50000",
        shared_dir="/mnt/pets/shared",
    ),
)


def _invocation(container: pathlib.Path) -> dict:
    for name in ("in/Split-train", "out"):
        (container / name).mkdir(parents=True)
    (container / "in/Split-train/records").write_text("records")
    return {
        "inputs": {"artifacts": {"examples": {"artifacts": [{"name": "7", "uri": str(container / "in")}]}}},
        "outputs": {
            "artifacts": {"statistics": {"artifacts": [{"name": "8", "uri": str(container / "out")}]}},
            "outputFile": str(container / "output.json"),
        },
    }


def test_a_step_works_in_the_shared_folder_and_its_outputs_come_back(tmp_path: pathlib.Path) -> None:
    container, shared = tmp_path / "container", tmp_path / "shared"
    invocation = _invocation(container)
    before = copy.deepcopy(invocation)
    with sharing.through(invocation, str(shared)) as given:
        [examples] = given["inputs"]["artifacts"]["examples"]["artifacts"]
        [statistics] = given["outputs"]["artifacts"]["statistics"]["artifacts"]
        for path in (examples["uri"], statistics["uri"], given["outputs"]["outputFile"]):
            assert path.startswith(f"{shared}/")
        assert pathlib.Path(examples["uri"], "Split-train/records").read_text() == "records"
        pathlib.Path(statistics["uri"], "Split-train").mkdir(parents=True)
        pathlib.Path(statistics["uri"], "Split-train/stats").write_text("statistics")
        pathlib.Path(given["outputs"]["outputFile"]).write_text(json.dumps({"uri": statistics["uri"]}))
    assert invocation == before
    assert (container / "out/Split-train/stats").read_text() == "statistics"
    assert json.loads((container / "output.json").read_text()) == {"uri": str(container / "out")}
    assert not list(shared.iterdir())


def test_a_step_that_fails_leaves_nothing_in_the_shared_folder(tmp_path: pathlib.Path) -> None:
    def fail() -> None:
        with sharing.through(_invocation(tmp_path / "container"), str(tmp_path / "shared")):
            raise RuntimeError("bad record")

    with pytest.raises(RuntimeError, match="bad record"):
        fail()
    assert not list((tmp_path / "shared").iterdir())


def test_what_a_killed_step_left_goes_once_no_step_can_be_at_work_on_it(tmp_path: pathlib.Path) -> None:
    shared, now = tmp_path / "shared", int(time.time())
    young, old = (shared / f"step-{begun}-{'0' * 32}" for begun in (now - 86_400, now - 31 * 86_400))
    for folder in (young, old, shared / "step-notes"):
        (folder / "inputs").mkdir(parents=True)
    with sharing.through(_invocation(tmp_path / "container"), str(shared)) as given:
        pathlib.Path(given["outputs"]["outputFile"]).write_text("{}")
    assert set(shared.iterdir()) == {young, shared / "step-notes"}


def test_nothing_moves_without_a_shared_folder(tmp_path: pathlib.Path) -> None:
    invocation = _invocation(tmp_path)
    with sharing.through(invocation, "") as given:
        assert given is invocation


def test_beam_steps_of_a_package_get_the_engine_and_the_shared_folder() -> None:
    executors = package.build(CONFIG, DEPLOYMENT)["deploymentSpec"]["executors"]
    for name, executor in executors.items():
        args = executor.get("container", {}).get("args", [])
        if not args:
            continue
        step = json.loads(args[args.index("--step") + 1])
        of_beam = name.removeprefix("exec-") in BEAM_STEPS
        assert step["shared_dir"] == (CONFIG.beam.shared_dir if of_beam else ""), name
        if of_beam:
            assert set(pipeline_args(CONFIG.beam)) <= set(args)


@pytest.mark.parametrize(("field", "message"), [("shared_dir", "beam.shared_dir is missing"), ("data_dir", "data_dir")])
def test_what_workers_could_not_reach_is_refused(field: str, message: str) -> None:
    config = dataclasses.replace(CONFIG, data_dir="" if field == "data_dir" else CONFIG.data_dir)
    if field == "shared_dir":
        config = dataclasses.replace(config, beam=dataclasses.replace(config.beam, shared_dir=""))
    with pytest.raises(ValueError, match=message):
        package.build(config, DEPLOYMENT)


@pytest.mark.parametrize(
    ("folder", "message"), [("/srv/shared", "no step would find"), ("s3://bucket/shared", "TensorFlow cannot read")]
)
def test_a_shared_folder_that_no_step_reaches_is_refused(folder: str, message: str) -> None:
    config = dataclasses.replace(CONFIG, beam=dataclasses.replace(CONFIG.beam, shared_dir=folder))
    with pytest.raises(ValueError, match=rf"^beam\.shared_dir is '{folder}', which {message}"):
        cluster.check(config, DEPLOYMENT)


def test_a_package_for_dataflow_is_built() -> None:
    beam = Beam("dataflow", image="i", project="p", region="r", temp_location="gs://b/tmp", shared_dir="gs://b/shared")
    config = dataclasses.replace(CONFIG, data_dir="gs://b/data", beam=beam)
    assert "data_dir" in package.build(config, Deployment())["root"]["inputDefinitions"]["parameters"]
