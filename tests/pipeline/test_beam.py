from __future__ import annotations

import dataclasses
import socket
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import create_runner
from tfx.utils import dependency_utils

from pipeline import configs, flags, job_server_runner
from pipeline.beam import Beam, check_folder, pipeline_args
from pipeline.pipeline import create_pipeline

COMPLETE = {
    "direct": Beam(),
    "flink": Beam(
        "flink", job_endpoint="flink:8099", flink_master="flink:8081", worker_pool="localhost:50000", workers=8
    ),
    "spark": Beam("spark", job_endpoint="spark:8099", image="registry/pets:1"),
    "dataflow": Beam(
        "dataflow", image="registry/pets:1", project="p", region="r", temp_location="gs://b/tmp", workers=4
    ),
}


@pytest.mark.parametrize("preset", COMPLETE.values(), ids=COMPLETE)
def test_beam_knows_every_flag_of_a_preset_and_its_runner(preset: Beam) -> None:
    arguments = pipeline_args(preset)
    options = PipelineOptions(arguments)
    understood = options.get_all_options()
    assert {argument.split("=")[0].removeprefix("--") for argument in arguments} <= set(understood)
    create_runner(understood["runner"] or "DirectRunner")


@pytest.mark.parametrize("preset", COMPLETE.values(), ids=COMPLETE)
def test_tfx_packages_itself_for_no_workers_that_have_it(preset: Beam) -> None:
    """Otherwise each Beam step leaves 52 MB in the temporary directory; here it would be one more flag."""
    arguments = pipeline_args(preset)
    assert dependency_utils.make_beam_dependency_flags(arguments) == arguments


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (Beam(), {"direct_running_mode": "in_memory"}),
        (Beam(workers=2), {"direct_running_mode": "multi_processing", "direct_num_workers": 2}),
        (
            COMPLETE["flink"],
            {
                "job_endpoint": "flink:8099",
                "flink_master": "flink:8081",
                "environment_type": "EXTERNAL",
                "environment_config": "localhost:50000",
                "parallelism": 8,
            },
        ),
        (COMPLETE["spark"], {"environment_type": "DOCKER", "environment_config": "registry/pets:1"}),
        (COMPLETE["dataflow"], {"sdk_container_image": "registry/pets:1", "region": "r", "max_num_workers": 4}),
    ],
)
def test_a_preset_says_to_beam_what_its_fields_say(preset: Beam, expected: dict[str, Any]) -> None:
    understood = PipelineOptions(pipeline_args(preset)).get_all_options()
    assert {name: understood[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("runner", "field"),
    [
        *((runner, "job_endpoint") for runner in ("flink", "spark")),
        ("flink", "flink_master"),
        *(("dataflow", field) for field in ("image", "project", "region", "temp_location")),
    ],
)
def test_a_missing_field_is_named(runner: str, field: str) -> None:
    changes: dict[str, Any] = {field: ""}
    with pytest.raises(ValueError, match=rf"beam\.{field} is missing: beam\.runner {runner} needs it"):
        pipeline_args(dataclasses.replace(COMPLETE[runner], **changes))


@pytest.mark.parametrize(
    ("runner", "changes", "message"),
    [
        ("direct", {"job_endpoint": "localhost:1"}, "beam.job_endpoint is set, and beam.runner direct does not read"),
        ("spark", {"workers": 2}, "beam.workers is set, and beam.runner spark does not read it"),
        ("flink", {"image": "registry/pets:1"}, "needs one of beam.worker_pool and beam.image, not both or none"),
        ("flink", {"worker_pool": ""}, "needs one of beam.worker_pool and beam.image, not both or none"),
        ("dataflow", {"temp_location": "/tmp"}, "beam.temp_location is '/tmp': give gs://"),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused(runner: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pipeline_args(dataclasses.replace(COMPLETE[runner], **changes))


@pytest.mark.parametrize(
    ("runner", "folder", "message"),
    [
        ("spark", "runs/data", "absolute path"),
        ("flink", "", "absolute path"),
        ("dataflow", "/mnt/data", "must be gs://"),
    ],
)
def test_a_folder_that_workers_cannot_reach_is_refused(runner: str, folder: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"data_dir is '{folder}'.*{message}"):
        check_folder(COMPLETE[runner], "data_dir", folder)


@pytest.mark.parametrize(("runner", "folder"), [("direct", "runs/data"), ("flink", "/mnt"), ("dataflow", "gs://b/d")])
def test_a_folder_that_workers_reach_is_taken(runner: str, folder: str) -> None:
    check_folder(COMPLETE[runner], "data_dir", folder)


def test_the_flags_of_a_runner_reach_the_pipeline() -> None:
    line = "--config debug --beam.runner spark --beam.job-endpoint localhost:1 --beam.worker-pool localhost:2"
    config = flags.parse(line.split(), "local_runner.py", "")
    dag = create_pipeline(config, pipeline_root="/runs", serving_dir="/serving", data_dir="/data")
    assert dag.beam_pipeline_args == pipeline_args(config.beam)
    assert "--job_endpoint=localhost:1" in dag.beam_pipeline_args


def test_the_pipeline_refuses_data_that_workers_cannot_reach() -> None:
    config = dataclasses.replace(configs.debug(), beam=COMPLETE["flink"])
    with pytest.raises(ValueError, match="data_dir is 'runs/data'"):
        create_pipeline(config, pipeline_root="/runs", serving_dir="/serving", data_dir="runs/data")


def test_a_job_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_server_runner, "_ANSWER_SECONDS", 1)
    with socket.socket() as unused:
        unused.bind(("localhost", 0))
        endpoint = f"localhost:{unused.getsockname()[1]}"
        arguments = pipeline_args(Beam("spark", job_endpoint=endpoint, worker_pool="localhost:1"))
        with (
            pytest.raises(ConnectionError, match=f"beam.job_endpoint is {endpoint}, and no job server answered"),
            beam.Pipeline(argv=arguments) as pipeline,
        ):
            _ = pipeline | beam.Create([1])
