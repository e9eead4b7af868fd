"""What every container of the pipeline starts: `python3 -m pipeline.kubeflow.entrypoint ARGUMENTS`.

It puts right what open-source KFP v2 hands over otherwise than TFX expects it, then runs TFX's own entry point. KFP's
launcher, which starts this process, has by then downloaded the inputs, and uploads the outputs afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline import run_dir
from pipeline.kubeflow import cluster, sharing
from pipeline.kubeflow import parameters as run_parameters
from pipeline.kubeflow import step as steps
from pipeline.kubeflow.deployment import Placement

TFX_ENTRY_POINT = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"

_LOCAL_COPIES = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
"""Where KFP's launcher (LocalPathForURI in backend/src/v2/component/launcher_v2.go) keeps what lies in a bucket."""


def main(arguments: Sequence[str]) -> None:
    """Runs one step; the arguments are TFX's, and `--step` (see `pipeline.kubeflow.step`).

    Raises:
        SystemExit: with the status of TFX's entry point, where it is not 0; or with one sentence, where a parameter of
            the run is out of its range.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--step", type=json.loads, required=True)
    parser.add_argument("--json_serialized_invocation_args", type=json.loads, required=True)
    given, for_tfx = parser.parse_known_args(arguments)
    step = steps.Step(**given.step)
    invocation = given.json_serialized_invocation_args
    try:
        shown = adapt(invocation, step)
    except ValueError as error:
        raise SystemExit(f"the run's parameter {error}") from error

    # Workaround: AnomalyGate stops with `No such file or directory` where it writes its one value.
    # Cause: TFX's local launcher makes the outputs' folders, its entry point for KFP does not; KFP's launcher does, but
    # not its local engine.
    # Can go when kfp.local makes them.
    for artifacts in invocation["outputs"].get("artifacts", {}).values():
        for artifact in artifacts["artifacts"]:
            os.makedirs(os.path.dirname(artifact["uri"]), exist_ok=True)

    # Of kfp, TFX's entry point needs the messages alone. By this variable kfp's own containers leave out the rest: its
    # client, Kubernetes' client, its compiler.
    os.environ["_KFP_RUNTIME"] = "true"
    with (
        tempfile.TemporaryDirectory() as own,
        run_dir.temporary_files(pathlib.Path(own, "step")),
        sharing.through(invocation, step.shared_dir) as for_executor,
    ):
        sys.argv = [TFX_ENTRY_POINT, "--json_serialized_invocation_args", json.dumps(for_executor), *for_tfx]
        try:
            runpy.run_module(TFX_ENTRY_POINT, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if end.code:
                raise
    complete_output(invocation, step, shown)


def adapt(invocation: dict[str, Any], step: steps.Step) -> dict[str, Any]:
    """Changes KFP's ExecutorInput into one that TFX's entry point understands.

    Args:
        invocation: KFP's ExecutorInput as JSON; changed in place.
        step: what the package says of this step.

    Returns:
        The outputs that KFP shows on its own pages; they are taken out of `invocation`, for TFX does not know them.

    Raises:
        ValueError: a parameter of the run is out of its range, or names a folder that goes with the container.
    """
    # Workaround: TFX stops with `Could not import system.Artifact`, or with an artifact that has no type at all.
    # Cause: KFP's driver reads inputs from its metadata store without their type, and kfp.local makes each a
    # system.Artifact; TFX finds the Python class by the type's title alone.
    # Can go when KFP passes an input artifact with the type of the component's input definition.
    for key, artifact in _artifacts(invocation):
        if key in step.artifacts:
            artifact["type"] = {"schemaTitle": step.artifacts[key]}

    # Workaround: KeyError in TFX's `refactor_model_blessing`, and one id for all models.
    # Cause: TFX makes an artifact's integer id from its name; KFP leaves it out, or gives outputs their key.
    # Can go when KFP names every artifact uniquely.
    for _, artifact in _artifacts(invocation):
        if not artifact.get("name", "").isdigit():
            artifact["name"] = artifact["uri"]

    # Workaround: properties that hold lists or structures come back as {"list": [...]} or {"struct": {...}}.
    # Cause: KFP's metadata client wraps them for ML Metadata, whose values cannot be lists, and does not unwrap them.
    # Can go when backend/src/v2/metadata/converter.go does.
    for _, artifact in _artifacts(invocation):
        artifact["metadata"] = {key: _unwrapped(value) for key, value in artifact.get("metadata", {}).items()}

    # Workaround: TensorFlow reads neither s3:// nor minio://, and in gs:// it leaves empty objects as folders, which
    # the launcher downloads as files in the way of what lies below them.
    # Cause: TFX's executors open artifacts' URIs, while KFP means steps to use the launcher's local copies.
    # Can go when TFX reads `RuntimeArtifact.custom_path`, or every scheme by itself.
    for _, artifact in _artifacts(invocation):
        artifact["uri"] = local_path(artifact["uri"])

    parameters = invocation.get("inputs", {}).get("parameterValues", {})
    for name, paths in step.runtime_parameters.items():
        value = run_parameters.checked(name, parameters.pop(steps.parameter_key(name)))
        if name == "serving_dir" and step.volume:
            cluster.check_place(name, value, Placement(volume=step.volume))
        for path in paths:
            parameters.update(steps.with_value({path[0]: parameters[path[0]]}, tuple(path), value))
    if step.checkpoint_dir:
        custom_config = {**json.loads(parameters["custom_config"]), "checkpoint_dir": step.checkpoint_dir}
        parameters["custom_config"] = json.dumps(custom_config, sort_keys=True)
    outputs = invocation.get("outputs", {}).get("artifacts", {})
    return {key: outputs.pop(key) for key in step.shown}


def local_path(uri: str) -> str:
    """Where the launcher keeps its copy of an artifact; a URI of another kind stays as it is."""
    for scheme, folder in _LOCAL_COPIES.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def _remote_uri(path: str) -> str:
    for scheme, folder in _LOCAL_COPIES.items():
        if path.startswith(folder):
            return scheme + path.removeprefix(folder)
    return path


def _artifacts(invocation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for side in ("inputs", "outputs"):
        for key, artifacts in invocation.get(side, {}).get("artifacts", {}).items():
            for artifact in artifacts["artifacts"]:
                yield key, artifact


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict) and set(value) in ({"list"}, {"struct"}):
        return next(iter(value.values()))
    return value


def complete_output(invocation: dict[str, Any], step: steps.Step, shown: dict[str, Any]) -> None:
    """Gives the URIs in TFX's ExecutorOutput their bucket again, and adds what KFP shows on its own pages.

    Args:
        invocation: what TFX's entry point got.
        step: what the package says of this step.
        shown: the outputs that `adapt` returned.
    """
    output_file = pathlib.Path(invocation["outputs"]["outputFile"])
    output = json.loads(output_file.read_text())
    for artifacts in output.get("artifacts", {}).values():
        for artifact in artifacts["artifacts"]:
            artifact["uri"] = _remote_uri(artifact["uri"])
    for key, artifacts in shown.items():
        [artifact] = artifacts["artifacts"]
        [report] = invocation["outputs"]["artifacts"]["report"]["artifacts"]
        source = pathlib.Path(report["uri"]) / step.shown[key]
        shutil.copyfile(source, artifact["uri"])
        metadata = _figures(source) if source.suffix == ".json" else {}
        entry = {"name": artifact["name"], "uri": _remote_uri(artifact["uri"]), "metadata": metadata}
        output.setdefault("artifacts", {})[key] = {"artifacts": [entry]}
    output_file.write_text(json.dumps(output))


def _figures(metrics: pathlib.Path) -> dict[str, Any]:
    """The models' figures of all examples as one flat table, which is how KFP's page of a run shows metrics."""
    from components.comparison.results import Comparison  # imports TensorFlow, as the step has by now
    from components.metrics.results import OVERALL, Interval

    compared = Comparison.from_json(metrics.read_bytes())
    table: dict[str, Any] = {"champion": compared.champion}
    for model, result in compared.models.items():
        for head in ("classification", "segmentation"):
            of_head = getattr(result.metrics[OVERALL], head)
            for name, figure in (vars(of_head) if of_head else {}).items():
                if isinstance(figure, Interval) and figure.value is not None:
                    table[f"{model}_{head}_{name}"] = figure.value
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
