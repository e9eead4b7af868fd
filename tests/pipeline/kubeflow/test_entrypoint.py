from __future__ import annotations

import copy
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from pipeline.kubeflow import entrypoint
from pipeline.kubeflow.step import Step
from tests.pipeline.compared import comparison

EVALUATOR = {
    "inputs": {
        "artifacts": {
            "model": {
                "artifacts": [
                    {
                        "name": "17",
                        "uri": "minio://mlpipeline/debug/1/Trainer-dcnn/2/model",
                        "metadata": {},
                    }
                ]
            },
            "examples": {
                "artifacts": [
                    {
                        "name": "examples",
                        "uri": "s3://bucket/examples",
                        "type": {"schemaTitle": "system.Artifact"},
                        "metadata": {
                            "split_names": '["test"]',
                            "breeds": {"list": ["Bengal"]},
                            "size": {"struct": {"n": 1}},
                        },
                    }
                ]
            },
        },
        "parameterValues": {"eval_config": '{"lower_bound": 0.5}', "run_min_accuracy": 0.75},
    },
    "outputs": {
        "artifacts": {
            "blessing": {"artifacts": [{"uri": "gs://bucket/blessing", "type": {"instanceSchema": ""}}]},
            "report_page": {"artifacts": [{"uri": "gs://bucket/page", "type": {"schemaTitle": "system.HTML"}}]},
        },
        "outputFile": "/tmp/output.json",
    },
}

STEP = Step(
    artifacts={"model": "tfx.Model", "examples": "tfx.Examples", "blessing": "tfx.ModelBlessing"},
    runtime_parameters={"min_accuracy": [("eval_config", "lower_bound")]},
    shown={"report_page": "index.html"},
)


@pytest.fixture
def adapted() -> dict[str, Any]:
    """An ExecutorInput as KFP's driver and its local engine give it, after the workarounds."""
    invocation = copy.deepcopy(EVALUATOR)
    entrypoint.adapt(invocation, STEP)
    return invocation


def _one(invocation: dict[str, Any], side: str, key: str) -> dict[str, Any]:
    [artifact] = invocation[side]["artifacts"][key]["artifacts"]
    return artifact


@pytest.mark.parametrize(
    ("side", "key", "title"),
    [
        ("inputs", "model", "tfx.Model"),
        ("inputs", "examples", "tfx.Examples"),
        ("outputs", "blessing", "tfx.ModelBlessing"),
    ],
    ids=["no type", "system.Artifact", "empty schema"],
)
def test_an_artifact_has_its_tfx_type_again(adapted: dict[str, Any], side: str, key: str, title: str) -> None:
    assert _one(adapted, side, key)["type"] == {"schemaTitle": title}


def test_names_are_unique(adapted: dict[str, Any]) -> None:
    assert _one(adapted, "inputs", "model")["name"] == "17", "the metadata store's own"
    assert _one(adapted, "inputs", "examples")["name"] == "s3://bucket/examples"
    assert _one(adapted, "outputs", "blessing")["name"] == "gs://bucket/blessing"


def test_lists_and_structures_in_properties_are_unwrapped(adapted: dict[str, Any]) -> None:
    metadata = _one(adapted, "inputs", "examples")["metadata"]
    assert metadata == {"split_names": '["test"]', "breeds": ["Bengal"], "size": {"n": 1}}


def test_tfx_works_on_the_launchers_copies(adapted: dict[str, Any]) -> None:
    assert _one(adapted, "inputs", "model")["uri"] == "/minio/mlpipeline/debug/1/Trainer-dcnn/2/model"
    assert _one(adapted, "inputs", "examples")["uri"] == "/s3/bucket/examples"
    assert _one(adapted, "outputs", "blessing")["uri"] == "/gcs/bucket/blessing"


def test_a_parameter_of_the_run_gets_to_its_place_and_is_gone(adapted: dict[str, Any]) -> None:
    assert adapted["inputs"]["parameterValues"] == {"eval_config": '{"lower_bound": 0.75}'}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("min_accuracy", float("nan"), "min_accuracy is nan: it must be at least 0 and at most 1"),
        ("min_accuracy", 80.0, "min_accuracy is 80.0: it must be"),
        ("min_accuracy", "high", "min_accuracy is 'high': it must be a number"),
        ("dcnn_phases_0_epochs", -3.0, "dcnn_phases_0_epochs is -3: it must be at least 1"),
        ("dcnn_phases_0_epochs", 2.5, "dcnn_phases_0_epochs is 2.5: it must be a whole number"),
        ("data_dir", "/mnt/a*", "data_dir is '/mnt/a[*]': it must be a path"),
    ],
)
def test_a_parameter_out_of_range_is_refused_in_the_container(name: str, value: float | str, message: str) -> None:
    invocation: dict[str, Any] = copy.deepcopy(EVALUATOR)
    invocation["inputs"]["parameterValues"] = {"eval_config": '{"lower_bound": 0.5}', f"run_{name}": value}
    step = Step({}, runtime_parameters={name: [("eval_config", "lower_bound")]})
    with pytest.raises(ValueError, match=message):
        entrypoint.adapt(invocation, step)


