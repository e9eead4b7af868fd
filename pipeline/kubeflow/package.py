"""The package for Kubeflow Pipelines v2: the pipeline as YAML, with what the cluster needs to run it."""

from __future__ import annotations

import dataclasses
import pathlib
import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import yaml
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx import v1 as tfx
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components.datasets import storage
from components.report import page
from pipeline import pipeline
from pipeline.configs import Config
from pipeline.kubeflow import cluster
from pipeline.kubeflow.deployment import Deployment, Placement, Resources
from pipeline.kubeflow.step import Path, Step, parameter_key, paths_of_change, paths_of_value

COMMAND = ("python3", "-m", "pipeline.kubeflow.entrypoint")

DATA_DIR = "/tmp/tensorflow_datasets"
"""Where no data_dir is given: gone with the step's container, so that nothing is found prepared the next time."""

_DATA_DIR_NAMES = ("dir", "data_dir")
"""What sources and the config call it. It is found so and not by a probe, where a source would look for its data."""

_SHOWN = {"report_page": ("system.HTML", page.PAGE_FILE), "metrics": ("system.Metrics", page.METRICS_FILE)}
"""Outputs of ModelComparison for KFP's own pages: type, and the file of its report."""

_BEAM_STEPS = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator")

Spec = dict[str, Any]


class _Parameter(NamedTuple):
    """A value that a person may change from run to run without compiling anew."""

    type: str
    """One of KFP's parameter types."""
    default: str | int | float
    probe: str | int | float
    """Another value in the field's range: whatever in the package changes with it is what the parameter sets."""
    changed: Callable[[str | int | float], tuple[Config, Deployment]]
    """What the package is made from when the parameter has a value."""


def write(path: pathlib.Path, config: Config, deployment: Deployment) -> None:
    """Writes the package of `config` for the cluster of `deployment`.

    Raises:
        ValueError: the name, the pipeline's root or a folder is none that a cluster can use, the pipeline cannot be
            built, or the file cannot be written; the message says what to give.
    """
    write_spec(path, build(config, deployment), deployment)


def write_spec(path: pathlib.Path, spec: Spec, deployment: Placement) -> None:
    """Writes a pipeline spec, after a line that lists its parameters, and of its platform a second document.

    Raises:
        ValueError: the file cannot be written.
    """
    documents = [spec]
    if platform := cluster.platform_spec(list(spec["deploymentSpec"]["executors"]), deployment):
        documents.append(platform)
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    header = ", ".join(f"{name}={parameters[name]['defaultValue']}" for name in sorted(parameters))
    text = f"# Parameters: {header}\n" + yaml.safe_dump_all(documents, sort_keys=True)
    try:
        path.write_text(text)
    except OSError as error:
        raise ValueError(
            f"output is {str(path)!r}, which cannot be written ({error.strerror}): give a file of a folder that can be"
        ) from error


def build(config: Config, deployment: Deployment) -> Spec:
    """The package's pipeline spec, schema 2.1.0.

    Raises:
        ValueError: as `write`.
    """
    cluster.check(config, deployment)
    pipeline.data_source(config.data, config.data_dir)  # says so where it needs a data_dir, before one is made up
    config = dataclasses.replace(config, data_dir=storage.absolute(config.data_dir or DATA_DIR))
    spec = _tfx_spec(config, deployment)
    steps = {name: Step(_titles(component)) for name, component in spec["components"].items() if _args(spec, name)}
    steps["Pusher"].volume = deployment.volume
    for name in steps:
        if name.startswith(_BEAM_STEPS):
            steps[name].shared_dir = config.beam.shared_dir
        if name.startswith("Trainer") and deployment.volume:
            # Not in TFX's custom_config: where a training may be taken up decides nothing about its result.
            steps[name].checkpoint_dir = posixpath.join(deployment.folder, "checkpoints", config.name, name)
    # COCO files lie below data_dir as a rule, and another one would leave them where they are.
    if config.data.source != "coco":
        for component, step in steps.items():
            paths = paths_of_value(_constants(spec, component), _DATA_DIR_NAMES, config.data_dir)
            _make_runtime(spec, component, step, "data_dir", "STRING", config.data_dir, paths)
    for name, parameter in _parameters(config, deployment).items():
        changed = _tfx_spec(*parameter.changed(parameter.probe))
        for component, step in steps.items():
            paths = paths_of_change(_constants(spec, component), _constants(changed, component), parameter.probe)
            _make_runtime(spec, component, step, name, parameter.type, parameter.default, paths)
    if deployment.serving_model:
        _make_importer_runtime(spec, "ServingModel", "serving_model", deployment.serving_model)
    _show_report(spec["components"]["ModelComparison"], steps["ModelComparison"])
    for component, step in steps.items():
        _args(spec, component).extend(["--step", step.to_json()])
    for task in spec["root"]["dag"]["tasks"].values():
        task["retryPolicy"] = {"maxRetryCount": deployment.retries, "backoffDuration": "30s", "backoffFactor": 2}
    spec["defaultPipelineRoot"] = deployment.pipeline_root
    return _renamed(spec)


def _tfx_spec(config: Config, deployment: Deployment) -> Spec:
    """What TFX makes of the pipeline, before anything of ours is added; components have their ids as names."""
    dag = pipeline.create_pipeline(
        config,
        pipeline_root=deployment.pipeline_root,
        serving_dir=deployment.serving_folder,
        data_dir=config.data_dir,
        serving_model=_importer(deployment.serving_model) if deployment.serving_model else None,
    )
    for component in dag.components:
        if isinstance(component, tfx.types.BaseComponent):
            resources = deployment.resources(component.id)
            component.with_platform_config(_resource_spec(resources, deployment.gpu_type))
    runner_config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=deployment.image, default_commands=list(COMMAND), use_pipeline_spec_2_1=True
    )
    spec = kubeflow_v2_dag_runner.KubeflowV2DagRunner(runner_config).run(dag, write_out=False)["pipelineSpec"]
    uncached = pipeline.uncached(config, dag.components)
    for name, task in spec["root"]["dag"]["tasks"].items():
        task["cachingOptions"] = {"enableCache": name not in uncached}
    return spec


def _resource_spec(resources: Resources, gpu_type: str) -> Any:
    spec = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(
        cpu_limit=resources.cpu, memory_limit=resources.memory_gb
    )
    if resources.gpus:
        spec.accelerator.type = gpu_type
        spec.accelerator.count = resources.gpus
    return spec


def _importer(uri: str) -> pipeline.ServingModel:
    """The model that a champion would replace by its URI: KFP runs no resolver that could look for it."""

    def serving_model(candidates: Mapping[str, tfx.types.BaseChannel]) -> tfx.types.BaseChannel:
        importer = tfx.dsl.Importer(source_uri=uri, artifact_type=tfx.types.standard_artifacts.Model)
        return importer.with_id("ServingModel").outputs["result"]

    return serving_model


def _parameters(config: Config, deployment: Deployment) -> dict[str, _Parameter]:
    """Those of a run but `data_dir`, by name."""

    def serving(value: Any) -> tuple[Config, Deployment]:
        return config, dataclasses.replace(deployment, serving_dir=value)

    def epochs(contestant: str, number: int) -> Callable[[Any], tuple[Config, Deployment]]:
        def changed(value: Any) -> tuple[Config, Deployment]:
            recipe = config.contestants[contestant]
            phases = list(recipe.phases)
            phases[number] = dataclasses.replace(phases[number], epochs=value)
            changed = {contestant: dataclasses.replace(recipe, phases=tuple(phases))}
            return dataclasses.replace(config, contestants={**config.contestants, **changed}), deployment

        return changed

    def threshold(name: str) -> Callable[[Any], tuple[Config, Deployment]]:
        def changed(value: Any) -> tuple[Config, Deployment]:
            thresholds = dataclasses.replace(config.thresholds, **{name: value})
            return dataclasses.replace(config, thresholds=thresholds), deployment

        return changed

    parameters = {
        "serving_dir": _Parameter("STRING", deployment.serving_folder, "/another/serving_dir", serving),
    }
    for contestant, recipe in config.contestants.items():
        for number, phase in enumerate(recipe.phases):
            name = f"{contestant}_phases_{number}_epochs"
            probe = phase.epochs - 1 or 2
            parameters[name] = _Parameter("NUMBER_INTEGER", phase.epochs, probe, epochs(contestant, number))
    heads = pipeline.data_source(config.data, config.data_dir).spec().heads(config.label, config.task)
    for name in (*(["accuracy"] if heads.label else []), *(["mask_f1"] if heads.mask else [])):
        default = getattr(config.thresholds, name)
        parameters[f"min_{name}"] = _Parameter("NUMBER_DOUBLE", default, default / 2 or 0.125, threshold(name))
    return parameters