def test_a_model_is_not_pushed_to_where_it_goes_with_its_container() -> None:
    """The client refuses it too, but KFP's own pages start runs without it."""
    step = Step({}, runtime_parameters={"serving_dir": [("push_destination",)]}, volume="pets:/mnt/pets")

    def pushed_to(folder: str) -> str:
        invocation = {"inputs": {"parameterValues": {"push_destination": "", "run_serving_dir": folder}}}
        entrypoint.adapt(invocation, step)
        return invocation["inputs"]["parameterValues"]["push_destination"]

    assert [pushed_to(folder) for folder in ("/mnt/pets/serving", "gs://x/y")] == ["/mnt/pets/serving", "gs://x/y"]
    with pytest.raises(ValueError, match=r"^serving_dir is '/srv/models', which .* goes with its container"):
        pushed_to("/srv/models")


def test_a_refused_parameter_is_one_sentence_in_the_containers_log(tmp_path: pathlib.Path) -> None:
    invocation = {"inputs": {"parameterValues": {"x": "1", "run_min_accuracy": 2.0}}, "outputs": {}}
    step = Step({}, runtime_parameters={"min_accuracy": [("x",)]})
    arguments = ["--step", step.to_json(), "--json_serialized_invocation_args", json.dumps(invocation)]
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.kubeflow.entrypoint", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr == "the run's parameter min_accuracy is 2.0: it must be at least 0 and at most 1\n"


def test_a_trainer_learns_of_the_folder_that_outlives_its_container() -> None:
    invocation = {"inputs": {"parameterValues": {"custom_config": '{"code": "1"}'}}, "outputs": {}}
    entrypoint.adapt(invocation, Step({}, checkpoint_dir="/mnt/pets/checkpoints"))
    custom_config = json.loads(invocation["inputs"]["parameterValues"]["custom_config"])
    assert custom_config == {"code": "1", "checkpoint_dir": "/mnt/pets/checkpoints"}


def test_tfx_does_not_see_what_only_kfp_shows(adapted: dict[str, Any]) -> None:
    assert set(adapted["outputs"]["artifacts"]) == {"blessing"}


def test_a_failing_executor_fails_the_container_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    """ImportSchemaGen of a schema that is not there, as the package would start it."""
    invocation = {
        "inputs": {"parameterValues": {"schema_file": "schema/nowhere.pbtxt"}},
        "outputs": {
            "artifacts": {"schema": {"artifacts": [{"uri": str(tmp_path / "schema")}]}},
            "outputFile": str(tmp_path / "output.json"),
        },
    }
    spec = {"parameters": {"schema_file": {"parameterType": "STRING"}}}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    result = _run("tfx.components.schema_gen.import_schema_gen.executor.Executor", invocation, spec, temporary)
    assert result.returncode != 0
    assert "nowhere.pbtxt" in result.stderr
    assert not (tmp_path / "output.json").exists()
    assert not list(temporary.iterdir())


def _run(
    executor: str, invocation: dict[str, Any], spec: dict[str, Any], temporary: pathlib.Path
) -> subprocess.CompletedProcess[str]:
    arguments = [
        "--executor_class_path",
        executor,
        "--json_serialized_invocation_args",
        json.dumps(invocation),
        "--json_serialized_inputs_spec_args",
        json.dumps(spec),
        "--step",
        Step({"schema": "tfx.Schema"}).to_json(),
    ]
    command = [sys.executable, "-m", "pipeline.kubeflow.entrypoint", *arguments]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_bucket_gets_the_outputs_the_page_and_the_figures(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What TFX leaves in the launcher's copies and in its output file, as ModelComparison's container ends."""
    monkeypatch.setattr(entrypoint, "_LOCAL_COPIES", {"minio://": f"{tmp_path}/minio/"})
    keys = ("report", "report_page", "metrics")
    invocation = {
        "outputs": {
            "artifacts": {key: {"artifacts": [{"uri": f"minio://bucket/{key}"}]} for key in keys},
            "outputFile": str(tmp_path / "output.json"),
        }
    }
    step = Step({"report": "tfx.File"}, shown={"report_page": "index.html", "metrics": "metrics.json"})
    shown = entrypoint.adapt(invocation, step)
    report = tmp_path / "minio" / "bucket" / "report"
    report.mkdir(parents=True)
    (report / "index.html").write_text("<html>")
    (report / "metrics.json").write_text(comparison().to_json())
    tfx_output = {"artifacts": {"report": {"artifacts": [{"uri": str(report), "metadata": {"tfx_version": "1.21.0"}}]}}}
    (tmp_path / "output.json").write_text(json.dumps(tfx_output))

    entrypoint.complete_output(invocation, step, shown)

    output = {"outputs": json.loads((tmp_path / "output.json").read_text())}
    assert _one(output, "outputs", "report")["uri"] == "minio://bucket/report"
    assert _one(output, "outputs", "report_page")["uri"] == "minio://bucket/report_page"
    assert (tmp_path / "minio" / "bucket" / "report_page").read_text() == "<html>"
    figures = {"dcnn_classification_accuracy": 0.41, "dcnn_classification_macro_f1": 0.3}
    assert _one(output, "outputs", "metrics")["metadata"] == {"champion": "dcnn", **figures}


def test_before_tfx_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, pipeline.kubeflow.entrypoint\n"
        "print(sorted({'tensorflow', 'tfx', 'kfp', 'numpy', 'yaml', 'tyro', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