def _make_runtime(
    spec: Spec, component: str, step: Step, name: str, kind: str, default: Any, at: Iterable[Path]
) -> None:
    """Lets the run's parameter `name`, of one of KFP's types, set the values at some paths in one component.

    TFX makes runtime parameters of whole execution properties only, but most values lie inside JSON in one: there the
    component takes the parameter as an input of its own, and the container puts it in its place.
    """
    paths = list(at)
    if not paths:
        return
    step.runtime_parameters[name] = paths
    spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})[name] = {
        "parameterType": kind,
        "defaultValue": default,
    }
    key = parameter_key(name)
    spec["components"][component]["inputDefinitions"]["parameters"][key] = {"parameterType": kind}
    spec["root"]["dag"]["tasks"][component]["inputs"]["parameters"][key] = {"componentInputParameter": name}


def _constants(spec: Spec, component: str) -> dict[str, Any]:
    parameters = spec["root"]["dag"]["tasks"][component].get("inputs", {}).get("parameters", {})
    return {key: value["runtimeValue"]["constant"] for key, value in parameters.items() if "runtimeValue" in value}


def _make_importer_runtime(spec: Spec, importer: str, name: str, uri: str) -> None:
    """Lets the run's parameter `name` say which model is imported, in the form of kfp's own `dsl.importer`."""
    text = {"parameterType": "STRING"}
    spec["root"]["inputDefinitions"]["parameters"][name] = {**text, "defaultValue": uri}
    spec["components"][importer]["inputDefinitions"] = {"parameters": {"uri": text}}
    spec["root"]["dag"]["tasks"][importer]["inputs"] = {"parameters": {"uri": {"componentInputParameter": name}}}
    executor = spec["deploymentSpec"]["executors"][spec["components"][importer]["executorLabel"]]
    executor["importer"]["artifactUri"] = {"runtimeParameter": "uri"}


def _show_report(component: dict[str, Any], step: Step) -> None:
    for key, (title, file) in _SHOWN.items():
        artifact_type = {"schemaTitle": title, "schemaVersion": "0.0.1"}
        component["outputDefinitions"]["artifacts"][key] = {"artifactType": artifact_type}
        step.shown[key] = file


def _titles(component: dict[str, Any]) -> dict[str, str]:
    """The TFX type of each input and output."""
    return {
        key: yaml.safe_load(artifact["artifactType"]["instanceSchema"])["title"]
        for side in ("inputDefinitions", "outputDefinitions")
        for key, artifact in component.get(side, {}).get("artifacts", {}).items()
    }


def _args(spec: Spec, component: str) -> list[str]:
    """Arguments of a component's container; none where it is an importer."""
    executor = spec["deploymentSpec"]["executors"][spec["components"][component]["executorLabel"]]
    return executor.get("container", {}).get("args", [])


def _renamed(spec: Spec) -> Spec:
    """Gives tasks, components and executors the names that the kfp SDK would.

    Workaround: Argo, which runs KFP's tasks, refuses a task's name with an underscore; TFX names tasks by their ids.
    Cause: KFP's Argo compiler uses the task's name as it is, and relies on the kfp SDK to have cleaned it.
    Can go when TFX or KFP's compiler cleans names.
    """
    tasks = {}
    for name, task in spec["root"]["dag"]["tasks"].items():
        for artifact in task.get("inputs", {}).get("artifacts", {}).values():
            producer = artifact["taskOutputArtifact"]
            producer["producerTask"] = _task_name(producer["producerTask"])
        if "dependentTasks" in task:
            task["dependentTasks"] = [_task_name(other) for other in task["dependentTasks"]]
        task["taskInfo"]["name"] = _task_name(name)
        task["componentRef"]["name"] = f"comp-{_task_name(name)}"
        tasks[_task_name(name)] = task
    spec["root"]["dag"]["tasks"] = tasks
    executors, components = {}, {}
    for name, component in spec["components"].items():
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        component["executorLabel"] = f"exec-{_task_name(name)}"
        executors[component["executorLabel"]] = executor
        components[f"comp-{_task_name(name)}"] = component
    spec["deploymentSpec"]["executors"] = executors
    spec["components"] = components
    return spec


def _task_name(component_id: str) -> str:
    return component_id.replace("_", "-")
